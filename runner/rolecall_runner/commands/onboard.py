"""`runner onboard`: from the hand-over to a verified customer."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from rolecall_generator.command_line import DEFAULT_MANIFEST, DEFAULT_OUT
from rolecall_generator.completion import customers
from rolecall_generator.console import emit, progress_bar, stderr, stdout
from rolecall_generator.errors import ExitCode, InterruptedRunError
from rolecall_generator.options import FormatOption, ManifestOption, OutOption, QuietOption
from rolecall_runner.acting import acting
from rolecall_runner.commands.common import FormOption, ProfileOption, RegionOption, RoleOption, RunsOption, SandboxOption
from rolecall_runner.commands.durations import duration_of
from rolecall_runner.results.journal import RUNS

if TYPE_CHECKING:
    from rolecall_runner.onboard.run import Onboarded
    from rolecall_runner.status.report import Place

EXAMPLES = """Examples:

runner onboard acme                              after its bundle went out: waits for the apply

runner onboard acme --every 10s --timeout 30m    ... while somebody is on the telephone

runner onboard acme --once                       one look, for a job that runs every hour

runner onboard acme --sandbox                    try it here, without AWS"""


def onboard(
    name: Annotated[str, typer.Argument(autocompletion=customers, help="A customer of the manifest.")],
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    every: Annotated[
        timedelta,
        typer.Option(
            "--every",
            parser=duration_of("--every"),
            metavar="TIME",
            show_default="30s",
            help="The longest pause between two looks.",
        ),
    ] = timedelta(seconds=30),
    timeout: Annotated[
        timedelta,
        typer.Option(
            "--timeout", parser=duration_of("--timeout"), metavar="TIME", show_default="2h", help="How long to wait in all."
        ),
    ] = timedelta(hours=2),
    once: Annotated[bool, typer.Option("--once", help="Look once, and do not wait.")] = False,
    profile: ProfileOption = None,
    region: RegionOption = None,
    sandbox: SandboxOption = False,
    role: RoleOption = None,
    runs: RunsOption = RUNS,
    form: FormOption = None,
    output_format: FormatOption = "table",
    quiet: QuietOption = False,
) -> None:
    """Wait for a customer's apply, call the roll, keep the verdict, and print what to tell the customer.

    Exit code 0 when the customer is verified, 1 when something is not as agreed, 9 when nothing could be said.
    """
    from rolecall_runner.aws_config import AwsConfig, endpoint_of  # noqa: PLC0415 - as above
    from rolecall_runner.engine.execution_options import ExecutionOptions  # noqa: PLC0415 - boto3 loads only where needed
    from rolecall_runner.engine.interface import Outside, Settings  # noqa: PLC0415 - as above
    from rolecall_runner.engine.interrupt import stops_on_ctrl_c  # noqa: PLC0415 - as above
    from rolecall_runner.onboard.display import WaitDisplay  # noqa: PLC0415 - as above
    from rolecall_runner.onboard.run import onboard as run_onboard  # noqa: PLC0415 - as above
    from rolecall_runner.onboard.waiting import Pace  # noqa: PLC0415 - as above
    from rolecall_runner.status.report import Place  # noqa: PLC0415 - as above
    from rolecall_runner.tasks.verify.setting import RunConfig  # noqa: PLC0415 - as above

    pace = Pace(every.total_seconds(), timeout.total_seconds(), once)
    outside = Outside()
    with ExitStack() as stack:
        with progress_bar("accounts of the sandbox", quiet=quiet) as bar:
            stack.enter_context(acting(manifest, out, sandbox=sandbox, faults="", bar=bar, role=role))
        start = RunConfig(manifest, out, aws=AwsConfig(profile, region, endpoint_of(), workers=1), sandbox=sandbox)
        options = ExecutionOptions(settings=Settings(workers=1), runs=runs)
        stack.enter_context(stops_on_ctrl_c(outside.stop))
        display = stack.enter_context(WaitDisplay(stderr(), name, quiet=quiet or output_format == "json"))
        warn = (lambda _sentence: None) if quiet else display.warn
        ended = run_onboard(
            start, name, pace=pace, options=options, outside=outside, hear=display.hear, warn=warn, form=form or ""
        )
    place = Place(manifest, out, ended.rehearsal, sandbox)
    if outside.stop.is_set() and not ended.verified:
        mend = f"{place.command(f'runner onboard {shlex.quote(name)}')} goes on waiting; what was noted stays"
        raise InterruptedRunError(f"interrupted; of {name}: {ended.last.what}", mend=mend)
    _report(ended, place, output_format, quiet=quiet)


def _report(ended: Onboarded, place: Place, output_format: str, *, quiet: bool) -> None:
    from rolecall_runner.onboard.as_json import onboarded_json  # noqa: PLC0415 - as above
    from rolecall_runner.onboard.as_text import print_onboarded  # noqa: PLC0415 - as above
    from rolecall_runner.tasks.verify.verdict import Mark  # noqa: PLC0415 - as above

    if output_format == "json":
        emit(onboarded_json(ended), end="")
    elif not quiet:
        print_onboarded(stdout(), ended, place)
    if not ended.verified:
        unclear = bool(ended.unseen) or ended.verdict.mark in {Mark.INCONCLUSIVE, Mark.UNREACHABLE}
        raise typer.Exit(int(ExitCode.INCONCLUSIVE if unclear else ExitCode.FINDINGS))
