"""Rows of a query as flat records, and what every writer of rows offers.

Lines of CSV (RFC 4180) that neither a spreadsheet nor a terminal runs: their values come from other people's accounts.
A string that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, "CSV Injection", November
2026): its first visible character is `=`, `+`, `-` or `@`, in full width or in another form too, or it begins with a
tab or a line break. What only looks like a negative number stays one. Header names are treated alike. Control and
invisible characters become U+FFFD, as everywhere; line breaks within a value stay, in quotes, unless the line is for a
terminal.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from rolecall_generator.text import REPLACEMENT, json_text, lines_of, one_line
from rolecall_runner.query import QueryAnswer, Row

PLACE_COLUMNS = ("account", "account_id", "region", "time")
"""Columns that every row has, before its own."""
REHEARSAL_COLUMN = "rehearsal"
"""A column after those, true in every row that a sandbox gave; rows of AWS do not have it."""


class RowWriter(Protocol):
    """Writes rows as accounts answer; memory does not grow with accounts, but for the list of those that did not answer."""

    def add(self, answer: QueryAnswer) -> None:
        """Write the rows of one account."""

    def close(self) -> None:
        """Write what is left; nothing is written afterwards."""


def record_of(row: Row) -> dict[str, Any]:
    """The row as one object: where it comes from, then its values; those called as a place's column get `value_` before."""
    mark = {REHEARSAL_COLUMN: True} if row.rehearsal else {}
    taken = (*PLACE_COLUMNS, *mark)
    return {
        "account": row.account,
        "account_id": row.account_id,
        "region": row.region,
        "time": row.time,
        **mark,
        **{(f"value_{key}" if key in taken else key): value for key, value in row.values.items()},
    }


def columns_of(records: Iterable[Mapping[str, Any]], wanted: Iterable[str] = ()) -> tuple[str, ...]:
    """The columns of a table: the place's, then those wanted, else all that the records have, in order of appearance."""
    chosen = tuple(wanted)
    known = list(records)
    if not chosen:
        chosen = tuple(dict.fromkeys(key for record in known for key in record if key not in PLACE_COLUMNS))
    elif any(REHEARSAL_COLUMN in record for record in known):
        chosen = (REHEARSAL_COLUMN, *chosen)
    return tuple(dict.fromkeys((*PLACE_COLUMNS, *chosen)))


def cell_of(value: Any) -> str:
    """A value as text of one cell: nothing for None, plain text for text and numbers, JSON for all else."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json_text(value, ascii_only=False)


_END = "\r\n"
_STARTS = frozenset("=+-@\N{MINUS SIGN}")
_BREAKS = ("\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def csv_line(values: Iterable[Any], *, on_terminal: bool = False) -> str:
    """One record with its CR LF. Numbers and booleans are as they are, None is nothing, other values are JSON."""
    text = io.StringIO()
    csv.writer(text, lineterminator=_END).writerow([_cell(value, on_terminal=on_terminal) for value in values])
    return lines_of(text.getvalue().removesuffix(_END)) + _END


def _cell(value: Any, *, on_terminal: bool) -> str:
    text = cell_of(value)
    shown = one_line(text) if on_terminal else lines_of(text)
    return f"'{shown}" if isinstance(value, str) and _runs(text, shown) else shown


def _runs(text: str, shown: str) -> bool:
    """Whether a spreadsheet could take the text for a formula, as it was or as it is shown."""
    if text.startswith(_BREAKS):
        return True
    if _NUMBER.fullmatch(text):
        return False
    return any(_first_visible(each) in _STARTS for each in (text, shown))


def _first_visible(text: str) -> str:
    """The first character that is no blank and not invisible, in its plain form; empty when there is none."""
    for character in text:
        if character not in {REPLACEMENT, "'"} and not character.isspace() and one_line(character) != REPLACEMENT:
            return unicodedata.normalize("NFKC", character)[:1]
    return ""
