"""Self-contained HTML pages.

The page of a proof has the verdict, the graph, and the matrix with its counterexamples; that of an audit has the roles that
outsiders can assume, with findings and permissions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rolecall_generator.audit import AuditedRole, Outsider, RolePermissions, Scope, audit_rules, services_summary, vendor_of
from rolecall_generator.audit import describe as describe_outsider
from rolecall_generator.findings import Severity
from rolecall_generator.html_page import html_page
from rolecall_generator.proof import Case, Cell, CellMark, CellState, Matrix, Proof, counterexample_sentences, summarize
from rolecall_generator.reports.formatters.audit_rows import AuditRow, audit_rows
from rolecall_generator.reports.formatters.interface import AuditReport, Formatter, ProofReport
from rolecall_generator.reports.formatters.table import audit_summary, count_findings
from rolecall_generator.reports.graph import describe, to_svg

_CellView = tuple[str, str, str, str, str]
"""Style, sign, visible count, label for screen readers and case."""


def proof_html(proof: Proof, *, title: str, picture_svg: str, generated: str, words: Iterable[str] = ()) -> str:
    """Render the page with failing rows first.

    Args:
        proof: The cells.
        title: Heading of the page.
        picture_svg: The graph as `to_svg` returns it; the page has no graph if it is empty.
        generated: What was proven, for example "as planned".
        words: The graph in sentences, for screen readers.
    """
    matrix = summarize(proof)
    state = ("bad" if matrix.failed else "good") if matrix.asked else "none"
    view = {
        "title": title,
        "verdict": {
            "state": state,
            "title": {"bad": "not proven", "good": "proven", "none": "nothing to prove"}[state],
            "text": {"bad": "✗ Not proven", "good": "✓ Proven", "none": "Nothing to prove"}[state],
        },
        "summary": _summary(matrix),
        "generated": generated,
        "columns": [case.value for case in matrix.columns],
        "rows": _rows(matrix),
    }
    return html_page("proof", view, svg=picture_svg, sentences=words)


def _summary(matrix: Matrix) -> str:
    if not matrix.asked:
        return "No principal can assume any role."
    roles = len({row.role_arn for row in matrix.rows})
    noun = "role" if roles == 1 else "roles"
    if matrix.failed:
        failing = len({row.role_arn for row in matrix.failing})
        wrong = f"{matrix.failed:,} of {matrix.asked:,} requests"
        text = f"{wrong} did not have the intended result, on {failing:,} of {roles:,} {noun}."
    else:
        sure = matrix.asked - matrix.delegated
        text = f"{sure:,} requests on {roles:,} {noun} had the intended result: only the intended callers are allowed."
    if matrix.delegated:
        text += f" {matrix.delegated:,} more are decided by the account that the role trusts, as intended (○)."
    return text


def _rows(matrix: Matrix) -> Iterator[tuple[str, str, Sequence[_CellView], Sequence[Mapping[str, Any]]]]:
    # Most rows have the same marks.
    cells: dict[tuple[CellMark, ...], list[_CellView]] = {}
    for row in matrix.rows:
        if row.marks not in cells:
            cells[row.marks] = [_html_cell(mark, case) for mark, case in zip(row.marks, matrix.columns, strict=True)]
        yield row.subject, row.role_arn, cells[row.marks], [_failure(cell) for cell in row.failures]


def _html_cell(mark: CellMark, case: Case) -> _CellView:
    several = mark.asked > 1
    match mark.state:
        case CellState.NOT_ASKED:
            return "none", "·", "", "not asked", case.value
        case CellState.OK:
            return "ok", "✓", f"{mark.asked}" if several else "", f"{mark.asked} as intended", case.value
        case CellState.DELEGATED:
            label = f"{mark.delegated} of {mark.asked} decided by the caller's account"
            return "delegated", "○", f"{mark.asked}" if several else "", label, case.value
        case CellState.FAILED:
            count = f"{mark.failed}/{mark.asked}" if several else ""
            return "failed", "✗", count, f"{mark.failed} of {mark.asked} failed", case.value


def _failure(cell: Cell) -> Mapping[str, Any]:
    """All data for verifying the decision by hand. `None` as a context value means that the key is absent."""
    request, decision = cell.request, cell.decision
    document = decision.statement.to_json() if decision.statement is not None else None
    return {
        "case": cell.case.value,
        "sentences": counterexample_sentences(cell),
        "principal": request.principal.arn,
        "action": request.action,
        "context": [
            (key, None if value == () else value if isinstance(value, str) else ", ".join(value))
            for key, value in request.context.items()
        ],
        "assumed": decision.assumed,
        "expected": "allowed" if cell.expected else "refused",
        "result": f"{decision.effect.value}: {decision.reason}",
        "policy": decision.policy,
        "document": json.dumps(document, indent=2, ensure_ascii=False) if document else "",
    }


def _proof(report: ProofReport) -> str:
    graph = report.graph()
    return proof_html(
        report.proven.proof,
        title=f"Who can assume what: {report.title}",
        picture_svg=to_svg(graph),
        generated="as planned" if report.proven.planned else "as written",
        words=tuple(describe(graph)),
    )


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
        "choices": [
            ("", "all roles"),
            ("error", "errors"),
            ("error warning", "errors and warnings"),
            ("none", "no findings"),
        ],
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
    if audited.permissions is not None:
        yield from _permission_details(audited.permissions)
    if audited.role.boundary:
        yield "boundary", [audited.role.boundary]
    if audited.reaches:
        yield "can assume", list(audited.reaches)
    record = audited.record
    if record.usage_known:
        never = "never, in the period that AWS records"
        yield "last used", [f"{record.last_used:%Y-%m-%d}" if record.last_used is not None else never]
    if record.max_session_seconds is not None:
        yield "sessions", [f"up to {record.max_session_seconds:,} seconds"]


def _outsider_lines(outsider: Outsider) -> Iterator[str]:
    yield describe_outsider(outsider)
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


FORMATTER = Formatter(proof=_proof, audit=audit_html)
