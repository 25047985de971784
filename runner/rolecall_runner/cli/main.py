"""The command `runner` with its subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

import rolecall_generator
from rolecall_generator.terminal import CommandModule, SafeTyper, emit

COMMANDS = {
    "sandbox": CommandModule(
        "rolecall_runner.cli.sandbox",
        "Run a local server that emulates AWS, with the accounts of the manifest and enforced trust policies.",
    ),
    "rehearse": CommandModule(
        "rolecall_runner.cli.rehearse",
        "Apply the modules in a sandbox with Terraform, compare the result with the plan, and destroy it again.",
    ),
    "verify": CommandModule(
        "rolecall_runner.cli.verify",
        "Assume every role, check that wrong callers are refused, try granted actions, and detect drift.",
    ),
    "query": CommandModule(
        "rolecall_runner.cli.query",
        "Call one read operation of AWS in every account and Region, with pagination and retries.",
    ),
    "sql": CommandModule(
        "rolecall_runner.cli.sql",
        "Query the rows of earlier queries in SQL, without AWS calls. Each table contains the last run of its query.",
    ),
    "play": CommandModule("rolecall_runner.cli.play", "Run the tasks of a play in accounts: query, verify, assert, script."),
    "switch-url": CommandModule(
        "rolecall_runner.cli.accounts",
        "Print a prefilled link to the switch-role page of the console. It contains no secret.",
    ),
    "console": CommandModule(
        "rolecall_runner.cli.accounts",
        "Print a sign-in link to a customer's console. Treat it as a secret: it contains the session.",
    ),
    "shell": CommandModule(
        "rolecall_runner.cli.accounts",
        "Run a program with the credentials of a customer's role, and without your own.",
    ),
    "explain": CommandModule(
        "rolecall_runner.cli.explain",
        "Explain an access-denied message or a CloudTrail event: likely causes and what to do.",
    ),
    "history": CommandModule(
        "rolecall_runner.cli.accounts",
        "List runs, latest first, with their results and whether they can be resumed.",
    ),
    "onboard": CommandModule(
        "rolecall_runner.cli.accounts",
        "Wait for a customer's apply, verify the account, record the result, and print a message to the customer.",
    ),
    "status": CommandModule(
        "rolecall_runner.cli.accounts",
        "Show the state of each customer and switch role: handed over, applied, verified, drifting, failed.",
    ),
}

app = SafeTyper(
    commands=COMMANDS,
    name="runner",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Rehearse, verify and query live accounts.",
)


def _version(requested: bool) -> None:
    if requested:
        emit(f"rolecall {rolecall_generator.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Rehearse, verify and query live accounts."""
