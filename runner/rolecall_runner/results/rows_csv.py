"""Rows of a query as CSV (RFC 4180), for spreadsheets and whatever reads them.

The columns are those asked for, else all that the first account with rows has. What later rows have besides goes into the
last column, `more`, as a JSON object. Nested values are JSON. A text that a spreadsheet would run as a formula (it starts
with = + - @, tab or return, and is no number) gets a quote before it: the texts come from other people's accounts (OWASP,
"CSV Injection", November 2026).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

from rolecall_runner.results.rows_flat import cell_of, columns_of, record_of
from rolecall_runner.tasks.query.answers import Answer

MORE = "more"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CsvRows:
    """Writes CSV with a header line, as accounts answer."""

    def __init__(self, write: Callable[[str], object], columns: Sequence[str] = ()) -> None:
        self._write = write
        self._wanted = tuple(columns)
        self._columns: tuple[str, ...] = ()

    def add(self, answer: Answer) -> None:
        """Write the rows of one account, the header before the first ones."""
        records = [record_of(row) for row in answer.rows()]
        if not records:
            return
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        if not self._columns:
            self._columns = columns_of(records, self._wanted)
            writer.writerow(self._header())
        for record in records:
            cells = [_safe(record.get(column)) for column in self._columns]
            writer.writerow(cells if self._wanted else [*cells, self._more(record)])
        self._write(text.getvalue())

    def close(self) -> None:
        """Write the header where there were no rows at all."""
        if not self._columns:
            self._columns = columns_of((), self._wanted)
            self._write(",".join(self._header()) + "\r\n")

    def _header(self) -> tuple[str, ...]:
        return self._columns if self._wanted else (*self._columns, MORE)

    def _more(self, record: dict[str, Any]) -> str:
        rest = {key: value for key, value in record.items() if key not in self._columns}
        return cell_of(rest) if rest else ""


def _safe(value: Any) -> str:
    text = cell_of(value)
    if isinstance(value, str) and text.startswith(_FORMULA) and not _is_number(text):
        return f"'{text}"
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
