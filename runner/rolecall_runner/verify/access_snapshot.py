"""Snapshots of a module's access for the status file: JSON values with digests in place of external IDs. Without boto3.

Two snapshots are equal if and only if the modules grant the same access; comments and README files do not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rolecall_generator.iam import Access, Condition, ConsolePassword, Group, ManagedPolicy, PolicyDocument, Role, User
from rolecall_generator.records import external_id_digest

_EXTERNAL_ID = "sts:externalid"
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
    """The trust policy with digests in place of external IDs."""

    def kept(condition: Condition) -> Condition:
        if condition.key.lower() != _EXTERNAL_ID:
            return condition
        return replace(condition, values=tuple(hash_external_id(value) for value in condition.values))

    return replace(
        document,
        statements=tuple(
            replace(each, sid="", conditions=tuple(map(kept, each.conditions))) for each in document.statements
        ),
    )


def encode_access(access: Access) -> dict[str, Any]:
    """The access as canonical JSON values, without empty ones."""
    found = access.canonical()
    body = {
        "roles": {arn: _role(role) for arn, role in found.roles.items()},
        "policies": {arn: _policy(policy) for arn, policy in found.policies.items()},
        "groups": {arn: _holder(group) for arn, group in found.groups.items()},
        "users": {arn: _user(user) for arn, user in found.users.items()},
    }
    return _without_empty(body)


def decode_access(body: Mapping[str, Any]) -> Access:
    """Read `encode_access` back. Raises ValueError for anything else."""
    try:
        return Access(
            roles={arn: _read_role(arn, each) for arn, each in body.get("roles", {}).items()},
            policies={
                arn: ManagedPolicy(
                    arn, PolicyDocument.from_json(each["document"]), each.get("description", ""), each.get("tags", {})
                )
                for arn, each in body.get("policies", {}).items()
            },
            groups={
                arn: Group(arn, _documents(each), frozenset(each.get("attached", ())), existing=bool(each.get("existing")))
                for arn, each in body.get("groups", {}).items()
            },
            users={arn: _read_user(arn, each) for arn, each in body.get("users", {}).items()},
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"it is not a snapshot of a module: {error}") from error


def same_access(one: Access, other: Access) -> bool:
    """Whether two modules grant the same, tags and descriptions included."""
    return encode_access(one) == encode_access(other)


def _role(role: Role) -> dict[str, Any]:
    return _without_empty(
        {
            "trust": _document(hash_external_ids(role.trust)) if role.trust is not None else None,
            **_holder(role),
            "boundary": role.boundary,
            "max_session_seconds": role.max_session_seconds,
            "description": role.description,
            "tags": dict(role.tags),
        }
    )


def _policy(policy: ManagedPolicy) -> dict[str, Any]:
    return _without_empty(
        {"document": _document(policy.document), "description": policy.description, "tags": dict(policy.tags)}
    )


def _user(user: User) -> dict[str, Any]:
    password = user.console_password
    return _without_empty(
        {
            **_holder(user),
            "groups": sorted(user.groups),
            "boundary": user.boundary,
            "tags": dict(user.tags),
            "password_reset": password.reset_required if password is not None else None,
        }
    )


def _holder(part: Role | Group | User) -> dict[str, Any]:
    return _without_empty(
        {
            "inline": {name: _document(document) for name, document in sorted(part.inline.items())},
            "attached": sorted(part.attached),
            "existing": part.existing or None,
        }
    )


def _document(document: PolicyDocument) -> dict[str, Any]:
    plain = replace(document, statements=tuple(replace(each, sid="") for each in document.statements)).canonical()
    body = plain.to_json()
    for statement in body["Statement"]:
        statement.pop("Sid", None)
    return body


def _without_empty(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value not in (None, "", {}, [])}


def _documents(body: Mapping[str, Any]) -> dict[str, PolicyDocument]:
    return {name: PolicyDocument.from_json(text) for name, text in body.get("inline", {}).items()}


def _read_role(arn: str, body: Mapping[str, Any]) -> Role:
    return Role(
        arn,
        PolicyDocument.from_json(body["trust"]) if "trust" in body else None,
        _documents(body),
        frozenset(body.get("attached", ())),
        body.get("boundary"),
        int(body.get("max_session_seconds", 3600)),
        body.get("description", ""),
        body.get("tags", {}),
        bool(body.get("existing")),
    )


def _read_user(arn: str, body: Mapping[str, Any]) -> User:
    password = ConsolePassword(bool(body["password_reset"])) if "password_reset" in body else None
    return User(
        arn,
        frozenset(body.get("groups", ())),
        _documents(body),
        frozenset(body.get("attached", ())),
        password,
        body.get("boundary"),
        body.get("tags", {}),
        bool(body.get("existing")),
    )
