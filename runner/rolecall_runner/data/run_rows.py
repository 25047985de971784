"""Read recorded queries and their rows from the journals, and determine the columns of their tables.

Each run is read twice: once for the column types, once for the rows. Only one account is in memory at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore import xform_name

from rolecall_runner.data.column_types import ListOf, Scalar, Struct, Type, merge_structs, row_type, widen_row
from rolecall_runner.execution import RunRecord, read_json, read_results
from rolecall_runner.query import QueryResult

QUERY_TASK = "query"
RESERVED_NAMES = frozenset({"runs", "errors", "play_results"})
"""Built-in tables of `runner sql`. The table of a query with such a name gets the suffix `_rows`."""
PLACE_TYPES: Mapping[str, Scalar] = {
    "account": Scalar.STRING,
    "account_id": Scalar.STRING,
    "region": Scalar.STRING,
    "queried_at": Scalar.TIMESTAMP,
    "run_id": Scalar.STRING,
    "rehearsal": Scalar.BOOLEAN,
}
"""Leading columns of every table. `rehearsal`: the row comes from the sandbox, not from AWS."""
_VERBS = re.compile(r"(?:batch_)?(?:describe|list|get|search|lookup|select|head|scan|query)_(?=.)")


@dataclass(frozen=True, slots=True)
class RecordedQuery:
    """A run of a query, with the query from its record.

    `name`: name of a named query, else "". `operation`: the boto3 method (`describe_instances`). `body`: the description of
    the query in the record.
    """

    record: RunRecord
    name: str
    service: str
    operation: str
    select: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> str:
        """Name of the table: that of a named query, else the service and the noun of the operation (`ec2_instances`)."""
        return table_name(self.name) if self.name else table_name(f"{self.service}_{self.noun}")

    @property
    def full_name(self) -> str:
        """Second name of the table, with the verb: `ec2_describe_instances`."""
        return table_name(self.name or f"{self.service}_{self.operation}")

    @property
    def noun(self) -> str:
        """The operation without its verb: `instances` for `describe_instances`."""
        return _VERBS.sub("", self.operation, count=1)

    @property
    def identity(self) -> str:
        """Equal for two runs that can be compared: of the same query, and both with AWS or both with the sandbox."""
        query = {key: value for key, value in self.body.items() if key != "levels"}
        return json.dumps([self.record.rehearsal, query], sort_keys=True)

    def model(self) -> tuple[Struct, str | None]:
        """Return the columns that the botocore model declares, and the field to unnest, if any.

        `describe_instances` returns reservations, each with a list `Instances`. Without a `select`, a list named like the
        table's noun is unnested; the other fields are repeated in each row.
        """
        known = row_type(self.service, self.operation, self.select)
        if self.select is None:
            for name, kind in known.fields.items():
                if name.lower() == self.noun.replace("_", "") and isinstance(kind, ListOf) and isinstance(kind.item, Struct):
                    inner = kind.item.fields
                    outer = {key: value for key, value in known.fields.items() if key != name and key not in inner}
                    return Struct({**inner, **outer}), name
        return known, None


def recorded_query(record: RunRecord) -> RecordedQuery | None:
    """Return the query of a run; None if the run is of another kind or its record has no query."""
    if record.task != QUERY_TASK:
        return None
    try:
        body = read_json(record.options.encode())
        service, operation, title = str(body["service"]), str(body["operation"]), str(body["query"])
    except (ValueError, TypeError, KeyError):
        return None
    name = "" if title == f"{service} {operation}" else title
    select = body.get("select")
    return RecordedQuery(record, name, service, xform_name(operation), select if isinstance(select, str) else None, body)


def table_name(text: str) -> str:
    """Return a table name that needs no quotes in SQL: lower-case letters, digits and `_`, and not reserved."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "query"
    if name[0].isdigit():
        name = f"q_{name}"
    return f"{name}_rows" if name in RESERVED_NAMES else name


@dataclass(frozen=True, slots=True)
class RunRow:
    """One row with its origin. The first fields are those of PLACE_TYPES. `queried_at`: time of the call, in ISO 8601."""

    account: str
    account_id: str
    region: str
    queried_at: str
    run_id: str
    rehearsal: bool
    values: Mapping[str, Any]


def read_answers(runs: Path, query: RecordedQuery) -> Iterator[tuple[str, QueryResult]]:
    """Yield the target kind and the answer of each account of a run. If an account has several, only the last is included.

    Raises JournalError.
    """
    run_id = query.record.run_id
    last = {result.key: number for number, result in enumerate(read_results(runs, run_id))}
    for number, result in enumerate(read_results(runs, run_id)):
        if last.get(result.key) == number:
            yield result.kind, QueryResult.from_result(result)


def answer_rows(answer: QueryResult, query: RecordedQuery, unnest: str | None) -> Iterator[RunRow]:
    """Yield the rows of one answer. `unnest`: see `RecordedQuery.model`."""
    record = query.record
    for row in answer.rows():
        for values in _unnested(row.values, unnest):
            yield RunRow(row.account, row.account_id, row.region, row.time, record.run_id, record.rehearsal, values)


def _unnested(row: Mapping[str, Any], unnest: str | None) -> Iterator[Mapping[str, Any]]:
    items = row.get(unnest) if unnest is not None else None
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        yield row
        return
    outer = {key: value for key, value in row.items() if key != unnest}
    for item in items:
        yield {**item, **outer, **item}


def read_rows(runs: Path, queries: Iterable[RecordedQuery]) -> Iterator[RunRow]:
    """Yield the rows of runs. Raises JournalError."""
    for query in queries:
        _, unnest = query.model()
        for _, answer in read_answers(runs, query):
            yield from answer_rows(answer, query, unnest)


@dataclass(frozen=True, slots=True)
class RowSurvey:
    """Column types that fit all rows of some runs, and the number of rows."""

    columns: Struct
    rows: int


def survey_rows(runs: Path, queries: Iterable[RecordedQuery], known: Struct | None = None) -> RowSurvey:
    """Return the types of the model and of `known`, widened by the values of all rows. Raises JournalError."""
    columns, rows = known or Struct({}), 0
    for query in queries:
        columns = merge_structs(query.model()[0], columns)
        for row in read_rows(runs, [query]):
            columns = widen_row(columns, row.values)
            rows += 1
    return RowSurvey(columns, rows)


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column: its name, the key of its values in a row, and its type."""

    name: str
    key: str
    kind: Type


@dataclass(frozen=True, slots=True)
class TableLayout:
    """The columns of a table: the included columns of PLACE_TYPES, then those of the query."""

    places: tuple[str, ...]
    columns: tuple[TableColumn, ...]

    @property
    def types(self) -> list[tuple[str, Type]]:
        """Name and type of every column."""
        return [(name, PLACE_TYPES[name]) for name in self.places] + [(each.name, each.kind) for each in self.columns]

    def cells(self, row: RunRow) -> list[Any]:
        """The values of a row in the order of `types`."""
        return [getattr(row, name) for name in self.places] + [row.values.get(each.key) for each in self.columns]


def layout_of(columns: Struct, places: Iterable[str] = PLACE_TYPES, taken: Iterable[str] = ()) -> TableLayout:
    """Name the columns of a table.

    A column whose name is in `places` or `taken` gets the prefix `value_`. SQL names are case-insensitive, so names that
    differ only in case get a number appended.
    """
    kept = tuple(places)
    reserved = {*kept, *taken}
    used = set(reserved)
    named = []
    for key, kind in columns.fields.items():
        text = key.encode("utf-8", "replace").decode().replace("\0", "?") or "value"
        base = f"value_{text}" if text.lower() in reserved else text
        named.append(TableColumn(unused_name(base, used), key, kind))
    return TableLayout(kept, tuple(named))


def unused_name(base: str, used: set[str]) -> str:
    """Return the name, with a number appended if it is in `used` (lower-case names), and add it there."""
    name, number = base, 2
    while name.lower() in used:
        name, number = f"{base}_{number}", number + 1
    used.add(name.lower())
    return name
