"""The commands `gen check` and `gen prove`."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rolecall_generator.check import check_output as run_check
from rolecall_generator.check import prove_manifest
from rolecall_generator.cli.options import ManifestArgument, OnlyOption, OutOption, QuietOption, exit_on
from rolecall_generator.errors import ExitCode, SelectionError
from rolecall_generator.findings import Severity
from rolecall_generator.reports import CheckReport, ProofReport, check_formats, print_check, print_proof, proof_formats
from rolecall_generator.terminal import emit, progress_bar, stdout
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT
from rolecall_generator.workers import collection_paused

if TYPE_CHECKING:
    CheckFormat = str
    ProofFormat = str
else:  # Typer reads the choices from a Literal, here one that is made at run time
    CheckFormat = Literal[("table", *check_formats())]
    ProofFormat = Literal[("table", *proof_formats())]

app = typer.Typer()


@app.command(
    epilog="""Examples:

gen check                                                  the output of gen terraform

gen check accounts.yaml --path ~/mail/account1             a folder that a customer sent back

gen check --path account1=/tmp/modified --format json      ... whose customer is not recognized

gen check --format sarif > rolecall.sarif                  for GitHub code scanning"""
)
def check(
    manifest: ManifestArgument = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    path: Annotated[
        list[str] | None,
        typer.Option("--path", metavar="[NAME=]DIR", help="Folder that a customer sent back; may be repeated."),
    ] = None,
    only: OnlyOption = None,
    fail_on: Annotated[
        Literal["error", "warning", "note"], typer.Option("--fail-on", help="Lowest severity that causes exit code 1.")
    ] = "warning",
    output_format: Annotated[CheckFormat, typer.Option("--format", help="Output format.")] = "table",
    quiet: QuietOption = False,
) -> None:
    """Parse the written modules, compare them with the manifest, prove who can assume what, and apply the rules.

    Exit code 1 if there are findings, otherwise 0. The rules are described in docs/rules/.
    """
    with collection_paused(), progress_bar("modules", quiet=quiet or output_format != "table") as (started, progress):
        found = run_check(manifest, out, sent_back=path or (), only=only or (), started=started, progress=progress)
        # The result is needed until the process ends; examining it for garbage would take a tenth of the time.
        gc.freeze()
    if output_format != "table":
        report = CheckReport(found, manifest, "" if path else f"{out}/")
        emit(check_formats()[output_format](report), end="")
    elif not quiet:
        print_check(stdout(), found)
    exit_on(found, Severity[fail_on.upper()])


@app.command(
    epilog="""Examples:

gen prove                                    the table for the output of gen terraform

gen prove --format html > proof.html         a page with the graph, for a security review

gen prove --format mermaid > trust.mmd       the access graph, for Markdown"""
)
def prove(
    manifest: ManifestArgument = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    planned: Annotated[
        bool, typer.Option("--planned", help="Prove what gen terraform would write instead of what is written.")
    ] = False,
    certificates: Annotated[
        bool, typer.Option("--certificates", help="With --format json: add the certificate of each role.")
    ] = False,
    output_format: Annotated[ProofFormat, typer.Option("--format", help="Output format.")] = "table",
    quiet: QuietOption = False,
) -> None:
    """Prove for all requests who can assume which role: the intended callers and no one else.

    Exit code 1 if a role is not proven to allow exactly the intended requests, or a written module has findings.
    """
    if certificates and output_format != "json":
        hint = "add --format json, or remove --certificates"
        raise SelectionError("--certificates is only valid for JSON", where="--certificates", hint=hint)
    with progress_bar("modules", quiet=quiet or output_format != "table") as (started, progress):
        proven = prove_manifest(
            manifest, out, planned=planned, certificates=certificates, started=started, progress=progress
        )
    if output_format != "table":
        emit(proof_formats()[output_format](ProofReport(proven, str(manifest))), end="")
    elif not quiet:
        print_proof(stdout(), proven)
    if any(finding.severity > Severity.NOTE for finding in proven.findings) or not proven.proof.ok:
        raise typer.Exit(int(ExitCode.FINDINGS))
