"""Results of `gen prove`: the matrix for people; JSON, a page and pictures for machines, reviewers and documents."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rolecall_generator.check_reports import print_finding
from rolecall_generator.checking import Proven
from rolecall_generator.checks.formats.matrix import Mark, Matrix, Row, State, summarize
from rolecall_generator.checks.formats.picture import describe, reaches, to_mermaid, to_svg
from rolecall_generator.checks.formats.proof_html import proof_html
from rolecall_generator.checks.formats.proof_json import proof_json
from rolecall_generator.checks.formats.proof_words import counterexample

_FAILING_ROWS = 40
_MARKS = {
    State.OK: ("✓", "green"),
    State.FAILED: ("✗", "bold red"),
    State.NOT_ASKED: ("", ""),
    State.DELEGATED: ("○", "cyan"),
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
        table.add_row(row.subject, _role(row), *map(_mark, row.marks))
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


def _role(row: Row) -> str:
    parts = row.role_arn.split(":", 5)
    return f"{parts[4]} {parts[5].removeprefix('role/')}"


def _mark(mark: Mark) -> Text:
    return Text(*_MARKS[mark.state])


def _print_failures(console: Console, rows: tuple[Row, ...]) -> None:
    for row in rows[:_FAILING_ROWS]:
        for cell in row.failures:
            console.print(f"✗ {row.subject}: ", style="bold red", end="", markup=False)
            console.print(counterexample(cell), markup=False)


def _print_summary(console: Console, proven: Proven, matrix: Matrix) -> None:
    delegated = len(proven.proof.delegated)
    proven_cells = matrix.asked - matrix.failed - delegated
    what = "as planned" if proven.planned else "as written"
    text = f"{proven_cells:,} of {matrix.asked:,} cells proven, {what}"
    if delegated:
        text += f"; {delegated:,} left to the trusted account, as intended (○)"
    if matrix.failed:
        text += f"; {matrix.failed:,} failed"
    if proven.findings:
        text += f"; {len(proven.findings):,} of what is written differs or cannot be read: gen check says what"
    console.print(text, style="bold red" if matrix.failed or proven.findings else "green", markup=False)
