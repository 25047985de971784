"""`runner query`: one read operation asked of every account and Region, answered as rows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rolecall_generator.command_line import DEFAULT_MANIFEST, DEFAULT_OUT
from rolecall_generator.console import agreed, emit, emit_json, progress_bar, stderr, stdout
from rolecall_generator.errors import ExitCode, InterruptedRunError, SelectionError
from rolecall_generator.options import ManifestOption, OutOption, QuietOption
from rolecall_runner.acting import acting
from rolecall_runner.commands.cluster import EngineOption, SchedulerOption, TlsOption, cluster_of
from rolecall_runner.commands.common import (
    FaultsOption,
    LimitOption,
    ProfileOption,
    RegionOption,
    RoleOption,
    RunsOption,
    SandboxOption,
)
from rolecall_runner.commands.repeated import repeated
from rolecall_runner.results.journal import RUNS

if TYPE_CHECKING:
    from rolecall_runner.choice import Choice
    from rolecall_runner.results.parquet_dataset import Written
    from rolecall_runner.results.rows_flat import RowWriter
    from rolecall_runner.tasks.query.answers import Count
    from rolecall_runner.tasks.query.preflight import Forecast, Judgement
    from rolecall_runner.tasks.query.query_run import Chosen, QueryRun
    from rolecall_runner.tasks.query.question import Question
    from rolecall_runner.tasks.query.written import Said

EXAMPLES = """Examples:

runner query ec2 describe_instances --regions enabled --select 'Reservations[].Instances[].InstanceId'

runner query ec2 describe_volumes --param 'Filters=[{"Name":"status","Values":["available"]}]' --format csv

runner query s3 list_buckets --limit tier=gold --dry-run          what would be asked, and who cannot answer

runner query --list                                               the queries that ship with rolecall

runner query --named users-without-mfa --format jsonl > rows.jsonl

runner query --retry last                                         that question again, of those who did not answer

runner query --resume last                                        the rest of a run that was cut short"""

Form = Literal["table", "json", "jsonl", "csv", "parquet"]


def query(
    context: typer.Context,
    service: Annotated[str | None, typer.Argument(help="The service, as boto3 calls it: ec2, s3, iam.")] = None,
    operation: Annotated[str | None, typer.Argument(help="The operation: describe_instances.")] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter: JSON or text; {name} is filled in."),
    ] = None,
    regions: Annotated[
        list[str] | None, typer.Option("--regions", "-r", help="Regions with commas, `manifest` or `enabled`.")
    ] = None,
    select: Annotated[str | None, typer.Option("--select", "-s", help="JMESPath over the answer: finds are rows.")] = None,
    where: Annotated[str | None, typer.Option("--where", help="JMESPath over a row: true ones stay.")] = None,
    columns: Annotated[str | None, typer.Option("--columns", help="Columns of the table or CSV, with commas.")] = None,
    named: Annotated[str | None, typer.Option("--named", metavar="NAME", help="A query that ships with rolecall.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A query of one's own, as YAML.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the queries that ship with rolecall.")] = False,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    limit: LimitOption = "all",
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="So many of them, chosen by --seed.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Which sample.")] = 0,
    retry: Annotated[
        str | None,
        typer.Option("--retry", metavar="RUN", help="That run's question, of those for whom it did not end well."),
    ] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Go on with a run that was cut short; all its rows come.")
    ] = None,
    rows: Annotated[int | None, typer.Option("--rows", min=1, help="Rows from each account and Region at the most.")] = None,
    page_size: Annotated[int | None, typer.Option("--page-size", min=1, help="Items a page, where AWS takes it.")] = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show what AWS's models call sensitive.")] = False,
    allow_write: Annotated[
        bool, typer.Option("--allow-write", help="Let operations pass that change something. Asks first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --allow-write.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be asked; send nothing.")] = False,
    forks: Annotated[int, typer.Option("--forks", "-f", min=1, max=256, help="Accounts at a time, a process.")] = 16,
    engine: EngineOption = "threads",
    scheduler: SchedulerOption = None,
    scheduler_tls: TlsOption = None,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds for one account, with all retries.")] = 300.0,
    profile: ProfileOption = None,
    region: RegionOption = None,
    sandbox: SandboxOption = False,
    role: RoleOption = None,
    faults: FaultsOption = "",
    runs: RunsOption = RUNS,
    output_format: Annotated[Form, typer.Option("--format", help="For people, or for machines.")] = "table",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A folder, for --format parquet.")] = None,
    quiet: QuietOption = False,
) -> None:
    """Ask one read operation of AWS of every account and Region; pages, retries and missing answers are seen to.

    Exit code 0 when everybody answered or said why not (denied, Region not enabled), 1 when a question failed, 9 when some
    could not be reached.
    """
    from rolecall_runner.choice import Choice, How  # noqa: PLC0415 - boto3 loads only where needed
    from rolecall_runner.engine.interface import Settings  # noqa: PLC0415 - as above
    from rolecall_runner.tasks.query.preflight import check_reads  # noqa: PLC0415 - as above
    from rolecall_runner.tasks.query.query_run import foresee, prepare  # noqa: PLC0415 - as above
    from rolecall_runner.tasks.query.reach import Reach  # noqa: PLC0415 - as above
    from rolecall_runner.tasks.query.written import Said  # noqa: PLC0415 - as above
    from rolecall_runner.tasks.verify.setting import endpoint_of  # noqa: PLC0415 - as above

    if listed:
        _print_list(output_format)
        return
    said = Said(
        service,
        operation,
        tuple(param or ()),
        tuple(regions or ()),
        select,
        where,
        columns,
        named,
        file,
        rows,
        page_size,
        reveal,
    )
    question, chosen = _asked(said, Choice(limit, sample, seed, retry), resume, manifest, out, runs)
    judged = check_reads(question, allow_write=allow_write or dry_run)
    if dry_run:
        _dry_run(question, judged, chosen, output_format)
        return
    expected = iter(()) if quiet else foresee(question, chosen)
    if engine == "dask" and not all(each.reads for each in judged):
        raise SelectionError(
            "a cluster may ask a lost account twice", where="--engine dask", mend="change things with --engine threads"
        )
    _confirm(judged, chosen, yes=yes)
    how = How(
        engine,
        settings=Settings(workers=forks, timeout_seconds=timeout),
        runs=runs,
        cluster=cluster_of(engine, scheduler, scheduler_tls),
    )
    with ExitStack() as stack:
        with progress_bar("accounts of the sandbox", quiet=quiet) as bar:
            stack.enter_context(acting(manifest, out, sandbox=sandbox, faults=faults, bar=bar, role=role))
        reach = Reach(profile, region, endpoint_of(), forks)
        if output_format == "parquet":
            _check_folder(output)
        done = prepare(question, judged, chosen, reach=reach, how=how)
        writer = _dataset(done, runs, output) if output_format == "parquet" else _writer(output_format, question)
        resume_by = repeated(context, f"runner query --resume {done.record.run_id}")
        count = _ask(done, writer, resume_by, expected, quiet=quiet or output_format == "table")
    _end(count, quiet=quiet)


def _asked(said: Said, choice: Choice, resume: str | None, manifest: Path, out: Path, runs: Path) -> tuple[Question, Chosen]:
    """The question of the command line, or of an earlier run, with those whom it is asked."""
    from rolecall_runner.tasks.query.query_run import (  # noqa: PLC0415 - as above
        asked_again,
        check_alone,
        choose,
    )
    from rolecall_runner.tasks.query.written import Said, question_of  # noqa: PLC0415 - as above

    if resume is None and choice.retry is None:
        chosen = choose(manifest, out, limit=choice.limit, count=choice.sample, seed=choice.seed)
        return question_of(said, chosen.inventory.manifest.partition), chosen
    check_alone(choice, resume, questioned=said != Said())
    return asked_again(resume or str(choice.retry), None if resume else choice, manifest, out, runs=runs)


def _ask(done: QueryRun, writer: RowWriter, resume_by: str, expected: Iterator[Forecast], *, quiet: bool) -> Count:
    """Write rows as they come, then to stderr what did not answer; in a table's way a bar would be torn.

    `resume_by`: the command line that goes on with the run. `expected` is what the manifest lets expect of each account.
    """
    from rolecall_runner.engine.interrupt import stops_on_ctrl_c  # noqa: PLC0415 - as above
    from rolecall_runner.results.rows_trouble import Troubles  # noqa: PLC0415 - as above

    troubles = Troubles()
    interrupted = False
    with progress_bar("accounts", quiet=quiet) as (started, progress), stops_on_ctrl_c(done.outside.stop):
        started(len(done.targets))
        try:
            for answer in done:
                writer.add(answer)
                troubles.add(answer)
                progress(troubles.count.accounts)
                if troubles.count.accounts == 1:  # not before: of 10,000 accounts it takes as long as the first row
                    _warn(expected, len(done.targets))
        except InterruptedRunError:
            interrupted = True
        finally:
            writer.close()
    for line in troubles.lines():
        stderr().print(line, style="yellow", markup=False)
    if interrupted:
        raise InterruptedRunError(
            f"interrupted; {troubles.count.accounts:,} of {done.record.total:,} accounts are done",
            mend=resume_by,
        )
    return troubles.count


def _writer(form: Form, question: Question) -> RowWriter:
    from rolecall_runner.results.rows_csv import CsvRows  # noqa: PLC0415 - as above
    from rolecall_runner.results.rows_json import JsonLines, JsonRows  # noqa: PLC0415 - as above
    from rolecall_runner.results.rows_table import TableRows  # noqa: PLC0415 - as above
    from rolecall_runner.tasks.query.asked import described  # noqa: PLC0415 - as above

    if form == "json":
        return JsonRows(_print_raw, described(question))
    if form == "jsonl":
        return JsonLines(_print_raw)
    if form == "csv":
        return CsvRows(_print_raw, question.columns, on_terminal=sys.stdout.isatty())
    return TableRows(stdout(), question.columns)


def _check_folder(output: Path | None) -> None:
    """Before anything is asked: a data set must be able to go there."""
    from rolecall_runner.results.parquet_rows import checked_folder  # noqa: PLC0415 - as above

    checked_folder(output)


def _dataset(done: QueryRun, runs: Path, output: Path | None) -> RowWriter:
    from rolecall_runner.results.parquet_rows import ParquetRows  # noqa: PLC0415 - as above

    def tell(written: Written) -> None:
        stderr().print(f"{written.rows:,} rows in {written.files:,} files below {written.folder}", markup=False)

    return ParquetRows(runs, done.record, output, tell)


def _print_raw(text: str) -> None:
    emit(text, end="")


def _warn(expected: Iterator[Forecast], accounts: int) -> None:
    """Say early who cannot answer; they are asked all the same, since what is deployed may be more."""
    from rolecall_runner.tasks.query.preflight import Ability  # noqa: PLC0415 - as above

    unable = [each for each in expected if each.ability is Ability.NO]
    if unable:
        text = f"{len(unable):,} of {accounts:,} accounts cannot answer by what the manifest grants, as "
        stderr().print(f"{text}{unable[0].account}: {unable[0].why}", style="yellow", markup=False)


def _confirm(judged: tuple[Judgement, ...], chosen: Chosen, *, yes: bool) -> None:
    from rolecall_runner.tasks.query.question import QueryError  # noqa: PLC0415 - as above

    writing = [each for each in judged if not each.reads]
    if not writing or yes:
        return
    words = ", ".join(f"{each.service} {each.operation} ({each.level})" for each in writing)
    if not sys.stdin.isatty():
        raise QueryError(
            f"{words} changes {len(chosen.targets):,} accounts, and nobody can be asked",
            where="--allow-write",
            mend="add --yes when that is meant",
        )
    if not agreed(f"{words} in {len(chosen.targets):,} accounts?", on_stderr=True):
        raise typer.Exit(int(ExitCode.OK))


def _dry_run(question: Question, judged: tuple[Judgement, ...], chosen: Chosen, form: Form) -> None:
    from rolecall_runner.results.rows_preview import preview_lines  # noqa: PLC0415 - as above
    from rolecall_runner.tasks.query.parameters import check_targets  # noqa: PLC0415 - as above
    from rolecall_runner.tasks.query.preflight import preview  # noqa: PLC0415 - as above
    from rolecall_runner.tasks.query.query_run import foresee  # noqa: PLC0415 - as above

    check_targets(question.parameters, chosen.targets)
    found = preview(question, judged, chosen.targets, foresee(question, chosen))
    if form == "table":
        for line in preview_lines(found):
            stdout().print(line, markup=False)
    else:
        emit_json(found.to_json(), indent=2 if form == "json" else None)


def _print_list(form: Form) -> None:
    from rolecall_runner.tasks.query.named import shipped  # noqa: PLC0415 - as above

    known: list[dict[str, Any]] = [{"name": each.name, "description": each.description} for each in shipped()]
    if form != "table":
        emit_json(known)
        return
    width = max(len(each["name"]) for each in known)
    for each in known:
        stdout().print(f"{each['name']:<{width}}  {each['description']}", markup=False)


def _end(count: Count, *, quiet: bool) -> None:
    from rolecall_runner.tasks.query.answers import Reason  # noqa: PLC0415 - as above

    if not quiet:
        stderr().print(count.text, markup=False)
    if count.reasons.get(Reason.FAILED):
        raise typer.Exit(int(ExitCode.FINDINGS))
    nothing_known = bool(count.reasons) and count.reasons.keys() <= {Reason.NOT_REHEARSED}
    if nothing_known or count.reasons.get(Reason.INCONCLUSIVE) or count.reasons.get(Reason.UNREACHABLE):
        raise typer.Exit(int(ExitCode.INCONCLUSIVE))
