"""`runner sql`: query the rows of recorded runs in SQL, list their tables, and show what changed between runs."""

from __future__ import annotations

import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rolecall_generator.cli import QuietOption
from rolecall_generator.terminal import emit, emit_json, progress_bar, stderr, stdout
from rolecall_runner.cli.options import RunsOption, format_option
from rolecall_runner.data import (
    ANSWER_FORMATS,
    SqlError,
    compare_runs,
    list_tables,
    named_tables,
    open_database,
    print_table,
    read_catalog,
    temporary_path,
    write_file,
)
from rolecall_runner.execution import RUNS
from rolecall_runner.redact import REHEARSAL
from rolecall_runner.reports import TextOutput

if TYPE_CHECKING:
    from rolecall_runner.data import Catalog, SqlFormat, SqlResult


EXAMPLES = """Examples:

runner sql "select account, count(*) from ec2_instances group by all"

runner sql --tables                             list the tables

runner sql --changes ec2_instances              rows that are new, gone or changed since the previous run

runner sql --run last --run 20261123 "select run_id, count(*) from ec2_instances group by all"

runner sql "from ec2_instances" --format parquet --output instances.parquet"""


def sql(
    statement: Annotated[str | None, typer.Argument(metavar="[SQL]", help="SQL statement for DuckDB.")] = None,
    tables: Annotated[bool, typer.Option("--tables", help="List the tables with their columns and rows.")] = False,
    changes: Annotated[
        str | None, typer.Option("--changes", metavar="TABLE", help="Show changes since the previous run of the query.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="With --changes: comma-separated columns that identify a row.")
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option("--run", metavar="RUN", help="Use the rows of this run: an ID, last, previous, all; may be repeated."),
    ] = None,
    runs: RunsOption = RUNS,
    output_format: Annotated[str, format_option(ANSWER_FORMATS)] = "table",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
    quiet: QuietOption = False,
) -> None:
    """Query the rows of earlier queries in SQL, without AWS calls. Each table contains the last run of its query.

    The first columns are account, account_id, region, queried_at, run_id and rehearsal. More tables: `runs`, `errors` and
    `play_results`.
    """
    _check_options(statement, tables=tables, changes=changes, key=key, output_format=output_format, output=output)
    form = ANSWER_FORMATS.find(output_format)
    with progress_bar("rows", quiet=True):  # not shown; handles Ctrl-C while rows are written
        catalog = read_catalog(runs, run or ())
        if tables:
            _list_tables(catalog, output_format)
        elif changes is not None:
            _write_changes(catalog, changes, key, form, output, quiet=quiet)
        else:
            _write_answer(catalog, str(statement), form, output, quiet=quiet)


def _check_options(
    statement: str | None, *, tables: bool, changes: str | None, key: str | None, output_format: str, output: Path | None
) -> None:
    actions = sum((statement is not None, tables, changes is not None))
    if actions != 1:
        what = "no statement given" if not actions else "SQL, --tables and --changes are mutually exclusive"
        raise SqlError(what, where="sql", hint='runner sql "select ...", or --tables, or --changes TABLE')
    if key is not None and changes is None:
        raise SqlError("--key requires --changes", where="--key", hint="add --changes TABLE")
    if ANSWER_FORMATS.find(output_format).text is None and (output is None or tables):
        format_ = f"--format {output_format}"
        raise SqlError(f"{format_} requires a file", where=format_, hint="add --output FILE to a statement")


def _write_answer(catalog: Catalog, statement: str, form: SqlFormat, output: Path | None, *, quiet: bool) -> None:
    with open_database(catalog, statement, output and temporary_path(output)) as database:
        answer = database.execute(statement)
        if not quiet:
            for table in named_tables(statement, catalog):
                stderr().print(f"{table.name}: {table.origin}", style="dim", markup=False)
        _write(answer, form, output)


def _write_changes(
    catalog: Catalog, table: str, key: str | None, form: SqlFormat, output: Path | None, *, quiet: bool
) -> None:
    keys = [name.strip() for name in (key or "").split(",") if name.strip()]
    with compare_runs(catalog, table, keys, output and temporary_path(output)) as found:
        if not quiet:
            by = ", ".join(found.key) or "whole rows"
            runs = f"from run {found.before.record.run_id} to {found.after.record.run_id}"
            mark = f", {REHEARSAL}" if found.rehearsal else ""
            stderr().print(f"{table}: {runs}, by {by}{mark}", style="dim", markup=False)
            if found.not_compared:
                text = f"{found.not_compared:,} accounts and Regions did not answer in both runs and are not compared"
                stderr().print(text, style="yellow", markup=False)
        _write(found.answer, form, output)


def _write(answer: SqlResult, form: SqlFormat, output: Path | None) -> None:
    if output is not None:
        write_file(answer, form, output)
    elif form.text is not None:
        form.text(answer, TextOutput(partial(emit, end=""), stdout(), on_terminal=sys.stdout.isatty()))


def _list_tables(catalog: Catalog, form: str) -> None:
    found = list(list_tables(catalog))
    if form != "table":
        emit_json(
            [asdict(each) | {"columns": [{"name": name, "type": kind} for name, kind in each.columns]} for each in found]
        )
        return
    if not found:
        stdout().print(f"no tables in {catalog.runs}: {catalog.hint('')}", markup=False)
        return
    rows = [
        {
            "table": each.table,
            "rows": each.rows,
            "run": ", ".join([*each.runs, *([REHEARSAL] if each.rehearsal else [])]),
            "columns": ", ".join(f"{name} {kind}" for name, kind in each.columns),
        }
        for each in found
    ]
    print_table(stdout(), ("table", "rows", "run", "columns"), rows)


app = typer.Typer()
app.command(epilog=EXAMPLES)(sql)
