"""JSON of `gen check`, `gen prove` and `gen audit`, in ASCII: a name in a parsed file can contain half a surrogate pair."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rolecall_generator import reports
from rolecall_generator.check import CheckSummary
from rolecall_generator.findings import Finding, Severity
from rolecall_generator.iam.evaluation import Effect
from rolecall_generator.proof import Cell, Proof
from rolecall_generator.reports.formatters.interface import Formatter
from rolecall_generator.rules import Report
from rolecall_generator.text import json_text


def check_body(checked: CheckSummary) -> dict[str, Any]:
    """The object that `gen check --format json` prints: counts, findings, suppressed findings with their reasons."""
    counts = {"modules": checked.modules, "cells": checked.cells, "failed_cells": checked.failed_cells}
    return {**counts, **report_body(checked.report)}


def report_body(report: Report) -> dict[str, Any]:
    """One object with `version`, `summary` (counts by severity), `findings` and `suppressed`."""
    counts = {severity.name.lower(): 0 for severity in sorted(Severity, reverse=True)}
    for finding in report.active:
        counts[finding.severity.name.lower()] += 1
    return {
        "version": 1,
        "summary": {**counts, "suppressed": len(report.suppressed)},
        "findings": [_finding(finding) for finding in report.active],
        "suppressed": [{**_finding(entry.finding), "reason": entry.reason} for entry in report.suppressed],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return asdict(finding) | {"severity": finding.severity.name.lower()}


def proof_json(proof: Proof) -> str:
    """One object: `version`, `ok`, `counts` (rows, cells, failed, delegated, undecided), `rows`. Ends with a newline.

    A row is one subject and role: `subject`, `role`, `ok`, `cells`. A failed cell is a counterexample: principal, context,
    action, expected and actual result, and the deciding statement as AWS's JSON with its policy. A `delegated` cell is
    neither ok nor failed: the caller's account decides it, as intended. A context value `null` means that the key is
    absent from the request; `assumed` lists the keys for which the caller may choose the value.
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
    # One row per line: half the size of indented JSON, and a diff of two proofs shows the rows that differ.
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
    """One value as a string, several as a list, an absent key as null."""
    if isinstance(value, str):
        return value
    return None if not value else value[0] if len(value) == 1 else list(value)


FORMATTER = Formatter(
    check=lambda report: json_text(check_body(report.checked), indent=2) + "\n",
    proof=lambda report: proof_json(report.proven.proof),
    audit=lambda report: json_text(reports.audit_body(report), indent=2) + "\n",
)
