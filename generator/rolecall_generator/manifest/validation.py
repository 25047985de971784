"""Checks across the entries of a manifest: names, external IDs, references, the backend, groups and users.

Several switch roles may share a group or a user; exactly one module manages it. If each module managed a part of a group,
applying or destroying one would break the others. AWS also limits a group to ten managed policies, so one policy lists the
roles of all switch roles that share the group.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from rolecall_generator.errors import Problem
from rolecall_generator.iam import quotas
from rolecall_generator.manifest.models import SHARED_ID_RULE, Manifest, SwitchGroup, SwitchRole, SwitchUser
from rolecall_generator.manifest.policy_validation import arn_problems, entries_of, policy_problems, tag_problems
from rolecall_generator.manifest.yaml_source import Loc, SourceMap
from rolecall_generator.text import suggest

Item = TypeVar("Item")


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
            account = switch.home.account_id
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


def people_problems(manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    """Problems of switch roles."""
    for index, switch in enumerate(manifest.switch_roles):
        yield from _users(switch, index, places)
        yield from _link(switch, index, places)
    yield from _groups(manifest, places)
    yield from _policies(manifest, places)
    yield from _new_users(manifest, places)
    yield from _one_spelling(manifest, places)


def _users(switch: SwitchRole, index: int, places: SourceMap) -> Iterator[Problem]:
    for (name, number), _ in _repeated((user.name.casefold(), (user.name, n)) for n, user in enumerate(switch.users)):
        place: Loc = ("switch_roles", index, "users", number, "name")
        yield places.problem(place, f"user {name} is listed twice in {switch.name}", "remove one")
    for number, user in enumerate(switch.users):
        at: Loc = ("switch_roles", index, "users", number)
        if user.existing and (user.console_password or user.pgp_key):
            key = "console_password" if user.console_password else "pgp_key"
            what = f"{key} on existing user {user.name}"
            yield places.problem((*at, key), what, "remove it: existing users keep their password", key=True)
        elif user.pgp_key and not user.console_password:
            what = f"user {user.name} has a pgp_key but no console password to encrypt"
            yield places.problem((*at, "pgp_key"), what, "add console_password: true, or remove pgp_key", key=True)
    if switch.trust == "users" and not switch.users:
        what = f"{switch.name}: trust: users, but there are no users"
        yield places.problem(("switch_roles", index, "trust"), what, "add users, or write trust: account")


def _link(switch: SwitchRole, index: int, places: SourceMap) -> Iterator[Problem]:
    length = len(f"{switch.path}{switch.role}".lstrip("/"))
    if length > quotas.SWITCH_ROLE_LINK_CHARACTERS:
        what = f"{switch.name}: path and name of the role have {length} characters together"
        hint = f"shorten them to {quotas.SWITCH_ROLE_LINK_CHARACTERS}, the limit of the console's switch-role page"
        yield places.problem(("switch_roles", index, "role"), what, hint)


def _groups(manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    made = (
        ((switch.home.account_id, switch.switch_group.name.casefold()), (switch, index))
        for index, switch in enumerate(manifest.switch_roles)
        if not switch.switch_group.existing
    )
    for (switch, index), (other, _) in _repeated(made):
        name = switch.switch_group.name
        what = f"{switch.name}: group {name} of account {switch.home.account_id} is already created by {other.name}"
        hint = f"write group: {{name: {name}, existing: true}} here"
        yield places.problem(("switch_roles", index, "group"), what, hint)


def _policies(manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    """Each group has its own policy; two policies with the same name in one account would overwrite each other."""
    people = SharedGroup.by_switch_role(manifest)
    policies: dict[tuple[str, str], int] = {}
    for index, switch in enumerate(manifest.switch_roles):
        if people[switch.name].keeper is not switch:
            continue
        account, policy = switch.home.account_id, switch.policy or f"assume-{switch.role}"
        first = policies.setdefault((account, policy.casefold()), index)
        if first != index:
            other = manifest.switch_roles[first].name
            what = f"{switch.name}: policy {policy} of account {account} would overwrite that of {other}"
            at = "policy" if switch.policy else "group"
            yield places.problem(("switch_roles", index, at), what, "rename one of them with `policy: NAME`")


def _one_spelling(manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    """IAM names are case-insensitive: a group or user must have the same name and path in every entry."""
    known: dict[tuple[str, str, str], tuple[SwitchGroup | SwitchUser, str]] = {}
    for index, switch in enumerate(manifest.switch_roles):
        account = switch.home.account_id
        named: list[tuple[str, SwitchGroup | SwitchUser, Loc]] = [("group", switch.switch_group, ("group",))]
        named += [("user", user, ("users", number, "name")) for number, user in enumerate(switch.users)]
        for kind, part, key in named:
            first, other = known.setdefault((account, kind, part.name.casefold()), (part, switch.name))
            made_twice = not (first.existing or part.existing)  # reported separately
            if (first.name, first.path) != (part.name, part.path) and not made_twice:
                here, there = f"{part.path}{part.name}", f"{first.path}{first.name}"
                what = f"{switch.name}: {kind} {here} of account {account} is {there} in {other}"
                yield places.problem(("switch_roles", index, *key), what, "use the same name and path in both")


def _new_users(manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    made = (
        ((switch.home.account_id, user.name.casefold()), (switch, user, ("switch_roles", index, "users", number, "name")))
        for index, switch in enumerate(manifest.switch_roles)
        for number, user in enumerate(switch.users)
        if not user.existing
    )
    for (switch, user, later), (other, *_) in _repeated(made):
        if switch is not other:  # `_users` reports a user that one switch role lists twice
            account = switch.home.account_id
            what = f"{switch.name}: user {user.name} of account {account} is already created by {other.name}"
            yield places.problem(later, what, "write existing: true on the second, and keep console_password on the first")


@dataclass(frozen=True, slots=True)
class Declared:
    """Names that the files declare, in invalid entries as well, so that those are not reported as missing.

    `permission_sets` is None if a file could not be read: the names are then unknown.
    """

    permission_sets: frozenset[str] | None
    backend: bool
    backend_roles: frozenset[str]


def validate_references(manifest: Manifest, places: SourceMap, declared: Declared) -> list[Problem]:
    """Every problem across entries, in no particular order."""
    checks = (
        _duplicate_names, _duplicate_sets, _external_ids, _duplicate_roles, _backend, _fixed_role_names, people_problems,
        policy_problems, arn_problems, tag_problems,
    )  # fmt: skip
    found = [problem for check in checks for problem in check(manifest, places)]
    found += _set_references(manifest, places, declared)
    found += _backend_references(manifest, places, declared)
    return found


def normalized_name(name: str) -> str:
    """The form in which names must differ: equal ones are easily confused, and one folder on some file systems."""
    return name.casefold().replace("_", "-").replace(".", "-")


def _repeated(keyed: Iterable[tuple[object, Item]]) -> Iterator[tuple[Item, Item]]:
    """Pairs (later item, first item) with the same key."""
    first: dict[object, Item] = {}
    for key, item in keyed:
        earlier = first.setdefault(key, item)
        if earlier is not item:
            yield item, earlier


def _duplicate_names(manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    for section, noun, names in (
        ("customers", "customer", [customer.name for customer in manifest.customers]),
        ("switch_roles", "switch role", [switch.name for switch in manifest.switch_roles]),
    ):
        keyed = ((normalized_name(name), (name, number)) for number, name in enumerate(names))
        for (name, later), (other, earlier) in _repeated(keyed):
            same = "has the name of another" if name == other else f"differs from {other} only in case or in ._-"
            what = f"{noun} {name} {same}, at {places.find(section, earlier, 'name')}"
            yield places.problem((section, later, "name"), what, "give each a different name")


def _duplicate_sets(_manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    first: dict[str, tuple[str, str, int]] = {}
    for name, file, mark in places.set_marks():
        earlier = first.setdefault(normalized_name(name), (name, file, mark.line))
        if earlier != (name, file, mark.line):
            what = f"permission set {name} has the name of another, {earlier[0]} at {earlier[1]}:{earlier[2] + 1}"
            yield Problem(file, mark.line + 1, mark.column + 1, what, "use names that differ not only in case or ._-")


def _external_ids(manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    owners: dict[str, tuple[int, str]] = {}
    for index, customer in enumerate(manifest.customers):
        current, previous = customer.external_id, customer.previous_external_id
        if current is not None:
            yield from _shared_id(manifest, places, index, "external_id", owners.setdefault(current, (index, "external_id")))
        if previous is None:
            continue
        at = ("customers", index, "previous_external_id")
        if current is None:
            yield places.problem(
                at, f"customer {customer.name} has a previous_external_id but no external_id", "add external_id"
            )
        elif previous == current:
            what = f"customer {customer.name}: previous_external_id is the same as external_id"
            yield places.problem(at, what, "remove it; during a rotation external_id is the new one")
        owner = owners.setdefault(previous, (index, "previous_external_id"))
        yield from _shared_id(manifest, places, index, "previous_external_id", owner)


def _shared_id(manifest: Manifest, places: SourceMap, index: int, key: str, owner: tuple[int, str]) -> Iterator[Problem]:
    """The problem of an external ID that two customers have, unless the manifest allows it."""
    customer, other = manifest.customers[index], manifest.customers[owner[0]]
    if owner[0] == index or manifest.may_share_external_id(customer.name, other.name):
        return
    what = f"{key} is the same as that of customer {other.name}, at {places.find('customers', *owner)}"
    hint = (
        f"generate a fresh one: an external ID belongs to one customer; for several accounts of one customer, suppress "
        f"{SHARED_ID_RULE} for {other.name} and {customer.name} with that reason"
    )
    yield places.problem(("customers", index, key), what, hint)


def _duplicate_roles(manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    # Owner, account, name and place of each role.
    roles: list[tuple[str, str, str, Loc]] = []
    if manifest.backend:
        account = manifest.backend.account_id
        many = bool(manifest.backend.roles)
        names = enumerate(manifest.backend.all_roles)
        # Duplicate names among the backend roles are reported by `_backend`.
        unique = {role.name.casefold(): ("backend", "roles", i) if many else ("backend", "role") for i, role in names}
        roles += (("the backend", account, name, loc) for name, loc in unique.items())
    roles += (
        (f"customer {customer.name}", customer.account_id, customer.role or manifest.defaults.role, ("customers", i, "role"))
        for i, customer in enumerate(manifest.customers)
    )
    roles += (
        (f"switch role {switch.name}", switch.trusting.account_id, switch.role, ("switch_roles", i, "role"))
        for i, switch in enumerate(manifest.switch_roles)
    )
    keyed = (((found[1], found[2].casefold()), found) for found in roles)
    for (owner, account, role, later), (other, _, _, earlier) in _repeated(keyed):
        what = f"{owner}: role {role} of account {account} is already that of {other}, at {places.find(*earlier)}"
        yield places.problem(later, what, "choose another role name: AWS ignores path and case")


def _set_references(manifest: Manifest, places: SourceMap, declared: Declared) -> Iterator[Problem]:
    known = declared.permission_sets
    if known is None:
        return
    lists: list[tuple[Loc, tuple[str, ...]]] = [(("defaults",), manifest.defaults.permissions)]
    lists += [(at, entry.permissions) for at, entry in entries_of(manifest) if entry.permissions]
    for loc, permissions in lists:
        if known.issuperset(permissions):
            continue
        for number, name in enumerate(permissions):
            if name not in known:
                hint = suggest(name, sorted(known), "add it under permission_sets, or write one of")
                yield places.problem((*loc, "permissions", number), f"there is no permission set {name}", hint)


def _backend(manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    backend = manifest.backend
    if backend is None:
        return
    if backend.role is not None and backend.roles:
        what = "backend has both role and roles"
        yield places.problem(("backend", "role"), what, "keep one of the two; roles may have a single entry", key=True)
    for (name, later), (_, earlier) in _repeated(
        (role.name.casefold(), (role.name, number)) for number, role in enumerate(backend.roles)
    ):
        first = places.find("backend", "roles", earlier, "name")
        hint = "give each backend role a different name; AWS ignores path and case"
        what = f"backend role {name} is listed twice, first at {first}"
        yield places.problem(("backend", "roles", later, "name"), what, hint)


def _backend_references(manifest: Manifest, places: SourceMap, declared: Declared) -> Iterator[Problem]:
    if not manifest.customers:
        return
    if not declared.backend:
        hint = "add `backend:` with the account_id for the customers to trust"
        yield places.problem(("customers", 0), "there are customers but no backend account", hint)
    if manifest.backend is None:
        return
    known = {role.name for role in manifest.backend.all_roles} | declared.backend_roles
    for index, customer in enumerate(manifest.customers):
        if customer.backend_role is not None and customer.backend_role not in known:
            what = f"there is no backend role {customer.backend_role}"
            hint = suggest(customer.backend_role, sorted(known), "add it under backend.roles, or write one of")
            yield places.problem(("customers", index, "backend_role"), what, hint)


def _fixed_role_names(manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    """With fixed-role-name one ARN pattern covers all customers of a backend role: they must share role name and path.

    Customers without a backend role are compared with each other, because the plan assigns their role.
    """
    if manifest.backend is None or manifest.backend.grant != "fixed-role-name":
        return
    defaults = manifest.defaults
    single = manifest.backend.all_roles[0].name if len(manifest.backend.all_roles) == 1 else None
    groups: dict[str | None, list[tuple[int, tuple[str, str]]]] = {}
    for index, customer in enumerate(manifest.customers):
        form = (customer.role or defaults.role, customer.path or defaults.path)
        groups.setdefault(customer.backend_role or single, []).append((index, form))
    for members in groups.values():
        (role, path), _ = Counter(form for _, form in members).most_common(1)[0]
        for index, form in members:
            if form != (role, path):
                key = "role" if form[0] != role else "path"
                what = f"{manifest.customers[index].name} has role {form[1]}{form[0]}, the other customers {path}{role}"
                hint = f"write role: {role} and path: {path}; or use grant: explicit"
                yield places.problem(("customers", index, key), what, hint)
