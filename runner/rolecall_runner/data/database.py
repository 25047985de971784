"""In-memory DuckDB database of `runner sql`, without access to files, the network, extensions, or settings.

Rows are loaded from newline-delimited JSON in a private temporary file, with explicit types, so that a mismatch raises an
error instead of producing null.
"""

from __future__ import annotations

import base64
import importlib
import json
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from rolecall_generator.errors import OutputError, ToolError, missing_extra
from rolecall_runner.data.catalog import (
    Catalog,
    RecordedQuery,
    RunTable,
    SqlError,
    layout_of,
    named_tables,
    read_answers,
    read_rows,
    recorded_query,
    survey_rows,
    unused_name,
)
from rolecall_runner.data.column_types import Scalar, Type, duckdb_encoder, duckdb_type, quote_name
from rolecall_runner.execution import Result, RunRecord, list_runs, read_results
from rolecall_runner.private_files import create_private_file

PLAY_RESULTS = "play_results"
ROW_GROUP_ROWS = 8192
"""Rows per row group of a Parquet file."""
_CONFIG = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}
_FETCH_SIZE = 1000
_MINIMUM_LINE_LIMIT = 16 * 2**20
_PLAY_TASK = "play"

# None of these column names is an SQL keyword, so users need not quote them.
_RUN_TYPES: Sequence[tuple[str, Type]] = [
    *((name, Scalar.STRING) for name in ("run_id", "table_name", "query", "service", "operation")),
    ("parameters", Scalar.JSON),
    *((name, Scalar.STRING) for name in ("regions", "jmespath", "jmespath_where", "selection")),
    ("accounts", Scalar.LONG),
    ("started", Scalar.TIMESTAMP),
    ("ended", Scalar.TIMESTAMP),
    ("manifest", Scalar.STRING),
    ("rehearsal", Scalar.BOOLEAN),
]
_ERROR_TYPES: Sequence[tuple[str, Type]] = [
    *(
        (name, Scalar.STRING)
        for name in ("table_name", "run_id", "account", "account_id", "region", "outcome", "code", "message")
    ),
    ("rehearsal", Scalar.BOOLEAN),
]
_PLAY_TYPES: Sequence[tuple[str, Type]] = [
    *(
        (name, Scalar.STRING)
        for name in ("run_id", "play_file", "account", "account_id", "kind", "step", "task", "status", "code", "message")
    ),
    ("registered", Scalar.JSON),
    ("queried_at", Scalar.TIMESTAMP),
    ("seconds", Scalar.DOUBLE),
    ("rehearsal", Scalar.BOOLEAN),
]


def load_duckdb() -> Any:
    """Import DuckDB, which is an optional dependency. Raises ToolError if it is missing or broken."""
    try:
        return importlib.import_module("duckdb")
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        raise missing from error
    except ImportError as error:
        raise ToolError(f"duckdb could not be loaded: {error}", hint="pip install --force-reinstall duckdb") from error


def quote_text(text: str) -> str:
    """Quote an SQL string literal."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


class Feed:
    """Transfers rows to DuckDB: newline-delimited JSON in a private file, and the SQL that reads it.

    The JSON keys are `c0`, `c1`, ...; column names occur only as quoted identifiers in the SQL.
    """

    def __init__(self, path: Path, types: Sequence[tuple[str, Type]]) -> None:
        self._path = path
        self._types = types
        self._encoders = [(f"c{index}", duckdb_encoder(kind)) for index, (_, kind) in enumerate(types)]
        self._longest = 0

    def write(self, rows: Iterable[Sequence[Any]]) -> int:
        """Replace the content with rows of JSON values in the order of the types. Return their number. Raises OSError."""
        self.remove()
        count = 0
        with os.fdopen(create_private_file(self._path), "w", encoding="ascii") as file:
            for row in rows:
                cells = {
                    key: value if encode is None else encode(value)
                    for (key, encode), value in zip(self._encoders, row, strict=True)
                    if value is not None
                }
                line = json.dumps(cells, separators=(",", ":"))
                self._longest = max(self._longest, len(line))
                file.write(line + "\n")
                count += 1
        return count

    def remove(self) -> None:
        """Delete the file if it exists."""
        self._path.unlink(missing_ok=True)

    @property
    def sql(self) -> str:
        """The statement that selects the rows of the last `write`."""
        kinds = {f"c{index}": duckdb_type(kind) for index, (_, kind) in enumerate(self._types)}
        # JSON columns are read as VARCHAR and cast, because the JSON reader rounds integers of more than 64 bits.
        read = ", ".join(f"{key}: {quote_text('VARCHAR' if kind == 'JSON' else kind)}" for key, kind in kinds.items())
        casts = ((f"{key}::JSON" if kind == "JSON" else key) for key, kind in kinds.items())
        columns = ", ".join(f"{cast} as {quote_name(name)}" for cast, (name, _) in zip(casts, self._types, strict=True))
        options = f"format = 'newline_delimited', maximum_object_size = {max(_MINIMUM_LINE_LIMIT, 2 * self._longest)}"
        source = f"read_json({quote_text(escape_pattern(self._path))}, {options}, columns = {{{read}}})"
        return f"select {columns} from {source}"  # noqa: S608 - names and types are quoted


def escape_pattern(path: Path) -> str:
    """Escape the wildcards in a path, for DuckDB functions that accept glob patterns."""
    return re.sub(r"([*?[])", r"[\1]", str(path))


@dataclass(frozen=True, slots=True)
class SqlResult:
    """The result of a statement: columns with their SQL types, and rows, which can be read once.

    Duplicate column names are numbered. `fetch` returns the next rows as tuples; an empty sequence at the end.
    """

    columns: tuple[tuple[str, str], ...]
    fetch: Callable[[], Sequence[Sequence[Any]]]
    write_parquet: Callable[[Path], None]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, which are unique."""
        return tuple(name for name, _ in self.columns)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield rows as JSON values: times in ISO 8601, bytes in base64, maps as objects. Raises SqlError."""
        parsed = [kind == "JSON" for _, kind in self.columns]
        while rows := self.fetch():
            for row in rows:
                cells = (
                    json.loads(value) if is_json and value is not None else json_value(value)
                    for value, is_json in zip(row, parsed, strict=True)
                )
                yield dict(zip(self.names, cells, strict=True))


def json_value(value: Any) -> Any:
    """Convert a value that DuckDB returned to JSON values."""
    if isinstance(value, dict):
        return {str(json_value(key)): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return _scalar_text(value)


def _scalar_text(value: Any) -> int | float | str:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)  # including NaN and infinity, which JSON does not support


class Database:
    """An open database. See `open_database`."""

    def __init__(self, connection: Any, catalog: Catalog, folder: Path) -> None:
        self._connection = connection
        self._catalog = catalog
        self._folder = folder

    def create(self, name: str, types: Sequence[tuple[str, Type]], rows: Iterable[Sequence[Any]]) -> None:
        """Create a table from rows of JSON values. Raises OutputError if the disk is full, SqlError, JournalError."""
        feed = Feed(self._folder / "rows.ndjson", types)
        try:
            feed.write(rows)
        except OSError as error:
            raise OutputError(
                f"the temporary file could not be written: {error.strerror or error}",
                where=str(self._folder),
                hint="free some space, or set TMPDIR to another folder",
            ) from error
        with self._errors():
            self._connection.execute(f"create table {quote_name(name)} as {feed.sql}")
        feed.remove()

    def derive(self, name: str, source: str, columns: str) -> None:
        """Create a view of SQL expressions over a table. Never pass user input."""
        self._connection.table(source).project(columns).create_view(name)

    def fetch_value(self, source: str, expression: str) -> Any:
        """Return the value of an aggregate over a table. Never pass user input."""
        return self._connection.table(source).aggregate(expression).fetchall()[0][0]

    def lock(self, output: Path | None = None) -> None:
        """Make the database and its settings read-only, and deny external access, except for writing the file `output`."""
        if output is not None:
            self._connection.execute(f"set allowed_paths = [{quote_text(str(output))}]")
        self._connection.execute("set enable_external_access = false")
        self._connection.execute("set lock_configuration = true")
        self._connection.execute("begin transaction read only")

    def execute(self, sql: str) -> SqlResult:
        """Execute a single read statement. Raises SqlError for any other statement and for errors of DuckDB."""
        duckdb = load_duckdb()
        with self._errors():
            statements = duckdb.extract_statements(sql)
            _check_statement(duckdb, statements)
            cursor = self._connection.execute(statements[0])
            used: set[str] = set()
            columns = tuple((unused_name(each[0], used), str(each[1])) for each in cursor.description)

        def fetch() -> Sequence[Sequence[Any]]:
            with self._errors():
                rows: Sequence[Sequence[Any]] = cursor.fetchmany(_FETCH_SIZE)
                return rows

        def write_parquet(path: Path) -> None:
            query = statements[0].query
            with self._errors():
                cursor.abort()  # a connection supports one open result
                relation = self._connection.sql(query)
                names = [name for name, _ in columns]
                if list(relation.columns) != names:  # duplicate names, which only a SELECT can have
                    relation = self._connection.sql(f"from ({query}\n) as answer({', '.join(map(quote_name, names))})")
                relation.write_parquet(str(path), compression="zstd", row_group_size=ROW_GROUP_ROWS, use_tmp_file=False)

        return SqlResult(columns, fetch, write_parquet)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except load_duckdb().Error as error:
            raise self._sql_error(str(error).strip()) from None

    def _sql_error(self, text: str) -> SqlError:
        missing = re.search(r"Table with name (\S+) does not exist", text)
        message, excerpt = _split_message(text)
        if missing is not None:
            name = missing.group(1).strip("\"'!")
            return SqlError(f"no such table: {name}", where="sql", hint=self._catalog.hint(name), excerpt=excerpt)
        if "disabled by configuration" in text or "has been locked" in text:
            return SqlError(text, where="sql", hint="only tables can be read: `runner sql --tables`")
        return SqlError(message, where="sql", hint="`runner sql --tables` lists tables and columns", excerpt=excerpt)


def _check_statement(duckdb: Any, statements: Sequence[Any]) -> None:
    if len(statements) != 1:
        what = f"{len(statements)} statements given" if statements else "the statement is empty"
        raise SqlError(what, where="sql", hint="pass one statement")
    if statements[0].type not in {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}:
        raise SqlError(
            f"{statements[0].type.name} is not allowed: tables are read-only",
            where="sql",
            hint="start with select, from, with, describe or summarize",
        )


def _split_message(text: str) -> tuple[str, str]:
    """Split an error of DuckDB into the message and the marked line of SQL, "" if there is none."""
    place = re.search(r"\n(LINE \d+: [^\n]*\n *\^[~^]*)", text)
    return (" ".join(text.split()), "") if place is None else (" ".join(text[: place.start()].split()), place[1])


@contextmanager
def connect_duckdb(folder: Path) -> Iterator[Any]:
    """Open an empty in-memory DuckDB with the time zone UTC. Data over its memory limit is spilled to `folder`.

    Raises ToolError if DuckDB is missing.
    """
    connection = load_duckdb().connect(":memory:", config={**_CONFIG, "temp_directory": str(folder / "spill")})
    try:
        connection.execute("set TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


@contextmanager
def empty_database(catalog: Catalog) -> Iterator[Database]:
    """Open a database without tables, not yet locked. Raises ToolError if DuckDB is missing."""
    with tempfile.TemporaryDirectory(prefix="rolecall-sql-") as folder, connect_duckdb(Path(folder)) as connection:
        yield Database(connection, catalog, Path(folder))


@contextmanager
def open_database(catalog: Catalog, sql: str, output: Path | None = None) -> Iterator[Database]:
    """Open a locked database with the tables that a statement names, `runs`, `errors` and `play_results`.

    `output`: the file that `SqlResult.write_parquet` may write. Raises ToolError if DuckDB is missing, JournalError.
    """
    with empty_database(catalog) as database:
        tables = list(named_tables(sql, catalog))
        for table in tables:
            layout = layout_of(survey_rows(catalog.runs, table.queries)[0])
            database.create(table.name, layout.types, map(layout.cells, read_rows(catalog.runs, table.queries)))
        plays = list(_recorded_plays(catalog.runs))
        rows = [row for record in catalog.records if (row := _run_row(record)) is not None]
        database.create("runs", _RUN_TYPES, [*rows, *(_play_run_row(record, file) for record, file in plays)])
        read_plays = plays if PLAY_RESULTS in sql.lower() else []
        database.create(PLAY_RESULTS, _PLAY_TYPES, _play_rows(catalog.runs, read_plays))
        # A statement that names no table, such as `select * from errors`, reads the errors of all tables.
        error_tables = tables or [catalog.tables[name] for name in catalog.listed]
        database.create("errors", _ERROR_TYPES, _error_rows(catalog.runs, error_tables))
        database.lock(output)
        yield database


def _run_row(record: RunRecord) -> tuple[Any, ...] | None:
    query = recorded_query(record)
    if query is None:
        return None
    regions = query.body.get("regions")
    return (
        *(record.run_id, query.table, query.name or None, query.service, query.operation),
        query.body.get("parameters", {}),
        ",".join(regions) if isinstance(regions, list) else regions,
        *(query.select, query.body.get("where")),
        *_run_columns(record),
    )


def _play_run_row(record: RunRecord, file: str) -> tuple[Any, ...]:
    return (record.run_id, PLAY_RESULTS, file, None, None, {}, None, None, None, *_run_columns(record))


def _run_columns(record: RunRecord) -> tuple[Any, ...]:
    return (record.selection, record.total, record.started, record.ended, record.manifest, record.rehearsal)


def _error_rows(runs: Path, tables: Iterable[RunTable]) -> Iterator[tuple[Any, ...]]:
    queries: Mapping[str, RecordedQuery] = {query.record.run_id: query for table in tables for query in table.queries}
    for query in queries.values():
        for _, answer in read_answers(runs, query):
            for each in answer.errors():
                place = (each["account"], each["account_id"] or None, each["region"] or None)
                error = (each["reason"], each["code"] or None, each["error"])
                yield (query.table, query.record.run_id, *place, *error, query.record.rehearsal)


def _recorded_plays(runs: Path) -> Iterator[tuple[RunRecord, str]]:
    """Yield the runs of plays, the latest first, each with the name of its play file."""
    for record in list_runs(runs, task=_PLAY_TASK):
        try:
            yield record, str(json.loads(record.options)["file"])
        except (ValueError, TypeError, KeyError):
            continue  # an invalid record must not hide the other runs


def _play_rows(runs: Path, plays: Iterable[tuple[RunRecord, str]]) -> Iterator[tuple[Any, ...]]:
    for record, file in plays:
        for result in read_results(runs, record.run_id):
            yield (record.run_id, file, *_play_row(result), record.rehearsal)


def _play_row(result: Result) -> tuple[Any, ...]:
    body: Mapping[str, Any] = result.data if isinstance(result.data, Mapping) else {}
    outcome = (body.get("task_status", str(result.status)), result.code or None, result.error or None)
    account = (result.target, body.get("account_id"), result.kind)
    return (
        *account,
        body.get("at"),
        result.task,
        *outcome,
        body.get("registered"),
        result.started.isoformat(),
        result.seconds,
    )
