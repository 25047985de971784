"""The access model: which principals exist, which roles trust whom, what hangs on them, who is a member of what.

One `Access` is reached from three sides: the plan of a manifest (intended), the parsed modules (written) and live IAM
(deployed). All of them are compared after `canonical()`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from rolecall_generator.iam.policy import PolicyDocument


@dataclass(frozen=True, slots=True)
class Role:
    """A role. `existing` roles are only looked up, so their trust policy is unknown (None) here."""

    arn: str
    trust: PolicyDocument | None
    inline: Mapping[str, PolicyDocument] = field(default_factory=dict)
    attached: frozenset[str] = frozenset()
    boundary: str | None = None
    max_session_seconds: int = 3600
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    existing: bool = False


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A customer managed policy, by its ARN."""

    arn: str
    document: PolicyDocument
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Group:
    """An IAM group with the policies on it; members are named on the users."""

    arn: str
    inline: Mapping[str, PolicyDocument] = field(default_factory=dict)
    attached: frozenset[str] = frozenset()
    existing: bool = False


@dataclass(frozen=True, slots=True)
class ConsolePassword:
    """A login profile. `pgp_key` encrypts the first password for its reader; None leaves it in the Terraform state."""

    reset_required: bool = True
    pgp_key: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    """An IAM user; `groups` holds group ARNs."""

    arn: str
    groups: frozenset[str] = frozenset()
    inline: Mapping[str, PolicyDocument] = field(default_factory=dict)
    attached: frozenset[str] = frozenset()
    console_password: ConsolePassword | None = None
    boundary: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    existing: bool = False


@dataclass(frozen=True, slots=True)
class InstanceProfile:
    """An EC2 instance profile and the ARN of its role."""

    arn: str
    role: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Access:
    """Everything that is known, each part a mapping from ARN to value."""

    roles: Mapping[str, Role] = field(default_factory=dict)
    policies: Mapping[str, ManagedPolicy] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    users: Mapping[str, User] = field(default_factory=dict)
    instance_profiles: Mapping[str, InstanceProfile] = field(default_factory=dict)

    def canonical(self) -> Access:
        """The same access with every document canonical, so that equality means equal access."""
        return Access(
            roles={arn: _canonical(role) for arn, role in sorted(self.roles.items())},
            policies={arn: replace(p, document=p.document.canonical()) for arn, p in sorted(self.policies.items())},
            groups={arn: _canonical(group) for arn, group in sorted(self.groups.items())},
            users={arn: _canonical(user) for arn, user in sorted(self.users.items())},
            instance_profiles=dict(sorted(self.instance_profiles.items())),
        )


def access_of(*parts: Role | ManagedPolicy | Group | User | InstanceProfile) -> Access:
    """An Access of the given parts. Raises ValueError when an ARN comes twice."""
    kinds: dict[type, dict[str, Any]] = {Role: {}, ManagedPolicy: {}, Group: {}, User: {}, InstanceProfile: {}}
    for part in parts:
        known = kinds[type(part)]
        if part.arn in known:
            raise ValueError(f"{part.arn} is declared twice")
        known[part.arn] = part
    return Access(kinds[Role], kinds[ManagedPolicy], kinds[Group], kinds[User], kinds[InstanceProfile])


def union(accesses: Iterable[Access]) -> Access:
    """One Access of many modules. The same existing principal may be named by several; their policies add up."""
    merged: dict[str, dict[str, Any]] = {part.name: {} for part in fields(Access)}
    for access in accesses:
        for name, known in merged.items():
            for arn, part in getattr(access, name).items():
                known[arn] = _merge(known[arn], part) if arn in known else part
    return Access(**merged)


def _merge(one: Any, other: Any) -> Any:
    """Join two views of one principal: what is declared wins over what is only looked up, attachments add up."""
    if one == other or not hasattr(one, "attached"):
        return one
    base, extra = (other, one) if one.existing else (one, other)
    changes: dict[str, Any] = {"attached": base.attached | extra.attached, "inline": {**extra.inline, **base.inline}}
    if isinstance(base, User):
        changes["groups"] = base.groups | extra.groups
    return replace(base, **changes)


def _canonical(part: Any) -> Any:
    changes: dict[str, Any] = {
        "inline": {name: document.canonical() for name, document in sorted(part.inline.items())},
    }
    if hasattr(part, "tags"):
        changes["tags"] = dict(sorted(part.tags.items()))
    if isinstance(part, Role) and part.trust is not None:
        changes["trust"] = part.trust.canonical()
    return replace(part, **changes)
