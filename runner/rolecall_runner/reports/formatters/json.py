"""The roll call as JSON: one object of the whole run, or a line an account as results come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rolecall_generator.text import json_text
from rolecall_runner.reports.summary import tally
from rolecall_runner.verify import Mark, RunInfo, Verdict, customer_message


def run_json(info: RunInfo, verdicts: Iterable[Verdict]) -> str:
    """The object `{"run": ..., "ok": bool, "accounts": {mark: count}, "rehearsal": bool, "verdicts": [...]}`, indented, with
    its last newline.

    `ok`: every account that was to be asked answered as intended. `rehearsal`: a sandbox answered instead of AWS. Each
    verdict is what `Verdict.to_json` says, with the `message` to the customer ("" when there is nothing to do).
    """
    held = [verdict.redacted() for verdict in verdicts]
    counted = tally(held, info.targets)
    body = {
        "run": info.to_json(),
        "ok": counted.good,
        "accounts": {str(mark): counted.marks[mark] for mark in Mark},
        "rehearsal": info.rehearsal,
        "verdicts": [_body(verdict) for verdict in held],
    }
    return json_text(body, indent=2) + "\n"


def json_line(verdict: Verdict) -> str:
    """One verdict as a line of JSON with its newline, for JSONL. Only ASCII: no reader breaks the line elsewhere."""
    return json_text(_body(verdict.redacted()), separators=(",", ":")) + "\n"


def _body(verdict: Verdict) -> dict[str, Any]:
    return {**verdict.to_json(), "message": customer_message(verdict)}
