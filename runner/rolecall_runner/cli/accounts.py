"""`runner onboard`, `status`, `switch-url`, `console`, `shell` and `history`: customers, sessions, links and past runs."""

from __future__ import annotations

import os
import shlex
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from rolecall_generator.cli import (
    FormatOption,
    ManifestOption,
    OutOption,
    QuietOption,
    complete_customers,
    complete_switch_roles,
    complete_targets,
)
from rolecall_generator.errors import ExitCode, InterruptedRunError, RolecallError, SelectionError
from rolecall_generator.iam import switch_role_url
from rolecall_generator.manifest import load_manifest
from rolecall_generator.records import rehearsing
from rolecall_generator.terminal import emit, emit_json, print_error, progress_bar, stderr, stdout
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT, pluralize
from rolecall_runner.account_session import console_url, environment_for, fetch, login_shell, open_session, run_as
from rolecall_runner.api import execution_context
from rolecall_runner.aws import AwsConfig, SessionOptions, endpoint_from_environment
from rolecall_runner.cli import options as shared
from rolecall_runner.cli.options import duration_of, format_option
from rolecall_runner.execution import RUNS, EngineSettings, ExecutionOptions, Runtime, counts_of, list_runs, stops_on_ctrl_c
from rolecall_runner.onboarding import PollOptions
from rolecall_runner.onboarding import onboard as run_onboard
from rolecall_runner.redact import REHEARSAL
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


NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", autocompletion=complete_customers, help="Customer of the manifest.")
]

ONBOARD_EXAMPLES = """Examples:

runner onboard acme                              after you have sent the bundle

runner onboard acme --every 10s --timeout 30m    with shorter pauses and time limit

runner onboard acme --once                       one attempt, for a scheduled job

runner onboard acme --sandbox                    without AWS, in a sandbox"""


def onboard(
    name: NameArgument,
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
    profile: shared.ProfileOption = None,
    region: shared.RegionOption = None,
    sandbox: shared.SandboxOption = False,
    role: shared.RoleOption = None,
    runs: shared.RunsOption = RUNS,
    form: shared.FormOption = None,
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
        typer.Option("--state", metavar="STATE", help=f"Only accounts in this state: {_STATES}; may be repeated."),
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
    form: shared.FormOption = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Show results from sandboxes, which are stored separately.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Show all rows.")] = False,
    fail_on: Annotated[
        list[CustomerState] | None,
        typer.Option("--fail-on", metavar="STATE", help="Exit code 1 if a shown account is in this state; may be repeated."),
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


SWITCH_URL_EXAMPLES = "Example:  runner switch-url reena-in-sumesh"


def switch_url(
    name: Annotated[
        str, typer.Argument(metavar="NAME", autocompletion=complete_switch_roles, help="Switch role of the manifest.")
    ],
    manifest: ManifestOption = DEFAULT_MANIFEST,
) -> None:
    """Print a prefilled link to the switch-role page of the console. It contains no secret."""
    loaded = load_manifest(manifest).manifest
    entry = next((entry for entry in loaded.switch_roles if entry.name == name), None)
    if entry is None:
        known = ", ".join(entry.name for entry in loaded.switch_roles) or "none"
        raise SelectionError(f"there is no switch role {name}", where=str(manifest), hint=f"the manifest has: {known}")
    partition = entry.partition or loaded.partition
    link = switch_role_url(partition, entry.trusting.account_id, entry.path, entry.role, entry.name)
    if link is None:
        raise SelectionError(f"the console of partition {partition} has no public address", hint="use runner shell instead")
    emit(link)


CONSOLE_EXAMPLES = """Examples:

runner console account1                    a link to account1's console, valid for 15 minutes

runner console account1 --destination https://console.aws.amazon.com/s3/"""


def console(
    name: NameArgument,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    destination: Annotated[str | None, typer.Option("--destination", help="Console page to open.")] = None,
    session_cache: shared.SessionCacheOption = None,
    session_name: shared.SessionNameOption = None,
    session_policy: shared.SessionPolicyOption = None,
    source_identity: shared.SourceIdentityOption = None,
    profile: shared.ProfileOption = None,
    region: shared.RegionOption = None,
) -> None:
    """Print a sign-in link to a customer's console. Treat it as a secret: it contains the session."""
    session = open_session(
        manifest,
        out,
        name,
        profile=profile,
        region=region,
        endpoint_url=endpoint_from_environment(),
        session_cache=session_cache,
        options=SessionOptions.read(session_name, session_policy or (), source_identity),
    )
    emit(console_url(session.credentials, partition=session.target.partition, fetch=fetch, destination=destination))


SHELL_EXAMPLES = """Examples:

runner shell account1 -- aws s3 ls

runner shell account1                      your shell, with the session of account1

runner shell account1 --sandbox -- aws sts get-caller-identity"""


def shell(
    name: NameArgument,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", help="Program and its arguments. Default: your shell."),
    ] = None,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    session_cache: shared.SessionCacheOption = None,
    session_name: shared.SessionNameOption = None,
    session_policy: shared.SessionPolicyOption = None,
    source_identity: shared.SourceIdentityOption = None,
    profile: shared.ProfileOption = None,
    region: shared.RegionOption = None,
    sandbox: shared.SandboxOption = False,
) -> None:
    """Run a program with the credentials of a customer's role, and without your own.

    The exit code is that of the program. The session expires after an hour.
    """
    with (
        progress_bar("accounts of the sandbox", quiet=False) as bar,
        execution_context(manifest, out, sandbox=sandbox, faults="", bar=bar),
    ):
        endpoint = endpoint_from_environment()
        session = open_session(
            manifest,
            out,
            name,
            profile=profile,
            region=region,
            endpoint_url=endpoint,
            session_cache=session_cache,
            options=SessionOptions.read(session_name, session_policy or (), source_identity),
        )
        environment = environment_for(
            session.credentials, session.region, name=name, endpoint_url=endpoint, environ=os.environ
        )
        code = run_as(command or [login_shell()], environment)
    raise typer.Exit(code)


HISTORY_EXAMPLES = "Example:  runner history --format json"


def history(
    runs: shared.RunsOption = RUNS,
    output_format: FormatOption = "table",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Number of runs.")] = 20,
) -> None:
    """List runs, latest first, with their results and whether they can be resumed."""
    found = [(record, _counts(runs, record.run_id)) for record in list_runs(runs)[:count]]
    if output_format == "json":
        emit_json([{**asdict(record), "counts": counts} for record, counts in found])
        return
    if not found:
        stdout().print(f"no runs in {runs}; start one with runner verify", markup=False)
        return
    table = Table(title="runs", title_justify="left", title_style="bold")
    for heading in ("run", "task", "selection", "done", "results", "state"):
        table.add_column(heading, overflow="fold")
    for record, counts in found:
        task = f"{record.task}, {REHEARSAL}" if record.rehearsal else record.task
        if counts is None:
            table.add_row(record.run_id, task, record.selection, f"?/{record.total:,}", "", "cannot be read")
            continue
        counted = ", ".join(f"{status} {number:,}" for status, number in counts.items())
        state = "ended" if record.ended else "interrupted: --resume"
        table.add_row(record.run_id, task, record.selection, f"{sum(counts.values()):,}/{record.total:,}", counted, state)
    stdout().print(table)


def _counts(runs: Path, run_id: str) -> dict[str, int] | None:
    """The number of results of a run by status. Prints a warning and returns None if they cannot be read."""
    try:
        return counts_of(runs, run_id)
    except RolecallError as error:
        print_error(f"warning: {error}", style=None)
        return None


app = typer.Typer()
app.command(epilog=ONBOARD_EXAMPLES)(onboard)
app.command(epilog=STATUS_EXAMPLES)(status)
app.command("switch-url", epilog=SWITCH_URL_EXAMPLES)(switch_url)
app.command(epilog=CONSOLE_EXAMPLES)(console)
app.command(epilog=SHELL_EXAMPLES)(shell)
app.command(epilog=HISTORY_EXAMPLES)(history)
