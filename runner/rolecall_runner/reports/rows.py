"""Columns and cells of rows, the preview of a query, and the accounts that did not answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rolecall_generator.text import json_text, sanitize_line
from rolecall_runner.dataframes import PLACE_COLUMNS, REHEARSAL_COLUMN
from rolecall_runner.query import Count, Forecast, Preview, QueryResult


def columns_of(records: Iterable[Mapping[str, Any]], wanted: Iterable[str] = ()) -> tuple[str, ...]:
    """The columns of a table: the first columns, then those wanted, else all of the records in order of appearance."""
    chosen = tuple(wanted)
    known = list(records)
    if not chosen:
        chosen = tuple(dict.fromkeys(key for record in known for key in record if key not in PLACE_COLUMNS))
    elif any(REHEARSAL_COLUMN in record for record in known):
        chosen = (REHEARSAL_COLUMN, *chosen)
    return tuple(dict.fromkeys((*PLACE_COLUMNS, *chosen)))


def cell_of(value: Any) -> str:
    """The string of a cell: empty for None, JSON for lists and objects."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json_text(value, ascii_only=False)


_SHOWN = 10


def preview_lines(found: Preview) -> Iterator[str]:
    """Each call with its action and access level, the number of calls, and the accounts without permission."""
    first, *further = found.access_levels
    with_what = f" with {json.dumps(found.parameters)}" if found.parameters else ""
    yield f"{first.service} {first.operation}{with_what}"
    yield f"  action {first.action}, access level {first.level}{_refused(first.reads)}"
    for each in further:
        yield f"for each row: {each.service} {each.operation}"
        yield f"  action {each.action}, access level {each.level}{_refused(each.reads)}"
    where = "once per account" if found.once else "one per Region"
    yield f"{found.accounts:,} accounts, {found.places:,} first calls ({where}), plus one for each further page"
    if found.unknown_places:
        yield f"and calls in the enabled Regions of {found.unknown_places:,} accounts, which are listed first"
    yield from _who("no permission", found.unable)
    yield from _who("permission uncertain", found.uncertain)
    yield "no request was sent"


def _refused(reads: bool) -> str:
    return "" if reads else ": refused without --allow-write"


def _who(what: str, forecasts: tuple[Forecast, ...]) -> Iterator[str]:
    if forecasts:
        yield f"{what}: {len(forecasts):,}"
    for each in forecasts[:_SHOWN]:
        yield f"  {each.account}: {each.reason}"
    if len(forecasts) > _SHOWN:
        yield f"  and {len(forecasts) - _SHOWN:,} more (use --format json for all)"


_NAMES = 3
_GROUPS = 50


@dataclass(slots=True)
class MissingResults:
    """Counts answers, and groups missing ones by reason and error code with a few names each, in constant memory."""

    count: Count = field(default_factory=Count)
    _groups: dict[tuple[str, str], tuple[int, list[str], str]] = field(default_factory=dict)

    def add(self, answer: QueryResult) -> None:
        """Count the answer of one account."""
        self.count.add(answer)
        for each in answer.errors():
            key = (each["reason"], each["code"] or each["error"])
            if key not in self._groups and len(self._groups) >= _GROUPS:
                key = (each["reason"], "")
            number, names, error = self._groups.get(key, (0, [], each["error"]))
            if len(names) < _NAMES:
                names.append(f"{each['account']} {each['region']}".strip())
            self._groups[key] = (number + 1, names, error)

    def lines(self) -> Iterator[str]:
        """One line per reason and code, the most frequent first: accounts, and the first error message."""
        for (reason, _), (number, names, error) in sorted(self._groups.items(), key=lambda item: -item[1][0]):
            more = f" and {number - len(names):,} more" if number > len(names) else ""
            yield f"{reason}: {', '.join(names)}{more}: {sanitize_line(error)}"
