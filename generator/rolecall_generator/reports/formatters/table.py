"""Results of `gen check` and `gen prove` on the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rolecall_generator.findings import Finding, Severity
from rolecall_generator.proof import (
    CellState,
    Matrix,
    RoleProof,
    RoleState,
    counterexample_sentences,
    role_sentences,
    role_state,
    summarize,
)
from rolecall_generator.terminal import print_indented
from rolecall_generator.text import pluralize

if TYPE_CHECKING:
    # Only `gen check` and `gen prove` load the check.
    from rolecall_generator.check import CheckSummary, ManifestProof

_SHOWN = 200
"""Findings shown in full; the rest are counted. The other formats contain all of them."""

SEVERITY_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
"""Style of each severity."""


def print_check(console: Console, checked: CheckSummary, *, least: Severity = Severity.NOTE) -> None:
    """Print the findings of severity `least` and above, most severe first, and the summary."""
    findings = sorted(checked.report.active, key=lambda finding: -finding.severity)
    shown = [finding for finding in findings if finding.severity >= least]
    for finding in shown[:_SHOWN]:
        print_finding(console, finding)
    if len(shown) > _SHOWN:
        console.print(f"and {len(shown) - _SHOWN:,} more (--format json lists all)")
        console.print()
    for entry in checked.report.suppressed:
        console.print(f"suppressed: {entry.finding.rule} {entry.finding.subject}: {entry.reason}", style="dim", markup=False)
    worst = checked.report.worst
    console.print(summary(checked), style="green" if worst is None else SEVERITY_STYLES[worst], markup=False)


def summary(checked: CheckSummary) -> str:
    """What was checked and what was found, in one line."""
    cells, failed = checked.cells, checked.failed_cells
    proven = f"{cells - failed:,} of {cells:,} access checks passed" if failed else f"{cells:,} access checks passed"
    modules = f"{checked.modules:,} {'module' if checked.modules == 1 else 'modules'} checked"
    counts = ", ".join(count_findings(checked.report.active)) or "no findings"
    return f"{modules}, {proven}: {counts}"


def count_findings(findings: Iterable[Finding]) -> Iterable[str]:
    """Yield the number of findings of each severity, the most severe first: `2 errors`."""
    levels = [finding.severity for finding in findings]
    for severity in sorted(Severity, reverse=True):
        if number := levels.count(severity):
            yield f"{number:,} {severity.name.lower()}{'' if number == 1 else 's'}"


def print_finding(console: Console, finding: Finding) -> None:
    """Print severity, rule, subject and location, then message and hint."""
    places = [f"{finding.file}:{finding.line or 1}"] if finding.file else []
    place = "".join(f"  {each}" for each in (*places, *((finding.declared,) if finding.declared else ())))
    console.print(f"{finding.severity.name.lower():<7} ", style=SEVERITY_STYLES[finding.severity], end="")
    console.print(f"{finding.rule} {finding.subject}{place}", style="bold", markup=False)
    print_indented(console, finding.message, 8)
    print_indented(console, f"hint: {finding.hint}", 8, style="dim")
    console.print()


_FAILING_ROWS = 40
_MARKS = {
    CellState.OK: ("✓", "green"),
    CellState.FAILED: ("✗", "bold red"),
    CellState.NOT_APPLICABLE: ("", ""),
    CellState.DELEGATED: ("○", "cyan"),
}


def print_proof(console: Console, proven: ManifestProof) -> None:
    """Print the matrix with its legend, the counterexample of each failure, each role that does not allow exactly the
    intended requests, and a summary.
    """
    matrix = summarize(proven.proof)
    rows, as_intended = matrix.rows_to_print()
    table = Table(title="who can assume what", title_justify="left", title_style="bold")
    for heading in ("subject", "role"):
        table.add_column(heading, overflow="fold")
    for number, _ in enumerate(matrix.columns, start=1):
        table.add_column(str(number), justify="center")
    for row in rows[:_FAILING_ROWS]:
        account_id, resource = row.role_arn.split(":", 5)[4:]
        marks = (Text(*_MARKS[mark.state]) for mark in row.marks)
        table.add_row(row.subject, f"{account_id} {resource.removeprefix('role/')}", *marks)
    if rows:
        console.print(table)
    if as_intended:
        console.print(f"{as_intended:,} {'more ' if rows else ''}rows as intended")
    for number, case in enumerate(matrix.columns, start=1):
        expected = "allowed" if number == 1 else "refused"
        console.print(f"  {number:>2}  {case.value}: {expected}", style="dim", markup=False)
    for row in rows[:_FAILING_ROWS]:
        for cell in row.failures:
            sentences = " ".join(counterexample_sentences(cell, row.role_arn))
            print_indented(console, Text.assemble((f"✗ {row.subject}: ", "bold red"), sentences), 0)
    _print_roles(console, proven)
    for finding in proven.findings:
        print_finding(console, finding)
    _print_summary(console, proven, matrix)


def _print_roles(console: Console, proven: ManifestProof) -> None:
    """Print the roles that do not allow exactly the intended requests, each with the smallest request that shows it."""
    different = [proof for proof in proven.proof.roles if role_state(proof) is not RoleState.EXACT]
    for proof in different[:_FAILING_ROWS]:
        _print_role(console, proof)
    if len(different) > _FAILING_ROWS:
        console.print(f"and {len(different) - _FAILING_ROWS:,} more roles (--format json lists all)")
    exact, total = len(proven.proof.roles) - len(different), len(proven.proof.roles)
    if total:
        console.print(f"roles that allow exactly the intended requests: {exact:,} of {total:,}", markup=False)


def _print_role(console: Console, proof: RoleProof) -> None:
    console.print(f"! {proof.role_arn}", style="yellow", markup=False, soft_wrap=True)
    for sentence, witness in role_sentences(proof):
        print_indented(console, sentence, 4)
        if witness is not None:
            # A wrapped command cannot be copied.
            console.print(f"      {witness.shell_command}", style="bold", markup=False, soft_wrap=True)
            for remark in witness.remarks:
                print_indented(console, remark, 6, style="dim")


def _print_summary(console: Console, proven: ManifestProof, matrix: Matrix) -> None:
    delegated = len(proven.proof.delegated)
    proven_cells = matrix.requests - matrix.failed - delegated
    modules = "planned" if proven.planned else "written"
    text = f"{proven_cells:,} of {matrix.requests:,} access checks of the {modules} modules passed"
    if delegated:
        text += f"; {delegated:,} decided by the trusted account, as intended (○)"
    if matrix.failed:
        text += f"; {matrix.failed:,} failed"
    if proven.findings:
        text += f"; {pluralize(len(proven.findings), 'finding')} in the written modules, see gen check"
    console.print(text, style="bold red" if matrix.failed or proven.findings else "green", markup=False)
