"""A table in a file: its encoding and delimiter found out, its rows with the lines that they begin in."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.errors import Problem
from rolecall_generator.importing.model import ImportProblemsError
from rolecall_generator.manifest.textfile import MAXIMUM_BYTES

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_DELIMITERS = (",", ";", "\t", "|")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_TOLD = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
"""A first line by which Excel is told the delimiter."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row that is not empty: the line that it begins in (from 0), and its cells without white space around."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The header's cells and the rows below it."""

    header: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: Path, *, delimiter: str | None = None, encoding: str | None = None) -> Table:
    """Read a table. A delimiter or encoding that is None is found out. Raises ImportProblemsError."""
    text = _text(path, encoding)
    first = next((line for line in text.splitlines() if line.strip()), "")
    told = _TOLD.fullmatch(first.strip())
    chosen = delimiter or (told[1] if told else max(_DELIMITERS, key=first.count))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True, delimiter=chosen)
    try:
        rows = tuple(_rows(reader))[1 if told else 0 :]
    except csv.Error as error:
        mend = "put cells that hold the delimiter or line breaks in quotes, or name the delimiter with --delimiter"
        raise _error(path, max(reader.line_num, 1), 1, f"not a table: {error}", mend) from error
    if not rows:
        raise _error(path, 1, 1, "the file has no header row", "start it with a row of column names, as in name,account_id")
    return Table(rows[0].cells, rows[1:])


def _rows(reader: Iterator[list[str]]) -> Iterator[Row]:
    line = 0
    for cells in reader:
        start, line = line, reader.line_num  # type: ignore[attr-defined]  # a quoted cell may span lines
        stripped = tuple(_plain(cell) for cell in cells)
        if any(stripped):
            yield Row(start, stripped)


def _plain(cell: str) -> str:
    """The cell's text. Spreadsheets keep leading zeros only behind `="..."`, and put a no-break space before some texts."""
    text = cell.strip().strip("\u00a0\u200b").strip()
    return text[2:-1].strip() if text.startswith('="') and text.endswith('"') else text


def _text(path: Path, encoding: str | None) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAXIMUM_BYTES + 1)
    except OSError as error:
        raise _error(path, 1, 1, f"the file cannot be read: {error.strerror}", "check its name and permissions") from error
    if len(data) > MAXIMUM_BYTES:
        what = f"the file is larger than {MAXIMUM_BYTES // 1024 // 1024} MiB"
        raise _error(path, 1, 1, what, "split it, and import the parts one after the other")
    known = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding or known)
    except LookupError as error:
        raise _error(path, 1, 1, f"there is no encoding {encoding}", "name one as Python does: utf-8, cp1252") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"the file is not {encoding or known} text: byte 0x{data[error.start]:02x}"
        raise _error(path, line, 1, what, "name its encoding, as in --encoding cp1252, or save it as UTF-8") from error
    if found := _CONTROL.search(text):
        what = f"the file holds the control character U+{ord(found[0]):04X}, as binary files do"
        raise _error(path, text.count("\n", 0, found.start()) + 1, 1, what, "save it as CSV in UTF-8")
    return text.removeprefix("\ufeff")


def _error(path: Path, line: int, column: int, what: str, mend: str) -> ImportProblemsError:
    return ImportProblemsError([Problem(str(path), line, column, what, mend)])
