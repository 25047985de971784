"""Rows of a query as flat records, and what every writer of rows offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from rolecall_generator.text import json_text
from rolecall_runner.tasks.query.answers import Answer, Row

PLACE_COLUMNS = ("account", "account_id", "region", "time")
"""Columns that every row has, before its own."""
REHEARSAL_COLUMN = "rehearsal"
"""A column after those, true in every row that a sandbox gave; rows of AWS do not have it."""


class RowWriter(Protocol):
    """Writes rows as accounts answer; memory does not grow with accounts, but for the list of those that did not answer."""

    def add(self, answer: Answer) -> None:
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
