"""`runner switch-url`, `console`, `shell` and `history`: console links, sessions of customers, and the list of runs."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from rolecall_generator.cli import FormatOption, ManifestOption, OutOption, complete_customers, complete_switch_roles
from rolecall_generator.errors import RolecallError, SelectionError
from rolecall_generator.iam import switch_role_url
from rolecall_generator.manifest import load_manifest
from rolecall_generator.terminal import emit, emit_json, print_error, progress_bar, stdout
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT
from rolecall_runner.account_session import console_url, environment_for, fetch, login_shell, open_session, run_as
from rolecall_runner.api import execution_context
from rolecall_runner.aws import endpoint_from_environment
from rolecall_runner.cli.options import ProfileOption, RegionOption, RunsOption, SandboxOption, SessionCacheOption
from rolecall_runner.execution import RUNS, counts_of, list_runs
from rolecall_runner.redact import REHEARSAL

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", autocompletion=complete_customers, help="Customer of the manifest.")
]

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
    session_cache: SessionCacheOption = None,
    profile: ProfileOption = None,
    region: RegionOption = None,
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
    session_cache: SessionCacheOption = None,
    profile: ProfileOption = None,
    region: RegionOption = None,
    sandbox: SandboxOption = False,
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
            manifest, out, name, profile=profile, region=region, endpoint_url=endpoint, session_cache=session_cache
        )
        environment = environment_for(
            session.credentials, session.region, name=name, endpoint_url=endpoint, environ=os.environ
        )
        code = run_as(command or [login_shell()], environment)
    raise typer.Exit(code)


HISTORY_EXAMPLES = "Example:  runner history --format json"


def history(
    runs: RunsOption = RUNS,
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
app.command("switch-url", epilog=SWITCH_URL_EXAMPLES)(switch_url)
app.command(epilog=CONSOLE_EXAMPLES)(console)
app.command(epilog=SHELL_EXAMPLES)(shell)
app.command(epilog=HISTORY_EXAMPLES)(history)
