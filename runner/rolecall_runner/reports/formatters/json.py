"""JSON: one object per run (verdicts, rows of a query, or plays with their tasks), or one line per verdict or row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rolecall_generator.text import json_text
from rolecall_runner.dataframes import record_of
from rolecall_runner.plays import Event, PlayStart, PlayStop, Recap, TaskResult, TaskStart
from rolecall_runner.query import Count, QueryResult, describe
from rolecall_runner.redact import redact_json
from rolecall_runner.reports.formatters.registry import (
    PLAY_FORMATS,
    ROW_FORMATS,
    VERDICT_FORMATS,
    RowFormat,
    VerdictFormat,
    Write,
)
from rolecall_runner.reports.summary import tally
from rolecall_runner.verify import Mark, RunInfo, Verdict, customer_message


def run_json(info: RunInfo, verdicts: Iterable[Verdict]) -> str:
    """`{"run": ..., "ok": bool, "accounts": {mark: count}, "rehearsal": bool, "verdicts": [...]}`, indented, with a newline.

    `ok`: every selected account passed or was skipped. `rehearsal`: the results come from a sandbox. Each verdict is
    `Verdict.to_json` with the `message` to the customer ("" if there is nothing to do).
    """
    held = [verdict.redacted() for verdict in verdicts]
    counted = tally(held, info.targets)
    body = {
        "run": info.to_json(),
        "ok": counted.passed,
        "accounts": {str(mark): counted.marks[mark] for mark in Mark},
        "rehearsal": info.rehearsal,
        "verdicts": [verdict_body(verdict) for verdict in held],
    }
    return json_text(body, indent=2) + "\n"


def verdict_body(verdict: Verdict) -> dict[str, Any]:
    """A redacted verdict as JSON values, with the message to the customer."""
    return {**verdict.to_json(), "message": customer_message(verdict)}


class JsonRows:
    """One object: `{"query": ..., "rows": [...], "not_answered": [...], "accounts": N, "rehearsal": bool, "places": {...}}`.

    Rows are written as they arrive, accounts without an answer at the end. `query` describes the query.
    """

    def __init__(self, write: Write, query: Mapping[str, Any]) -> None:
        self._write = write
        self._count = Count()
        self._missing: list[dict[str, str]] = []
        self._first = True
        write('{\n  "query": ' + json_text(dict(query), default=str) + ',\n  "rows": [')

    def add(self, answer: QueryResult) -> None:
        """Write the rows of one account."""
        self._count.add(answer)
        self._missing.extend(answer.errors())
        for row in answer.rows():
            self._write(("\n    " if self._first else ",\n    ") + json_text(record_of(row)))
            self._first = False

    def close(self) -> None:
        """Write the accounts without an answer, the counts, and the end of the object."""
        rest = {
            "not_answered": self._missing,
            "accounts": self._count.accounts,
            "row_count": self._count.rows,
            "rehearsal": self._count.rehearsal,
            "places": {str(reason): count for reason, count in sorted(self._count.reasons.items())},
        }
        self._write(("]" if self._first else "\n  ]") + ",\n  " + json_text(rest)[1:-1] + "\n}\n")


class PlayJson:
    """`{"plays": [{"name", "tasks": [{"name", "hosts": {account: {...}}}]}], "stats": {account: {...}}, "rehearsal": bool}`.

    Written at the end, as by Ansible's callback `json`. All strings are redacted.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._plays: list[dict[str, Any]] = []

    def add(self, event: Event) -> None:
        """Keep one event."""
        if isinstance(event, PlayStart):
            self._plays.append({"name": event.play.name, "accounts": event.accounts, "tasks": [], "stopped": ""})
        elif isinstance(event, TaskStart):
            body = {"name": event.task.name, "handler": event.handler, "hosts": {}}
            self._plays[-1]["tasks"].append(body)
        elif isinstance(event, TaskResult):
            body = {
                **event.data,
                "account_id": event.account_id,
                "status": str(event.status),
                "seconds": round(event.seconds, 3),
            }
            self._plays[-1]["tasks"][-1]["hosts"][event.account] = redact_json(body)
        elif isinstance(event, PlayStop):
            self._plays[-1]["stopped"] = event.reason

    def close(self, recap: Recap) -> None:
        """Write the object."""
        stats = {name: {str(status): count for status, count in own.items()} for name, own in recap.counts.items()}
        body = {"plays": self._plays, "stats": stats, "rehearsal": recap.rehearsal}
        self._write(json_text(body, indent=2, default=str) + "\n")


VERDICT_FORMATS.add("json", VerdictFormat(report=lambda output, info, verdicts: output.text.write(run_json(info, verdicts))))
ROW_FORMATS.add("json", RowFormat(lambda output: JsonRows(output.text.write, describe(output.spec))))
PLAY_FORMATS.add("json", lambda output: PlayJson(output.write))


def json_line(verdict: Verdict) -> str:
    """One verdict as a line of JSON with its newline. Only ASCII: readers must not find other line breaks (U+2028)."""
    return json_text(verdict_body(verdict.redacted()), separators=(",", ":")) + "\n"


class JsonLines:
    """One line of JSON per row, only ASCII: readers must not find other line breaks (U+2028)."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def add(self, answer: QueryResult) -> None:
        """Write the rows of one account."""
        for row in answer.rows():
            self._write(json_text(record_of(row), separators=(",", ":")) + "\n")

    def close(self) -> None:
        """Do nothing: all rows are written."""


VERDICT_FORMATS.add("jsonl", VerdictFormat(each=lambda output, verdict: output.text.write(json_line(verdict))))
ROW_FORMATS.add("jsonl", RowFormat(lambda output: JsonLines(output.text.write)))
