"""`runner sandbox`: start, inspect and stop the sandbox."""

from __future__ import annotations

import shlex
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rolecall_generator.cli import FormatOption, OutOption, QuietOption
from rolecall_generator.errors import ExitCode, InterruptedRunError, SelectionError
from rolecall_generator.terminal import emit, emit_json, progress_bar, stdout
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT, sanitize_lines
from rolecall_runner.cli.options import FaultsOption
from rolecall_runner.sandbox import (
    OPERATOR,
    SandboxRequest,
    StateDir,
    actor_environments,
    find_sandbox,
    start_sandbox,
    stop_sandbox,
)

if TYPE_CHECKING:
    from rolecall_runner.sandbox import RunningSandbox


app = typer.Typer(
    no_args_is_help=True,
    help="Run a local server that emulates AWS, with the accounts of the manifest and enforced trust policies.",
)

HomeOption = Annotated[Path, typer.Option("--home", help="Folder for the state of the sandbox.")]
DEFAULT_HOME = Path(".rolecall/sandbox")

_UP_EXAMPLES = """Examples:

runner sandbox up && eval "$(runner sandbox env)" && aws sts get-caller-identity

runner sandbox up --keep-state                    keep the accounts after down

runner sandbox up --faults throttle=0.3,5xx=0.1,seed=7"""


@app.command(epilog=_UP_EXAMPLES)
def up(
    manifest: Annotated[
        Path | None,
        typer.Argument(metavar="MANIFEST", readable=False, help="Manifest file; accounts.yaml by default, if it exists."),
    ] = None,
    out: OutOption = DEFAULT_OUT,
    home: HomeOption = DEFAULT_HOME,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port. Default: a free one.")] = 0,
    region: Annotated[
        str | None, typer.Option("--region", help="Region. Default: the main one of the manifest's partition.")
    ] = None,
    keep_state: Annotated[bool, typer.Option("--keep-state", help="Keep the accounts across restarts.")] = False,
    faults: FaultsOption = "",
    quiet: QuietOption = False,
) -> None:
    """Start a sandbox in the background, with the accounts of the manifest and the modules of gen terraform."""
    if manifest is None and DEFAULT_MANIFEST.exists():
        manifest = DEFAULT_MANIFEST
    source = None if manifest is None else str(manifest.resolve())
    request = SandboxRequest(source, str(out.resolve()), port, region or "", faults, keep_state)
    try:
        with progress_bar("accounts", quiet=quiet) as (started, progress):

            def waiting(done: int, total: int) -> None:
                started(total)
                progress(done)

            running = start_sandbox(StateDir(home.resolve()), request, waiting=waiting)
    except InterruptedRunError:
        # Ctrl-C does not reach the sandbox process.
        hint = "check it with runner sandbox status, stop it with runner sandbox down"
        raise InterruptedRunError("interrupted; the sandbox is still starting", where=str(home), hint=hint) from None
    if not quiet:
        _print_running(running, f"the sandbox is running at {running.url}")
        stdout().print('next: eval "$(runner sandbox env)"', markup=False)


_ENV_EXAMPLES = """Examples:

eval "$(runner sandbox env)"                      act as the backend role

eval "$(runner sandbox env --as reena)"           act as a user who switches roles, signed in with MFA

runner sandbox env --format json"""


@app.command(epilog=_ENV_EXAMPLES)
def env(
    actor: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Backend role or user. Default: the first backend role."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    output_format: Annotated[Literal["sh", "json"], typer.Option("--format", help="Output format.")] = "sh",
) -> None:
    """Print the environment in which the AWS CLI, boto3 and Terraform act in the sandbox.

    It contains credentials that are valid only for this sandbox.
    """
    found = actor_environments(StateDir(home.resolve()))
    name = actor or next(iter(found))
    if actor is None and name == OPERATOR and len(found) == 1:
        raise SelectionError(
            "this sandbox has no backend role and no users",
            hint="start it with a manifest: runner sandbox up accounts.yaml, or act as its operator: --as operator",
        )
    if name not in found:
        raise SelectionError(f"there is no {name} in the sandbox", where="--as", hint=f"use one of {', '.join(found)}")
    if output_format == "json":
        emit_json(found[name])
        return
    # These variables take precedence over the container credentials.
    names = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    for stale in (*names, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        if stale not in found[name]:
            emit(f"unset {stale}")
    for key, value in found[name].items():
        emit(f"export {key}={shlex.quote(value)}")


@app.command(epilog="Example:  runner sandbox status --format json")
def status(home: HomeOption = DEFAULT_HOME, output_format: FormatOption = "table") -> None:
    """Show the running sandbox with its accounts, roles and users. Exit code 1 if none is running."""
    running = find_sandbox(StateDir(home.resolve()))
    if output_format == "json":
        emit_json({"running": running is not None, **(asdict(running) if running else {})})
    elif running is None:
        stdout().print("no sandbox is running; start one with runner sandbox up", markup=False)
    else:
        _print_running(running, f"the sandbox is running at {running.url} since {running.started}, process {running.pid}")
    if running is None:
        raise typer.Exit(int(ExitCode.FINDINGS))


@app.command(epilog="Example:  runner sandbox logs --follow")
def logs(
    home: HomeOption = DEFAULT_HOME,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="Number of lines to show from the end of the log.")
    ] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Follow the log until Ctrl-C or until the sandbox stops.")
    ] = False,
) -> None:
    """Print the log: one line per call, with the time in UTC, caller, action, Region and status."""
    place = StateDir(home.resolve())
    if not place.log.exists():
        raise SelectionError("log not found", where=str(place.log), hint="start a sandbox with runner sandbox up")
    with place.log.open(encoding="utf-8", errors="replace") as file:
        tail = file.readlines()[-lines:] if lines else []
        emit(sanitize_lines("".join(tail)), end="")
        try:
            while follow and find_sandbox(place) is not None:
                emit(sanitize_lines(file.read()), end="")
                time.sleep(0.2)
        except KeyboardInterrupt:
            return


@app.command(epilog="Example:  runner sandbox down")
def down(home: HomeOption = DEFAULT_HOME, quiet: QuietOption = False) -> None:
    """Stop the sandbox. Without --keep-state at its start, its accounts are deleted."""
    ended = stop_sandbox(StateDir(home.resolve()))
    if not quiet:
        where = f"at {ended.url}" if ended and ended.url else "during its start"
        stdout().print(f"stopped the sandbox {where}" if ended else "no sandbox was running", markup=False)


def _print_running(running: RunningSandbox, headline: str) -> None:
    console = stdout()
    console.print(headline, style="bold", markup=False)
    console.print(f"{len(running.accounts):,} accounts, {running.origin}", markup=False)
    if running.actors:
        console.print(
            f"roles and users: {', '.join(f'{actor.name} ({actor.kind})' for actor in running.actors)}", markup=False
        )
