"""Rows of a query as a table for people, printed in parts as accounts answer.

Columns and widths come from the first rows; wide cells are folded. What later rows have besides is named below the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rolecall_runner.results.rows_flat import PLACE_COLUMNS, cell_of, columns_of, record_of
from rolecall_runner.tasks.query.answers import Answer

FIRST_ROWS = 60
"""Rows that are waited for before columns and widths are settled."""
_HIDDEN = frozenset({"account_id", "time"})
_NARROWEST = 6
_PADDING = 2
_WIDEST = 60


class TableRows:
    """Prints a table. `columns` are the wanted ones; account id and time are left out of tables unless wanted."""

    def __init__(self, console: Console, columns: Sequence[str] = (), *, first_rows: int = FIRST_ROWS) -> None:
        self._console = console
        self._wanted = tuple(columns)
        self._first_rows = first_rows
        self._waiting: list[dict[str, Any]] = []
        self._widths: dict[str, int] = {}
        self._unseen: set[str] = set()
        self._printed = False

    def add(self, answer: Answer) -> None:
        """Take the rows of one account, and print when there are enough."""
        self._waiting.extend(record_of(row) for row in answer.rows())
        if self._widths or len(self._waiting) >= self._first_rows:
            self._print()

    def close(self) -> None:
        """Print what is left."""
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
        table = Table(
            box=box.SIMPLE_HEAD, show_edge=False, show_header=not self._printed, pad_edge=False, padding=(0, _PADDING, 0, 0)
        )
        for column, width in self._widths.items():
            table.add_column(_clean(column), width=width, overflow="fold", no_wrap=False)
        for record in self._waiting:
            table.add_row(*(Text(_clean(cell_of(record.get(column)))) for column in self._widths))
            if not self._wanted:
                self._unseen.update(set(record) - set(self._widths) - set(PLACE_COLUMNS))
        self._wide_enough().print(table, end="")
        self._waiting.clear()
        self._printed = True

    def _wide_enough(self) -> Console:
        """The console itself; through a pipe one as wide as the table, for rich has no table wider than its console."""
        room = sum(self._widths.values()) + (_PADDING + 1) * len(self._widths)
        if self._console.is_terminal or room <= self._console.width:
            return self._console
        return Console(file=self._console.file, width=room, color_system=None, highlight=False)

    def _measure(self) -> dict[str, int]:
        """Widths of the columns: as the widest cell, then the widest columns narrowed until all fit the terminal."""
        shown = [
            column for column in columns_of(self._waiting, self._wanted) if column not in _HIDDEN or column in self._wanted
        ]
        widths = {
            column: max(cell_len(_clean(text)) for text in (column, *(cell_of(each.get(column)) for each in self._waiting)))
            for column in shown
        }
        if not self._console.is_terminal:
            return widths
        room = max(self._console.width - _PADDING * len(shown), _NARROWEST * len(shown))
        widths = {column: min(width, max(_WIDEST, room // len(shown))) for column, width in widths.items()}
        while sum(widths.values()) > room:
            widest = max(widths, key=lambda column: widths[column])
            if widths[widest] <= _NARROWEST:
                break
            widths[widest] -= 1
        return widths


def _clean(text: str) -> str:
    """The text on one line, without characters that steer a terminal: it comes from other people's accounts."""
    return "".join(each if each.isprintable() else " " for each in text)
