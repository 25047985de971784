"""The proof as JSON: what scripts read, and what an auditor keeps."""

from __future__ import annotations

from typing import Any

from rolecall_generator.checks.proof import Cell, Proof
from rolecall_generator.iam.evaluator import Effect
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
