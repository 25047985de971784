"""Edits of customers in a CSV file. All other rows stay byte for byte as they are."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rolecall_generator.manifest import CSV_COLUMNS
from rolecall_generator.manifest.editing.text_edits import Value
from rolecall_generator.manifest.editing.yaml_entries import Item

_CELL = re.compile(r' *"(?:[^"]|"")*"[^,]*|[^,]*')
_PREFIXES = {field: prefix for prefix, field in CSV_COLUMNS.maps.items()}


@dataclass(frozen=True, slots=True)
class _Row:
    """The lines of a row: index of the first line, and of the line after the last."""

    first: int
    after: int


class CsvRowEditor:
    """A CSV file with pending edits. Indexes count the customers of the file as it was read."""

    def __init__(self, text: str) -> None:
        self._lines = list(io.StringIO(text, newline=""))
        self._rows, self._header, self._head_line = _rows(self._lines)
        self._cells: dict[int, list[str]] = {}
        self._removed: set[int] = set()
        self._new: list[Mapping[str, Value]] = []
        self._columns = list(self._header)
        head = _body(self._lines[0]) if self._lines else ""
        self._separator = ", " if head.count(", ") == head.count(",") > 0 else ","
        self._all_quoted = bool(head) and all(cell.strip().startswith('"') for cell in _split(head))

    def add(self, _section: str, entry: Item, /) -> None:
        """Append a customer; missing columns are added to the header."""
        if isinstance(entry, str):
            raise TypeError("a CSV file has no include")
        for column in _flat(entry):
            self._column(column)
        self._new.append(entry)

    def remove(self, _section: str, index: int, /) -> None:
        """Remove a customer's row."""
        self._removed.add(index)

    def set(self, _section: str, index: int, field: str, value: Value, /) -> None:
        """Set a customer's field; for a mapping, cells of keys that are not in `value` become empty."""
        cells = self._raw(index)
        for number, column in enumerate(self._columns):
            if field in _PREFIXES and column.startswith(f"{_PREFIXES[field]}:"):
                _put(cells, number, "")
        for column, text in _flat({field: value}).items():
            _put(cells, self._column(column), text, quoted=self._all_quoted)

    def unset(self, _section: str, index: int, field: str, /) -> None:
        """Clear the cells of a customer's field."""
        cells = self._raw(index)
        for number, column in enumerate(self._columns):
            if column == field or (field in _PREFIXES and column.startswith(f"{_PREFIXES[field]}:")):
                _put(cells, number, "")

    def result(self) -> str:
        """The text with all edits applied."""
        if not self._lines:  # a new file
            return "".join(f"{row}\n" for row in (",".join(self._columns), *map(self._row, self._new)))
        taken = {line for index in self._removed for line in range(self._rows[index].first, self._rows[index].after)}
        changed = {self._rows[index].first: index for index in self._cells if index not in self._removed}
        out: list[str] = []
        skipped = 0
        for number, line in enumerate(self._lines):
            if number < skipped or number in taken:
                continue
            if number == self._head_line and len(self._columns) > len(self._header):
                new = "".join(f",{_cell(column, quoted=self._all_quoted)}" for column in self._columns[len(self._header) :])
                out.append(_body(line) + new + _break(line))
            elif number in changed:
                row = self._rows[changed[number]]
                out.append(",".join(self._cells[changed[number]]) + _break(self._lines[row.after - 1]))
                skipped = row.after
            else:
                out.append(line)
        return self._ended(out, [self._row(entry) for entry in self._new])

    def _ended(self, out: list[str], new: list[str]) -> str:
        """The lines and the new rows; the text ends with a line break if it did before."""
        newline = next((_break(line) for line in reversed(self._lines) if _break(line)), "\n")
        final = bool(_break(self._lines[-1]))
        if out and new and not _break(out[-1]):
            out[-1] += newline
        text = "".join([*out, *(row + newline for row in new)])
        return text if final or not text.endswith(newline) else text.removesuffix(newline)

    def _column(self, name: str) -> int:
        if name not in self._columns:
            self._columns.append(name)
        return self._columns.index(name)

    def _raw(self, index: int) -> list[str]:
        """The cells of a row as written, with quotes and spaces."""
        if index not in self._cells:
            row = self._rows[index]
            self._cells[index] = _split(_body("".join(self._lines[row.first : row.after])))
        return self._cells[index]

    def _row(self, entry: Mapping[str, Value]) -> str:
        flat = _flat(entry)
        return self._separator.join(_cell(flat.get(column, ""), quoted=self._all_quoted) for column in self._columns)


def _rows(lines: list[str]) -> tuple[list[_Row], list[str], int]:
    """The non-blank rows, the header's cells, and the index of the header's last line."""
    reader = csv.reader(iter(lines), strict=True, skipinitialspace=True)
    header = [cell.strip() for cell in next(reader, [])]
    rows: list[_Row] = []
    start = header_lines = reader.line_num
    for row in reader:
        if any(row):
            rows.append(_Row(start, reader.line_num))
        start = reader.line_num
    return rows, header, header_lines - 1


def _split(row: str) -> list[str]:
    """Split a row into cells, quotes and spaces included."""
    cells: list[str] = []
    at = 0
    while True:
        found = _CELL.match(row, at)
        cells.append(found.group() if found else row[at:])
        at += len(cells[-1])
        if at >= len(row):
            return cells
        at += 1  # the comma


def _put(cells: list[str], number: int, text: str, *, quoted: bool = False) -> None:
    """Replace a cell; leading spaces and existing quotes are kept."""
    cells += [""] * (number + 1 - len(cells))
    old = cells[number].lstrip(" ")
    space = cells[number][: len(cells[number]) - len(old)]
    cells[number] = space + _cell(text, quoted=quoted or old.startswith('"'))


def _cell(text: str, *, quoted: bool) -> str:
    """A cell as CSV, in quotes if `quoted` or if it needs them."""
    if not text and not quoted:
        return ""  # csv.writer quotes an empty cell that is the only one in its row
    stream = io.StringIO()
    # The writer only quotes line breaks that occur in its line terminator.
    csv.writer(stream, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL, lineterminator="\r\n").writerow([text])
    return stream.getvalue().removesuffix("\r\n")


def _flat(entry: Mapping[str, Value]) -> dict[str, str]:
    """The cells of an entry by column."""
    flat: dict[str, str] = {}
    for field, value in entry.items():
        if isinstance(value, Mapping):
            flat |= {f"{_PREFIXES[field]}:{key}": str(text) for key, text in value.items()}
        elif isinstance(value, str):
            flat[field] = value
        elif isinstance(value, Sequence):
            flat[field] = " ".join(value)
        elif field in CSV_COLUMNS.booleans:
            flat[field] = "true" if value else "false"
        else:
            flat[field] = str(value)
    return flat


def _body(line: str) -> str:
    return line.rstrip("\r\n")


def _break(line: str) -> str:
    return line[len(_body(line)) :]
