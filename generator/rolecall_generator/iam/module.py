"""A generated Terraform module: its account, the access it creates, and the details that its documents mention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rolecall_generator.iam.access import Access, Role
from rolecall_generator.iam.arn import parse_arn


class ModuleKind(StrEnum):
    """The kinds of module that `gen terraform` writes."""

    BACKEND = "backend"
    CUSTOMER = "customer"
    TRUSTING = "trusting"
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True)
class AccountLabel:
    """An account id with the account's display name."""

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
    required. `trusts_role`: the principal of the trust policy is the backend role itself, not its account.
    """

    role: Role
    backend_role_arn: str
    external_ids: tuple[str, ...]
    trusts_role: bool


@dataclass(frozen=True, slots=True)
class SwitchRoleDetails:
    """Details of a switch role, the same for the modules of both its accounts.

    `home` is the account that has the group and its users. `users` are ARNs of the users who are meant to switch;
    `names_users`: the trust policy names them instead of the whole account. `delegates_to` are IDs of accounts that decide
    themselves which of their principals may switch. `keeper` is the switch role whose module at `people_path` creates the
    group and its users; `targets` are ARNs of the roles that members of the group can switch to. `link` is None in
    partitions without a documented URL for switching roles.
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
        """The role's name with its path, as the console takes it: `staff/VendorAccess`."""
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
    parsed = parse_arn(arn)
    return parsed.resource.partition("/")[2] if parsed is not None else arn
