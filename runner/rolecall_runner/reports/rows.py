"""Rows of a query as JSON: one object of the whole run, or a line a row.

Rows of a query as CSV (RFC 4180), for spreadsheets and whatever reads them. The columns are those asked for, else all
that the first account with rows has. What later rows have besides goes into the last column, `more`, as a JSON object.
Nested values are JSON. `csv_text` says what becomes of text that is not safe.

Rows of a query as a table for people, printed in parts as accounts answer. Columns and widths come from the first rows;
wide cells are folded. What later rows have besides is named below the table.

What a query would do, as lines for people.

Who did not answer a query, for people: grouped by what was said, with a few names each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from rolecall_generator.text import json_text, one_line
from rolecall_runner.query import Count, Forecast, Preview, QueryAnswer
from rolecall_runner.redact import REHEARSAL
from rolecall_runner.reports.csv_text import PLACE_COLUMNS, REHEARSAL_COLUMN, cell_of, columns_of, csv_line, record_of

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

    def add(self, answer: QueryAnswer) -> None:
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

    def add(self, answer: QueryAnswer) -> None:
        """Write the rows of one account."""
        for row in answer.rows():
            self._write(json_text(record_of(row), separators=(",", ":")) + "\n")

    def close(self) -> None:
        """There is nothing left."""


MORE = "more"


class CsvRowWriter:
    """Writes CSV with a header line, as accounts answer. `on_terminal`: a row is one line, whatever its values hold."""

    def __init__(self, write: Callable[[str], object], columns: Sequence[str] = (), *, on_terminal: bool = False) -> None:
        self._write = write
        self._on_terminal = on_terminal
        self._wanted = tuple(columns)
        self._columns: tuple[str, ...] = ()

    def add(self, answer: QueryAnswer) -> None:
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


FIRST_ROWS = 60
"""Rows that are waited for before columns and widths are settled."""
_HIDDEN = frozenset({"account_id", "time", REHEARSAL_COLUMN})
_NARROWEST = 6
_BETWEEN = "   "
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

    def add(self, answer: QueryAnswer) -> None:
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
        """The columns' names above a line; where a name is folded, the others stand next to its end."""
        if any(REHEARSAL_COLUMN in record for record in self._waiting):
            self._console.out(REHEARSAL, style="yellow", highlight=False)
        names = [self._folded(one_line(column), width) for column, width in self._widths.items()]
        height = max(map(len, names))
        lines = self._rows([[""] * (height - len(each)) + each for each in names])
        self._console.out("\n".join(lines), style="bold", highlight=False)
        self._console.out("─" * (sum(self._widths.values()) + len(_BETWEEN) * (len(names) - 1)), highlight=False)

    def _lines(self, record: Mapping[str, Any]) -> Iterator[str]:
        return self._rows([self._folded(one_line(cell_of(record.get(name))), width) for name, width in self._widths.items()])

    def _rows(self, cells: Sequence[Sequence[str]]) -> Iterator[str]:
        """Lines of cells side by side. rich's table takes twenty times as long, and a query may have 100,000 rows."""
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
        """Widths of the columns: as the widest cell, then the widest columns narrowed until all fit the terminal."""
        shown = [
            column for column in columns_of(self._waiting, self._wanted) if column not in _HIDDEN or column in self._wanted
        ]
        widths = {
            column: max(
                cell_len(one_line(text)) for text in (column, *(cell_of(each.get(column)) for each in self._waiting))
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
    """Cells of a terminal that the text takes."""
    return len(text) if text.isascii() else cell_len(text)


_SHOWN = 10


def preview_lines(found: Preview) -> Iterator[str]:
    """Each call with its action and level, how many there are at least, and who cannot answer."""
    first, *further = found.judged
    with_what = f" with {json.dumps(found.parameters)}" if found.parameters else ""
    yield f"{first.service} {first.operation}{with_what}"
    yield f"  action {first.action}, access level {first.level}{_refused(first.reads)}"
    for each in further:
        yield f"for each row: {each.service} {each.operation}"
        yield f"  action {each.action}, access level {each.level}{_refused(each.reads)}"
    where = "once an account" if found.once else "a Region each"
    yield f"{found.accounts:,} accounts, {found.places:,} first calls ({where}), one more for each further page"
    if found.unknown_places:
        yield f"and the enabled Regions of {found.unknown_places:,} accounts, which they are asked for first"
    yield from _who("cannot answer", found.unable)
    yield from _who("may or may not answer", found.uncertain)
    yield "nothing was sent"


def _refused(reads: bool) -> str:
    return "" if reads else ": refused without --allow-write"


def _who(what: str, forecasts: tuple[Forecast, ...]) -> Iterator[str]:
    if forecasts:
        yield f"{what}: {len(forecasts):,}"
    for each in forecasts[:_SHOWN]:
        yield f"  {each.account}: {each.why}"
    if len(forecasts) > _SHOWN:
        yield f"  and {len(forecasts) - _SHOWN:,} more (--format json has them all)"


_NAMES = 3
_GROUPS = 50


@dataclass(slots=True)
class Troubles:
    """Counts answers, and keeps what did not answer: a few names for each reason and code, so that memory stays flat."""

    count: Count = field(default_factory=Count)
    _groups: dict[tuple[str, str], tuple[int, list[str], str]] = field(default_factory=dict)

    def add(self, answer: QueryAnswer) -> None:
        """Take one account."""
        self.count.add(answer)
        for each in answer.troubles():
            key = (each["reason"], each["code"] or each["error"])
            if key not in self._groups and len(self._groups) >= _GROUPS:
                key = (each["reason"], "")
            number, names, error = self._groups.get(key, (0, [], each["error"]))
            if len(names) < _NAMES:
                names.append(f"{each['account']} {each['region']}".strip())
            self._groups[key] = (number + 1, names, error)

    def lines(self) -> Iterator[str]:
        """A line for each reason and code, the commonest first: how many, who, and what AWS said to the first."""
        for (reason, _), (number, names, error) in sorted(self._groups.items(), key=lambda item: -item[1][0]):
            more = f" and {number - len(names):,} more" if number > len(names) else ""
            yield f"{reason}: {', '.join(names)}{more}: {one_line(error)}"
