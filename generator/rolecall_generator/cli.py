"""The command `gen`: parses, calls one function, prints, exits."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rolecall_generator.command_line import DEFAULT_MANIFEST, DEFAULT_OUT
from rolecall_generator.commands import bundle, customer, importing, profiles
from rolecall_generator.console import SafeTyper, emit, emit_json, folder_of, progress_bar, stdout
from rolecall_generator.options import FormatOption, ManifestArgument, OnlyOption, QuietOption

if TYPE_CHECKING:
    from rolecall_generator.checking import Checked
    from rolecall_generator.checks.finding import Severity


app = SafeTyper(
    name="gen",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Cross-account AWS access from one manifest: Terraform for both sides of every trust.",
)

OutOption = Annotated[Path, typer.Option("--out", parser=folder_of("--out"), metavar="<path>", help="The output folder.")]

PruneOption = Annotated[bool, typer.Option("--prune/--no-prune", help="Delete generated files that are no longer planned.")]
PruneAllOption = Annotated[bool, typer.Option("--prune-all", help="Allow --prune to take every customer's module.")]
RepackOption = Annotated[
    bool, typer.Option("--repack", help="Close holes in the backend's policies; moves customers between them.")
]


def _version(wanted: bool) -> None:
    if wanted:
        from rolecall_generator import __version__  # noqa: PLC0415 - looked up only when asked for

        emit(f"rolecall {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Cross-account AWS access from one manifest: Terraform for both sides of every trust."""


@app.command(epilog="Example:  gen init && gen terraform")
def init(
    manifest: ManifestArgument = DEFAULT_MANIFEST,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a commented starter manifest with fresh external ids."""
    from rolecall_generator.starting import write_starter  # noqa: PLC0415 - pydantic loads only where needed

    write_starter(manifest, force=force)
    stdout().print(f"wrote {manifest}")
    stdout().print(f"next: put in your account ids, then run: gen terraform {manifest}")


@app.command(epilog="Example:  gen schema > rolecall.schema.json")
def schema() -> None:
    """Print the manifest's JSON Schema, for editors."""
    from rolecall_generator.manifest.schema import json_schema  # noqa: PLC0415 - as above

    emit_json(json_schema())


@app.command(epilog="Example:  gen terraform accounts.yaml --out output/ --only account1")
def terraform(  # noqa: PLR0913, PLR0917 - every option of a command is an argument of its function
    manifest: ManifestArgument = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    only: OnlyOption = None,
    prune: PruneOption = True,
    prune_all: PruneAllOption = False,
    repack: RepackOption = False,
    checked: Annotated[
        bool, typer.Option("--check/--no-check", help="Read the modules back, compare and prove them after writing.")
    ] = True,
    output_format: FormatOption = "table",
    quiet: QuietOption = False,
) -> None:
    """Write the Terraform modules of both sides, then check them as `gen check` does.

    Exit code 1 when the check finds an error; the modules are written all the same.
    """
    from rolecall_generator.generate import generate  # noqa: PLC0415 - as above
    from rolecall_generator.reports import generation_json, next_steps, print_generation  # noqa: PLC0415 - as above

    with progress_bar("modules", quiet=quiet or output_format == "json") as (started, progress):
        pruning = {"prune": prune, "prune_all": prune_all}
        done = generate(manifest, out, only=only or (), repack=repack, started=started, progress=progress, **pruning)
    found = None
    if checked:
        # --no-prune keeps on purpose what is no longer planned.
        found = _check_written(manifest, out, only or (), leftovers=prune, quiet=quiet or output_format == "json")
    if output_format == "json":
        emit_json(generation_json(done, out, found))
    elif not quiet:
        print_generation(stdout(), done, out)
    if found is not None:
        _show_errors(found, quiet=quiet or output_format == "json")
    if not quiet and output_format == "table":
        for line in next_steps(done, manifest, out):
            stdout().print(line, soft_wrap=True)


def _check_written(manifest: Path, out: Path, only: Sequence[str], *, leftovers: bool, quiet: bool) -> Checked:
    from rolecall_generator.checking import check as run_check  # noqa: PLC0415 - as above

    with progress_bar("checked", quiet=quiet) as (started, progress):
        return run_check(manifest, out, only=only, leftovers=leftovers, started=started, progress=progress)


def _show_errors(found: Checked, *, quiet: bool) -> None:
    """Errors in full and the summary, where a person looks; exit with FINDINGS when there are any."""
    from rolecall_generator.check_reports import print_check  # noqa: PLC0415 - as above
    from rolecall_generator.checks.finding import Severity  # noqa: PLC0415 - as above

    if not quiet:
        print_check(stdout(), found, least=Severity.ERROR)
    _exit_on(found, Severity.ERROR)


def _exit_on(found: Checked, least: Severity) -> None:
    from rolecall_generator.errors import ExitCode  # noqa: PLC0415 - as above

    if found.report.worst is not None and found.report.worst >= least:
        raise typer.Exit(int(ExitCode.FINDINGS))


_CHECK_EXAMPLES = """Examples:

gen check                                                  what gen terraform wrote

gen check accounts.yaml --path ~/mail/account1             a folder that a customer sent back

gen check --path account1=/tmp/modified --format json      ... where the folder does not say whose it is

gen check --format sarif > rolecall.sarif                  for GitHub code scanning"""


@app.command(epilog=_CHECK_EXAMPLES)
def check(
    manifest: ManifestArgument = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    path: Annotated[
        list[str] | None,
        typer.Option("--path", metavar="[NAME=]DIR", help="A folder that a customer sent back; may be repeated."),
    ] = None,
    only: OnlyOption = None,
    fail_on: Annotated[
        Literal["error", "warning", "note"], typer.Option("--fail-on", help="The least severity that makes exit code 1.")
    ] = "warning",
    output_format: Annotated[
        Literal["table", "json", "sarif", "junit"], typer.Option("--format", help="For people, or for machines.")
    ] = "table",
    quiet: QuietOption = False,
) -> None:
    """Read the written modules back, compare them with the manifest, prove who can assume what, and judge them by rules.

    Exit code 1 when something is found, 0 when nothing is. Rules: docs/rules/.
    """
    from rolecall_generator.check_reports import print_check, report_text  # noqa: PLC0415 - as above
    from rolecall_generator.checking import check as run_check  # noqa: PLC0415 - as above
    from rolecall_generator.checks.finding import Severity  # noqa: PLC0415 - as above
    from rolecall_generator.manifest.source import collection_paused  # noqa: PLC0415 - as above

    with collection_paused(), progress_bar("modules", quiet=quiet or output_format != "table") as (started, progress):
        found = run_check(manifest, out, sent_back=path or (), only=only or (), started=started, progress=progress)
        # What the check of a fleet holds is no garbage until the process ends: looking it over costs a tenth of the time.
        gc.freeze()
    if output_format != "table":
        emit(report_text(found, output_format, manifest=manifest, root="" if path else f"{out}/"), end="")
    elif not quiet:
        print_check(stdout(), found)
    _exit_on(found, Severity[fail_on.upper()])


_PROVE_EXAMPLES = """Examples:

gen prove                                    the matrix of what gen terraform wrote

gen prove --format html > proof.html         one page with the picture, for a security review

gen prove --format mermaid > trust.mmd       who reaches what, as a picture for Markdown"""


@app.command(epilog=_PROVE_EXAMPLES)
def prove(
    manifest: ManifestArgument = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    planned: Annotated[
        bool, typer.Option("--planned", help="Prove what gen terraform would write, not what is written.")
    ] = False,
    output_format: Annotated[
        Literal["table", "json", "html", "svg", "mermaid"], typer.Option("--format", help="For people, or for machines.")
    ] = "table",
    quiet: QuietOption = False,
) -> None:
    """Prove who can assume which role: the intended callers and nobody else, cell by cell, each failure with its example.

    Exit code 1 when a cell is not as intended.
    """
    from rolecall_generator.checking import prove_manifest  # noqa: PLC0415 - as above
    from rolecall_generator.checks.finding import Severity  # noqa: PLC0415 - as above
    from rolecall_generator.errors import ExitCode  # noqa: PLC0415 - as above
    from rolecall_generator.proof_reports import print_proof, proof_text  # noqa: PLC0415 - as above

    with progress_bar("modules", quiet=quiet or output_format != "table") as (started, progress):
        proven = prove_manifest(manifest, out, planned=planned, started=started, progress=progress)
    if output_format != "table":
        emit(proof_text(proven, output_format, title=str(manifest)), end="")
    elif not quiet:
        print_proof(stdout(), proven)
    if any(finding.severity > Severity.NOTE for finding in proven.findings) or not proven.proof.ok:
        raise typer.Exit(int(ExitCode.FINDINGS))


@app.command(epilog="Example:  gen diff accounts.yaml")
def diff(
    manifest: ManifestArgument = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    output_format: FormatOption = "table",
    quiet: QuietOption = False,
) -> None:
    """Show what the next `gen terraform` would change, in terms of access: who, what, on which condition.

    Exit code 1 when something would change, 0 when nothing would.
    """
    from rolecall_generator.compare import compare  # noqa: PLC0415 - as above
    from rolecall_generator.errors import ExitCode  # noqa: PLC0415 - as above
    from rolecall_generator.reports import comparison_json, print_comparison  # noqa: PLC0415 - as above

    with progress_bar("modules", quiet=quiet or output_format == "json") as (started, progress):
        found = compare(manifest, out, started=started, progress=progress)
    if output_format == "json":
        emit_json(comparison_json(found))
    elif not quiet:
        print_comparison(stdout(), found)
    if found.modules:
        raise typer.Exit(int(ExitCode.FINDINGS))


app.command(epilog=profiles.EXAMPLES)(profiles.profiles)
app.command(epilog=bundle.BUNDLE_EXAMPLES)(bundle.bundle)
app.command("bundle-check", epilog=bundle.CHECK_EXAMPLES)(bundle.bundle_check)
app.add_typer(customer.app, name="customer")
app.add_typer(importing.app, name="import")
