"""Tables of `runner sql`: one per query, with rows from the journals of its runs."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.errors import ExitCode, RolecallError
from rolecall_generator.text import sanitize_lines
from rolecall_runner.data.column_types import short_type
from rolecall_runner.data.run_rows import QUERY_TASK, RESERVED_NAMES, RecordedQuery, layout_of, recorded_query, survey_rows
from rolecall_runner.execution import RunRecord, find_run, list_runs
from rolecall_runner.redact import REHEARSAL

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
        found = survey_rows(catalog.runs, catalog.tables[name].queries)
        columns = tuple((column, short_type(kind)) for column, kind in layout_of(found.columns).types)
        rehearsal = any(record.rehearsal for record in records)
        yield TableListing(name, found.rows, tuple(record.run_id for record in records), rehearsal, columns)
