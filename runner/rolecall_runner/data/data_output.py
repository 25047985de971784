"""Output of rows: an SQL answer as a table, JSON, JSON Lines, CSV, or Parquet, and a run as a Parquet dataset.

    DIR/service=ec2/query=describe_instances/_common_metadata                      the schema of all runs so far
    DIR/service=ec2/query=describe_instances/account=acme/part-RUNID.parquet       the rows of one account and run

The dataset uses Hive partitioning: the columns in the path are not in the files. All files of a run have the same schema:
that of the model and of all earlier runs, widened by the values. Files are replaced atomically.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from rolecall_generator.errors import ExitCode, OutputError, RolecallError
from rolecall_generator.terminal import SafeConsole
from rolecall_generator.text import json_text, sanitize_line
from rolecall_runner.data.catalog import (
    RecordedQuery,
    TableLayout,
    answer_rows,
    layout_of,
    read_answers,
    recorded_query,
    survey_rows,
    table_name,
)
from rolecall_runner.data.column_types import Struct, duckdb_type, quote_name, type_from_json, type_to_json
from rolecall_runner.data.database import (
    ROW_GROUP_ROWS,
    Feed,
    SqlResult,
    connect_duckdb,
    escape_pattern,
    load_duckdb,
    quote_text,
)
from rolecall_runner.execution import RunRecord
from rolecall_runner.inventory import TargetKind
from rolecall_runner.private_files import create_private_file, make_private_folder
from rolecall_runner.query import QueryResult
from rolecall_runner.reports import FormatRegistry, TextOutput, cell_of, csv_line

TABLE_ROWS = 1000
"""Maximum number of rows of a table on the terminal. They are held in memory to determine the column widths."""
FILE_WIDTH = 200
"""Width of a table in a file, in characters."""
PATH_COLUMNS = ("service", "query", "account")
FILE_COLUMNS = ("account_id", "region", "queried_at", "run_id", "rehearsal")
SCHEMA_FILE = "_common_metadata"
_UNLIMITED_WIDTH = 1_000_000
_METADATA_KEY = "rolecall.types"
_PARQUET_OPTIONS = f"format parquet, compression zstd, row_group_size {ROW_GROUP_ROWS}, use_tmp_file false"


def write_json(answer: SqlResult, output: TextOutput) -> None:
    """Write one object, `{"columns": [{"name", "type"}], "rows": [{...}]}`. Rows are streamed."""
    write = output.write
    columns = [{"name": name, "type": kind} for name, kind in answer.columns]
    write('{\n  "columns": ' + json_text(columns) + ',\n  "rows": [')
    first = True
    for row in answer.rows():
        write(("\n    " if first else ",\n    ") + json_text(row))
        first = False
    write("]\n}\n" if first else "\n  ]\n}\n")


def write_json_lines(answer: SqlResult, output: TextOutput) -> None:
    """Write one line of ASCII JSON per row."""
    for row in answer.rows():
        output.write(json_text(row, separators=(",", ":")) + "\n")


def write_csv(answer: SqlResult, output: TextOutput) -> None:
    """Write CSV with a header; on a terminal, each row on one line."""
    output.write(csv_line(answer.names, on_terminal=output.on_terminal))
    for row in answer.rows():
        output.write(csv_line((row[name] for name in answer.names), on_terminal=output.on_terminal))


@dataclass(frozen=True, slots=True)
class SqlFormat:
    """A format of SQL answers. Either `text`, which writes strings, or `file`, which writes a new file, is set."""

    text: Callable[[SqlResult, TextOutput], None] | None = None
    file: Callable[[SqlResult, Path], None] | None = None


def write_file(answer: SqlResult, form: SqlFormat, path: Path) -> None:
    """Write the answer to a file with mode 0600, replaced atomically. Raises OutputError, SqlError."""
    try:
        with _replacing(path) as temporary:
            if form.file is not None:
                form.file(answer, temporary)
            elif form.text is not None:
                with temporary.open("w", encoding="utf-8", newline="") as text:
                    form.text(answer, TextOutput(text.write, SafeConsole(file=text, width=FILE_WIDTH)))
    except OSError as error:
        raise OutputError(
            f"the file could not be written: {error.strerror or error}",
            where=str(path),
            hint="check free space and permissions",
        ) from error


def temporary_path(path: Path) -> Path:
    """The temporary file that is renamed to `path` when it is complete."""
    return path.with_name(f".{path.name}.new")


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file that replaces `path` on success and is deleted on failure. Only the owner can read it."""
    temporary = temporary_path(path)
    try:
        temporary.unlink(missing_ok=True)
        # Rows may contain confidential data of an account, so the file has the mode of the journal.
        os.close(create_private_file(temporary))
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_table(answer: SqlResult, output: TextOutput) -> None:
    """Write the first rows as a table, and the number of omitted rows."""
    console = output.console
    rows = answer.rows()
    first_rows = list(islice(rows, TABLE_ROWS))
    print_table(console, answer.names, first_rows)
    more = sum(1 for _ in rows)
    if more:
        console.print(f"and {more:,} more rows: add `limit`, or use --format csv", style="dim", markup=False)


def print_table(console: Console, names: tuple[str, ...], rows: list[Mapping[str, Any]] | list[dict[str, Any]]) -> None:
    """Print rows as a table. On a terminal, wide cells are folded."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(sanitize_line(name), overflow="fold")
    for row in rows:
        table.add_row(*(sanitize_line(cell_of(row[name])) for name in names))
    full_width = Measurement.get(console, console.options.update(max_width=_UNLIMITED_WIDTH), table).maximum
    # Cells are not folded in a pipe, where programs expect one row per line.
    width = console.width if console.is_terminal else max(console.width, full_width)
    console.print(table, width=width, crop=False)


ANSWER_FORMATS: FormatRegistry[SqlFormat] = FormatRegistry()
"""Formats of `runner sql`."""
ANSWER_FORMATS.add("table", SqlFormat(write_table))
ANSWER_FORMATS.add("json", SqlFormat(write_json))
ANSWER_FORMATS.add("jsonl", SqlFormat(write_json_lines))
ANSWER_FORMATS.add("csv", SqlFormat(write_csv))
ANSWER_FORMATS.add("parquet", SqlFormat(file=lambda answer, path: answer.write_parquet(path)))


class DatasetError(RolecallError):
    """The options do not allow a dataset to be written."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """The folder of the query, and the number of files and rows written. An account without rows has no file."""

    folder: Path
    files: int
    rows: int


class ParquetRows:
    """A `RowWriter` for Parquet. All rows are written on `close`, from the journal, when the column types are known.

    `record`: the record of the run. `report`: called with the summary. Raises DatasetError if the run is not a
    query, and the errors of `check_dataset_folder`.
    """

    def __init__(self, runs: Path, record: RunRecord, into: Path | None, report: Callable[[DatasetSummary], object]) -> None:
        self._into = check_dataset_folder(into)
        self._runs = runs
        query = recorded_query(record)
        if query is None:
            raise DatasetError(
                f"run {record.run_id} is not a query", where=record.run_id, hint="`runner history` lists the runs"
            )
        self._query = query
        self._report = report

    def add(self, answer: QueryResult) -> None:
        """Do nothing: the answer is in the journal."""

    def close(self) -> None:
        """Write all rows in the journal, even if the run was interrupted. Raises OutputError, JournalError."""
        self._report(write_dataset(self._runs, self._query, self._into))


def check_dataset_folder(into: Path | None) -> Path:
    """Return the folder if a dataset can be written there. To be called before a query is sent.

    Raises ToolError if DuckDB is missing, DatasetError if the folder is None, OutputError if it is a file.
    """
    load_duckdb()
    if into is None:
        raise DatasetError("--format parquet requires a folder", where="--format parquet", hint="add --output DIR")
    if into.exists() and not into.is_dir():
        raise OutputError("the dataset folder is a file", where=str(into), hint="specify a folder with --output")
    return into


def write_dataset(runs: Path, query: RecordedQuery, into: Path) -> DatasetSummary:
    """Add a run to the dataset in the folder `into`, replacing the files of the same run.

    Raises ToolError if DuckDB is missing, JournalError, and OutputError if the folder cannot be written.
    """
    folder = (
        into / f"service={_path_value(query.service)}" / f"query={_path_value(table_name(query.name or query.operation))}"
    )
    with tempfile.TemporaryDirectory(prefix="rolecall-parquet-") as scratch, connect_duckdb(Path(scratch)) as connection:
        # An account has few rows, for which more threads would only use more memory.
        connection.execute("set threads = 1")
        try:
            make_private_folder(folder)
            columns, rows = survey_rows(runs, [query], _known_types(connection, folder))
            layout = layout_of(columns, FILE_COLUMNS, PATH_COLUMNS)
            _write_schema(connection, folder / SCHEMA_FILE, columns, layout)
            feed = Feed(Path(scratch) / "rows.ndjson", layout.types)
            files = 0
            _, unnest = query.model()
            for kind, answer in read_answers(runs, query):
                # A switch role may have the same name as a customer.
                mark = "" if kind == TargetKind.CUSTOMER else f"-{_path_value(kind)}"
                path = folder / f"account={_path_value(answer.account)}" / f"part-{query.record.run_id}{mark}.parquet"
                if not feed.write(map(layout.cells, answer_rows(answer, query, unnest))):
                    path.unlink(missing_ok=True)
                    continue
                make_private_folder(path.parent)
                _copy(connection, feed.sql, path)
                files += 1
        except (OSError, load_duckdb().Error) as error:
            raise OutputError(
                f"the dataset could not be written: {getattr(error, 'strerror', None) or error}",
                where=str(into),
                hint="check free space and permissions",
            ) from error
    return DatasetSummary(folder, files, rows)


def _write_schema(connection: Any, path: Path, columns: Struct, layout: TableLayout) -> None:
    """Write a Parquet file without rows. Its metadata contains the exact types, which SQL types do not fully describe."""
    nulls = ", ".join(f"null::{duckdb_type(kind)} as {quote_name(name)}" for name, kind in layout.types)
    types = quote_text(json.dumps(type_to_json(columns)))
    _copy(connection, f"select {nulls} where false", path, f", kv_metadata {{{quote_text(_METADATA_KEY)}: {types}}}")


def _copy(connection: Any, select: str, path: Path, options: str = "") -> None:
    with _replacing(path) as temporary:
        connection.execute(f"copy ({select}) to {quote_text(str(temporary))} ({_PARQUET_OPTIONS}{options})")


def _known_types(connection: Any, folder: Path) -> Struct | None:
    """The column types of earlier runs; None if there are none. Raises OutputError for a schema of another program."""
    path = folder / SCHEMA_FILE
    if not path.exists():
        return None
    try:
        sql = "select value from parquet_kv_metadata($path) where key = encode($key)"
        ((text,),) = connection.execute(sql, {"path": escape_pattern(path), "key": _METADATA_KEY}).fetchall()
        known = type_from_json(json.loads(text))
    except (load_duckdb().Error, ValueError, KeyError, TypeError, AttributeError):
        known = None
    if not isinstance(known, Struct):
        raise OutputError(
            "the schema of the dataset was not written by rolecall",
            where=str(path),
            hint="choose another folder, or remove it",
        )
    return known


def _path_value(text: str) -> str:
    """Percent-encode a value in a Hive-partitioned path."""
    return quote(text, safe="")
