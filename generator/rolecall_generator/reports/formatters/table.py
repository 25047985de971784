"""Results of `gen check`: findings with place and hint and a summary for people; JSON, SARIF and JUnit for machines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console

from rolecall_generator import findings as check_findings
from rolecall_generator.check import Checked
from rolecall_generator.findings import Finding, FindingKind, Severity, kinds_in
from rolecall_generator.reports.formatters.json import report_body
from rolecall_generator.rules import all_rules
from rolecall_generator.terraform.parser import schema as parser_findings

_SHOWN = 200
"""Findings shown in full; the rest are counted. JSON, SARIF and JUnit have them all."""

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def catalogue() -> tuple[FindingKind, ...]:
    """Every kind of finding that `gen check` can report, by ID."""
    kinds = (*all_rules(), *kinds_in(vars(check_findings)), *kinds_in(vars(parser_findings)))
    return tuple(sorted(kinds, key=lambda kind: kind.id))


def check_body(checked: Checked) -> dict[str, Any]:
    """What `gen check --format json` prints: counts, findings, suppressed findings with their reasons."""
    counts = {"modules": checked.modules, "cells": checked.cells, "failed_cells": checked.failed_cells}
    return {**counts, **report_body(checked.report)}


def print_check(console: Console, checked: Checked, *, least: Severity = Severity.NOTE) -> None:
    """The findings from `least` up, the worst first, and the summary."""
    findings = sorted(checked.report.active, key=lambda finding: -finding.severity)
    shown = [finding for finding in findings if finding.severity >= least]
    for finding in shown[:_SHOWN]:
        print_finding(console, finding)
    if len(shown) > _SHOWN:
        console.print(f"and {len(shown) - _SHOWN:,} more (--format json has them all)")
        console.print()
    for entry in checked.report.suppressed:
        console.print(f"suppressed: {entry.finding.rule} {entry.finding.subject}: {entry.reason}", style="dim", markup=False)
    console.print(summary(checked), style=_style(checked), markup=False)


def summary(checked: Checked) -> str:
    """What was checked, and how it came out, in one line."""
    cells, failed = checked.cells, checked.failed_cells
    proven = f"{cells - failed:,} of {cells:,} access checks passed" if failed else f"{cells:,} access checks passed"
    modules = f"{checked.modules:,} {'module' if checked.modules == 1 else 'modules'} checked"
    counts = ", ".join(_counted(checked.report.active)) or "no findings"
    return f"{modules}, {proven}: {counts}"


def _counted(findings: Iterable[Finding]) -> Iterable[str]:
    levels = [finding.severity for finding in findings]
    for severity in sorted(Severity, reverse=True):
        if number := levels.count(severity):
            yield f"{number:,} {severity.name.lower()}{'' if number == 1 else 's'}"


def _style(checked: Checked) -> str:
    worst = checked.report.worst
    return "green" if worst is None else _STYLES[worst]


def print_finding(console: Console, finding: Finding) -> None:
    """One finding: severity, rule, subject and place, then what is wrong and the hint."""
    places = [f"{finding.file}:{finding.line or 1}"] if finding.file else []
    place = "".join(f"  {each}" for each in (*places, *((finding.declared,) if finding.declared else ())))
    console.print(f"{finding.severity.name.lower():<7} ", style=_STYLES[finding.severity], end="")
    console.print(f"{finding.rule} {finding.subject}{place}", style="bold", markup=False)
    console.print(f"        {finding.message}", markup=False)
    console.print(f"        hint: {finding.hint}", markup=False, style="dim")
    console.print()
