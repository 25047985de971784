"""The proof as a self-contained HTML page: verdict, graph, and the matrix with its counterexamples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from rolecall_generator import reports
from rolecall_generator.html_page import html_page
from rolecall_generator.proof import (
    Case,
    Cell,
    CellMark,
    CellState,
    Matrix,
    Proof,
    RoleProof,
    RoleState,
    counterexample_sentences,
    role_sentences,
    role_state,
    summarize,
)
from rolecall_generator.reports.formatters.interface import AuditReport, Formatter, ProofReport
from rolecall_generator.reports.graph import describe, to_svg

_ROLES_SHOWN = 200
"""Maximum number of roles that do not allow exactly the intended requests; the JSON format contains all of them."""

_CellView = tuple[str, str, str, str, str]
"""Style, sign, visible count, label for screen readers and case."""


def proof_html(proof: Proof, *, title: str, picture_svg: str, generated: str, sentences: Iterable[str] = ()) -> str:
    """Render the page with failing rows first.

    Args:
        proof: The proof.
        title: Heading of the page.
        picture_svg: The graph as `to_svg` returns it; the page has no graph if it is empty.
        generated: What was proven, for example "as planned".
        sentences: The graph in sentences, for screen readers.
    """
    matrix = summarize(proof)
    different = (role for role in proof.roles if role_state(role) is not RoleState.EXACT)
    state = ("bad" if matrix.failed else "good") if matrix.requests else "none"
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
        "roles": [_role(role) for role in islice(different, _ROLES_SHOWN)],
        "exact": sum(role.comparison.is_equal for role in proof.roles),
        "role_count": len(proof.roles),
    }
    return html_page("proof", view, svg=picture_svg, sentences=sentences)


def _summary(matrix: Matrix) -> str:
    if not matrix.requests:
        return "No principal can assume any role."
    roles = len({row.role_arn for row in matrix.rows})
    noun = "role" if roles == 1 else "roles"
    if matrix.failed:
        failing = len({row.role_arn for row in matrix.failing})
        wrong = f"{matrix.failed:,} of {matrix.requests:,} access checks"
        text = f"{wrong} did not have the intended result, on {failing:,} of {roles:,} {noun}."
    else:
        sure = matrix.requests - matrix.delegated
        text = f"{sure:,} access checks on {roles:,} {noun} had the intended result: only the intended callers are allowed."
    if matrix.delegated:
        verb = "is" if matrix.delegated == 1 else "are"
        text += f" {matrix.delegated:,} more {verb} decided by the account that the role trusts, as intended (○)."
    return text


def _rows(matrix: Matrix) -> Iterator[tuple[str, str, Sequence[_CellView], Sequence[Mapping[str, Any]]]]:
    # Most rows have the same marks.
    cells: dict[tuple[CellMark, ...], list[_CellView]] = {}
    for row in matrix.rows:
        if row.marks not in cells:
            cells[row.marks] = [_html_cell(mark, case) for mark, case in zip(row.marks, matrix.columns, strict=True)]
        yield row.subject, row.role_arn, cells[row.marks], [_failure(cell, row.role_arn) for cell in row.failures]


def _html_cell(mark: CellMark, case: Case) -> _CellView:
    several = mark.requests > 1
    match mark.state:
        case CellState.NOT_APPLICABLE:
            return "none", "·", "", "not applicable", case.value
        case CellState.OK:
            return "ok", "✓", f"{mark.requests}" if several else "", f"{mark.requests} as intended", case.value
        case CellState.DELEGATED:
            label = f"{mark.delegated} of {mark.requests} decided by the caller's account"
            return "delegated", "○", f"{mark.requests}" if several else "", label, case.value
        case CellState.FAILED | CellState.UNDECIDED:
            count = f"{mark.failed}/{mark.requests}" if several else ""
            return "failed", "✗", count, f"{mark.failed} of {mark.requests} failed", case.value


def _role(proof: RoleProof) -> Mapping[str, Any]:
    """A role that does not allow exactly the intended requests, with the smallest requests that show it."""
    return {
        "arn": proof.role_arn,
        "directions": [
            (sentence, None if witness is None else (witness.shell_command, witness.remarks))
            for sentence, witness in role_sentences(proof)
        ],
    }


def _failure(cell: Cell, role_arn: str) -> Mapping[str, Any]:
    """All data for verifying the decision by hand."""
    decision, witness = cell.decision, cell.witness
    document = decision.statement.to_json() if decision is not None and decision.statement is not None else None
    return {
        "case": cell.case.value,
        "sentences": counterexample_sentences(cell, role_arn),
        "principal": cell.caller,
        "action": "" if witness is None else witness.request.action,
        "context": [] if witness is None else [(key, ", ".join(values)) for key, values in witness.keys.items()],
        "command": "" if witness is None else witness.shell_command,
        "remarks": () if witness is None else witness.remarks,
        "expected": "allowed" if cell.expected else "refused",
        "result": cell.state.value if decision is None else f"{decision.effect.value}: {decision.reason}",
        "policy": "" if decision is None else decision.policy,
        "document": json.dumps(document, indent=2, ensure_ascii=False) if document else "",
    }


def _proof(report: ProofReport) -> str:
    graph = report.graph()
    return proof_html(
        report.proven.proof,
        title=f"Who can assume what: {report.title}",
        picture_svg=to_svg(graph),
        generated="as planned" if report.proven.planned else "as written",
        sentences=tuple(describe(graph)),
    )


def _audit(report: AuditReport) -> str:
    return reports.audit_html(report)  # loaded on first use


FORMATTERS = {"html": Formatter(proof=_proof, audit=_audit)}
