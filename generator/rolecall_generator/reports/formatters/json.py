"""JSON of `gen check`, `gen prove` and `gen audit`, in ASCII: a name in a parsed file can contain half a surrogate pair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rolecall_generator import reports
from rolecall_generator.findings import Finding, Severity
from rolecall_generator.proof import Cell, CellState, Inclusion, Proof, RoleProof, RoleRow, role_state, witness_json
from rolecall_generator.reports.formatters.interface import Formatter
from rolecall_generator.rules import Report
from rolecall_generator.text import json_text

if TYPE_CHECKING:
    # Only `gen check` and `gen prove` load the check.
    from rolecall_generator.check import CheckSummary


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


def proof_json(proof: Proof, certificates: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """One object: `version`, `ok`, `counts` (rows, cells, failed, delegated, undecided, exact), `roles`, `rows`.

    `roles` has for each role the comparison of all requests that its trust policy allows with the intended ones: `role`,
    `state` (exact, wider, narrower, different, unknown), and for `wider` and `narrower` each `state` (proven: it is not;
    refuted: it is, by the witness; unknown), `facts`, `reasons` and `witness`. A row is one subject and role: `subject`,
    `role`, `ok`, `cells`. A failed cell has a witness, the evaluator's decision about it, and the deciding statement as
    AWS's JSON; a cell that is OK has these only if the evaluator decided it. A `delegated` cell is neither ok nor failed:
    the caller's account decides it, as intended. Ends with a newline.

    With certificates by role ARN, each role has a `certificate`; null if there is none.
    """
    counts = {
        "rows": len(proof.rows),
        "cells": len(proof.cells),
        "failed": len(proof.failures),
        "delegated": len(proof.delegated),
        "undecided": sum(cell.state is CellState.UNDECIDED for cell in proof.failures),
        "exact": sum(role.comparison.is_equal for role in proof.roles),
    }
    # One role or row per line: half the size of indented JSON, and a diff of two proofs shows the lines that differ.
    head = f'{{\n  "version": 1,\n  "ok": {json_text(proof.ok)},\n  "counts": {json_text(counts)}'
    bodies: Iterable[dict[str, Any]] = map(_role, proof.roles)
    if certificates is not None:
        bodies = [{**body, "certificate": certificates.get(body["role"])} for body in bodies]
    roles, rows = _lines(bodies), _lines(map(_row, proof.rows))
    return f'{head},\n  "roles": {roles},\n  "rows": {rows}\n}}\n'


def _lines(items: Iterable[Any]) -> str:
    text = ",\n".join("    " + json_text(item) for item in items)
    return f"[\n{text}\n  ]" if text else "[]"


def _role(proof: RoleProof) -> dict[str, Any]:
    return {
        "role": proof.role_arn,
        "state": role_state(proof).value,
        "wider": _inclusion(proof.comparison.forward),
        "narrower": _inclusion(proof.comparison.backward),
    }


def _inclusion(found: Inclusion) -> dict[str, Any]:
    return {
        "state": found.state.value,
        "facts": list(found.facts),
        "reasons": list(found.reasons),
        "witness": None if found.witness is None else witness_json(found.witness),
    }


def _row(row: RoleRow) -> dict[str, Any]:
    return {
        "subject": row.subject,
        "role": row.role_arn,
        "ok": not row.failures,
        "cells": [_cell(cell) for cell in row.cells],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    decision, witness = cell.decision, cell.witness
    reason = "; ".join(cell.reasons) or None
    return {
        "case": cell.case.value,
        "ok": cell.ok,
        "delegated": cell.delegated,
        "state": cell.state.name.lower(),
        "principal": cell.caller or None,
        "action": None if witness is None else witness.request.action,
        "context": {} if witness is None else {key: _value(values) for key, values in witness.keys.items()},
        "requires": list(cell.requires),
        "expected": "allowed" if cell.expected else "refused",
        "allowed": cell.expected is (cell.state is CellState.OK),
        "effect": None if decision is None else decision.effect.value,
        "reason": reason if decision is None else decision.reason,
        "policy": (decision.policy or None) if decision is not None else None,
        "statement": None if decision is None or decision.statement is None else decision.statement.to_json(),
        "assumed": list(decision.assumed) if decision is not None else [],
        "witness": None if witness is None else witness_json(witness),
    }


def _value(values: tuple[str, ...]) -> str | list[str]:
    """One value as a string, several as a list."""
    return values[0] if len(values) == 1 else list(values)


FORMATTERS = {
    "json": Formatter(
        check=lambda report: json_text(check_body(report.checked), indent=2) + "\n",
        proof=lambda report: proof_json(report.proven.proof, report.proven.certificates),
        audit=lambda report: json_text(reports.audit_body(report), indent=2) + "\n",
    )
}
