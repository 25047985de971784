"""JSON lines: one line per verdict or row, as accounts complete."""

from __future__ import annotations

from rolecall_generator.text import json_text
from rolecall_runner.query import QueryResult
from rolecall_runner.reports.formatters.json import verdict_body
from rolecall_runner.reports.formatters.registry import ROW_FORMATS, VERDICT_FORMATS, RowFormat, VerdictFormat, Write
from rolecall_runner.reports.rows import record_of
from rolecall_runner.verify import Verdict


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
