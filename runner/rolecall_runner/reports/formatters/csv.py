"""CSV (RFC 4180) of rows that no spreadsheet runs as formulas and no terminal as control sequences.

Values come from other people's accounts. A string that a spreadsheet could take for a formula gets a leading apostrophe
(OWASP, "CSV Injection", November 2026): its first visible character is `=`, `+`, `-` or `@`, also in full width or another
form, or it begins with a tab or a line break. Negative numbers are left as they are. Header names are treated alike.
Control and invisible characters become U+FFFD. Line breaks within a value are kept, in quotes, unless the line is for a
terminal.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rolecall_generator.text import REPLACEMENT, sanitize_line, sanitize_lines
from rolecall_runner.dataframes import record_of
from rolecall_runner.query import QueryResult
from rolecall_runner.reports.formatters.registry import ROW_FORMATS, RowFormat
from rolecall_runner.reports.rows import cell_of, columns_of

_END = "\r\n"
_STARTS = frozenset("=+-@\N{MINUS SIGN}")
_BREAKS = ("\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def csv_line(values: Iterable[Any], *, on_terminal: bool = False) -> str:
    """One record with CR LF. None is empty, lists and objects are JSON."""
    text = io.StringIO()
    csv.writer(text, lineterminator=_END).writerow([_cell(value, on_terminal=on_terminal) for value in values])
    return sanitize_lines(text.getvalue().removesuffix(_END)) + _END


def _cell(value: Any, *, on_terminal: bool) -> str:
    text = cell_of(value)
    shown = sanitize_line(text) if on_terminal else sanitize_lines(text)
    return f"'{shown}" if isinstance(value, str) and _runs(text, shown) else shown


def _runs(text: str, shown: str) -> bool:
    """Whether a spreadsheet could take the original or the shown text for a formula."""
    if text.startswith(_BREAKS):
        return True
    if _NUMBER.fullmatch(text):
        return False
    return any(_first_visible(each) in _STARTS for each in (text, shown))


def _first_visible(text: str) -> str:
    """The first visible character in its compatibility form (NFKC); empty if there is none."""
    for character in text:
        if character not in {REPLACEMENT, "'"} and not character.isspace() and sanitize_line(character) != REPLACEMENT:
            return unicodedata.normalize("NFKC", character)[:1]
    return ""


MORE = "more"


class CsvRowWriter:
    """Writes CSV with a header as accounts answer. `on_terminal`: line breaks in values are replaced.

    The columns are the selected ones, else those of the first account with rows and `more`, a JSON object of the further
    values of later rows.
    """

    def __init__(self, write: Callable[[str], object], columns: Sequence[str] = (), *, on_terminal: bool = False) -> None:
        self._write = write
        self._on_terminal = on_terminal
        self._wanted = tuple(columns)
        self._columns: tuple[str, ...] = ()

    def add(self, answer: QueryResult) -> None:
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
        """Write the header if there were no rows."""
        if not self._columns:
            self._columns = columns_of((), self._wanted)
            self._write(self._line(self._header()))

    def _line(self, cells: Iterable[Any]) -> str:
        return csv_line(cells, on_terminal=self._on_terminal)

    def _header(self) -> tuple[str, ...]:
        return self._columns if self._wanted else (*self._columns, MORE)

    def _more(self, record: dict[str, Any]) -> dict[str, Any] | None:
        return {key: value for key, value in record.items() if key not in self._columns} or None


ROW_FORMATS.add(
    "csv",
    RowFormat(lambda output: CsvRowWriter(output.text.write, output.spec.columns, on_terminal=output.text.on_terminal)),
)
