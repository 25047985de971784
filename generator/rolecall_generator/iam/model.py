"""The access model: roles, users, groups, policies and instance profiles, and the Terraform modules that create them.

An `Access` is built from the plan of a manifest (intended), from parsed modules (written) and from live IAM (deployed).
Compare them after `canonical()`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from rolecall_generator.iam.arn import Arn
from rolecall_generator.iam.policy import PolicyDocument


@dataclass(frozen=True, slots=True)
class Role:
    """An IAM role. `existing` roles are referenced, not created; their trust policy is unknown (None)."""

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
    """A customer managed policy."""

    arn: str
    document: PolicyDocument
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Group:
    """An IAM group with its policies. Membership is stored on the users."""

    arn: str
    inline: Mapping[str, PolicyDocument] = field(default_factory=dict)
    attached: frozenset[str] = frozenset()
    existing: bool = False


@dataclass(frozen=True, slots=True)
class ConsolePassword:
    """A login profile. `pgp_key` encrypts the initial password; with None it is in plain text in the Terraform state."""

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
    """The known principals, policies and instance profiles, each by ARN."""

    roles: Mapping[str, Role] = field(default_factory=dict)
    policies: Mapping[str, ManagedPolicy] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    users: Mapping[str, User] = field(default_factory=dict)
    instance_profiles: Mapping[str, InstanceProfile] = field(default_factory=dict)

    @classmethod
    def of(cls, *parts: Role | ManagedPolicy | Group | User | InstanceProfile) -> Access:
        """An Access with the given parts. Raises ValueError for a duplicate ARN."""
        kinds: dict[type, dict[str, Any]] = {Role: {}, ManagedPolicy: {}, Group: {}, User: {}, InstanceProfile: {}}
        for part in parts:
            known = kinds[type(part)]
            if part.arn in known:
                raise ValueError(f"{part.arn} is declared twice")
            known[part.arn] = part
        return cls(kinds[Role], kinds[ManagedPolicy], kinds[Group], kinds[User], kinds[InstanceProfile])

    @classmethod
    def union(cls, accesses: Iterable[Access]) -> Access:
        """The union of several Access values. Policies of a principal that occurs in several of them are merged."""
        merged: dict[str, dict[str, Any]] = {part.name: {} for part in fields(cls)}
        for access in accesses:
            for name, known in merged.items():
                for arn, part in getattr(access, name).items():
                    known[arn] = _merge(known[arn], part) if arn in known else part
        return cls(**merged)

    def canonical(self) -> Access:
        """The same access with canonical documents: two canonical values are equal when they grant the same."""
        return Access(
            roles={arn: _canonical(role) for arn, role in sorted(self.roles.items())},
            policies={arn: replace(p, document=p.document.canonical()) for arn, p in sorted(self.policies.items())},
            groups={arn: _canonical(group) for arn, group in sorted(self.groups.items())},
            users={arn: _canonical(user) for arn, user in sorted(self.users.items())},
            instance_profiles=dict(sorted(self.instance_profiles.items())),
        )


def _merge(one: Any, other: Any) -> Any:
    """Merge two views of one principal: a declared one takes precedence over an existing one, attachments are joined."""
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


class ModuleKind(StrEnum):
    """The kinds of module that `gen terraform` writes."""

    BACKEND = "backend"
    CUSTOMER = "customer"
    TRUSTING = "trusting"
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True)
class AccountLabel:
    """An account ID with the account's display name."""

    name: str
    account_id: str


@dataclass(frozen=True, slots=True)
class BackendDetails:
    """Details of the backend module. `explicit`: its policies list every customer role instead of a pattern."""

    customers: int
    explicit: bool


@dataclass(frozen=True, slots=True)
class CustomerDetails:
    """Details of a customer module.

    `external_ids` has the current ID first and, during a rotation, the previous one second; it is empty where none is
    required. `trusts_role`: the principal of the trust policy is the backend role itself, not its account. `session_tags`
    and `source_identity`: the backend role may pass them.
    """

    role: Role
    backend_role_arn: str
    external_ids: tuple[str, ...]
    trusts_role: bool
    session_tags: bool
    source_identity: bool


@dataclass(frozen=True, slots=True)
class SwitchRoleDetails:
    """Details of a switch role, the same for the modules of both its accounts.

    `home` is the account that has the group and its users. `users` are ARNs of the users intended to switch;
    `names_users`: the trust policy names them instead of the whole account. `delegates_to` are IDs of accounts that decide
    which of their principals may switch. `keeper` is the switch role whose module at `people_path` creates the group and
    its users; `targets` are ARNs of the roles that members of the group can switch to. `link` is None in partitions
    without a documented URL for switching roles.
    """

    name: str
    role: Role
    trusting: AccountLabel
    trusted: AccountLabel
    home: AccountLabel
    group: str
    users: tuple[str, ...]
    names_users: bool
    delegates_to: frozenset[str]
    require_mfa: bool
    link: str | None
    keeper: str
    people_path: str
    targets: tuple[str, ...]
    has_first_passwords: bool
    has_existing_people: bool

    @property
    def role_name(self) -> str:
        """Role name with path, as the console expects it: `staff/VendorAccess`."""
        return _name_with_path(self.role.arn)

    @property
    def user_names(self) -> tuple[str, ...]:
        """Names of `users`, without paths."""
        return tuple(arn.rpartition("/")[2] for arn in self.users)


@dataclass(frozen=True, slots=True)
class Module:
    """A Terraform module to render. `path` is relative to the output folder, as in `customers/account1`.

    Only `access` grants anything. `outputs` are values that the module declares as Terraform outputs. `dependents` are
    names of other switch roles that rely on the group and users in this module. The details of the module's kind are set
    by the planner; the others are None.
    """

    kind: ModuleKind
    path: str
    subject: str
    account: AccountLabel
    partition: str
    access: Access
    outputs: Mapping[str, str] = field(default_factory=dict)
    dependents: tuple[str, ...] = ()
    backend: BackendDetails | None = None
    customer: CustomerDetails | None = None
    switch_role: SwitchRoleDetails | None = None


def _name_with_path(arn: str) -> str:
    parsed = Arn.parse(arn)
    return parsed.resource.partition("/")[2] if parsed is not None else arn
