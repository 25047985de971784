"""Who holds the people of switch roles: several switch roles may share one group, and exactly one module holds it.

A group, its policies, its users and their memberships belong together: were each switch role's module to hold a share of
them, applying or destroying one would take away what the others rely on. AWS also takes only ten managed policies on a
group, so one policy has to list the roles of all switch roles that share it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from rolecall_generator.manifest.models import Manifest, SwitchRole, SwitchUser


@dataclass(frozen=True, slots=True)
class People:
    """A group of one account and its members.

    `keeper` is the switch role whose module holds them: the one that creates the group, else the first in the manifest.
    `switch_roles` share the group, in the manifest's order, the keeper first. `dependents` are names of switch roles,
    besides the keeper, that rely on what the keeper's module holds. `fingerprint` changes with any of them.
    """

    keeper: SwitchRole
    switch_roles: tuple[SwitchRole, ...]
    dependents: tuple[str, ...] = ()
    fingerprint: str = field(default="", compare=False)

    @property
    def users(self) -> tuple[tuple[SwitchUser, SwitchRole], ...]:
        """Every user once, with the switch role that creates it, or the first that names it where none does."""
        found: dict[str, tuple[SwitchUser, SwitchRole]] = {}
        for switch in self.switch_roles:
            for user in switch.users:
                known = found.get(user.name.casefold())
                if known is None or (known[0].existing and not user.existing):
                    found[user.name.casefold()] = (user, switch)
        return tuple(found.values())


def people_account(switch: SwitchRole) -> str:
    """Id of the account in which group and users live."""
    return (switch.trusted if switch.group_in == "trusted" else switch.trusting).account_id


def people_of(manifest: Manifest) -> Mapping[str, People]:
    """The people of each switch role, by its name."""
    groups: dict[tuple[str, str], list[SwitchRole]] = {}
    users: dict[tuple[str, str], list[str]] = {}
    for switch in manifest.switch_roles:
        account = people_account(switch)
        groups.setdefault((account, switch.switch_group.name.casefold()), []).append(switch)
        for user in switch.users:
            users.setdefault((account, user.name.casefold()), []).append(switch.name)
    found: dict[str, People] = {}
    for (account, _), sharing in groups.items():
        keeper = next((switch for switch in sharing if not switch.switch_group.existing), sharing[0])
        people = People(keeper, (keeper, *(switch for switch in sharing if switch is not keeper)))
        dependents = dict.fromkeys(switch.name for switch in people.switch_roles)
        for user, _ in people.users:
            if not user.existing:
                dependents |= dict.fromkeys(users[account, user.name.casefold()])
        others = tuple(name for name in dependents if name != keeper.name)
        content = (keeper.name, people.switch_roles, others)
        people = People(keeper, people.switch_roles, others, hashlib.sha256(repr(content).encode()).hexdigest())
        found |= dict.fromkeys((switch.name for switch in sharing), people)
    return found
