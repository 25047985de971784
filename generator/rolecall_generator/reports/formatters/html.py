"""The proof as a self-contained HTML page: verdict, graph, and the matrix with its counterexamples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rolecall_generator import reports
from rolecall_generator.html_page import html_page
from rolecall_generator.proof import Case, Cell, CellMark, CellState, Matrix, Proof, counterexample_sentences, summarize
from rolecall_generator.reports.formatters.interface import AuditReport, Formatter, ProofReport
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


def _audit(report: AuditReport) -> str:
    return reports.audit_html(report)  # loaded on first use


FORMATTER = Formatter(proof=_proof, audit=_audit)
