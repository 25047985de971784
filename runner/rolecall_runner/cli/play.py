"""`runner play`: run the tasks of a YAML file in the accounts of the manifest."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rolecall_generator.cli import ManifestOption, OutOption, QuietOption, complete_targets
from rolecall_generator.errors import ExitCode, InterruptedRunError
from rolecall_generator.terminal import emit, emit_json, progress_bar, stderr, stdout
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT
from rolecall_runner.api import Fleet, execution_context
from rolecall_runner.aws import SessionOptions
from rolecall_runner.cli import options as shared
from rolecall_runner.cli.options import format_option, repeat_command
from rolecall_runner.execution import DEFAULT_WORKERS, RUNS, EngineSettings, ExecutionOptions, keys_to_retry, stops_on_ctrl_c
from rolecall_runner.plays import (
    HandlerFactory,
    PlayOptions,
    PlayStop,
    Recap,
    Runner,
    TaskFilter,
    TaskResult,
    TaskStatus,
    installed_tasks,
    load_plays,
    prepare_play_run,
    select_tasks,
    tags_of,
)
from rolecall_runner.reports import PLAY_FORMATS, PlayOutput, list_plays, play_list_lines

if TYPE_CHECKING:
    from rolecall_runner.plays import Play
    from rolecall_runner.reports import PlayWriter


EXAMPLES = """Examples:

runner play examples/plays/audit.yaml --sandbox                  without AWS, in a sandbox

runner play audit.yaml --list-tasks                              the tasks, without running them

runner play audit.yaml --limit 'tier=gold:!acme' --forks 32      patterns as in Ansible

runner play fix.yaml  --check                                    runs only read operations

runner play audit.yaml --tags inventory --start-at-task 'List volumes'

runner play --retry last                                         the same play for accounts that failed

runner play --resume last                                        the rest of an interrupted run"""


def play(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Play file. Omit it with --retry and --resume.")
    ] = None,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    limit: Annotated[
        str,
        typer.Option(
            "--limit",
            "-l",
            metavar="PATTERN",
            autocompletion=complete_targets,
            help="Limit the accounts of the plays further, by host pattern.",
        ),
    ] = "all",
    tags: Annotated[list[str] | None, typer.Option("--tags", "-t", help="Only tasks with one of these tags.")] = None,
    skip_tags: Annotated[list[str] | None, typer.Option("--skip-tags", help="Skip tasks with one of these tags.")] = None,
    start_at: Annotated[
        str | None, typer.Option("--start-at-task", metavar="NAME", help="Start at this task; wildcards are allowed.")
    ] = None,
    retry: Annotated[
        str | None,
        typer.Option("--retry", metavar="RUN", help="Rerun the play of that run for accounts that failed."),
    ] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Continue a run that was interrupted.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", "-C", help="Skip scripts and all tasks that may write.")] = False,
    list_tasks: Annotated[bool, typer.Option("--list-tasks", help="List the tasks without running them.")] = False,
    list_hosts: Annotated[bool, typer.Option("--list-hosts", help="List the accounts without running tasks.")] = False,
    allow_write: Annotated[
        bool, typer.Option("--allow-write", help="Allow queries to write if their task has allow_write: true.")
    ] = False,
    forks: shared.ForksOption = DEFAULT_WORKERS,
    timeout: shared.TimeoutOption = 300.0,
    profile: shared.ProfileOption = None,
    region: shared.RegionOption = None,
    session_name: shared.SessionNameOption = None,
    session_policy: shared.SessionPolicyOption = None,
    source_identity: shared.SourceIdentityOption = None,
    sandbox: shared.SandboxOption = False,
    faults: shared.FaultsOption = "",
    runs: shared.RunsOption = RUNS,
    output_format: Annotated[str, format_option(PLAY_FORMATS)] = "table",
    quiet: QuietOption = False,
) -> None:
    """Run the tasks of a play in accounts: query, verify, assert, script.

    Exit code 0 if all tasks passed, 1 if a task failed in an account, 9 if some accounts could not be reached.
    """
    task_filter = TaskFilter(tags_of(tags or ()), tags_of(skip_tags or ()), start_at)
    folder = prepare_play_run(PlayOptions(file, limit, task_filter, check=check, retry=retry, resume=resume), runs)
    spec = folder.spec
    plugins = installed_tasks()
    plays = select_tasks(load_plays(spec.file, plugins), spec.task_filter)
    settings = EngineSettings(workers=forks, timeout_seconds=timeout)
    fleet = Fleet(
        manifest,
        limit=spec.limit,
        out=out,
        profile=profile,
        region=region,
        execution=ExecutionOptions(settings=settings, runs=runs),
        session_name=folder.short_id,
        session=SessionOptions.read(session_name, session_policy or (), source_identity),
    )
    if spec.retry is not None:
        fleet.narrow(keys_to_retry(runs, spec.retry), spec.retry)
    if list_tasks or list_hosts:
        _print_list(plays, fleet, output_format, tasks=list_tasks, hosts=list_hosts)
        return
    with ExitStack() as stack:
        with progress_bar("accounts of the sandbox", quiet=quiet) as bar:
            stack.enter_context(execution_context(manifest, out, sandbox=sandbox, faults=faults, bar=bar))
        stack.callback(fleet.close)
        stack.callback(folder.close)
        handlers = HandlerFactory(fleet, spec.file.parent, plugins, allow_write)
        runner = Runner(fleet, handlers, spec.check, settings, record=folder)
        resume_by = repeat_command(context, f"runner play --resume {folder.run_id}")
        recap = _run(runner, plays, PLAY_FORMATS.find(output_format)(_output(quiet=quiet)), resume_by, fleet)
    _exit_with_code(recap)


def _run(runner: Runner, plays: tuple[Play, ...], writer: PlayWriter, resume_by: str, fleet: Fleet) -> Recap:
    recap = Recap()
    try:
        with stops_on_ctrl_c(runner.runtime.stop):
            for event in runner.run(plays):
                writer.add(event)
                if isinstance(event, TaskResult):
                    recap.add(event)
                elif isinstance(event, PlayStop):
                    recap.stopped = event.reason
    except InterruptedRunError as error:
        recap.rehearsal = fleet.rehearsal
        writer.close(recap)
        raise type(error)(error.what, hint=resume_by) from None
    recap.rehearsal = fleet.rehearsal
    writer.close(recap)
    return recap


def _output(*, quiet: bool) -> PlayOutput:
    """Output of lines to stdout. With `quiet`, prints only errors, to stderr."""
    console = stderr() if quiet else stdout()

    def line(text: str, style: str) -> None:
        if not quiet or style == "red":
            console.print(text, style=style or None, markup=False)

    return PlayOutput(partial(emit, end=""), line)


def _print_list(plays: tuple[Play, ...], fleet: Fleet, form: str, *, tasks: bool, hosts: bool) -> None:
    found = list_plays(plays, fleet, tasks=tasks, hosts=hosts)
    if form == "json":
        emit_json(found)
        return
    for line in play_list_lines(found):
        stdout().print(line, markup=False)


def _exit_with_code(recap: Recap) -> None:
    if recap.any(frozenset({TaskStatus.FAILED})):
        raise typer.Exit(int(ExitCode.FINDINGS))
    if recap.any(frozenset({TaskStatus.UNREACHABLE, TaskStatus.INCONCLUSIVE})):
        raise typer.Exit(int(ExitCode.INCONCLUSIVE))


app = typer.Typer()
app.command(epilog=EXAMPLES)(play)
