"""`runner verify`: check all customers and switch roles in live accounts."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rolecall_generator.check import prove_manifest
from rolecall_generator.cli import ManifestArgument, OutOption, QuietOption
from rolecall_generator.errors import ExitCode, InterruptedRunError, RolecallError, SelectionError
from rolecall_generator.output import LOCK_NAME
from rolecall_generator.reports.graph import access_graph, describe, to_svg
from rolecall_generator.terminal import emit, emit_json, print_error, progress_bar, stderr, stdout
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT
from rolecall_runner.api import execution_context
from rolecall_runner.aws import AwsConfig, SessionOptions, endpoint_from_environment
from rolecall_runner.cli import options as shared
from rolecall_runner.cli.options import format_option, option, repeat_command
from rolecall_runner.execution import DEFAULT_WORKERS, RUNS, EngineSettings, ExecutionOptions, narrow_targets
from rolecall_runner.inventory import ALL_TARGETS, Selection, read_inventory, select
from rolecall_runner.notification import (
    URL_VARIABLE,
    VerdictChange,
    Webhook,
    body_of,
    previous_verdicts,
    verdict_changes,
)
from rolecall_runner.reports import VERDICT_FORMATS, TextOutput, VerdictOutput, VerifyProgress
from rolecall_runner.status import StatusPlace, record_verdicts
from rolecall_runner.verify import Actions, Mark, RunConfig, VerifySpec
from rolecall_runner.verify_run import TASK, prepare_verify_run

if TYPE_CHECKING:
    from rolecall_runner.verify_run import VerifyRun


EXAMPLES = """Examples:

runner verify --sandbox                                  without AWS, in a sandbox

runner verify                                            on an instance with the backend role

runner verify --limit 'tier=gold:!acme' --forks 32       patterns as in Ansible

runner verify --retry last                               accounts that failed in the last run

runner verify --resume last                              the rest of an interrupted run

runner verify --format html > verify.html                one page, with the access graph"""


def verify(
    context: typer.Context,
    manifest: ManifestArgument = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    limit: shared.LimitOption = ALL_TARGETS,
    sample: shared.SampleOption = None,
    seed: shared.SeedOption = 0,
    retry: shared.RetryOption = None,
    resume: shared.ResumeOption = None,
    forks: shared.ForksOption = DEFAULT_WORKERS,
    engine: shared.EngineOption = "threads",
    scheduler: shared.SchedulerOption = None,
    scheduler_tls: shared.TlsOption = None,
    timeout: shared.TimeoutOption = 300.0,
    actions: Annotated[Actions, option(VerifySpec, "actions", "--actions")] = "sample",
    drift: Annotated[bool, option(VerifySpec, "drift", "--drift/--no-drift")] = True,
    reader: Annotated[
        list[str] | None,
        typer.Option(
            "--reader",
            metavar="ACCOUNT_ID=PROFILE",
            help="AWS CLI profile that may read IAM in a switch role's account.",
        ),
    ] = None,
    list_accounts: Annotated[
        bool, typer.Option("--list-accounts", help="List the selected accounts, without calls to AWS.")
    ] = False,
    profile: shared.ProfileOption = None,
    region: shared.RegionOption = None,
    session_name: shared.SessionNameOption = None,
    source_identity: shared.SourceIdentityOption = None,
    sandbox: shared.SandboxOption = False,
    role: shared.RoleOption = None,
    faults: shared.FaultsOption = "",
    runs: shared.RunsOption = RUNS,
    output_format: Annotated[str, format_option(VERDICT_FORMATS)] = "table",
    notify: Annotated[
        str | None,
        typer.Option(
            "--notify",
            metavar="URL",
            envvar=URL_VARIABLE,
            help="Webhook for changed verdicts; ROLECALL_NOTIFY_KEY signs the body.",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print a line for each finished account.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Assume every role, check that wrong callers are refused, try granted actions, and detect drift.

    Exit code 0 if all checks passed, 1 if one failed, 9 if some accounts could not be checked and no check failed.
    """
    _check_resume(limit=limit, sample=sample, retry=retry, resume=resume)
    if list_accounts:
        _list_accounts(manifest, out, Selection(limit, sample, seed, retry), runs, output_format)
        return
    webhook = Webhook.create(notify, os.environ) if notify else None
    options = VerifySpec(actions, drift)
    form = VERDICT_FORMATS.find(output_format)
    text = TextOutput(partial(emit, end=""), stdout())
    output = VerdictOutput(text, StatusPlace(manifest, out).command, partial(_graph_svg, manifest, out))
    execution = ExecutionOptions(
        engine, settings=EngineSettings(forks, timeout), runs=runs, scheduler=scheduler, scheduler_tls=scheduler_tls
    )
    with ExitStack() as stack:
        with progress_bar("accounts of the sandbox", quiet=quiet) as bar:
            stack.enter_context(execution_context(manifest, out, sandbox=sandbox, faults=faults, bar=bar, role=role))
        session = SessionOptions.read(session_name, (), source_identity)
        aws = AwsConfig(profile, region, endpoint_from_environment(), forks, session=session)
        start = RunConfig(manifest, out, aws=aws, options=options, readers=_readers(reader or ()), sandbox=sandbox)
        call = prepare_verify_run(start, Selection(limit, sample, seed, retry), execution, resume=resume)
        display = stack.enter_context(
            VerifyProgress(stderr(), verbose=verbose, quiet=quiet or not (verbose or sys.stderr.isatty()))
        )
        display.started(len(call.waiting))
        interrupted = None
        try:
            for verdict in call:
                display.finished(verdict)
                if form.each is not None:
                    form.each(output, verdict)
        except InterruptedRunError as error:
            interrupted = error
    changes = _changes(call, start) if webhook is not None else ()
    _record_status(call, start)
    if webhook is not None and changes and (problem := webhook.send(body_of(changes, call.info()))) is not None:
        print_error(f"warning: {webhook.host} did not accept the notification: {problem}", style="yellow")
    if form.report is not None and not (quiet and output_format == "table"):
        form.report(output, call.info(), call.verdicts())
    if interrupted is not None:
        resume_by = repeat_command(context, f"runner verify --resume {call.record.run_id}")
        raise interrupted.with_progress(len(list(call.verdicts())), call.record.total, resume_by)
    _exit_with_code(call)


def _list_accounts(manifest: Path, out: Path, selection: Selection, runs: Path, output_format: str) -> None:
    targets = select(read_inventory(manifest, out=out).targets, selection.limit)
    targets, _ = narrow_targets(targets, selection, runs, task=TASK)
    if output_format == "json":
        keys = ("name", "kind", "account_id", "role_arn")
        emit_json([{key: str(getattr(target, key)) for key in keys} for target in targets])
        return
    width = max(len(target.name) for target in targets)
    for target in targets:
        stdout().out(f"{target.name:{width}}  {target.account_id}  {target.role_arn}")


def _record_status(call: VerifyRun, start: RunConfig) -> None:
    """Record the verdicts for `runner status`. Errors are printed as warnings, so that the results are still shown."""
    try:
        record_verdicts(
            start.out,
            call.targets,
            call.verdicts(),
            now=call.clock(),
            run=call.record.run_id,
            rehearsal=call.rehearsal,
            context=call.task.context.get(),
            modules=call.output_digests,
        )
    except RolecallError as error:
        print_error(f"warning: {error}", style="yellow")


def _changes(call: VerifyRun, start: RunConfig) -> tuple[VerdictChange, ...]:
    """The verdicts that differ from the recorded ones. A damaged status file is a warning, since nothing can be compared."""
    try:
        place = StatusPlace(start.manifest, start.out, rehearsal=call.rehearsal)
        return verdict_changes(previous_verdicts(place, call.targets), call.verdicts())
    except RolecallError as error:
        print_error(f"warning: no notification was sent: {error}", style="yellow")
        return ()


def _check_resume(*, limit: str, sample: int | None, retry: str | None, resume: str | None) -> None:
    """Raise SelectionError if --resume is combined with another selection, which would be ignored."""
    others = {"--retry": retry is not None, "--sample": sample is not None, "--limit": limit != ALL_TARGETS}
    if resume is not None and (clash := [option for option, given in others.items() if given]):
        raise SelectionError(
            f"{clash[0]} cannot be used with --resume: a resumed run keeps its accounts",
            where="--resume",
            hint=f"remove {clash[0]}, or start a new run without --resume",
        )


def _readers(arguments: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Parse values of --reader to pairs of account ID and profile. Raises SelectionError."""
    pairs = [(account_id, profile) for account_id, _, profile in (text.partition("=") for text in arguments)]
    if wrong := [
        text for text, (account_id, profile) in zip(arguments, pairs, strict=True) if not (account_id.isdigit() and profile)
    ]:
        raise SelectionError(
            f"{wrong[0]} is not ACCOUNT_ID=PROFILE",
            where="--reader",
            hint="use --reader 507074252730=my-profile",
        )
    return tuple(pairs)


def _graph_svg(manifest: Path, out: Path) -> tuple[str, tuple[str, ...]]:
    """Render the access graph of the written modules, or of the manifest if there are none. Returns SVG and description."""
    proven = prove_manifest(manifest, out, planned=not (out / LOCK_NAME).exists())
    graph = access_graph(proven.access, proven.proof, proven.names)
    return to_svg(graph), tuple(describe(graph))


def _exit_with_code(call: VerifyRun) -> None:
    marks = {verdict.mark for verdict in call.verdicts()}
    if Mark.FAILED in marks:
        raise typer.Exit(int(ExitCode.FINDINGS))
    if marks & {Mark.INCONCLUSIVE, Mark.UNREACHABLE}:
        raise typer.Exit(int(ExitCode.INCONCLUSIVE))


app = typer.Typer()
app.command(epilog=EXAMPLES)(verify)
