"""What entries of a manifest say about each other: names, identities, references, and the backend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rolecall_generator.errors import Problem
from rolecall_generator.manifest.crosscheck_arns import arn_problems
from rolecall_generator.manifest.crosscheck_conditions import condition_problems
from rolecall_generator.manifest.crosscheck_people import people_problems
from rolecall_generator.manifest.crosscheck_policies import policy_problems, tag_problems
from rolecall_generator.manifest.messages import suggest
from rolecall_generator.manifest.models import Manifest
from rolecall_generator.manifest.places import Places
from rolecall_generator.manifest.tree import Loc

SHARED_ID_RULE = "RC104"
"""The rule whose suppression lets accounts of one customer share an external id."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What the files declare, entries with problems of their own included: nobody is told that those do not exist.

    `permission_sets` is None when a file could not be read and the names are therefore unknown.
    """

    permission_sets: frozenset[str] | None
    backend: bool
    backend_roles: frozenset[str]


def crosscheck(manifest: Manifest, places: Places, declared: Declared) -> list[Problem]:
    """Every problem between entries, each at its place, in no particular order."""
    found: list[Problem] = []
    for check in (_duplicate_names, _duplicate_sets, _external_ids, _duplicate_roles, _backend, _fixed_role_names):
        found += check(manifest, places)
    found += _set_references(manifest, places, declared)
    found += _backend_references(manifest, places, declared)
    found += people_problems(manifest, places)
    found += policy_problems(manifest, places)
    found += arn_problems(manifest, places)
    found += condition_problems(manifest, places)
    found += tag_problems(manifest, places)
    return found


def fold(name: str) -> str:
    """Two names that fold alike are one name to people, and one folder to some file systems."""
    return name.casefold().replace("_", "-").replace(".", "-")


def _repeated(keyed: Iterable[tuple[object, Loc]]) -> Iterator[tuple[Loc, Loc]]:
    """Pairs of (a later loc, the first loc) that have the same key."""
    first: dict[object, Loc] = {}
    for key, loc in keyed:
        earlier = first.setdefault(key, loc)
        if earlier is not loc:
            yield loc, earlier


def _duplicate_names(manifest: Manifest, places: Places) -> Iterator[Problem]:
    for section, noun, names in (
        ("customers", "customer", [customer.name for customer in manifest.customers]),
        ("switch_roles", "switch role", [switch.name for switch in manifest.switch_roles]),
    ):
        for later, earlier in _repeated((fold(name), (section, i, "name")) for i, name in enumerate(names)):
            name, other = names[int(later[1])], names[int(earlier[1])]
            same = "has the name of another" if name == other else f"differs from {other} only in case or in ._-"
            what = f"{noun} {name} {same}, at {places.find(*earlier)}"
            yield places.problem(later, what, "give each its own name")


def _duplicate_sets(_manifest: Manifest, places: Places) -> Iterator[Problem]:
    first: dict[str, tuple[str, str, int]] = {}
    for name, file, mark in places.set_marks():
        earlier = first.setdefault(fold(name), (name, file, mark.line))
        if earlier != (name, file, mark.line):
            what = f"permission set {name} has the name of another, {earlier[0]} at {earlier[1]}:{earlier[2] + 1}"
            yield Problem(file, mark.line + 1, mark.column + 1, what, "give each its own name, not in case or ._- alone")


def _external_ids(manifest: Manifest, places: Places) -> Iterator[Problem]:
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


def _shared_id(manifest: Manifest, places: Places, index: int, key: str, owner: tuple[int, str]) -> Iterator[Problem]:
    """The problem of an id that another customer has as well, unless both are one customer by the manifest's word."""
    customer, other = manifest.customers[index], manifest.customers[owner[0]]
    if owner[0] == index or shares_external_id(manifest, customer.name, other.name):
        return
    what = f"{key} is the same as that of customer {other.name}, at {places.find('customers', *owner)}"
    hint = (
        f"make a fresh one: an external id belongs to one customer; for several accounts of one customer, suppress "
        f"{SHARED_ID_RULE} for {other.name} and {customer.name} with that reason"
    )
    yield places.problem(("customers", index, key), what, hint)


def shares_external_id(manifest: Manifest, *names: str) -> bool:
    """Whether the manifest says of all these customers that they may share an external id, by suppressing RC104."""
    return all(any(entry.covers(SHARED_ID_RULE, name) for entry in manifest.suppress) for name in names)


def _duplicate_roles(manifest: Manifest, places: Places) -> Iterator[Problem]:
    default = manifest.defaults.role.casefold()
    keyed: list[tuple[object, Loc]] = []
    if manifest.backend:
        account = manifest.backend.account_id
        many = bool(manifest.backend.roles)
        names = enumerate(manifest.backend.all_roles)
        # Names twice among the backend roles are told in `_backend`.
        unique = {role.name.casefold(): ("backend", "roles", i) if many else ("backend", "role") for i, role in names}
        keyed += (((account, name), loc) for name, loc in unique.items())
    keyed += (
        ((customer.account_id, customer.role.casefold() if customer.role else default), ("customers", index, "role"))
        for index, customer in enumerate(manifest.customers)
    )
    keyed += (
        ((switch.trusting.account_id, switch.role.casefold()), ("switch_roles", index, "role"))
        for index, switch in enumerate(manifest.switch_roles)
    )
    for later, earlier in _repeated(keyed):
        account, role = _role(manifest, later)
        what = f"role {role} of account {account} is already that of {_owner(manifest, earlier)}, at {places.find(*earlier)}"
        mend = "give it another role name: AWS compares names without path and case"
        yield places.problem(later, f"{_owner(manifest, later)}: {what}", mend)


def _role(manifest: Manifest, loc: Loc) -> tuple[str, str]:
    """Account id and name of the role that a customer or switch role has."""
    if loc[0] == "customers":
        customer = manifest.customers[int(loc[1])]
        return customer.account_id, customer.role or manifest.defaults.role
    switch = manifest.switch_roles[int(loc[1])]
    return switch.trusting.account_id, switch.role


def _owner(manifest: Manifest, loc: Loc) -> str:
    if loc[0] == "backend":
        return "the backend"
    if loc[0] == "customers":
        return f"customer {manifest.customers[int(loc[1])].name}"
    return f"switch role {manifest.switch_roles[int(loc[1])].name}"


def _set_references(manifest: Manifest, places: Places, declared: Declared) -> Iterator[Problem]:
    known = declared.permission_sets
    if known is None:
        return
    lists: list[tuple[Loc, tuple[str, ...]]] = [(("defaults",), manifest.defaults.permissions)]
    lists += [(("customers", i), entry.permissions) for i, entry in enumerate(manifest.customers) if entry.permissions]
    lists += [(("switch_roles", i), entry.permissions) for i, entry in enumerate(manifest.switch_roles)]
    for loc, permissions in lists:
        if known.issuperset(permissions):
            continue
        for number, name in enumerate(permissions):
            if name not in known:
                mend = suggest(name, sorted(known), "add it under permission_sets, or write one of")
                yield places.problem((*loc, "permissions", number), f"there is no permission set {name}", mend)


def _backend(manifest: Manifest, places: Places) -> Iterator[Problem]:
    backend = manifest.backend
    if backend is None:
        return
    if backend.role is not None and backend.roles:
        what = "backend has both role and roles"
        yield places.problem(("backend", "role"), what, "keep one of the two; roles may hold a single role", key=True)
    for later, earlier in _repeated(
        (role.name.casefold(), ("backend", "roles", i, "name")) for i, role in enumerate(backend.roles)
    ):
        what = f"backend role {backend.roles[int(later[2])].name} stands twice, first at {places.find(*earlier)}"
        yield places.problem(later, what, "give each backend role its own name; AWS compares names without path and case")


def _backend_references(manifest: Manifest, places: Places, declared: Declared) -> Iterator[Problem]:
    if not manifest.customers:
        return
    if not declared.backend:
        mend = "add `backend:` with the account_id that the customers shall trust"
        yield places.problem(("customers", 0), "there are customers but no backend account", mend)
    if manifest.backend is None:
        return
    known = {role.name for role in manifest.backend.all_roles} | declared.backend_roles
    for index, customer in enumerate(manifest.customers):
        if customer.backend_role is not None and customer.backend_role not in known:
            what = f"there is no backend role {customer.backend_role}"
            mend = suggest(customer.backend_role, sorted(known), "add it under backend.roles, or write one of")
            yield places.problem(("customers", index, "backend_role"), what, mend)


def _fixed_role_names(manifest: Manifest, places: Places) -> Iterator[Problem]:
    """One ARN pattern serves all customers of a backend role, so they share role name and path.

    Customers that name no backend role are measured among themselves: which role they get is the plan's decision.
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
                mend = f"write role: {role} and path: {path}; grant: fixed-role-name has one role name; else choose explicit"
                yield places.problem(("customers", index, key), what, mend)
