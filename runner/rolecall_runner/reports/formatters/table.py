"""Tables for people: rows of a query, and the recap of a verify run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from rolecall_generator.text import sanitize_line
from rolecall_runner.dataframes import PLACE_COLUMNS, REHEARSAL_COLUMN, record_of
from rolecall_runner.query import QueryResult
from rolecall_runner.redact import REHEARSAL
from rolecall_runner.reports.formatters.registry import (
    PLAY_FORMATS,
    ROW_FORMATS,
    VERDICT_FORMATS,
    RowFormat,
    VerdictFormat,
    VerdictOutput,
)
from rolecall_runner.reports.play_output import PlayText
from rolecall_runner.reports.rows import cell_of, columns_of
from rolecall_runner.reports.summary import print_summary
from rolecall_runner.verify import RunInfo, Verdict

FIRST_ROWS = 60
"""Number of rows that determine the columns and widths."""
_HIDDEN = frozenset({"account_id", "time", REHEARSAL_COLUMN})
_NARROWEST = 6
_BETWEEN = "   "
_WIDEST = 60


class TableRows:
    """Prints a table in parts as accounts answer; wide cells are folded.

    `columns` are the selected ones; account ID and time are shown only if selected. Further columns of later rows are named
    below the table.
    """

    def __init__(self, console: Console, columns: Sequence[str] = (), *, first_rows: int = FIRST_ROWS) -> None:
        self._console = console
        self._wanted = tuple(columns)
        self._first_rows = first_rows
        self._waiting: list[dict[str, Any]] = []
        self._widths: dict[str, int] = {}
        self._unseen: set[str] = set()
        self._printed = False

    def add(self, answer: QueryResult) -> None:
        """Add the rows of one account; print when there are enough."""
        self._waiting.extend(record_of(row) for row in answer.rows())
        if self._widths or len(self._waiting) >= self._first_rows:
            self._print()

    def close(self) -> None:
        """Print the remaining rows."""
        if self._waiting:
            self._print()
        if self._unseen:
            names = ", ".join(sorted(self._unseen))
            self._console.print(f"later rows also have: {names} (see --format json)", style="dim", markup=False)

    def _print(self) -> None:
        if not self._waiting:
            return
        if not self._widths:
            self._widths = self._measure()
        if not self._printed:
            self._head()
        for record in self._waiting:
            if not self._wanted:
                self._unseen.update(set(record) - set(self._widths) - {*PLACE_COLUMNS, REHEARSAL_COLUMN})
        lines = [line for record in self._waiting for line in self._lines(record)]
        self._console.out("\n".join(lines), highlight=False)
        self._waiting.clear()
        self._printed = True

    def _head(self) -> None:
        """Print the column names and a line; names are aligned at the bottom."""
        if any(REHEARSAL_COLUMN in record for record in self._waiting):
            self._console.out(REHEARSAL, style="yellow", highlight=False)
        names = [self._folded(sanitize_line(column), width) for column, width in self._widths.items()]
        height = max(map(len, names))
        lines = self._rows([[""] * (height - len(each)) + each for each in names])
        self._console.out("\n".join(lines), style="bold", highlight=False)
        self._console.out("─" * (sum(self._widths.values()) + len(_BETWEEN) * (len(names) - 1)), highlight=False)

    def _lines(self, record: Mapping[str, Any]) -> Iterator[str]:
        return self._rows(
            [self._folded(sanitize_line(cell_of(record.get(name))), width) for name, width in self._widths.items()]
        )

    def _rows(self, cells: Sequence[Sequence[str]]) -> Iterator[str]:
        """Lines of cells. rich's table takes twenty times as long, and a query may have 100,000 rows."""
        for number in range(max(map(len, cells))):
            parts = (each[number] if number < len(each) else "" for each in cells)
            yield _BETWEEN.join(
                part + " " * (width - _width(part)) for part, width in zip(parts, self._widths.values(), strict=True)
            )

    def _folded(self, text: str, width: int) -> list[str]:
        if _width(text) <= width:
            return [text]
        return [line.plain for line in Text(text).wrap(self._console, width, overflow="fold")]

    def _measure(self) -> dict[str, int]:
        """Widths of the columns: of the widest cell, then reduced from the widest column until all fit the terminal."""
        shown = [
            column for column in columns_of(self._waiting, self._wanted) if column not in _HIDDEN or column in self._wanted
        ]
        widths = {
            column: max(
                cell_len(sanitize_line(text)) for text in (column, *(cell_of(each.get(column)) for each in self._waiting))
            )
            for column in shown
        }
        if not self._console.is_terminal:
            return widths
        room = self._console.width - len(_BETWEEN) * (len(shown) - 1)
        narrowest = max(1, min(_NARROWEST, room // len(shown)))
        widths = {column: min(width, max(_WIDEST, room // len(shown))) for column, width in widths.items()}
        while sum(widths.values()) > room:
            widest = max(widths, key=lambda column: widths[column])
            if widths[widest] <= narrowest:
                break
            widths[widest] -= 1
        return widths


def _width(text: str) -> int:
    """Width of the text on a terminal, in cells."""
    return len(text) if text.isascii() else cell_len(text)


def _report(output: VerdictOutput, info: RunInfo, verdicts: Iterable[Verdict]) -> None:
    print_summary(output.text.console, info, verdicts, output.command)


VERDICT_FORMATS.add("table", VerdictFormat(report=_report))
ROW_FORMATS.add("table", RowFormat(lambda output: TableRows(output.text.console, output.spec.columns)))
PLAY_FORMATS.add("table", lambda output: PlayText(output.line))
