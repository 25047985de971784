"""The proof as JSON: what scripts read, and what an auditor keeps.

The proof as a self-contained HTML page: verdict, graph, and the matrix with its counterexamples.

Results of `gen prove`: the matrix for people; JSON, a page and pictures for machines, reviewers and documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rolecall_generator.check import Proven
from rolecall_generator.html_page import html_page
from rolecall_generator.iam.evaluation import Effect
from rolecall_generator.proof import (
    Case,
    Cell,
    CellMark,
    CellState,
    Matrix,
    MatrixRow,
    Proof,
    counterexample,
    sentences,
    summarize,
)
from rolecall_generator.reports.formatters.table import print_finding
from rolecall_generator.reports.graph import describe, reaches, to_mermaid, to_svg
from rolecall_generator.text import json_text


def proof_json(proof: Proof) -> str:
    """One object: `version`, `ok`, `counts` (rows, cells, failed, delegated, undecided), `rows`. Ends with a newline.

    A row is one subject and role: `subject`, `role`, `ok`, `cells`. A failed cell is its own counterexample: principal,
    context, action, what was expected and what came out, and the deciding statement as AWS's JSON with its policy. A
    `delegated` cell is neither ok nor failed: the caller's account decides it, as intended. A context value `null` says
    that the key is absent from the request; `assumed` names keys taken as the caller wishes.
    """
    rows: dict[tuple[str, str], list[Cell]] = {}
    for cell in proof.cells:
        rows.setdefault((cell.subject, cell.request.resource), []).append(cell)
    counts = {
        "rows": len(rows),
        "cells": len(proof.cells),
        "failed": len(proof.failures),
        "delegated": len(proof.delegated),
        "undecided": sum(cell.decision.effect is Effect.REFUSED for cell in proof.cells),
    }
    # A row a line: half the size of indented JSON, and a difference of two proofs shows the rows that differ. ASCII, since
    # a name in a parsed file may hold half a surrogate pair, which no encoding can write.
    lines = ",\n".join("    " + json_text(_row(*key, cells)) for key, cells in rows.items())
    head = f'{{\n  "version": 1,\n  "ok": {json_text(proof.ok)},\n  "counts": {json_text(counts)},\n  "rows": ['
    return f"{head}\n{lines}\n  ]\n}}\n" if lines else f"{head}]\n}}\n"


def _row(subject: str, role: str, cells: list[Cell]) -> dict[str, Any]:
    return {
        "subject": subject,
        "role": role,
        "ok": not any(cell.failed for cell in cells),
        "cells": [_cell(cell) for cell in cells],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    request, decision = cell.request, cell.decision
    return {
        "case": cell.case.value,
        "ok": cell.ok,
        "delegated": cell.delegated,
        "principal": request.principal.arn,
        "action": request.action,
        "context": {key: _value(value) for key, value in request.context.items()},
        "expected": "allowed" if cell.expected else "refused",
        "allowed": decision.allowed,
        "effect": decision.effect.value,
        "reason": decision.reason,
        "policy": decision.policy or None,
        "statement": None if decision.statement is None else decision.statement.to_json(),
        "assumed": list(decision.assumed),
    }


def _value(value: str | tuple[str, ...]) -> Any:
    """One value as text, several as a list, an absent key as null."""
    if isinstance(value, str):
        return value
    return None if not value else value[0] if len(value) == 1 else list(value)


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
    """Everything that a reader needs to verify the decision by hand. `None` as a context value: the key is absent."""
    request, decision = cell.request, cell.decision
    document = decision.statement.to_json() if decision.statement is not None else None
    return {
        "case": cell.case.value,
        "sentences": sentences(cell),
        "principal": request.principal.arn,
        "action": request.action,
        "context": [(key, None if value == () else _html_value(value)) for key, value in request.context.items()],
        "assumed": decision.assumed,
        "expected": "allowed" if cell.expected else "refused",
        "result": f"{decision.effect.value}: {decision.reason}",
        "policy": decision.policy,
        "document": json.dumps(document, indent=2, ensure_ascii=False) if document else "",
    }


def _html_value(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


_FAILING_ROWS = 40
_MARKS = {
    CellState.OK: ("✓", "green"),
    CellState.FAILED: ("✗", "bold red"),
    CellState.NOT_ASKED: ("", ""),
    CellState.DELEGATED: ("○", "cyan"),
}


def proof_text(proven: Proven, form: str, *, title: str) -> str:
    """The proof in the form `json`, `html`, `svg` or `mermaid`."""
    if form == "json":
        return proof_json(proven.proof)
    graph = reaches(proven.access, proven.proof, proven.names)
    if form == "mermaid":
        return to_mermaid(graph)
    if form == "svg":
        return to_svg(graph)
    what = "as planned" if proven.planned else "as written"
    return proof_html(
        proven.proof,
        title=f"Who can assume what: {title}",
        picture_svg=to_svg(graph),
        generated=what,
        words=tuple(describe(graph)),
    )


def print_proof(console: Console, proven: Proven) -> None:
    """The matrix with its legend, each failure's counterexample, and one line that sums up."""
    matrix = summarize(proven.proof)
    rows, as_intended = matrix.shown()
    table = Table(title="who can assume what", title_justify="left", title_style="bold")
    for heading in ("subject", "role"):
        table.add_column(heading, overflow="fold")
    for number, _ in enumerate(matrix.columns, start=1):
        table.add_column(str(number), justify="center")
    for row in rows[:_FAILING_ROWS]:
        table.add_row(row.subject, _role(row), *map(_mark_text, row.marks))
    if rows:
        console.print(table)
    if as_intended:
        console.print(f"{as_intended:,} {'more ' if rows else ''}rows as intended")
    for number, case in enumerate(matrix.columns, start=1):
        wanted = "allowed" if number == 1 else "refused"
        console.print(f"  {number:>2}  {case.value}: {wanted}", style="dim", markup=False)
    _print_failures(console, rows)
    for finding in proven.findings:
        print_finding(console, finding)
    _print_summary(console, proven, matrix)


def _role(row: MatrixRow) -> str:
    parts = row.role_arn.split(":", 5)
    return f"{parts[4]} {parts[5].removeprefix('role/')}"


def _mark_text(mark: CellMark) -> Text:
    return Text(*_MARKS[mark.state])


def _print_failures(console: Console, rows: tuple[MatrixRow, ...]) -> None:
    for row in rows[:_FAILING_ROWS]:
        for cell in row.failures:
            console.print(f"✗ {row.subject}: ", style="bold red", end="", markup=False)
            console.print(counterexample(cell), markup=False)


def _print_summary(console: Console, proven: Proven, matrix: Matrix) -> None:
    delegated = len(proven.proof.delegated)
    proven_cells = matrix.asked - matrix.failed - delegated
    what = "as planned" if proven.planned else "as written"
    text = f"{proven_cells:,} of {matrix.asked:,} access checks passed, {what}"
    if delegated:
        text += f"; {delegated:,} left to the trusted account, as intended (○)"
    if matrix.failed:
        text += f"; {matrix.failed:,} failed"
    if proven.findings:
        text += f"; {len(proven.findings):,} of what is written differs or cannot be read: gen check says what"
    console.print(text, style="bold red" if matrix.failed or proven.findings else "green", markup=False)
