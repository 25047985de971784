"""Tables of `runner sql`: one per query, with columns and rows from the journals of its runs.

Each run is read twice: once for the column types, once for the rows. Only one account is in memory at a time.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore import xform_name

from rolecall_generator.errors import ExitCode, RolecallError
from rolecall_generator.text import sanitize_lines
from rolecall_runner.data.column_types import ListOf, Scalar, Struct, Type, merge_structs, row_type, short_type, widen_row
from rolecall_runner.execution import RunRecord, find_run, list_runs, read_json, read_results
from rolecall_runner.query import QueryResult
from rolecall_runner.redact import REHEARSAL

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


def survey_rows(runs: Path, queries: Iterable[RecordedQuery], known: Struct | None = None) -> tuple[Struct, int]:
    """Return the types of the model and of `known`, widened by the values of all rows, and the number of rows.

    Raises JournalError.
    """
    columns, rows = known or Struct({}), 0
    for query in queries:
        columns = merge_structs(query.model()[0], columns)
        for row in read_rows(runs, [query]):
            columns = widen_row(columns, row.values)
            rows += 1
    return columns, rows


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


PREVIOUS = "_previous"
EVERY_RUN = "all"
_DISPLAY_LENGTH = 60


class SqlError(RolecallError):
    """The SQL statement, a table name, or the selection of runs is invalid."""

    exit_code = ExitCode.USAGE

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None, excerpt: str = "") -> None:
        """`excerpt`: the line of the SQL that contains the error, and a line that marks its position."""
        super().__init__(what, where=where, hint=hint)
        self.excerpt = excerpt

    def __str__(self) -> str:
        first, *hint = super().__str__().split("\n")
        excerpt = sanitize_lines(self.excerpt).split("\n") if self.excerpt else []
        return "\n".join([first, *(f"  {line}" for line in excerpt), *hint])


@dataclass(frozen=True, slots=True)
class RunTable:
    """A table. `queries`: the runs that its rows come from, the latest first."""

    name: str
    queries: tuple[RecordedQuery, ...]

    @property
    def origin(self) -> str:
        """The source of the rows for display: `run 20261124-195932-79bbec, parameters {...}, where ...`."""
        first = self.queries[0]
        mark = [REHEARSAL] if any(query.record.rehearsal for query in self.queries) else []
        if len(self.queries) > 1:
            return ", ".join([f"{len(self.queries)} runs, latest {first.record.run_id}", *mark])
        filters = [f"{key} {_truncate(first.body[key])}" for key in ("parameters", "where", "limit") if first.body.get(key)]
        limit = [] if first.record.selection == "all" else [f"accounts {first.record.selection}"]
        incomplete = [] if first.record.ended else ["incomplete"]
        return ", ".join([f"run {first.record.run_id}", *mark, *filters, *limit, *incomplete])


@dataclass(frozen=True, slots=True)
class Catalog:
    """Tables by name, including aliases. `listed`: the names without aliases. `records`: the records of all query runs."""

    runs: Path
    tables: Mapping[str, RunTable]
    listed: tuple[str, ...]
    records: tuple[RunRecord, ...]

    def find(self, name: str) -> RunTable:
        """Return a table by name. Raises SqlError, with the nearest names, if it does not exist."""
        found = self.tables.get(name.lower())
        if found is None:
            raise SqlError(f"no such table: {name}", where=str(self.runs), hint=self.hint(name))
        return found

    def hint(self, name: str) -> str:
        """Return the hint for an unknown table name."""
        if not self.records:
            return "no query has been run yet: `runner query ec2 describe_instances` creates ec2_instances"
        if name.lower().endswith(PREVIOUS) and name.lower().removesuffix(PREVIOUS) in self.tables:
            return "there is no earlier run of the same query; run it again, then compare"
        close = difflib.get_close_matches(name.lower(), [*self.tables, *sorted(RESERVED_NAMES)], n=3, cutoff=0.5)
        return f"did you mean {', '.join(close)}?" if close else "`runner sql --tables` lists the tables"


def read_catalog(runs: Path, wanted: Sequence[str] = ()) -> Catalog:
    """Return the tables for the last run of each query, or for the runs in `wanted`: IDs, `last`, `previous`, or `all`.

    Without `wanted`, the table `NAME_previous` contains the previous run of the same query. Raises JournalError.
    """
    records = list_runs(runs, task=QUERY_TASK)
    queries = [query for record in records if (query := recorded_query(record)) is not None]
    if wanted:
        chosen = _selected(runs, queries, wanted)
        tables = {name: RunTable(name, tuple(each)) for name, each in _by_table(chosen).items()}
        return Catalog(runs, {**_aliases(tables), **tables}, tuple(sorted(tables)), tuple(records))
    tables, previous = {}, {}
    for name, each in _by_table(queries).items():
        tables[name] = RunTable(name, (each[0],))
        earlier = next((other for other in each[1:] if other.identity == each[0].identity), None)
        if earlier is not None:
            previous[name + PREVIOUS] = RunTable(name + PREVIOUS, (earlier,))
    # If a named query has the name of another query's previous run, the named query takes precedence.
    by_name = {**_aliases(tables), **previous, **tables}
    return Catalog(runs, by_name, tuple(sorted({*tables, *previous})), tuple(records))


def _truncate(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _DISPLAY_LENGTH else f"{text[:_DISPLAY_LENGTH]}..."


def _selected(runs: Path, queries: Sequence[RecordedQuery], wanted: Iterable[str]) -> list[RecordedQuery]:
    ids: set[str] = set()
    for name in wanted:
        if name == EVERY_RUN:
            ids.update(query.record.run_id for query in queries)
        else:
            ids.add(find_run(runs, name, task=QUERY_TASK).run_id)
    return [query for query in queries if query.record.run_id in ids]


def _by_table(queries: Iterable[RecordedQuery]) -> dict[str, list[RecordedQuery]]:
    found: dict[str, list[RecordedQuery]] = {}
    for query in queries:
        found.setdefault(query.table, []).append(query)
    return found


def _aliases(tables: Mapping[str, RunTable]) -> dict[str, RunTable]:
    """Tables by their names with the verb of the operation: `ec2_describe_instances`."""
    return {query.full_name: table for table in tables.values() for query in reversed(table.queries)}


def named_tables(sql: str, catalog: Catalog) -> Iterator[RunTable]:
    """Yield the tables whose names occur in a statement; all tables if none occurs (`show tables`)."""
    text = sql.lower()
    named = {name for name in catalog.tables if name in text}
    wants_all = not named and not any(name in text for name in RESERVED_NAMES)
    for name in catalog.listed if wants_all else sorted(named):
        yield RunTable(name, catalog.tables[name].queries)


@dataclass(frozen=True, slots=True)
class TableListing:
    """An entry of `runner sql --tables`: columns with their SQL types, the number of rows, and the IDs of the runs."""

    table: str
    rows: int
    runs: tuple[str, ...]
    rehearsal: bool
    columns: tuple[tuple[str, str], ...]


def list_tables(catalog: Catalog) -> Iterator[TableListing]:
    """Yield the listed tables, sorted by name. Reads all rows to determine the types. Raises JournalError."""
    for name in catalog.listed:
        records = [query.record for query in catalog.tables[name].queries]
        kinds, rows = survey_rows(catalog.runs, catalog.tables[name].queries)
        columns = tuple((column, short_type(kind)) for column, kind in layout_of(kinds).types)
        rehearsal = any(record.rehearsal for record in records)
        yield TableListing(name, rows, tuple(record.run_id for record in records), rehearsal, columns)
