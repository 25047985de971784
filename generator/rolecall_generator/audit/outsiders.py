"""Outsiders: principals of other accounts, services and identity providers that can assume a role, and what they need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class OutsiderKind(StrEnum):
    """Kind of outsider. The value is its name in reports."""

    ANYONE = "anyone"
    ORGANIZATION = "organization"
    ACCOUNT = "account"
    PRINCIPALS = "principals of an account"
    ROLE = "role"
    USER = "user"
    SESSION = "session"
    SERVICE = "service"
    SAML = "SAML provider"
    OIDC = "OIDC provider"
    DELETED = "deleted principal"
    UNKNOWN = "unknown"


PRINCIPAL_KINDS = frozenset({
    OutsiderKind.ANYONE, OutsiderKind.ORGANIZATION, OutsiderKind.ACCOUNT, OutsiderKind.PRINCIPALS, OutsiderKind.ROLE,
    OutsiderKind.USER, OutsiderKind.SESSION,
})  # fmt: skip
"""Kinds of outsiders that are principals of AWS accounts."""


class Requirement(StrEnum):
    """Whether a request needs something. IGNORED: the trust policy mentions it, but a request without it is allowed."""

    REQUIRED = "required"
    IGNORED = "ignored"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ExternalIdRequirement:
    """The external IDs that an outsider can use.

    `values` are accepted IDs that the trust policy lists. `accepts_others`: IDs that it does not list are accepted, by a
    wildcard or a negated condition. `companions`: actions such as sts:TagSession that are allowed without an external ID,
    although sts:AssumeRole is not. `reason`: why the requirement is unknown.
    """

    state: Requirement
    values: tuple[str, ...] = ()
    accepts_others: bool = False
    companions: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outsider:
    """An outsider that can assume a role.

    Attributes:
        kind: Kind of outsider.
        name: As in the trust policy: account ID, ARN, service or provider; the pattern for PRINCIPALS.
        account_id: Account of a principal; empty if there is no such account.
        conditions: Short names of the conditions of the statement that allows it.
        external_id: For principals of AWS accounts.
        mfa: Whether every request needs MFA.
        guarded: Whether a condition that the outsider cannot choose must hold: the caller's organization or network for
            principals, the source account for services, the tenant or subject for identity providers. UNKNOWN if the
            evaluator cannot decide.
        guards: Keys of these conditions, as in the trust policy.
        reason: Why it is not known whether the outsider can assume the role; empty if it can.
    """

    kind: OutsiderKind
    name: str
    account_id: str = ""
    conditions: tuple[str, ...] = ()
    external_id: ExternalIdRequirement | None = None
    mfa: bool = False
    guarded: Requirement = Requirement.MISSING
    guards: tuple[str, ...] = ()
    reason: str = ""

    @property
    def decided(self) -> bool:
        """Whether the outsider certainly can assume the role."""
        return not self.reason

    @property
    def is_unguarded(self) -> bool:
        """Whether the outsider certainly can assume the role, and can meet all its conditions."""
        return self.decided and self.guarded is Requirement.MISSING


def is_exposed(outsiders: Iterable[Outsider]) -> bool:
    """Whether any outsider is a principal of another account, an OIDC provider, or unknown."""
    return any(each.kind in PRINCIPAL_KINDS or each.kind in {OutsiderKind.OIDC, OutsiderKind.UNKNOWN} for each in outsiders)


@dataclass(frozen=True, slots=True)
class OwnAccounts:
    """Accounts and organizations whose principals are not outsiders, by ID."""

    accounts: frozenset[str] = frozenset()
    organizations: frozenset[str] = frozenset()


ANY = "any "
"""Beginning of the names of outsiders that the trust policy does not name."""
ANY_SERVICE = f"{ANY}service"
"""Name of the outsider for any of these services."""
