"""The proof as a self-contained HTML page: verdict, graph, and the matrix with its counterexamples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rolecall_generator.checks.formats.matrix import Mark, Matrix, State, summarize
from rolecall_generator.checks.formats.proof_words import sentences
from rolecall_generator.checks.proof import Case, Cell, Proof
from rolecall_generator.html_page import html_page

_CellView = tuple[str, str, str, str, str]
"""Style, sign, visible count, label for screen readers and case."""


def proof_html(proof: Proof, *, title: str, picture_svg: str, generated: str, words: Iterable[str] = ()) -> str:
    """Render the page with failing rows first.

    `picture_svg` is the graph as `to_svg` returns it (empty: the page has none) and `words` its description. `generated`
    says what was proven, for example "as planned".
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
    cells: dict[tuple[Mark, ...], list[_CellView]] = {}
    for row in matrix.rows:
        if row.marks not in cells:
            cells[row.marks] = [_cell(mark, case) for mark, case in zip(row.marks, matrix.columns, strict=True)]
        yield row.subject, row.role_arn, cells[row.marks], [_failure(cell) for cell in row.failures]


def _cell(mark: Mark, case: Case) -> _CellView:
    several = mark.asked > 1
    match mark.state:
        case State.NOT_ASKED:
            return "none", "·", "", "not asked", case.value
        case State.OK:
            return "ok", "✓", f"{mark.asked}" if several else "", f"{mark.asked} as intended", case.value
        case State.DELEGATED:
            label = f"{mark.delegated} of {mark.asked} decided by the caller's account"
            return "delegated", "○", f"{mark.asked}" if several else "", label, case.value
        case State.FAILED:
            count = f"{mark.failed}/{mark.asked}" if several else ""
            return "failed", "✗", count, f"{mark.failed} of {mark.asked} failed", case.value


def _failure(cell: Cell) -> Mapping[str, Any]:
    """Everything that a reader needs to verify the decision by hand. `None` as a context value: the key is absent."""
    request, decision = cell.request, cell.decision
    document = decision.statement.to_json() if decision.statement is not None else None
    return {
        "case": cell.case.value,
        "sentences": sentences(cell),
        "principal": request.principal.arn,
        "action": request.action,
        "context": [(key, None if value == () else _value(value)) for key, value in request.context.items()],
        "assumed": decision.assumed,
        "expected": "allowed" if cell.expected else "refused",
        "result": f"{decision.effect.value}: {decision.reason}",
        "policy": decision.policy,
        "document": json.dumps(document, indent=2, ensure_ascii=False) if document else "",
    }


def _value(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(value)
