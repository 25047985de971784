"""The command `runner`: composed of the groups in `commands`."""

from __future__ import annotations

from typing import Annotated

import typer

import rolecall_generator
from rolecall_generator.terminal import CommandModule, SafeTyper, emit

COMMANDS = {
    "sandbox": CommandModule(
        "rolecall_runner.cli.sandbox", "AWS on this machine: trust policies enforced, accounts from the manifest."
    ),
    "rehearse": CommandModule(
        "rolecall_runner.cli.rehearse",
        "Apply the modules in a sandbox with real Terraform, compare what it made, destroy, and see that nothing is left.",
    ),
    "verify": CommandModule(
        "rolecall_runner.cli.verify",
        "Call the roll: assume every role, see that wrong callers are refused, try what was granted, look for drift.",
    ),
    "query": CommandModule(
        "rolecall_runner.cli.query",
        "Call one read operation of AWS in every account and Region, with pagination and retries.",
    ),
    "sql": CommandModule(
        "rolecall_runner.cli.sql",
        "Query the rows of earlier queries in SQL. Sends nothing to AWS. Each table holds the last run of its query.",
    ),
    "play": CommandModule(
        "rolecall_runner.cli.play", "Run the tasks of a play over accounts: query, verify, assert, script."
    ),
    "switch-url": CommandModule(
        "rolecall_runner.cli.accounts",
        "Print the link that opens the console's switch-role page, filled in. It holds no secret; people may keep it.",
    ),
    "console": CommandModule(
        "rolecall_runner.cli.accounts",
        "Print a sign-in link to a customer's console, as the assumed session. Whoever has the link has the session.",
    ),
    "shell": CommandModule(
        "rolecall_runner.cli.accounts",
        "Run a program as a customer's role: its environment holds the session, and nothing of your own AWS.",
    ),
    "history": CommandModule(
        "rolecall_runner.cli.accounts",
        "List the runs so far, the latest first: what, of whom, how it ended, and whether it can be resumed.",
    ),
    "onboard": CommandModule(
        "rolecall_runner.cli.onboarding",
        "Wait for a customer's apply, call the roll, keep the verdict, and print what to tell the customer.",
    ),
    "status": CommandModule(
        "rolecall_runner.cli.onboarding",
        "Show where each customer and switch role stands: handed over, applied, verified, drifting, failed since.",
    ),
}

app = SafeTyper(
    commands=COMMANDS,
    name="runner",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="The roll call in live accounts: rehearse, verify, query.",
)


def _version(wanted: bool) -> None:
    if wanted:
        emit(f"rolecall {rolecall_generator.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """The roll call in live accounts: rehearse, verify, query."""
