"""The command `gen`: parses, calls one function, prints, exits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from rolecall_generator import __version__
from rolecall_generator.console import SafeTyper, progress_bar, stdout

DEFAULT_MANIFEST = Path("accounts.yaml")
DEFAULT_OUT = Path("output")

app = SafeTyper(
    name="gen",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Cross-account AWS access from one manifest: Terraform for both sides of every trust.",
)

ManifestArgument = Annotated[Path, typer.Argument(metavar="[MANIFEST]", help="The manifest; accounts.yaml when left out.")]
OutOption = Annotated[Path, typer.Option("--out", help="The output folder.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")]
FormatOption = Annotated[Literal["table", "json"], typer.Option("--format", help="For people, or for machines.")]

OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", metavar="NAME", help="Only this customer or switch role; may be repeated.")
]
PruneOption = Annotated[bool, typer.Option("--prune/--no-prune", help="Delete generated files that are no longer planned.")]
RepackOption = Annotated[
    bool, typer.Option("--repack", help="Close holes in the backend's policies; moves customers between them.")
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rolecall {__version__}")
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
    stdout().print(f"wrote {manifest}\nnext: put in your account ids, then run: gen terraform {manifest}", markup=False)


@app.command(epilog="Example:  gen schema > accounts.schema.json")
def schema() -> None:
    """Print the manifest's JSON Schema, for editors."""
    from rolecall_generator.manifest.schema import json_schema  # noqa: PLC0415 - as above

    typer.echo(json.dumps(json_schema(), indent=2))


@app.command(epilog="Example:  gen terraform accounts.yaml --out output/ --only account1")
def terraform(
    manifest: ManifestArgument = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    only: OnlyOption = None,
    prune: PruneOption = True,
    repack: RepackOption = False,
    output_format: FormatOption = "table",
    quiet: QuietOption = False,
) -> None:
    """Write the Terraform modules of both sides."""
    from rolecall_generator.generate import generate  # noqa: PLC0415 - as above
    from rolecall_generator.reports import generation_json, print_generation  # noqa: PLC0415 - as above

    with progress_bar("modules", quiet=quiet or output_format == "json") as (started, progress):
        done = generate(manifest, out, only=only or (), prune=prune, repack=repack, started=started, progress=progress)
    if output_format == "json":
        typer.echo(json.dumps(generation_json(done, out), indent=2))
    elif not quiet:
        print_generation(stdout(), done, out)


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
        typer.echo(json.dumps(comparison_json(found), indent=2))
    elif not quiet:
        print_comparison(stdout(), found)
    if found.modules:
        raise typer.Exit(int(ExitCode.FINDINGS))
