"""`runner sql`: the rows of queries asked in SQL, their tables, and what changed since the run before."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rolecall_generator.console import emit, emit_json, progress_bar, stderr, stdout
from rolecall_generator.options import QuietOption
from rolecall_runner.commands.common import RunsOption
from rolecall_runner.results.journal import RUNS

if TYPE_CHECKING:
    from rolecall_runner.sql.answered import Answered
    from rolecall_runner.sql.catalogue import Catalogue

EXAMPLES = """Examples:

runner sql "select account, count(*) from ec2_instances group by all"

runner sql --tables                             what can be asked

runner sql --changes ec2_instances              what is new, gone or changed since the same query before

runner sql --run last --run 20261123 "select run_id, count(*) from ec2_instances group by all"

runner sql "from ec2_instances" --format parquet --output instances.parquet"""

Form = Literal["table", "json", "jsonl", "csv", "parquet"]


def sql(
    question: Annotated[str | None, typer.Argument(metavar="[SQL]", help="One question in DuckDB's SQL.")] = None,
    tables: Annotated[bool, typer.Option("--tables", help="List the tables, their columns and rows.")] = False,
    changes: Annotated[
        str | None, typer.Option("--changes", metavar="TABLE", help="What changed since the same query before.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="With --changes: columns that tell rows apart, with commas.")
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option("--run", metavar="RUN", help="Rows of this run: an id, last, previous, all. Repeatable."),
    ] = None,
    runs: RunsOption = RUNS,
    output_format: Annotated[Form, typer.Option("--format", help="For people, or for machines.")] = "table",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file instead of the screen.")] = None,
    quiet: QuietOption = False,
) -> None:
    """Ask the rows of past queries in SQL; nothing is sent to AWS. Each table has the last run that asked for it.

    Columns account, account_id, region, asked_at and run_id come first; `runs`, `errors`, `play_results` are tables too.
    """
    from rolecall_runner.sql.catalogue import read_catalogue  # noqa: PLC0415 - DuckDB loads only where needed

    _check(question, tables=tables, changes=changes, key=key, output_format=output_format, output=output)
    with progress_bar("rows", quiet=True):  # for Ctrl-C alone: the answer is written meanwhile
        catalogue = read_catalogue(runs, run or ())
        if tables:
            _list(catalogue, output_format)
        elif changes is not None:
            _changes(catalogue, changes, key, output_format, output, quiet=quiet)
        else:
            _ask(catalogue, str(question), output_format, output, quiet=quiet)


def _check(
    question: str | None, *, tables: bool, changes: str | None, key: str | None, output_format: Form, output: Path | None
) -> None:
    from rolecall_runner.sql.errors import SqlError  # noqa: PLC0415 - as above

    ways = sum((question is not None, tables, changes is not None))
    if ways != 1:
        what = "nothing is asked" if not ways else "only one of SQL, --tables and --changes can be asked"
        raise SqlError(what, where="sql", mend='runner sql "select ...", or --tables, or --changes TABLE')
    if key is not None and changes is None:
        raise SqlError("a key tells rows apart for --changes", where="--key", mend="add --changes TABLE")
    if output_format == "parquet" and (output is None or tables):
        raise SqlError("Parquet goes into a file", where="--format parquet", mend="add --output FILE to a question")


def _ask(catalogue: Catalogue, question: str, form: Form, output: Path | None, *, quiet: bool) -> None:
    from rolecall_runner.sql.catalogue import named_in  # noqa: PLC0415 - as above
    from rolecall_runner.sql.database import opened  # noqa: PLC0415 - as above

    with opened(catalogue, question) as database:
        answered = database.ask(question)
        if not quiet:
            for table in named_in(question, catalogue):
                stderr().print(f"{table.name}: {table.origin}", style="dim", markup=False)
        _write(answered, form, output)


def _changes(catalogue: Catalogue, table: str, key: str | None, form: Form, output: Path | None, *, quiet: bool) -> None:
    from rolecall_runner.sql.changes import compared  # noqa: PLC0415 - as above

    keys = [name.strip() for name in (key or "").split(",") if name.strip()]
    with compared(catalogue, table, keys) as found:
        if not quiet:
            by = ", ".join(found.key) or "whole rows"
            runs = f"from run {found.before.record.run_id} to {found.after.record.run_id}"
            stderr().print(f"{table}: {runs}, by {by}", style="dim", markup=False)
            if found.apart:
                text = f"{found.apart:,} accounts and Regions did not answer in both runs and are not compared"
                stderr().print(text, style="yellow", markup=False)
        _write(found.answered, form, output)


def _write(answered: Answered, form: Form, output: Path | None) -> None:
    from rolecall_runner.sql import output as forms  # noqa: PLC0415 - as above

    if output is not None:
        forms.write_file(answered, form, output)
    elif form == "table":
        forms.write_table(answered, stdout())
    else:
        writer = forms.write_csv_to_terminal if form == "csv" and sys.stdout.isatty() else forms.WRITERS[form]
        writer(answered, lambda text: emit(text, end=""))


def _list(catalogue: Catalogue, form: Form) -> None:
    from rolecall_runner.sql.output import print_table  # noqa: PLC0415 - as above
    from rolecall_runner.sql.tables import listed  # noqa: PLC0415 - as above

    found = list(listed(catalogue))
    if form != "table":
        body = [asdict(each) | {"columns": [{"name": name, "type": kind} for name, kind in each.columns]} for each in found]
        emit_json(body)
        return
    if not found:
        stdout().print(f"no tables in {catalogue.runs}: {catalogue.hint('')}", markup=False)
        return
    rows = [
        {
            "table": each.table,
            "rows": each.rows,
            "run": ", ".join(each.runs),
            "columns": ", ".join(f"{name} {kind}" for name, kind in each.columns),
        }
        for each in found
    ]
    print_table(stdout(), ("table", "rows", "run", "columns"), rows)
