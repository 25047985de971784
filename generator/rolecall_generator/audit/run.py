"""Runs an audit: finds the roles that outsiders can assume, reads what they may do, and applies the rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from rolecall_generator.audit.account import AccountData, RoleRecord
from rolecall_generator.audit.model import Audit, AuditContext, AuditedRole, audit_rules, is_exposed
from rolecall_generator.audit.outsider_reader import OutsiderReader
from rolecall_generator.audit.outsiders import Outsider, OwnAccounts
from rolecall_generator.audit.permissions import PermissionReader, RolePermissions, Scope
from rolecall_generator.audit.role_chains import RoleChains
from rolecall_generator.audit.validity import account_at, inactive_grants
from rolecall_generator.findings import Finding
from rolecall_generator.iam import Role
from rolecall_generator.iam_replies import SERVICE_LINKED_PATH
from rolecall_generator.rules import Report

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
            if _is_service_linked(arn):
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


def _is_service_linked(arn: str) -> bool:
    return f":role{SERVICE_LINKED_PATH}" in arn


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
