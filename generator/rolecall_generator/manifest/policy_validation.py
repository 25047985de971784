"""Checks of permission sets, boundaries, paths and tags: values that AWS or Terraform would reject or misinterpret.

A managed policy or permissions boundary can be attached only if it belongs to the role's account or to AWS (IAM API
reference, AttachRolePolicy and PutRolePermissionsBoundary, November 2026).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rolecall_generator.errors import Problem
from rolecall_generator.iam import Arn, Condition, quotas
from rolecall_generator.iam.validation import (
    account_of,
    condition_faults,
    find_placeholder,
    resource_fault,
    unknown_operator_fault,
)
from rolecall_generator.manifest.models import Customer, Manifest, StatementSpec, SwitchRole
from rolecall_generator.manifest.yaml_source import Loc, SourceMap
from rolecall_generator.text import clip


@dataclass(frozen=True, slots=True)
class SetUser:
    """A customer or switch role (`subject` is its name) with the account and partition of its role."""

    subject: str
    account_id: str
    partition: str


def entries_of(manifest: Manifest) -> Iterator[tuple[Loc, Customer | SwitchRole]]:
    """The customers and switch roles, each with its place."""
    yield from ((("customers", number), customer) for number, customer in enumerate(manifest.customers))
    yield from ((("switch_roles", number), switch) for number, switch in enumerate(manifest.switch_roles))


def users_of_sets(manifest: Manifest) -> Mapping[str, Sequence[SetUser]]:
    """The users of each permission set by its name, in the manifest's order; unused sets have no entry."""
    found: dict[str, list[SetUser]] = {}
    for _, entry in entries_of(manifest):
        user = _user_of(entry, manifest)
        named = manifest.defaults.permissions if entry.permissions is None else entry.permissions
        for name in dict.fromkeys(named):
            found.setdefault(name, []).append(user)
    return found


def _user_of(entry: Customer | SwitchRole, manifest: Manifest) -> SetUser:
    # Not isinstance, which pydantic makes slow: that would take 10 ms for 10,000 customers.
    if type(entry) is SwitchRole:
        return SetUser(entry.name, entry.trusting.account_id, entry.partition or manifest.partition)
    return SetUser(entry.name, entry.account_id, manifest.partition)


OTHER_ACCOUNT_RULE = "RC213"
"""The rule whose suppression allows resources of another account."""

_AWS = "aws"
_ASSUME = "sts:"


def arn_problems(manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    """Problems of managed policies, boundaries, resources and paths."""
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
    policy: str, users: Sequence[SetUser], partitions: Sequence[str], at: Loc, places: SourceMap, noun: str = "policy"
) -> Iterator[Problem]:
    """Problems of a managed policy or boundary that cannot be attached to the roles of these users."""
    if (found := find_placeholder(policy)) is not None and found.certain:
        yield places.problem(at, f"{policy} has a placeholder: {found.what}", found.hint)
        return
    parsed = Arn.parse(policy)
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
        hint = "use a policy of the role's own account, or an AWS managed policy"
        yield places.problem(at, what, hint)


def _named(users: Sequence[SetUser]) -> str:
    first, more = users[0], len(users) - 1
    return f"{first.subject} in {first.account_id}" + (f"; {more} more are in other accounts" if more else "")


def _resources(
    statement: StatementSpec,
    manifest: Manifest,
    users: Sequence[SetUser],
    partitions: Sequence[str],
    at: Loc,
    places: SourceMap,
) -> Iterator[Problem]:
    # Roles are assumed across accounts.
    assumes = bool(statement.actions) and all(action.lower().startswith(_ASSUME) for action in statement.actions)
    for key, values in (("resources", statement.resources), ("not_resources", statement.not_resources)):
        for number, text in enumerate(values):
            faults = (resource_fault(text, partition) for partition in partitions)
            fault = next((fault for fault in faults if fault is not None and fault.refused), None)
            if fault is not None:
                hint = _variable_hint(text, manifest) or fault.hint
                yield places.problem((*at, key, number), f"resource {clip(text, 120)} {fault.what}", hint)
            elif key == "resources" and not assumes:
                yield from _other_account(text, manifest, users, (*at, key, number), places)


def _variable_hint(text: str, manifest: Manifest) -> str | None:
    """The hint for a placeholder that has the name of a customer's variable; None for any other."""
    found = find_placeholder(text)
    name = found.text.strip("${}%<>()[]@# ") if found else ""
    if name and any(name in customer.variables for customer in manifest.customers):
        return (
            f"variables are for queries and plays, not for policies: write the value of {name} in a separate permission set"
        )
    return None


def _other_account(text: str, manifest: Manifest, users: Sequence[SetUser], at: Loc, places: SourceMap) -> Iterator[Problem]:
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
        arn = text.split(":", 5)
        anywhere = ":".join((*arn[:4], "*", arn[5]))
        what = f"resource {clip(text, 120)} is in account {account}, and the role of {_named(others)}"
        hint = (
            f"write {anywhere}, or use a separate permission set for that account; if the other account is intended, "
            f"suppress {OTHER_ACCOUNT_RULE} for it with the reason"
        )
        yield places.problem(at, what, hint)


def _boundaries(manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
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
        users = [_user_of(entry, manifest) for entry in manifest.customers if not entry.permissions_boundary]
        yield from _boundary(common, users, ("defaults",), places, home)
    for at, entry in entries_of(manifest):
        if entry.permissions_boundary:
            yield from _boundary(entry.permissions_boundary, [_user_of(entry, manifest)], at, places)


def _boundary(
    boundary: str | None, users: Sequence[SetUser], at: Loc, places: SourceMap, home: str | None = None
) -> Iterator[Problem]:
    if boundary:
        partitions = sorted({user.partition for user in users}) or [home or _AWS]
        yield from _policy(boundary, users, partitions, (*at, "permissions_boundary"), places, noun="boundary")


def _paths(manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    """Paths with placeholders. IAM accepts their characters, so only this check reports them."""
    paths: dict[Loc, str] = {("defaults",): manifest.defaults.path}
    paths |= {at: entry.path for at, entry in entries_of(manifest) if entry.path}
    known = {path: find_placeholder(path) for path in set(paths.values())}
    for at, path in paths.items():
        found = known[path]
        if found and (found.certain or "$" in path):
            yield places.problem((*at, "path"), f"path {path} has a placeholder: {found.what}", "write the path itself")
        elif "${" in path:
            yield places.problem(
                (*at, "path"), f"path {path} has a variable, which IAM does not replace", "write the path itself"
            )


def policy_problems(manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    """Problems in the form of permission sets, their statements and conditions."""
    for name, permissions in manifest.permission_sets.items():
        at: Loc = ("permission_sets", name)
        if not permissions.statements and not permissions.managed_policies:
            hint = "add statements or managed_policies, or remove the set"
            yield places.problem(at, f"permission set {name} is empty", hint, key=True)
        sids: set[str] = set()
        for number, statement in enumerate(permissions.statements):
            yield from _statement(statement, (*at, "statements", number), places)
            yield from _conditions(statement, (*at, "statements", number, "conditions"), manifest, places)
            if statement.sid and statement.sid in sids:
                where: Loc = (*at, "statements", number, "sid")
                yield places.problem(
                    where, f"duplicate sid {statement.sid} in {name}", "give each statement a different sid"
                )
            sids.add(statement.sid)


def _statement(statement: StatementSpec, at: Loc, places: SourceMap) -> Iterator[Problem]:
    for positive, negative, one, other in (
        (statement.actions, statement.not_actions, "actions", "not_actions"),
        (statement.resources, statement.not_resources, "resources", "not_resources"),
    ):
        if positive and negative:
            what = f"the statement has both {one} and {other}"
            yield places.problem((*at, other), what, "keep one of the two, or make two statements", key=True)
        elif not positive and not negative:
            hint = 'add resources; ["*"] means all' if one == "resources" else f"add {one}, as in [s3:GetObject]"
            yield places.problem(at, f"the statement has neither {one} nor {other}", hint)
    for loc, text in statement.strings():
        if "&{" in text:
            what = "&{ in a policy: Terraform replaces it with ${"
            yield places.problem((*at, *loc), what, "write ${ for a policy variable; rolecall escapes it for Terraform")


def tag_problems(manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    """Tags that AWS rejects; a customer's tags are counted together with the defaults'."""
    common = manifest.defaults.tags
    yield from _tags({}, common, ("defaults", "tags"), places)
    if manifest.backend:
        yield from _tags({}, manifest.backend.tags, ("backend", "tags"), places)
    for at, entry in entries_of(manifest):
        if entry.tags:
            yield from _tags(common, entry.tags, (*at, "tags"), places)


def _tags(common: Mapping[str, str], own: Mapping[str, str], at: Loc, places: SourceMap) -> Iterator[Problem]:
    folded = {key.casefold(): key for key in common}
    for key in own:
        lower = key.casefold()
        if folded.setdefault(lower, key) != key:
            what = f"tag {key} differs from tag {folded[lower]} only in case"
            yield places.problem((*at, key), what, f"write {folded[lower]}: AWS accepts only one of them", key=True)
        if lower.startswith("aws:"):
            yield places.problem(
                (*at, key), f"tag {key} starts with aws:", "choose another name: the prefix aws: is reserved", key=True
            )
    if len(folded) > quotas.TAGS:
        what = f"{len(folded)} tags, more than the {quotas.TAGS} that AWS allows"
        yield places.problem(at, what, "remove some, or use labels, which have no limit and are not sent to AWS")


def _conditions(statement: StatementSpec, at: Loc, manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    for operator, keys in statement.conditions.items():
        here: Loc = (*at, operator)
        if (unknown := unknown_operator_fault(operator)) is not None:
            yield places.problem(here, unknown.what, unknown.hint, key=True)
            continue
        if not keys:
            yield places.problem(
                here, f"{operator} has no condition key", "add a key with its values, or remove it", key=True
            )
        first: dict[str, str] = {}
        for key, found in keys.items():
            if first.setdefault(key.lower(), key) != key:
                what = f"{key} is the same condition key as {first[key.lower()]}: IAM ignores case"
                yield places.problem((*here, key), what, "write all values under one of them", key=True)
            values = found if isinstance(found, tuple) else (found,)
            yield from _condition(Condition(operator, key, values), here, isinstance(found, tuple), manifest, places)


def _condition(condition: Condition, here: Loc, many: bool, manifest: Manifest, places: SourceMap) -> Iterator[Problem]:
    # The partition matters only for faults that are not refused; those are findings of gen check.
    for fault in condition_faults(condition, manifest.partition):
        if not fault.refused:
            continue
        place: Loc = (*here, condition.key)
        if fault.value is None:
            yield places.problem(place, clip(fault.what, 200), fault.hint, key=True)
        else:
            if many:
                place = (*place, condition.values.index(fault.value))
            yield places.problem(place, clip(fault.what, 200), fault.hint)
