"""Printed command lines repeat the options of the current command, quoted for a shell."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from rolecall_runner.cli import main
from rolecall_runner.cli.options import repeat_command

app = typer.Typer()


@app.command()
def play(
    context: typer.Context,
    manifest: Annotated[Path, typer.Argument()] = Path("accounts.yaml"),
    limit: str = "all",
    reader: Annotated[list[str] | None, typer.Option()] = None,
    sandbox: bool = False,
    timeout: float = 300.0,
    forks: Annotated[int, typer.Option("--forks", "-f", envvar="FORKS")] = 16,
    scheduler_tls: Annotated[tuple[str, str, str] | None, typer.Option()] = None,
) -> None:
    """Print the command to continue with."""
    del limit, manifest, reader, sandbox, timeout, forks, scheduler_tls
    typer.echo(repeat_command(context, "runner play --resume r"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], ""),
        (["--limit", "acme"], ""),
        (["-f", "2", "--timeout", "1.5", "--sandbox"], " --sandbox --timeout 1.5 --forks 2"),
        (["--timeout", "60", "--no-sandbox"], " --timeout 60"),
        (["a b;c.yaml", "--sandbox"], " 'a b;c.yaml' --sandbox"),
        (["--reader", "1=a", "--reader", "2=b"], " --reader 1=a --reader 2=b"),
        (["--forks", "16"], " --forks 16"),
        (["--scheduler-tls", "ca", "it's", "key"], " --scheduler-tls ca 'it'\"'\"'s' key"),
    ],
)
def test_given_options_are_repeated(given: list[str], said: str) -> None:
    """Execution options in the order of the help; no arguments, and nothing that is not from the command line."""
    done = CliRunner().invoke(app, given, env={"FORKS": "8"})

    assert f"runner play --resume r{said}\n" == done.output


def test_printed_line_is_quoted_for_a_shell() -> None:
    given = ["it's $HOME/a b.yaml", "--scheduler-tls", "*", "`x`", "\\"]
    line = CliRunner().invoke(app, given).output

    assert given == shlex.split(line)[4:]


@pytest.mark.parametrize("arguments", [["-m", "other.yaml"], ["--manifest=other.yaml"], ["other.yaml"]])
def test_manifest_is_repeated_as_the_argument(arguments: list[str]) -> None:
    """Also if it was given as the option, which LazyGroup adds to commands with the argument."""
    commands: Any = typer.main.get_group(main.app)
    context = commands.load("verify").make_context("verify", [*arguments, "--quiet"])

    assert "runner verify --resume r other.yaml --quiet" == repeat_command(context, "runner verify --resume r")
