"""`runner query`: call one read operation in every account and Region, and print rows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rolecall_generator.cli import ManifestOption, OutOption, QuietOption
from rolecall_generator.errors import ExitCode, InterruptedRunError, SelectionError
from rolecall_generator.terminal import confirm, emit, emit_json, progress_bar, stderr, stdout
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT
from rolecall_runner.api import execution_context
from rolecall_runner.aws import AwsConfig, SessionOptions, endpoint_from_environment
from rolecall_runner.cli import options as shared
from rolecall_runner.cli.options import format_option, option, repeat_command
from rolecall_runner.data import ParquetRows, check_dataset_folder
from rolecall_runner.execution import DEFAULT_WORKERS, RUNS, EngineSettings, ExecutionOptions, stops_on_ctrl_c
from rolecall_runner.inventory import ALL_TARGETS, Selection
from rolecall_runner.query import (
    QueryError,
    QuerySpec,
    Reason,
    base_query,
    check_reads,
    load_targets,
    override,
    prepare,
    preview,
    replay,
    shipped_queries,
    validate_query,
)
from rolecall_runner.reports import ROW_FORMATS, MissingResults, RowFormat, RowOutput, TextOutput, preview_lines

if TYPE_CHECKING:
    from rolecall_runner.data import DatasetSummary
    from rolecall_runner.query import Count, Forecast, OperationAccess, QueryRun, QueryTargets
    from rolecall_runner.reports import RowWriter


EXAMPLES = """Examples:

runner query ec2 describe_instances --regions enabled --select 'Reservations[].Instances[].InstanceId'

runner query ec2 describe_volumes --param 'Filters=[{"Name":"status","Values":["available"]}]' --format csv

runner query s3 list_buckets --limit tier=gold --dry-run          planned calls, and accounts without permission

runner query --list                                               the queries that ship with rolecall

runner query --named users-without-mfa --format jsonl > rows.jsonl

runner query --retry last                                         the same query for accounts that did not answer

runner query --resume last                                        the rest of an interrupted run"""


def _dataset(output: RowOutput) -> RowWriter:
    def report(found: DatasetSummary) -> None:
        stderr().print(f"{found.rows:,} rows in {found.files:,} files in {found.folder}", markup=False)

    return ParquetRows(output.runs, output.record, output.folder, report)


# Registered here because `reports` cannot import `data`.
ROW_FORMATS.add("parquet", RowFormat(_dataset, check=check_dataset_folder))


def query(
    context: typer.Context,
    service: Annotated[str | None, option(QuerySpec, "service")] = None,
    operation: Annotated[str | None, option(QuerySpec, "operation")] = None,
    param: Annotated[list[str] | None, option(QuerySpec, "parameters", "--param", "-p", metavar="NAME=VALUE")] = None,
    regions: Annotated[list[str] | None, option(QuerySpec, "regions", "--regions", "-r")] = None,
    select: Annotated[str | None, option(QuerySpec, "select", "--select", "-s")] = None,
    where: Annotated[str | None, option(QuerySpec, "where", "--where")] = None,
    columns: Annotated[str | None, option(QuerySpec, "columns", "--columns")] = None,
    named: Annotated[str | None, typer.Option("--named", metavar="NAME", help="Query that ships with rolecall.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Query file in YAML.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the queries that ship with rolecall.")] = False,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    limit: shared.LimitOption = ALL_TARGETS,
    sample: shared.SampleOption = None,
    seed: shared.SeedOption = 0,
    retry: shared.RetryOption = None,
    resume: shared.ResumeOption = None,
    rows: Annotated[int | None, option(QuerySpec, "limit", "--rows")] = None,
    page_size: Annotated[int | None, option(QuerySpec, "page_size", "--page-size")] = None,
    reveal: Annotated[bool, option(QuerySpec, "reveal", "--reveal")] = False,
    allow_write: Annotated[
        bool, typer.Option("--allow-write", help="Allow write operations, after a confirmation.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the confirmation of --allow-write.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the planned calls without sending requests.")] = False,
    forks: shared.ForksOption = DEFAULT_WORKERS,
    engine: shared.EngineOption = "threads",
    scheduler: shared.SchedulerOption = None,
    scheduler_tls: shared.TlsOption = None,
    timeout: shared.TimeoutOption = 300.0,
    profile: shared.ProfileOption = None,
    region: shared.RegionOption = None,
    session_name: shared.SessionNameOption = None,
    session_policy: shared.SessionPolicyOption = None,
    source_identity: shared.SourceIdentityOption = None,
    sandbox: shared.SandboxOption = False,
    role: shared.RoleOption = None,
    faults: shared.FaultsOption = "",
    runs: shared.RunsOption = RUNS,
    output_format: Annotated[str, format_option(ROW_FORMATS)] = "table",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Output folder, for --format parquet.")] = None,
    quiet: QuietOption = False,
) -> None:
    """Call one read operation of AWS in every account and Region, with pagination and retries.

    Exit code 0 when every account answered or gave a reason (denied, Region not enabled), 1 when a call failed, 9 when some
    accounts could not be reached.
    """
    if listed:
        _print_list(output_format)
        return
    base = partial(base_query, service, operation, named=named, file=file)
    settings = {"regions": regions or None, "select": select, "where": where, "columns": columns, "limit": rows}
    settings |= {"page_size": page_size, "reveal": reveal or None}
    if resume is None and retry is None:
        targets = load_targets(manifest, out, Selection(limit, sample, seed))
        partition = targets.inventory.manifest.partition
        spec = validate_query(override(base(), partition=partition, **settings), param or ())
    else:
        has_query = any(each is not None for each in (service, operation, named, file, param or None, *settings.values()))
        selection = Selection(limit, sample, seed, retry)
        spec, targets = replay(selection, manifest, out, resume=resume, runs=runs, has_query=has_query)
    access_levels = check_reads(spec, allow_write=allow_write or dry_run)
    if dry_run:
        _dry_run(spec, access_levels, targets, output_format)
        return
    expected = iter(()) if quiet else targets.forecasts(spec)
    options = ExecutionOptions(
        engine, settings=EngineSettings(forks, timeout), runs=runs, scheduler=scheduler, scheduler_tls=scheduler_tls
    )
    if options.reach == "cluster" and not all(each.reads for each in access_levels):
        raise SelectionError(
            "a cluster may process an account twice", where=f"--engine {engine}", hint="use --engine threads"
        )
    _confirm(access_levels, targets, yes=yes)
    with ExitStack() as stack:
        with progress_bar("accounts of the sandbox", quiet=quiet) as bar:
            stack.enter_context(execution_context(manifest, out, sandbox=sandbox, faults=faults, bar=bar, role=role))
        session = SessionOptions.read(session_name, session_policy or (), source_identity)
        aws = AwsConfig(profile, region, endpoint_from_environment(), forks, session=session)
        form = ROW_FORMATS.find(output_format)
        form.check(output)
        done = prepare(spec, access_levels, targets, aws=aws, options=options)
        text = TextOutput(partial(emit, end=""), stdout(), on_terminal=sys.stdout.isatty())
        writer = form.make(RowOutput(text, spec, done.record, runs, output))
        resume_by = repeat_command(context, f"runner query --resume {done.record.run_id}")
        # On a terminal, rows and a progress bar would overwrite each other.
        rows_on_terminal = output is None and sys.stdout.isatty()
        count = _write_rows(done, writer, resume_by, expected, quiet=quiet or output_format == "table" or rows_on_terminal)
    _exit_with_code(count, quiet=quiet)


def _write_rows(done: QueryRun, writer: RowWriter, resume_by: str, expected: Iterator[Forecast], *, quiet: bool) -> Count:
    """Write rows as they arrive, then print accounts without an answer to stderr. `quiet`: show no progress bar.

    `resume_by`: the command line that resumes the run. `expected`: the forecast for each account, from the manifest.
    """
    errors = MissingResults()
    interrupted = None
    with progress_bar("accounts", quiet=quiet) as (started, progress), stops_on_ctrl_c(done.runtime.stop):
        started(len(done.targets))
        try:
            for answer in done:
                writer.add(answer)
                errors.add(answer)
                progress(errors.count.accounts)
                if errors.count.accounts == 1:  # after the first answer, since the forecast of 10,000 accounts takes as long
                    _warn_about_forecast(expected, len(done.targets))
        except InterruptedRunError as error:
            interrupted = error
        finally:
            writer.close()
    for line in errors.lines():
        stderr().print(line, style="yellow", markup=False)
    if interrupted is not None:
        raise interrupted.with_progress(errors.count.accounts, done.record.total, resume_by)
    return errors.count


def _warn_about_forecast(expected: Iterator[Forecast], accounts: int) -> None:
    """Warn about accounts without permission by the manifest. They are queried anyway, since deployed roles may differ."""
    unable = [each for each in expected if each.is_unable]
    if unable:
        text = f"{len(unable):,} of {accounts:,} accounts have no permission for this in the manifest, for example "
        stderr().print(f"{text}{unable[0].account}: {unable[0].reason}", style="yellow", markup=False)


def _confirm(access_levels: tuple[OperationAccess, ...], chosen: QueryTargets, *, yes: bool) -> None:
    writing = [each for each in access_levels if not each.reads]
    if not writing or yes:
        return
    operations = ", ".join(f"{each.service} {each.operation} ({each.level})" for each in writing)
    if not sys.stdin.isatty():
        raise QueryError(
            f"{operations} changes {len(chosen.targets):,} accounts, and there is no terminal for the confirmation",
            where="--allow-write",
            hint="add --yes to confirm",
        )
    if not confirm(f"{operations} in {len(chosen.targets):,} accounts?", on_stderr=True):
        raise typer.Exit(int(ExitCode.OK))


def _dry_run(spec: QuerySpec, access_levels: tuple[OperationAccess, ...], chosen: QueryTargets, form: str) -> None:
    found = preview(spec, access_levels, chosen)
    if form == "table":
        for line in preview_lines(found):
            stdout().print(line, markup=False)
    else:
        emit_json(found.to_json(), indent=2 if form == "json" else None)


def _print_list(form: str) -> None:
    known: list[dict[str, Any]] = [{"name": each.name, "description": each.description} for each in shipped_queries()]
    if form != "table":
        emit_json(known)
        return
    width = max(len(each["name"]) for each in known)
    for each in known:
        stdout().print(f"{each['name']:<{width}}  {each['description']}", markup=False)


def _exit_with_code(count: Count, *, quiet: bool) -> None:
    if not quiet:
        stderr().print(count.text, markup=False)
    if count.reasons.get(Reason.FAILED):
        raise typer.Exit(int(ExitCode.FINDINGS))
    nothing_known = bool(count.reasons) and count.reasons.keys() <= {Reason.NOT_REHEARSED}
    if nothing_known or count.reasons.get(Reason.INCONCLUSIVE) or count.reasons.get(Reason.UNREACHABLE):
        raise typer.Exit(int(ExitCode.INCONCLUSIVE))


app = typer.Typer()
app.command(epilog=EXAMPLES)(query)
