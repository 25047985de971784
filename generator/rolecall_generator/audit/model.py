"""The result of an audit, and the rules that check it.

A rule is a function with the `audit_rule` decorator, in a module of this package with a name ending in `_findings`.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

from rolecall_generator.audit.account import RoleRecord
from rolecall_generator.audit.outsiders import PRINCIPAL_KINDS, Outsider, OutsiderKind
from rolecall_generator.audit.permissions import RolePermissions
from rolecall_generator.audit.tables import Vendor, vendors
from rolecall_generator.audit.validity import InactiveGrant
from rolecall_generator.findings import Finding, FindingKind, Severity, kinds_in
from rolecall_generator.iam import Role
from rolecall_generator.rules import Report


@dataclass(frozen=True, slots=True)
class AuditedRole:
    """A role that outsiders can assume, or could assume at another time.

    Attributes:
        role: The role, with its policies as they are evaluated at the time of the audit.
        account_id: The role's account.
        outsiders: Those that can assume it, or for which this is not known.
        record: Facts that are not part of the access model.
        permissions: What the role may do; None if only services and SAML providers can assume it.
        reaches: ARNs of roles of the account that the role can assume, directly or through others.
        reached_through: Of `reaches`, the ARNs of the roles between, on a shortest chain; empty if there are none.
        reaches_administrators: Those of `reaches` that are administrators.
        reaches_escalations: Those of `reaches` that allow privilege escalation on every resource.
        place: File and line of the role; an empty string and None for a live account.
        inactive: Grants to outsiders that have expired or are not yet valid.
    """

    role: Role
    account_id: str
    outsiders: tuple[Outsider, ...]
    record: RoleRecord
    permissions: RolePermissions | None
    reaches: tuple[str, ...] = ()
    reached_through: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reaches_administrators: tuple[str, ...] = ()
    reaches_escalations: tuple[str, ...] = ()
    place: tuple[str, int | None] = ("", None)
    inactive: tuple[InactiveGrant, ...] = ()

    @property
    def third_parties(self) -> tuple[Outsider, ...]:
        """Principals of named accounts that certainly can assume the role."""
        kinds = PRINCIPAL_KINDS - {OutsiderKind.ANYONE, OutsiderKind.ORGANIZATION}
        return tuple(each for each in self.outsiders if each.decided and each.kind in kinds)

    @property
    def is_exposed(self) -> bool:
        """Whether principals of other accounts or an OIDC provider can assume the role."""
        return is_exposed(self.outsiders)


def is_exposed(outsiders: Iterable[Outsider]) -> bool:
    """Whether any outsider is a principal of another account, an OIDC provider, or unknown."""
    return any(each.kind in PRINCIPAL_KINDS or each.kind in {OutsiderKind.OIDC, OutsiderKind.UNKNOWN} for each in outsiders)


def vendor_of(outsider: Outsider) -> Vendor | None:
    """The owner of the outsider's account, if it is publicly documented."""
    return vendors().get(outsider.account_id) if outsider.account_id else None


@dataclass(frozen=True, slots=True)
class AuditContext:
    """The input of a rule. `external_ids` are the roles and outsiders that use an external ID, by external ID."""

    now: datetime
    unused_days: int
    external_ids: Mapping[str, tuple[tuple[AuditedRole, Outsider], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Remark:
    """A violation of a rule by a role. `severity` and `hint` override those of the rule."""

    message: str
    severity: Severity | None = None
    hint: str | None = None


RoleCheck = Callable[[AuditContext, AuditedRole], Iterable[Remark]]


@dataclass(frozen=True, slots=True)
class AuditRule(FindingKind):
    """A rule of the audit. `check` yields its remarks for a role."""

    check: RoleCheck

    def findings(self, context: AuditContext, audited: AuditedRole) -> Iterable[Finding]:
        """The findings of the rule for a role. Their subject is the role's ARN."""
        file, line = audited.place
        for remark in self.check(context, audited):
            yield self.finding(
                audited.role.arn, remark.message, file or None, line, severity=remark.severity, hint=remark.hint
            )


def audit_rule(identifier: str, title: str, severity: Severity, *, hint: str) -> Callable[[RoleCheck], AuditRule]:
    """Declare the decorated function as a rule. `severity` and `hint` are defaults for its remarks."""

    def declare(check: RoleCheck) -> AuditRule:
        return AuditRule(identifier, title, severity, hint, check)

    return declare


_MODULE_SUFFIX = "_findings"
_PACKAGE = __name__.rpartition(".")[0]


@cache
def audit_rules() -> tuple[AuditRule, ...]:
    """All rules of the `*_findings` modules in this package, sorted by ID."""
    paths = sys.modules[_PACKAGE].__path__
    names = sorted(module.name for module in pkgutil.iter_modules(paths) if module.name.endswith(_MODULE_SUFFIX))
    modules = (importlib.import_module(f"{_PACKAGE}.{name}") for name in names)
    found = (kind for module in modules for kind in kinds_in(vars(module)) if isinstance(kind, AuditRule))
    return tuple(sorted(found, key=lambda rule: rule.id))


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of an audit.

    Attributes:
        account_ids: The audited accounts, sorted.
        examined: Number of roles that were examined, without service-linked roles.
        roles: The roles that outsiders can assume or could assume at another time, sorted by ARN.
        report: The findings.
        not_checked: What the data does not allow to check, as sentences.
    """

    account_ids: tuple[str, ...]
    examined: int
    roles: tuple[AuditedRole, ...]
    report: Report
    not_checked: tuple[str, ...] = ()
