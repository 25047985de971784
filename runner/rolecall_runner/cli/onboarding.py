"""`runner onboard`: wait for an apply and verify a customer. `runner status`: show the state of all targets."""

from __future__ import annotations

import os
import shlex
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rolecall_generator.cli import FormatOption, ManifestOption, OutOption, QuietOption, complete_customers, complete_targets
from rolecall_generator.errors import ExitCode, InterruptedRunError, SelectionError
from rolecall_generator.records import rehearsing
from rolecall_generator.terminal import emit, progress_bar, stderr, stdout
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT, pluralize
from rolecall_runner.api import execution_context
from rolecall_runner.aws import AwsConfig, endpoint_from_environment
from rolecall_runner.cli.options import (
    FormOption,
    ProfileOption,
    RegionOption,
    RoleOption,
    RunsOption,
    SandboxOption,
    duration_of,
    format_option,
)
from rolecall_runner.execution import RUNS, EngineSettings, ExecutionOptions, Runtime, stops_on_ctrl_c
from rolecall_runner.onboarding import PollOptions
from rolecall_runner.onboarding import onboard as run_onboard
from rolecall_runner.reports import (
    STATUS_FORMATS,
    StatusOutput,
    TextOutput,
    WaitDisplay,
    onboarding_json,
    print_onboarding,
    write_customer_pages,
)
from rolecall_runner.status import (
    CustomerState,
    StatusPlace,
    confirm_applied,
    make_status_report,
    record_handover,
    select_targets,
    set_form,
)
from rolecall_runner.verify import Mark, RunConfig

if TYPE_CHECKING:
    from rolecall_runner.onboarding import OnboardingResult


ONBOARD_EXAMPLES = """Examples:

runner onboard acme                              after you have sent the bundle

runner onboard acme --every 10s --timeout 30m    with shorter pauses and time limit

runner onboard acme --once                       one attempt, for a scheduled job

runner onboard acme --sandbox                    without AWS, in a sandbox"""


def onboard(
    name: Annotated[str, typer.Argument(autocompletion=complete_customers, help="A customer of the manifest.")],
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    every: Annotated[
        timedelta,
        typer.Option(
            "--every",
            parser=duration_of("--every"),
            metavar="TIME",
            show_default="30s",
            help="Longest pause between two attempts.",
        ),
    ] = timedelta(seconds=30),
    timeout: Annotated[
        timedelta,
        typer.Option(
            "--timeout", parser=duration_of("--timeout"), metavar="TIME", show_default="2h", help="Time limit of the wait."
        ),
    ] = timedelta(hours=2),
    once: Annotated[bool, typer.Option("--once", help="Try once, without waiting.")] = False,
    profile: ProfileOption = None,
    region: RegionOption = None,
    sandbox: SandboxOption = False,
    role: RoleOption = None,
    runs: RunsOption = RUNS,
    form: FormOption = None,
    output_format: FormatOption = "table",
    quiet: QuietOption = False,
) -> None:
    """Wait for a customer's apply, verify the account, record the result, and print a message to the customer.

    Exit code 0 if the customer is verified, 1 if a check failed, 9 if the result is inconclusive.
    """
    poll_options = PollOptions(every.total_seconds(), timeout.total_seconds(), once)
    runtime = Runtime()
    with ExitStack() as stack:
        with progress_bar("accounts of the sandbox", quiet=quiet) as bar:
            stack.enter_context(execution_context(manifest, out, sandbox=sandbox, faults="", bar=bar, role=role))
        start = RunConfig(
            manifest, out, aws=AwsConfig(profile, region, endpoint_from_environment(), workers=1), sandbox=sandbox
        )
        options = ExecutionOptions(settings=EngineSettings(workers=1), runs=runs)
        stack.enter_context(stops_on_ctrl_c(runtime.stop))
        display = stack.enter_context(WaitDisplay(stderr(), name, quiet=quiet or output_format == "json"))
        warn = (lambda _sentence: None) if quiet else display.warn
        ended = run_onboard(
            start,
            name,
            poll_options=poll_options,
            options=options,
            runtime=runtime,
            on_attempt=display.update,
            warn=warn,
            form=form or "",
        )
    place = StatusPlace(manifest, out, ended.rehearsal, sandbox)
    if runtime.stop.is_set() and not ended.verified:
        hint = f"{place.command(f'runner onboard {shlex.quote(name)}')} continues the wait; recorded results are kept"
        raise InterruptedRunError(f"interrupted; last result of {name}: {ended.last.what}", hint=hint)
    _report(ended, place, output_format, quiet=quiet)


def _report(result: OnboardingResult, place: StatusPlace, output_format: str, *, quiet: bool) -> None:
    if output_format == "json":
        emit(onboarding_json(result), end="")
    elif not quiet:
        print_onboarding(stdout(), result, place)
    if not result.verified:
        inconclusive = bool(result.unseen) or result.verdict.mark in {Mark.INCONCLUSIVE, Mark.UNREACHABLE}
        raise typer.Exit(int(ExitCode.INCONCLUSIVE if inconclusive else ExitCode.FINDINGS))


STATUS_EXAMPLES = """Examples:

runner status                                    all: counts, and the accounts that need attention

runner status 'tier=gold' --all                  a selection as in runner verify --limit, all rows

runner status --format html > status.html        one page: filter, sort, history of each account

runner status acme --customer-pages public       public/acme.html, which you may publish to acme

runner status --state failed --sort age          only failed ones, the longest unverified first

runner status --handed-over acme globex          record that you sent their bundles

runner status --fail-on failed --fail-on stale   for a scheduled job: exit code 1 if there are any"""

_STATES = ", ".join(CustomerState)


def status(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            autocompletion=complete_targets,
            help="Names, or patterns as in runner verify --limit.",
        ),
    ] = None,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Only accounts with this label or tag.")
    ] = None,
    state: Annotated[
        list[CustomerState] | None,
        typer.Option("--state", metavar="STATE", help=f"Only accounts in this state: {_STATES}. Repeatable."),
    ] = None,
    sort: Annotated[Literal["state", "name", "age", "manifest"], typer.Option("--sort", help="Sort order.")] = "state",
    stale_after: Annotated[
        timedelta,
        typer.Option(
            "--stale-after",
            parser=duration_of("--stale-after"),
            metavar="TIME",
            show_default="7d",
            help="Age after which a verification is stale.",
        ),
    ] = timedelta(days=7),
    handed_over: Annotated[bool, typer.Option("--handed-over", help="Record that the current bundles were sent.")] = False,
    applied: Annotated[
        bool,
        typer.Option("--applied", help="Record that the newest module is applied, for changes that no AWS call can detect."),
    ] = False,
    form: FormOption = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Show results from sandboxes, which are stored separately.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Show all rows.")] = False,
    fail_on: Annotated[
        list[CustomerState] | None,
        typer.Option("--fail-on", metavar="STATE", help="Exit code 1 if a shown account is in this state. Repeatable."),
    ] = None,
    output_format: Annotated[str, format_option(STATUS_FORMATS)] = "table",
    customer_pages: Annotated[
        Path | None,
        typer.Option(
            "--customer-pages",
            metavar="DIR",
            help="Also write DIR/NAME.html for each shown customer: a page that you may publish to that customer.",
        ),
    ] = None,
) -> None:
    """Show the state of each customer and switch role: handed over, applied, verified, drifting, failed.

    Reads what runner verify and runner onboard recorded, without AWS calls.
    """
    place = StatusPlace(manifest, out, sandbox or rehearsing(os.environ), sandbox)
    targets = select_targets(place, names or (), label or ())
    now = datetime.now(UTC)
    record_options = {"--handed-over": handed_over, "--applied": applied, "--form": form is not None}
    if not (names or label) and (first := next((option for option, given in record_options.items() if given), None)):
        raise SelectionError("no accounts given", where=first, hint="specify accounts; `all` selects every account")
    if handed_over:
        record_handover(place, targets, now, form or "")
    elif form is not None:
        set_form(place, targets, form)
    if applied:
        confirm_applied(place, targets, now)
    found = make_status_report(place, targets, now=now, stale_after=stale_after, states=state or (), sort=sort)
    output = StatusOutput(TextOutput(partial(emit, end=""), stdout()), every or bool(state))
    if customer_pages is not None:
        count = write_customer_pages(found, customer_pages)
        stderr().print(f"wrote {pluralize(count, 'page')} to {customer_pages}", markup=False, highlight=False)
    STATUS_FORMATS.find(output_format)(output, found)
    if {row.state for row in found.rows} & set(fail_on or ()):
        raise typer.Exit(int(ExitCode.FINDINGS))


app = typer.Typer()
app.command(epilog=ONBOARD_EXAMPLES)(onboard)
app.command(epilog=STATUS_EXAMPLES)(status)
