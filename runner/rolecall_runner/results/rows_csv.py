"""Rows of a query as CSV (RFC 4180), for spreadsheets and whatever reads them.

The columns are those asked for, else all that the first account with rows has. What later rows have besides goes into the
last column, `more`, as a JSON object. Nested values are JSON. `csv_text` says what becomes of text that is not safe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rolecall_runner.results.csv_text import csv_line
from rolecall_runner.results.rows_flat import columns_of, record_of
from rolecall_runner.tasks.query.answers import Answer

MORE = "more"


class CsvRows:
    """Writes CSV with a header line, as accounts answer. `on_terminal`: a row is one line, whatever its values hold."""

    def __init__(self, write: Callable[[str], object], columns: Sequence[str] = (), *, on_terminal: bool = False) -> None:
        self._write = write
        self._on_terminal = on_terminal
        self._wanted = tuple(columns)
        self._columns: tuple[str, ...] = ()

    def add(self, answer: Answer) -> None:
        """Write the rows of one account, the header before the first ones."""
        records = [record_of(row) for row in answer.rows()]
        if not records:
            return
        lines: list[str] = []
        if not self._columns:
            self._columns = columns_of(records, self._wanted)
            lines.append(self._line(self._header()))
        for record in records:
            cells = [record.get(column) for column in self._columns]
            lines.append(self._line(cells if self._wanted else [*cells, self._more(record)]))
        self._write("".join(lines))

    def close(self) -> None:
        """Write the header where there were no rows at all."""
        if not self._columns:
            self._columns = columns_of((), self._wanted)
            self._write(self._line(self._header()))

    def _line(self, cells: Iterable[Any]) -> str:
        return csv_line(cells, on_terminal=self._on_terminal)

    def _header(self) -> tuple[str, ...]:
        return self._columns if self._wanted else (*self._columns, MORE)

    def _more(self, record: dict[str, Any]) -> dict[str, Any] | None:
        return {key: value for key, value in record.items() if key not in self._columns} or None
