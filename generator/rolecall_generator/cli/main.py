"""The command `gen`: parses, calls one function, prints, exits."""

from __future__ import annotations

from typing import Annotated

import typer

import rolecall_generator
from rolecall_generator.terminal import CommandModule, SafeTyper, emit

COMMANDS = {
    "init": CommandModule("rolecall_generator.cli.terraform", "Write a commented starter manifest with fresh external ids."),
    "schema": CommandModule("rolecall_generator.cli.terraform", "Print the manifest's JSON Schema, for editors."),
    "terraform": CommandModule(
        "rolecall_generator.cli.terraform", "Write the Terraform modules of both sides, then check them as `gen check` does."
    ),
    "check": CommandModule(
        "rolecall_generator.cli.check",
        "Read the written modules back, compare them with the manifest, prove who can assume what, and apply the rules.",
    ),
    "prove": CommandModule(
        "rolecall_generator.cli.check",
        "Prove who can assume which role: the intended callers and no one else.",
    ),
    "diff": CommandModule(
        "rolecall_generator.cli.terraform",
        "Show what the next `gen terraform` would change, in terms of access: who, what, on which condition.",
    ),
    "profiles": CommandModule(
        "rolecall_generator.cli.terraform",
        "Print AWS CLI profiles for every customer's role, and for people who switch roles.",
    ),
    "bundle": CommandModule(
        "rolecall_generator.cli.bundle",
        "Write what each customer is handed: a folder and a zip with all ways to give the access, and a page to start with.",
    ),
    "bundle-check": CommandModule(
        "rolecall_generator.cli.bundle",
        "Say whether bundles are as they were made: each changed, missing or additional file is named.",
    ),
    "customer": CommandModule("rolecall_generator.cli.customers", "Add, change, rename, remove and look at customers."),
    "import": CommandModule(
        "rolecall_generator.cli.imports", "Take accounts over from a table, an AWS Organization, Terraform's outputs."
    ),
}

app = SafeTyper(
    commands=COMMANDS,
    name="gen",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Cross-account AWS access from one manifest: Terraform for both sides of every trust.",
)


def _version(wanted: bool) -> None:
    if wanted:
        emit(f"rolecall {rolecall_generator.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Cross-account AWS access from one manifest: Terraform for both sides of every trust."""
