"""Rows of a query as JSON: one object of the whole run, or a line a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rolecall_generator.text import json_text
from rolecall_runner.results.rows_flat import record_of
from rolecall_runner.tasks.query.answers import Answer, Count

Write = Callable[[str], object]
"""Takes text; as `sys.stdout.write`."""


class JsonRows:
    """One object: `{"query": ..., "rows": [...], "not_answered": [...], "accounts": N, "rehearsal": bool, "places": {...}}`.

    Rows are written as they come, those that did not answer at the end. `query` describes what was asked.
    """

    def __init__(self, write: Write, query: Mapping[str, Any]) -> None:
        self._write = write
        self._count = Count()
        self._troubles: list[dict[str, str]] = []
        self._first = True
        write('{\n  "query": ' + json_text(dict(query), default=str) + ',\n  "rows": [')

    def add(self, answer: Answer) -> None:
        """Write the rows of one account."""
        self._count.add(answer)
        self._troubles.extend(answer.troubles())
        for row in answer.rows():
            self._write(("\n    " if self._first else ",\n    ") + json_text(record_of(row)))
            self._first = False

    def close(self) -> None:
        """Write what did not answer, the counts, and the end of the object."""
        rest = {
            "not_answered": self._troubles,
            "accounts": self._count.accounts,
            "row_count": self._count.rows,
            "rehearsal": self._count.rehearsal,
            "places": {str(reason): count for reason, count in sorted(self._count.reasons.items())},
        }
        self._write(("]" if self._first else "\n  ]") + ",\n  " + json_text(rest)[1:-1] + "\n}\n")


class JsonLines:
    """A line of JSON for each row, ASCII alone: no reader breaks the line elsewhere."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def add(self, answer: Answer) -> None:
        """Write the rows of one account."""
        for row in answer.rows():
            self._write(json_text(record_of(row), separators=(",", ":")) + "\n")

    def close(self) -> None:
        """There is nothing left."""
