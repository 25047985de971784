"""The groups and users of switch roles. Several switch roles may share a group; exactly one module manages it.

If each module managed a part of a group, applying or destroying one would break the others. AWS also limits a group to
ten managed policies, so one policy lists the roles of all switch roles that share the group.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from rolecall_generator.manifest.models import Manifest, SwitchRole, SwitchUser


@dataclass(frozen=True, slots=True)
class SharedGroup:
    """A group of one account and its members.

    `keeper` is the switch role whose module manages them: the one that creates the group, else the first in the manifest.
    `switch_roles` share the group, in the manifest's order, the keeper first. `dependents` are names of other switch
    roles that need the group or users of the keeper's module. `fingerprint` changes with any of these.
    """

    keeper: SwitchRole
    switch_roles: tuple[SwitchRole, ...]
    dependents: tuple[str, ...] = ()
    fingerprint: str = field(default="", compare=False)

    @property
    def users(self) -> tuple[tuple[SwitchUser, SwitchRole], ...]:
        """Every user once, with the switch role that creates it, or else the first one that names it."""
        found: dict[str, tuple[SwitchUser, SwitchRole]] = {}
        for switch in self.switch_roles:
            for user in switch.users:
                known = found.get(user.name.casefold())
                if known is None or (known[0].existing and not user.existing):
                    found[user.name.casefold()] = (user, switch)
        return tuple(found.values())

    @classmethod
    def by_switch_role(cls, manifest: Manifest) -> Mapping[str, SharedGroup]:
        """Map the name of each switch role to its group and members."""
        groups: dict[tuple[str, str], list[SwitchRole]] = {}
        users: dict[tuple[str, str], list[str]] = {}
        for switch in manifest.switch_roles:
            account = people_account(switch)
            groups.setdefault((account, switch.switch_group.name.casefold()), []).append(switch)
            for user in switch.users:
                users.setdefault((account, user.name.casefold()), []).append(switch.name)
        found: dict[str, SharedGroup] = {}
        for (account, _), sharing in groups.items():
            keeper = next((switch for switch in sharing if not switch.switch_group.existing), sharing[0])
            people = cls(keeper, (keeper, *(switch for switch in sharing if switch is not keeper)))
            dependents = dict.fromkeys(switch.name for switch in people.switch_roles)
            for user, _ in people.users:
                if not user.existing:
                    dependents |= dict.fromkeys(users[account, user.name.casefold()])
            others = tuple(name for name in dependents if name != keeper.name)
            content = (keeper.name, people.switch_roles, others)
            people = cls(keeper, people.switch_roles, others, hashlib.sha256(repr(content).encode()).hexdigest())
            found |= dict.fromkeys((switch.name for switch in sharing), people)
        return found


def people_account(switch: SwitchRole) -> str:
    """Id of the account that has the group and the users."""
    return (switch.trusted if switch.group_in == "trusted" else switch.trusting).account_id
