"""Lines of CSV (RFC 4180) that neither a spreadsheet nor a terminal runs: their values come from other people's accounts.

A string that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, "CSV Injection", November 2026):
its first visible character is `=`, `+`, `-` or `@`, in full width or in another form too, or it begins with a tab or a
line break. What only looks like a negative number stays one. Header names are treated alike. Control and invisible
characters become U+FFFD, as everywhere; line breaks within a value stay, in quotes, unless the line is for a terminal.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from rolecall_generator.text import REPLACEMENT, lines_of, one_line
from rolecall_runner.results.rows_flat import cell_of

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
