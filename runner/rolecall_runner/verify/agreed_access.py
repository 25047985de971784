"""The agreed access of roles, from the modules of a manifest, and its snapshots for the status file. Without boto3.

Snapshots are JSON values with digests in place of external IDs. Two snapshots are equal if and only if the modules grant the
same access; comments and README files do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from rolecall_generator.check import ManifestAccess
from rolecall_generator.iam import (
    Access,
    Condition,
    ConsolePassword,
    Group,
    ManagedPolicy,
    Module,
    ModuleKind,
    PolicyDocument,
    Role,
    User,
)
from rolecall_generator.records import external_id_digest
from rolecall_runner.inventory import Target


def access_by_role(found: ManifestAccess) -> dict[str, Access]:
    """The access that each role's modules grant, by role ARN: a customer's module, or both sides of a switch role."""
    by_path = {module.path: access for module, access in zip(found.modules, found.accesses, strict=True)}
    by_subject: dict[tuple[bool, str], list[Access]] = {}
    for module, access in zip(found.modules, found.accesses, strict=True):
        if module.kind is not ModuleKind.BACKEND:
            by_subject.setdefault((module.kind is ModuleKind.CUSTOMER, module.subject), []).append(access)
    by_role: dict[str, Access] = {}
    for module in found.modules:
        if module.kind is not ModuleKind.BACKEND:
            parts = [*by_subject[module.kind is ModuleKind.CUSTOMER, module.subject], *_shared_group(module, by_path)]
            whole = parts[0] if len(parts) == 1 else Access.union(parts)
            by_role.update(dict.fromkeys(module.access.roles, whole))
    return by_role


def _shared_group(module: Module, by_path: Mapping[str, Access]) -> Iterator[Access]:
    """Group, users and the group's policies of a switch role that shares them with the module of another one."""
    if module.switch_role is None or module.switch_role.keeper == module.subject:
        return
    access = by_path.get(module.switch_role.people_path)
    if access is not None:
        attached = {arn for group in access.groups.values() for arn in group.attached}
        policies = {arn: policy for arn, policy in access.policies.items() if arn in attached}
        yield Access(policies=policies, groups=access.groups, users=access.users)


def before_applying(target: Target) -> Target:
    """The target as its role has it before the customer applies a rotation: current and previous external ID swapped.

    The new ID takes the place of the previous one, so that calls go on to work if the customer applies meanwhile.
    """
    return replace(target, external_id=target.previous_external_id, previous_external_id=target.external_id)


def access_before(access: Access, target: Target) -> Access:
    """The agreed access before the target's rotation: without the new external ID in the trust policy."""
    role = access.roles.get(target.role_arn)
    if role is None or role.trust is None or target.external_id is None:
        return access
    trust = _with_external_ids(role.trust, lambda values: tuple(value for value in values if value != target.external_id))
    return replace(access, roles={**access.roles, role.arn: replace(role, trust=trust)})


_EXTERNAL_ID = "sts:externalid"


def _with_external_ids(trust: PolicyDocument, change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> PolicyDocument:
    """The trust policy with other external IDs in its conditions."""

    def changed(condition: Condition) -> Condition:
        return replace(condition, values=change(condition.values)) if condition.key.lower() == _EXTERNAL_ID else condition

    statements = (replace(each, conditions=tuple(map(changed, each.conditions))) for each in trust.statements)
    return replace(trust, statements=tuple(statements))


_DIGEST = "sha256:"


@dataclass(frozen=True, slots=True)
class EarlierModule:
    """A module that was verified or handed over before the newest one, with digests in place of external IDs.

    `gone`: a later run has shown that it is no longer applied; what it granted is still probed.
    """

    access: Access
    gone: bool = False


Key = tuple[str, str]
"""Kind and name of a target."""


@dataclass(frozen=True, slots=True)
class ModuleHistory:
    """Earlier modules of targets, and how customers apply modules (a `Form`), by kind and name of the target."""

    earlier: Mapping[Key, tuple[EarlierModule, ...]] = field(default_factory=dict)
    forms: Mapping[Key, str] = field(default_factory=dict)


def hash_external_id(external_id: str) -> str:
    """The digest of an external ID; digests and patterns are returned unchanged."""
    if external_id.startswith(_DIGEST) or "*" in external_id or "?" in external_id:
        return external_id
    return f"{_DIGEST}{external_id_digest(external_id)}"


def hash_external_ids(document: PolicyDocument) -> PolicyDocument:
    """The trust policy with digests in place of external IDs, and without statement IDs."""
    hashed = _with_external_ids(document, lambda values: tuple(map(hash_external_id, values)))
    return replace(hashed, statements=tuple(replace(each, sid="") for each in hashed.statements))


def encode_access(access: Access) -> dict[str, Any]:
    """The access as canonical JSON values, without empty ones."""
    found = access.canonical()
    return _without_empty({name: {arn: _encode(part) for arn, part in getattr(found, name).items()} for name in _KINDS})


def decode_access(body: Mapping[str, Any]) -> Access:
    """Read `encode_access` back. Raises ValueError for anything else."""
    try:
        parts = {
            name: {arn: _decode(_KINDS[name], arn, each) for arn, each in body.get(name, {}).items()} for name in _KINDS
        }
        return Access(**parts)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"it is not a snapshot of a module: {error}") from error


def same_access(one: Access, other: Access) -> bool:
    """Whether two modules grant the same, tags and descriptions included."""
    return encode_access(one) == encode_access(other)


_KINDS: Mapping[str, type] = {"roles": Role, "policies": ManagedPolicy, "groups": Group, "users": User}


def _encode(part: Any) -> dict[str, Any]:
    """The fields of a role, policy, group or user. The ARN is the key of the entry."""
    if isinstance(part, Role) and part.trust is not None:
        part = replace(part, trust=hash_external_ids(part.trust))
    body = {each.name: _encode_value(getattr(part, each.name)) for each in fields(part) if each.name != "arn"}
    if isinstance(part, User):
        password = body.pop("console_password")
        body["password_reset"] = password.reset_required if password is not None else None
    return _without_empty(body)


def _encode_value(value: Any) -> Any:
    if isinstance(value, PolicyDocument):
        return _document(value)
    if isinstance(value, Mapping):
        return {key: _encode_value(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    return None if value is False else value


def _document(document: PolicyDocument) -> dict[str, Any]:
    plain = replace(document, statements=tuple(replace(each, sid="") for each in document.statements)).canonical()
    body = plain.to_json()
    for statement in body["Statement"]:
        statement.pop("Sid", None)
    return body


def _without_empty(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value not in (None, "", {}, [])}


_READ: Mapping[str, Callable[[Any], Any]] = {
    "trust": PolicyDocument.from_json,
    "document": PolicyDocument.from_json,
    "inline": lambda body: {name: PolicyDocument.from_json(each) for name, each in body.items()},
    "attached": frozenset,
    "groups": frozenset,
    "max_session_seconds": int,
    "existing": bool,
}


def _decode(kind: type, arn: str, body: Mapping[str, Any]) -> Any:
    known = {each.name for each in fields(kind)} - {"arn", "console_password"}
    values = {name: _READ.get(name, lambda given: given)(value) for name, value in body.items() if name in known}
    if kind is Role:
        values.setdefault("trust", None)
    if kind is User and "password_reset" in body:
        values["console_password"] = ConsolePassword(bool(body["password_reset"]))
    return kind(arn, **values)
