"""What permission sets say, and the tags: statements that AWS or Terraform would not take as they were meant.

Condition operators: AWS documentation "IAM JSON policy elements: Condition operators", November 2026.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rolecall_generator.errors import Problem
from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.iam.quotas import TAGS
from rolecall_generator.manifest.messages import nearest
from rolecall_generator.manifest.models import Manifest, PermissionSet, StatementSpec
from rolecall_generator.manifest.places import Places
from rolecall_generator.manifest.tree import Loc

_COMPARISONS = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
CONDITION_OPERATORS: tuple[str, ...] = (
    *(
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "StringLike",
        "StringNotLike",
    ),
    *(f"{kind}{comparison}" for kind in ("Numeric", "Date") for comparison in _COMPARISONS),
    *("Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "Null"),
)
_PREFIXES = ("ForAllValues:", "ForAnyValue:")
_SUFFIX = "IfExists"


def policy_problems(manifest: Manifest, places: Places) -> Iterator[Problem]:
    """Problems inside permission sets, and ARNs of policies that another partition has."""
    for name, permissions in manifest.permission_sets.items():
        at: Loc = ("permission_sets", name)
        if not permissions.statements and not permissions.managed_policies:
            mend = "add statements or managed_policies, or remove the set"
            yield places.problem(at, f"permission set {name} is empty", mend, key=True)
        sids: set[str] = set()
        for number, statement in enumerate(permissions.statements):
            yield from _statement(statement, (*at, "statements", number), places)
            if statement.sid and statement.sid in sids:
                where: Loc = (*at, "statements", number, "sid")
                yield places.problem(where, f"sid {statement.sid} stands twice in {name}", "give each statement its own sid")
            sids.add(statement.sid)
    yield from _managed_partitions(manifest, places)
    yield from _boundary_partitions(manifest, places)


def known_operator(operator: str) -> bool:
    """Whether IAM has this condition operator, set prefix and `IfExists` considered."""
    bare = next((operator.removeprefix(prefix) for prefix in _PREFIXES if operator.startswith(prefix)), operator)
    return bare in CONDITION_OPERATORS or (bare.removesuffix(_SUFFIX) in CONDITION_OPERATORS and bare != f"Null{_SUFFIX}")


def _statement(statement: StatementSpec, at: Loc, places: Places) -> Iterator[Problem]:
    for positive, negative, one, other in (
        (statement.actions, statement.not_actions, "actions", "not_actions"),
        (statement.resources, statement.not_resources, "resources", "not_resources"),
    ):
        if positive and negative:
            what = f"the statement has both {one} and {other}"
            yield places.problem((*at, other), what, "keep one of the two, or make two statements", key=True)
        elif not positive and not negative:
            mend = 'add resources; ["*"] means all' if one == "resources" else f"add {one}, as in [s3:GetObject]"
            yield places.problem(at, f"the statement has neither {one} nor {other}", mend)
    for operator in statement.conditions:
        if not known_operator(operator):
            prefix = next((prefix for prefix in _PREFIXES if operator.startswith(prefix)), "")
            suffix = _SUFFIX if operator.endswith(_SUFFIX) else ""
            close = nearest(operator.removeprefix(prefix).removesuffix(suffix), CONDITION_OPERATORS)
            mend = f"write {prefix}{close}{suffix}" if close else "write an operator of IAM, as in StringEquals"
            yield places.problem((*at, "conditions", operator), f"IAM has no condition operator {operator}", mend, key=True)
    for loc, text in _texts(statement):
        if "&{" in text:
            what = "&{ in a policy: Terraform's policy documents turn it into ${"
            yield places.problem((*at, *loc), what, "write ${ for a policy variable; rolecall escapes it for Terraform")


def _texts(statement: StatementSpec) -> Iterator[tuple[Loc, str]]:
    """The statement's free texts, each with its loc."""
    for name, values in (("resources", statement.resources), ("not_resources", statement.not_resources)):
        yield from (((name, number), text) for number, text in enumerate(values))
    for operator, keys in statement.conditions.items():
        for key, found in keys.items():
            yield ("conditions", operator, key), key
            many = isinstance(found, tuple)
            values = found if isinstance(found, tuple) else (found,)
            for number, text in enumerate(values):
                yield ("conditions", operator, key, *((number,) if many else ())), text


def _managed_partitions(manifest: Manifest, places: Places) -> Iterator[Problem]:
    """A policy's ARN names its partition; a role can have only policies of its own."""
    home = manifest.partition
    used: dict[str, set[str]] = {name: {home} for name in manifest.defaults.permissions}
    for customer in manifest.customers:
        for name in customer.permissions or ():
            used.setdefault(name, set()).add(home)
    for switch in manifest.switch_roles:
        for name in switch.permissions:
            used.setdefault(name, set()).add(switch.partition or home)
    for name, permissions in manifest.permission_sets.items():
        yield from _managed(permissions, name, used.get(name, {home}), places)


def _boundary_partitions(manifest: Manifest, places: Places) -> Iterator[Problem]:
    home = manifest.partition
    boundaries: list[tuple[Loc, str | None, str]] = [(("defaults",), manifest.defaults.permissions_boundary, home)]
    for number, role in enumerate(manifest.backend.roles if manifest.backend else ()):
        boundaries.append((("backend", "roles", number), role.permissions_boundary, home))
    if manifest.backend and manifest.backend.role:
        boundaries.append((("backend", "role"), manifest.backend.role.permissions_boundary, home))
    boundaries += [
        (("customers", number), customer.permissions_boundary, home)
        for number, customer in enumerate(manifest.customers)
        if customer.permissions_boundary
    ]
    for number, switch in enumerate(manifest.switch_roles):
        boundaries.append((("switch_roles", number), switch.permissions_boundary, switch.partition or home))
    for at, boundary, partition in boundaries:
        if boundary and (found := parse_arn(boundary)) and found.partition != partition:
            yield _foreign(places, (*at, "permissions_boundary"), boundary, found.partition, partition)


def _managed(permissions: PermissionSet, name: str, partitions: set[str], places: Places) -> Iterator[Problem]:
    for number, policy in enumerate(permissions.managed_policies):
        found = parse_arn(policy)
        for partition in sorted(partitions):
            if found and found.partition != partition:
                at: Loc = ("permission_sets", name, "managed_policies", number)
                yield _foreign(places, at, policy, found.partition, partition)


def _foreign(places: Places, at: Loc, arn: str, partition: str, wanted: str) -> Problem:
    mend = f"write arn:{wanted}:{arn.split(':', 2)[2]}, or for AWS's own policies their bare name"
    return places.problem(at, f"{arn} is in partition {partition}, the role in {wanted}", mend)


def tag_problems(manifest: Manifest, places: Places) -> Iterator[Problem]:
    """Tags that AWS refuses; a customer's own are measured together with the defaults'."""
    common = manifest.defaults.tags
    yield from _tags({}, common, ("defaults", "tags"), places)
    if manifest.backend:
        yield from _tags({}, manifest.backend.tags, ("backend", "tags"), places)
    tagged: list[tuple[Loc, Mapping[str, str]]] = [
        (("customers", i), entry.tags) for i, entry in enumerate(manifest.customers)
    ]
    tagged += [(("switch_roles", i), entry.tags) for i, entry in enumerate(manifest.switch_roles)]
    for at, tags in tagged:
        if tags:
            yield from _tags(common, tags, (*at, "tags"), places)


def _tags(common: Mapping[str, str], own: Mapping[str, str], at: Loc, places: Places) -> Iterator[Problem]:
    folded = {key.casefold(): key for key in common}
    for key in own:
        lower = key.casefold()
        if folded.setdefault(lower, key) != key:
            what = f"tag {key} differs from tag {folded[lower]} only in case"
            yield places.problem((*at, key), what, f"write {folded[lower]}: AWS takes only one of them", key=True)
        if lower.startswith("aws:"):
            yield places.problem(
                (*at, key), f"tag {key} starts with aws:", "choose another name: AWS keeps aws: to itself", key=True
            )
    if len(folded) > TAGS:
        what = f"{len(folded)} tags, and AWS takes {TAGS}"
        yield places.problem(at, what, "remove some; labels have no such limit and stay with you")
