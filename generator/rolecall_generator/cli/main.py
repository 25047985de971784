"""The program `gen`: its commands and their summaries."""

from __future__ import annotations

from typing import Annotated

import typer

import rolecall_generator
from rolecall_generator.terminal import CommandModule, SafeTyper, emit

COMMANDS = {
    "init": CommandModule("rolecall_generator.cli.terraform", "Write a commented starter manifest with new external IDs."),
    "schema": CommandModule("rolecall_generator.cli.terraform", "Print the manifest's JSON Schema, for editors."),
    "terraform": CommandModule(
        "rolecall_generator.cli.terraform", "Write the Terraform modules of both sides and check them like `gen check`."
    ),
    "check": CommandModule(
        "rolecall_generator.cli.check",
        "Parse the written modules, compare them with the manifest, prove who can assume what, and apply the rules.",
    ),
    "prove": CommandModule(
        "rolecall_generator.cli.check",
        "Prove for all requests who can assume which role: the intended callers and no one else.",
    ),
    "diff": CommandModule(
        "rolecall_generator.cli.terraform",
        "Show how the next `gen terraform` would change the access: who, what, on which condition.",
    ),
    "profiles": CommandModule(
        "rolecall_generator.cli.terraform",
        "Print AWS CLI profiles for every customer's role, and for people who switch roles.",
    ),
    "bundle": CommandModule(
        "rolecall_generator.cli.bundle",
        "Write a bundle per customer and switch role: a folder and a zip with all methods to grant the access and a README.",
    ),
    "bundle-check": CommandModule(
        "rolecall_generator.cli.bundle",
        "Verify bundles against their checksums and list each changed, missing or added file.",
    ),
    "guardrails": CommandModule(
        "rolecall_generator.cli.guardrails",
        "Check whether SCPs and RCPs let a hand-over work, and print the exemptions that it needs.",
    ),
    "customer": CommandModule("rolecall_generator.cli.customers", "Add, change, rename, remove and show customers."),
    "audit": CommandModule(
        "rolecall_generator.cli.audit",
        "Find the roles of an AWS account that outsiders can assume, and what these roles may do. Needs no manifest.",
    ),
    "import": CommandModule(
        "rolecall_generator.cli.imports", "Import accounts from a CSV file, an AWS Organization or Terraform outputs."
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


def _version(requested: bool) -> None:
    if requested:
        emit(f"rolecall {rolecall_generator.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Cross-account AWS access from one manifest: Terraform for both sides of every trust."""
