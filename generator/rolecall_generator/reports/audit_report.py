"""The result of `gen audit`: on the terminal, as JSON and as a self-contained HTML page.

Only `gen audit` loads this module, so that the other commands do not load the audit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from rolecall_generator.audit import (
    Audit,
    AuditedRole,
    Outsider,
    OutsiderKind,
    RolePermissions,
    Scope,
    audit_rules,
    describe,
    describe_chain,
    requirements,
    services_summary,
    short_name,
    summarize_access,
    vendor_of,
)
from rolecall_generator.findings import Finding, Severity
from rolecall_generator.html_page import html_page
from rolecall_generator.iam import Arn
from rolecall_generator.reports.formatters.interface import AuditReport
from rolecall_generator.reports.formatters.json import report_body
from rolecall_generator.reports.formatters.table import SEVERITY_STYLES, count_findings, print_finding
from rolecall_generator.text import pluralize


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A role that outsiders can assume, or could assume at another time.

    `who` and `needs` have one string per outsider, and per grant that is not valid now; `access` describes what the role may
    do. `findings`: most severe first.
    """

    audited: AuditedRole
    findings: tuple[Finding, ...]
    who: tuple[str, ...]
    needs: tuple[str, ...]
    access: tuple[str, ...]

    @property
    def name(self) -> str:
        """Path and name of the role."""
        parsed = Arn.parse(self.audited.role.arn)
        return parsed.resource.removeprefix("role/") if parsed is not None else self.audited.role.arn

    @property
    def is_ordinary_service_role(self) -> bool:
        """Whether only services can assume the role, and it has no findings."""
        return not self.findings and all(each.kind is OutsiderKind.SERVICE for each in self.audited.outsiders)

    @property
    def worst(self) -> Severity | None:
        """The highest severity of the findings; None if there are none."""
        return max((finding.severity for finding in self.findings), default=None)


def audit_rows(audit: Audit) -> tuple[AuditRow, ...]:
    """The roles, those with the most severe findings first."""
    findings: dict[str, list[Finding]] = defaultdict(list)
    for finding in audit.report.active:
        findings[finding.subject].append(finding)
    rows = (
        AuditRow(
            each,
            tuple(findings.get(each.role.arn, ())),
            (*map(short_name, each.outsiders), *(short_name(grant.outsider) for grant in each.inactive)),
            (
                *(", ".join(requirements(outsider)) for outsider in each.outsiders),
                *(grant.validity.value for grant in each.inactive),
            ),
            summarize_access(each),
        )
        for each in audit.roles
    )
    return tuple(sorted(rows, key=lambda row: -(row.worst or 0)))


_SHOWN_ROLES = 60
_SHOWN_FINDINGS = 200
_NARROW_COLUMNS = 100
_RULE_COLUMNS = 5


def print_audit(console: Console, audit: Audit) -> None:
    """Print the roles that outsiders can assume, those with findings first, then the findings and the summary."""
    rows = audit_rows(audit)
    shown = [row for row in rows if not row.is_ordinary_service_role]
    if shown:
        # Only a table that fills the console divides its width by the ratios.
        narrow = console.width <= _NARROW_COLUMNS
        table = Table(title="roles that outsiders can assume", title_justify="left", title_style="bold", expand=narrow)
        for heading, ratio in (("role", 5), ("who", 5), ("needs", 4)):
            table.add_column(heading, overflow="fold", ratio=ratio)
        table.add_column("may do", overflow="fold", width=len("administrator") if narrow else None)
        table.add_column("rules", width=_RULE_COLUMNS)
        several = len(audit.account_ids) > 1
        for row in shown[:_SHOWN_ROLES]:
            name = f"{row.audited.account_id} {row.name}" if several else row.name
            style = SEVERITY_STYLES[row.worst] if row.worst is not None else ""
            rules = dict.fromkeys(finding.rule for finding in row.findings)
            cells = (Group(*map(Text, lines)) for lines in (row.who, row.needs, row.access, rules))
            table.add_row(Text(name, style=style), *cells)
        console.print(table)
    if len(shown) > _SHOWN_ROLES:
        console.print(f"and {pluralize(len(shown) - _SHOWN_ROLES, 'more role')} (--format html shows all)")
    if len(rows) > len(shown):
        console.print(f"and {pluralize(len(rows) - len(shown), 'role')} for AWS services, without findings")
    for finding in audit.report.active[:_SHOWN_FINDINGS]:
        print_finding(console, finding)
    if len(audit.report.active) > _SHOWN_FINDINGS:
        console.print(f"and {len(audit.report.active) - _SHOWN_FINDINGS:,} more (--format json lists all)")
    for note in audit.not_checked:
        console.print(f"not checked: {note}", style="dim")
    worst = audit.report.worst
    console.print(audit_summary(audit), style="green" if worst is None else SEVERITY_STYLES[worst])


def audit_summary(audit: Audit) -> str:
    """What was examined and found, in one line."""
    counts = ", ".join(count_findings(audit.report.active)) or "no findings"
    outside = pluralize(sum(bool(each.outsiders) for each in audit.roles), "role")
    return f"{pluralize(audit.examined, 'role')} examined, {outside} for outsiders: {counts}"


def audit_body(report: AuditReport) -> dict[str, Any]:
    """The object that `gen audit --format json` prints: counts, findings, and the roles that outsiders can assume.

    External IDs are not part of it: `external_id` only has whether one is required.
    """
    audit = report.audit
    return {
        **report_body(audit.report),
        "source": report.source,
        "accounts": list(audit.account_ids),
        "examined": audit.examined,
        "not_checked": list(audit.not_checked),
        "roles": [_role_json(each) for each in audit.roles],
    }


def _role_json(audited: AuditedRole) -> dict[str, Any]:
    record, permissions = audited.record, audited.permissions
    return {
        "arn": audited.role.arn,
        "last_used": record.last_used.isoformat() if record.last_used is not None else None,
        "max_session_seconds": record.max_session_seconds,
        "outsiders": [_outsider_json(each) for each in audited.outsiders],
        "inactive": [
            {"validity": each.validity.value, "moment": each.moment.isoformat(), "outsider": _outsider_json(each.outsider)}
            for each in audited.inactive
        ],
        "permissions": None if permissions is None else _permissions_json(permissions),
        "reaches": list(audited.reaches),
        "reached_through": {arn: list(between) for arn, between in audited.reached_through.items() if between},
        "reaches_administrators": list(audited.reaches_administrators),
    }


def _outsider_json(outsider: Outsider) -> dict[str, Any]:
    vendor = vendor_of(outsider)
    external_id = outsider.external_id
    return {
        "kind": outsider.kind.value,
        "name": outsider.name,
        "account_id": outsider.account_id or None,
        "vendor": None if vendor is None else {"name": vendor.name, "sources": list(vendor.sources), "date": vendor.date},
        "decided": outsider.decided,
        "reason": outsider.reason or None,
        "conditions": list(outsider.conditions),
        "external_id": None
        if external_id is None
        else {"state": external_id.state.value, "by_pattern": external_id.accepts_others, "number": len(external_id.values)},
        "mfa": outsider.mfa,
        "guarded": outsider.guarded.value,
        "guards": list(outsider.guards),
    }


def _permissions_json(permissions: RolePermissions) -> dict[str, Any]:
    return {
        "administrator": permissions.administrator,
        "administrator_conditions": list(permissions.administrator_conditions),
        "almost_everything": permissions.almost_everything,
        "escalations": [
            {
                "path": each.path.id,
                "actions": list(each.path.actions),
                "effect": each.path.effect,
                "scope": each.scope.name.lower(),
                "conditions": list(each.conditions),
            }
            for each in permissions.escalations
        ],
        "iam_changes": [each.action for each in permissions.iam_changes],
        "data": [each.action for each in permissions.data],
        "assume_role": permissions.assume.name.lower(),
        "assume_role_elsewhere": list(permissions.assume_elsewhere),
        "services": {each.service: {"allowed": len(each.actions), "total": each.total} for each in permissions.services},
        "unknown": list(permissions.unknown),
    }


_STATES = {None: "good", Severity.NOTE: "good", Severity.WARNING: "doubt", Severity.ERROR: "bad"}
_ROW_STYLES = {None: "", Severity.NOTE: "", Severity.WARNING: "doubtful", Severity.ERROR: "failing"}
_CELL_STYLES = {None: "ok", Severity.NOTE: "ok", Severity.WARNING: "doubtful", Severity.ERROR: "failed"}
_CHOICES = [("", "all roles"), ("error", "errors"), ("error warning", "errors and warnings"), ("none", "no findings")]
_SCOPES = {Scope.ALL: "every resource", Scope.SOME: "listed resources"}


def audit_html(report: AuditReport) -> str:
    """The audit as a self-contained page, roles with findings first."""
    audit = report.audit
    titles = {rule.id: rule.title for rule in audit_rules()}
    view = {
        "title": f"Access of outsiders to {', '.join(audit.account_ids)}",
        "state": _STATES[audit.report.worst],
        "verdict": ", ".join(count_findings(audit.report.active)) or "no findings",
        "summary": f"{audit_summary(audit)}.",
        "facts": [f"source: {report.source}", *(f"not checked: {note}" for note in audit.not_checked)],
        "choices": _CHOICES,
        "rows": [_audit_row(row, titles) for row in audit_rows(audit)],
        "meanings": [
            ("error", "An outsider that should not can assume the role, or gets control of the account."),
            ("warning", "The trust or the permissions are wider than necessary, or cannot be decided."),
            ("note", "An improvement that is not urgent."),
        ],
    }
    return html_page("audit", view)


def _audit_row(row: AuditRow, titles: Mapping[str, str]) -> Mapping[str, Any]:
    worst = row.worst
    return {
        "name": row.name,
        "arn": row.audited.role.arn,
        "style": _ROW_STYLES[worst],
        "cell": _CELL_STYLES[worst],
        "mark": worst.name.lower() if worst is not None else "none",
        "count": len(row.findings) or "✓",
        "who": row.who,
        "needs": row.needs,
        "access": row.access,
        "findings": [
            {
                "severity": finding.severity.name.lower(),
                "rule": finding.rule,
                "title": titles.get(finding.rule, finding.rule),
                "message": finding.message,
                "hint": finding.hint,
            }
            for finding in row.findings
        ],
        "details": list(_details(row.audited)),
    }


def _details(audited: AuditedRole) -> Iterator[tuple[str, list[str]]]:
    """All facts about a role, each with its label."""
    for outsider in audited.outsiders:
        yield "outsider", list(_outsider_lines(outsider))
    for grant in audited.inactive:
        yield grant.validity.value, [f"{grant.moment:%Y-%m-%d}", *_outsider_lines(grant.outsider)]
    if audited.permissions is not None:
        yield from _permission_details(audited.permissions)
    if audited.role.boundary:
        yield "boundary", [audited.role.boundary]
    if audited.reaches:
        yield "can assume", [describe_chain(arn, audited.reached_through.get(arn, ())) for arn in audited.reaches]
    record = audited.record
    if record.usage_known:
        never = "never, in the period that AWS records"
        yield "last used", [f"{record.last_used:%Y-%m-%d}" if record.last_used is not None else never]
    if record.max_session_seconds is not None:
        yield "sessions", [f"up to {record.max_session_seconds:,} seconds"]


def _outsider_lines(outsider: Outsider) -> Iterator[str]:
    yield describe(outsider)
    if outsider.conditions:
        yield f"conditions: {', '.join(outsider.conditions)}"
    if not outsider.decided:
        yield f"not decided: {outsider.reason}"
    vendor = vendor_of(outsider)
    if vendor is not None:
        yield f"source of the owner ({vendor.date}): {', '.join(vendor.sources)}"


def _permission_details(permissions: RolePermissions) -> Iterator[tuple[str, list[str]]]:
    if permissions.administrator or permissions.almost_everything:
        yield "services", ["every service" if permissions.administrator else services_summary(permissions)]
    elif permissions.services:
        yield "services", [f"{s.service}: {len(s.actions)} of {s.total} actions" for s in permissions.services]
    if permissions.escalations:
        lines = []
        for each in permissions.escalations:
            conditions = f", if {', '.join(each.conditions)} hold" if each.conditions else ""
            lines.append(f"{' + '.join(each.path.actions)}: {each.path.effect}, on {_SCOPES[each.scope]}{conditions}")
        yield "escalation", lines
    if permissions.unknown:
        yield "not known", list(permissions.unknown)
