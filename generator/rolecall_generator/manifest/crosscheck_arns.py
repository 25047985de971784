"""ARNs in permission sets and boundaries: refused by IAM, of another account or partition, or with an unfilled placeholder.

A managed policy and a permissions boundary attach only within their own account, or are AWS's (IAM API reference,
AttachRolePolicy and PutRolePermissionsBoundary, November 2026).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rolecall_generator.errors import Problem
from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.iam.placeholders import unfilled
from rolecall_generator.iam.resource_patterns import account_of, resource_fault
from rolecall_generator.manifest.models import Manifest, StatementSpec
from rolecall_generator.manifest.places import Places
from rolecall_generator.manifest.scalars import clip
from rolecall_generator.manifest.set_users import SetUser, users_of_sets
from rolecall_generator.manifest.tree import Loc

OTHER_ACCOUNT_RULE = "RC213"
"""The rule whose suppression accepts resources of another account."""

_AWS = "aws"
_ASSUME = "sts:"


def arn_problems(manifest: Manifest, places: Places) -> Iterator[Problem]:
    """Problems of managed policies, boundaries, resources and paths, each at its place."""
    users = users_of_sets(manifest)
    for name, permissions in manifest.permission_sets.items():
        at: Loc = ("permission_sets", name)
        its = users.get(name, ())
        partitions = sorted({user.partition for user in its}) or [manifest.partition]
        for number, policy in enumerate(permissions.managed_policies):
            yield from _policy(policy, its, partitions, (*at, "managed_policies", number), places)
        for number, statement in enumerate(permissions.statements):
            yield from _resources(statement, manifest, its, partitions, (*at, "statements", number), places)
    yield from _boundaries(manifest, places)
    yield from _paths(manifest, places)


def _policy(
    policy: str, users: Sequence[SetUser], partitions: Sequence[str], at: Loc, places: Places, noun: str = "policy"
) -> Iterator[Problem]:
    """A managed policy or boundary that these users cannot have."""
    if (found := unfilled(policy)) is not None and found.certain:
        yield places.problem(at, f"{policy} has a placeholder: {found.what}", found.hint)
        return
    parsed = parse_arn(policy)
    if parsed is None:
        return
    for partition in partitions:
        if parsed.partition != partition:
            hint = f"write arn:{partition}:{policy.split(':', 2)[2]}, or the bare name of a policy of AWS"
            yield places.problem(at, f"{policy} is in partition {parsed.partition}, the role in {partition}", hint)
    if parsed.account_id == _AWS:
        return
    others = [user for user in users if user.account_id != parsed.account_id]
    if others:
        what = f"{noun} {policy} is in account {parsed.account_id}, and the role of {_named(others)}"
        hint = "name a policy of the role's own account, or one of AWS; an account's own policy goes with its own entry"
        yield places.problem(at, what, hint)


def _named(users: Sequence[SetUser]) -> str:
    first, more = users[0], len(users) - 1
    return f"{first.subject} in {first.account_id}" + (f"; {more} more are elsewhere too" if more else "")


def _resources(
    statement: StatementSpec,
    manifest: Manifest,
    users: Sequence[SetUser],
    partitions: Sequence[str],
    at: Loc,
    places: Places,
) -> Iterator[Problem]:
    for key, values in (("resources", statement.resources), ("not_resources", statement.not_resources)):
        for number, text in enumerate(values):
            faults = (resource_fault(text, partition) for partition in partitions)
            fault = next((fault for fault in faults if fault is not None and fault.refused), None)
            if fault is not None:
                hint = _variable_hint(text, manifest) or fault.hint
                yield places.problem((*at, key, number), f"resource {clip(text, 120)} {fault.what}", hint)
            elif key == "resources" and not _assumes_only(statement):
                yield from _other_account(text, manifest, users, (*at, key, number), places)


def _variable_hint(text: str, manifest: Manifest) -> str | None:
    """The hint for a placeholder that has the name of a variable of a customer's."""
    found = unfilled(text)
    name = found.text.strip("${}%<>()[]@# ") if found else ""
    if name and any(name in customer.variables for customer in manifest.customers):
        return f"a customer's variables fill queries and plays, not policies: write the value of {name} in a set of its own"
    return None


def _assumes_only(statement: StatementSpec) -> bool:
    """Whether the statement is about assuming roles, which is done across accounts."""
    return bool(statement.actions) and all(action.lower().startswith(_ASSUME) for action in statement.actions)


def _other_account(text: str, manifest: Manifest, users: Sequence[SetUser], at: Loc, places: Places) -> Iterator[Problem]:
    account = account_of(text)
    if account is None:
        return
    others = [
        user
        for user in users
        if user.account_id != account
        and not any(entry.covers(OTHER_ACCOUNT_RULE, user.subject) for entry in manifest.suppress)
    ]
    if others:
        what = f"resource {clip(text, 120)} is in account {account}, and the role of {_named(others)}"
        hint = (
            f"write {_anywhere(text)}, or give that account a permission set of its own; where the other account is meant, "
            f"suppress {OTHER_ACCOUNT_RULE} for it with the reason"
        )
        yield places.problem(at, what, hint)


def _anywhere(text: str) -> str:
    parts = text.split(":", 5)
    return ":".join((*parts[:4], "*", parts[5]))


def _boundaries(manifest: Manifest, places: Places) -> Iterator[Problem]:
    home = manifest.partition
    if manifest.backend:
        account = manifest.backend.account_id
        backend = [(("backend", "role"), manifest.backend.role)] if manifest.backend.role else []
        roles: list[tuple[Loc, str | None]] = [(at, role.permissions_boundary) for at, role in backend]
        roles += [(("backend", "roles", i), role.permissions_boundary) for i, role in enumerate(manifest.backend.roles)]
        for at, boundary in roles:
            yield from _boundary(boundary, [SetUser("the backend", account, home)], at, places)
    common = manifest.defaults.permissions_boundary
    if common:
        inheriting = [entry for entry in manifest.customers if not entry.permissions_boundary]
        users = [SetUser(entry.name, entry.account_id, home) for entry in inheriting]
        yield from _boundary(common, users, ("defaults",), places, home)
    for number, customer in enumerate(manifest.customers):
        if customer.permissions_boundary:
            own = [SetUser(customer.name, customer.account_id, home)]
            yield from _boundary(customer.permissions_boundary, own, ("customers", number), places)
    for number, switch in enumerate(manifest.switch_roles):
        user = SetUser(switch.name, switch.trusting.account_id, switch.partition or home)
        yield from _boundary(switch.permissions_boundary, [user], ("switch_roles", number), places)


def _boundary(
    boundary: str | None, users: Sequence[SetUser], at: Loc, places: Places, home: str | None = None
) -> Iterator[Problem]:
    if boundary:
        partitions = sorted({user.partition for user in users}) or [home or _AWS]
        yield from _policy(boundary, users, partitions, (*at, "permissions_boundary"), places, noun="boundary")


def _paths(manifest: Manifest, places: Places) -> Iterator[Problem]:
    """IAM takes almost every character in a path, those of placeholders too."""
    paths: dict[Loc, str] = {("defaults",): manifest.defaults.path}
    paths |= {("customers", i): entry.path for i, entry in enumerate(manifest.customers) if entry.path}
    paths |= {("switch_roles", i): entry.path for i, entry in enumerate(manifest.switch_roles)}
    known = {path: unfilled(path) for path in set(paths.values())}
    for at, path in paths.items():
        found = known[path]
        if found and (found.certain or "$" in path):
            yield places.problem((*at, "path"), f"path {path} has a placeholder: {found.what}", "write the path itself")
        elif "${" in path:
            yield places.problem(
                (*at, "path"), f"path {path} has a variable, which IAM does not fill", "write the path itself"
            )
