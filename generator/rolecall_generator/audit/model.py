"""The audit: its result, the rules that check it, and the run that finds the roles that outsiders can assume.

A rule is a function with the `audit_rule` decorator, in a module of this package with a name ending in `_findings`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, partial

from rolecall_generator.audit.account import AccountData, RoleRecord
from rolecall_generator.audit.outsider_reader import OutsiderReader
from rolecall_generator.audit.outsiders import PRINCIPAL_KINDS, Outsider, OutsiderKind, OwnAccounts, is_exposed
from rolecall_generator.audit.permissions import PermissionReader, RolePermissions, Scope
from rolecall_generator.audit.role_chains import RoleChains
from rolecall_generator.audit.tables import Vendor, vendors
from rolecall_generator.audit.validity import InactiveGrant, account_at, inactive_grants
from rolecall_generator.findings import Finding, FindingKind, Severity, kinds_in
from rolecall_generator.iam import Role
from rolecall_generator.iam_replies import SERVICE_LINKED_PATH
from rolecall_generator.lazy import modules_of
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
    return partial(AuditRule, identifier, title, severity, hint)


@cache
def audit_rules() -> tuple[AuditRule, ...]:
    """All rules of the `*_findings` modules in this package, sorted by ID."""
    modules = modules_of(__name__.rpartition(".")[0], "_findings")
    found = (kind for module in modules.values() for kind in kinds_in(vars(module)) if isinstance(kind, AuditRule))
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


UNUSED_DAYS = 90
"""Days without use after which a role is unused, the default of IAM Access Analyzer (AWS documentation, November 2026)."""


def audit_accounts(
    accounts: Sequence[AccountData],
    now: datetime,
    *,
    own: OwnAccounts = OwnAccounts(),  # noqa: B008 - immutable
    unused_days: int = UNUSED_DAYS,
    started: Callable[[int], None] = lambda _total: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Audit:
    """Audit the accounts.

    Args:
        accounts: The accounts' data. They are not outsiders of each other.
        now: Time of the data, with a time zone. Conditions on the time of a request are evaluated for it.
        own: Further accounts and organizations that are not outsiders.
        unused_days: Days after which a role counts as unused.
        started: Called with the number of roles.
        progress: Called with the number of roles done so far.
    """
    organizations = (account.organization_id for account in accounts)
    inside = OwnAccounts(
        own.accounts.union(account.account_id for account in accounts), own.organizations.union(filter(None, organizations))
    )
    started(sum(len(account.access.roles) for account in accounts))
    audited: list[AuditedRole] = []
    examined = done = 0
    for account in accounts:
        reader = _AccountReader(account_at(account, now), OutsiderReader(inside))
        for arn, role in sorted(reader.account.access.roles.items()):
            done += 1
            progress(done)
            if f":role{SERVICE_LINKED_PATH}" in arn:
                continue
            examined += 1
            found = reader.read(role)
            active = found.outsiders if found is not None else ()
            inactive = inactive_grants(account.access.roles[arn], now, active, reader.outsiders.read)
            if found is not None or inactive:
                audited.append(replace(found or reader.without_outsiders(role), inactive=inactive))
    context = AuditContext(now, unused_days, _external_ids(audited))
    findings = {finding for role in audited for rule in audit_rules() for finding in rule.findings(context, role)}
    ids = tuple(sorted(account.account_id for account in accounts))
    return Audit(ids, examined, tuple(audited), Report(tuple(sorted(findings, key=_sort_key))), _not_checked(accounts))


def _sort_key(finding: Finding) -> tuple[int, str, str, str]:
    return -finding.severity, finding.subject, finding.rule, finding.message


def _not_checked(accounts: Iterable[AccountData]) -> tuple[str, ...]:
    records = [record for account in accounts for record in account.records.values()]
    notes = []
    if records and all(record.max_session_seconds is None for record in records):
        notes.append("session durations: the data has none; add the output of aws iam list-roles")
    if records and not any(record.usage_known for record in records):
        notes.append("last use of roles: the data has none")
    return tuple(notes)


def _external_ids(roles: Iterable[AuditedRole]) -> dict[str, tuple[tuple[AuditedRole, Outsider], ...]]:
    """Roles and outsiders by the external IDs that they use."""
    found: dict[str, list[tuple[AuditedRole, Outsider]]] = defaultdict(list)
    for role in roles:
        for outsider in role.third_parties:
            for value in outsider.external_id.values if outsider.external_id is not None else ():
                found[value].append((role, outsider))
    return {value: tuple(uses) for value, uses in found.items()}


@dataclass(slots=True)
class _AccountReader:
    """Reads the roles of one account."""

    account: AccountData
    outsiders: OutsiderReader
    permissions: PermissionReader = field(init=False)
    chains: RoleChains = field(init=False)

    def __post_init__(self) -> None:
        self.permissions = PermissionReader(self.account.access, self.account.unreadable_policies)
        self.chains = RoleChains(self.account, self.outsiders, self.permissions)

    def read(self, role: Role) -> AuditedRole | None:
        """The audited role; None if no outsider can assume it."""
        record = self.account.records.get(role.arn, RoleRecord())
        outsiders = self.outsiders.read(role, problem=record.unreadable_trust)
        if not outsiders:
            return None
        audited = replace(self.without_outsiders(role), outsiders=outsiders)
        if not is_exposed(outsiders):
            return audited
        permissions = self.permissions.read(role)
        reaches = {} if permissions.administrator else self.chains.reachable(role.arn)
        administrators = tuple(arn for arn in reaches if self._read(arn).administrator)
        escalating = tuple(arn for arn in reaches if any(each.scope is Scope.ALL for each in self._read(arn).escalations))
        return replace(
            audited,
            permissions=permissions,
            reaches=tuple(reaches),
            reached_through=reaches,
            reaches_administrators=administrators,
            reaches_escalations=escalating,
        )

    def without_outsiders(self, role: Role) -> AuditedRole:
        """The role as one that no outsider can assume."""
        record = self.account.records.get(role.arn, RoleRecord())
        place = self.account.places.get(role.arn, ("", None))
        return AuditedRole(role, self.account.account_id, (), record, None, place=place)

    def _read(self, arn: str) -> RolePermissions:
        return self.permissions.read(self.account.access.roles[arn])
