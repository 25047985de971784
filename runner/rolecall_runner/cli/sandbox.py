"""`runner sandbox`: AWS on this machine, for rehearsal."""

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
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT, lines_of
from rolecall_runner.cli.options import FaultsOption
from rolecall_runner.sandbox import OPERATOR, Home, SandboxRequest, environments, find, start, stop

if TYPE_CHECKING:
    from rolecall_runner.sandbox import Running


app = typer.Typer(no_args_is_help=True, help="AWS on this machine: trust policies enforced, accounts from the manifest.")

HomeOption = Annotated[Path, typer.Option("--home", help="The folder that the sandbox keeps its records in.")]
DEFAULT_HOME = Path(".rolecall/sandbox")

_UP_EXAMPLES = """Examples:

runner sandbox up && eval "$(runner sandbox env)" && aws sts get-caller-identity

runner sandbox up --keep-state                    accounts survive down and up

runner sandbox up --faults throttle=0.3,5xx=0.1,seed=7"""


@app.command(epilog=_UP_EXAMPLES)
def up(
    manifest: Annotated[
        Path | None,
        typer.Argument(metavar="MANIFEST", readable=False, help="The manifest; accounts.yaml when there is one."),
    ] = None,
    out: OutOption = DEFAULT_OUT,
    home: HomeOption = DEFAULT_HOME,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; a free one when left out.")] = 0,
    region: Annotated[
        str | None, typer.Option("--region", help="The Region; the main one of the manifest's partition when left out.")
    ] = None,
    keep_state: Annotated[bool, typer.Option("--keep-state", help="Keep the accounts from one run to the next.")] = False,
    faults: FaultsOption = "",
    quiet: QuietOption = False,
) -> None:
    """Start a sandbox in the background, with the manifest's accounts as gen terraform wrote them."""
    if manifest is None and DEFAULT_MANIFEST.exists():
        manifest = DEFAULT_MANIFEST
    source = None if manifest is None else str(manifest.resolve())
    wanted = SandboxRequest(source, str(out.resolve()), port, region or "", faults, keep_state)
    try:
        with progress_bar("accounts", quiet=quiet) as (started, progress):

            def waiting(done: int, total: int) -> None:
                started(total)
                progress(done)

            running = start(Home(home.resolve()), wanted, waiting=waiting)
    except InterruptedRunError:
        # It is a process of its own, out of Ctrl-C's reach.
        hint = "runner sandbox status says when it stands, runner sandbox down ends it"
        raise InterruptedRunError("interrupted; the sandbox goes on starting", where=str(home), hint=hint) from None
    if not quiet:
        _print_running(running, f"the sandbox runs at {running.url}")
        stdout().print('next: eval "$(runner sandbox env)"', markup=False)


_ENV_EXAMPLES = """Examples:

eval "$(runner sandbox env)"                      act as the backend role

eval "$(runner sandbox env --as reena)"           act as a person who switches roles, signed in with MFA

runner sandbox env --format json"""


@app.command(epilog=_ENV_EXAMPLES)
def env(
    actor: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="A backend role or a user; the first backend role when left out."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    output_format: Annotated[Literal["sh", "json"], typer.Option("--format", help="For a shell, or for machines.")] = "sh",
) -> None:
    """Print the environment in which the AWS CLI, boto3 and Terraform act in the sandbox.

    It holds credentials that are good for this sandbox alone.
    """
    found = environments(Home(home.resolve()))
    name = actor or next(iter(found))
    if actor is None and name == OPERATOR and len(found) == 1:
        raise SelectionError(
            "this sandbox has no backend role and no people",
            hint="start it with a manifest: runner sandbox up accounts.yaml, or act as its operator: --as operator",
        )
    if name not in found:
        raise SelectionError(f"there is no {name} in the sandbox", where="--as", hint=f"name one of {', '.join(found)}")
    if output_format == "json":
        emit_json(found[name])
        return
    # What is set already would win over the container's credentials.
    names = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    for stale in (*names, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        if stale not in found[name]:
            emit(f"unset {stale}")
    for key, value in found[name].items():
        emit(f"export {key}={shlex.quote(value)}")


@app.command(epilog="Example:  runner sandbox status --format json")
def status(home: HomeOption = DEFAULT_HOME, output_format: FormatOption = "table") -> None:
    """Say whether a sandbox runs, where, with which accounts, and who can act in it. Exit code 1 when none runs."""
    running = find(Home(home.resolve()))
    if output_format == "json":
        emit_json({"running": running is not None, **(asdict(running) if running else {})})
    elif running is None:
        stdout().print("no sandbox runs here; runner sandbox up starts one", markup=False)
    else:
        _print_running(running, f"the sandbox runs at {running.url} since {running.started} (process {running.pid})")
    if running is None:
        raise typer.Exit(int(ExitCode.FINDINGS))


@app.command(epilog="Example:  runner sandbox logs --follow")
def logs(
    home: HomeOption = DEFAULT_HOME,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on printing until Ctrl-C or the sandbox's end.")
    ] = False,
) -> None:
    """Print the sandbox's log: a line a call, with caller, action, Region and status."""
    place = Home(home.resolve())
    if not place.log.exists():
        raise SelectionError("there is no log", where=str(place.log), hint="runner sandbox up starts a sandbox")
    with place.log.open(encoding="utf-8", errors="replace") as file:
        tail = file.readlines()[-lines:] if lines else []
        emit(lines_of("".join(tail)), end="")
        try:
            while follow and find(place) is not None:
                emit(lines_of(file.read()), end="")
                time.sleep(0.2)
        except KeyboardInterrupt:
            return


@app.command(epilog="Example:  runner sandbox down")
def down(home: HomeOption = DEFAULT_HOME, quiet: QuietOption = False) -> None:
    """End the sandbox. Without --keep-state at its start, all that was made in it is gone."""
    ended = stop(Home(home.resolve()))
    if not quiet:
        where = f"at {ended.url}" if ended and ended.url else "before it stood"
        stdout().print(f"ended the sandbox {where}" if ended else "no sandbox ran here", markup=False)


def _print_running(running: Running, headline: str) -> None:
    console = stdout()
    console.print(headline, style="bold", markup=False)
    console.print(f"{len(running.accounts):,} accounts, {running.how}", markup=False)
    if running.actors:
        console.print(
            f"who can act in it: {', '.join(f'{actor.name} ({actor.kind})' for actor in running.actors)}", markup=False
        )
