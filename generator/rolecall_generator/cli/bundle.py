"""The commands `gen bundle` and `gen bundle-check`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rolecall_generator.bundle import BundleOptions, RequiredSigner, Signer, verify_bundle, write_bundles
from rolecall_generator.cli.options import FormatOption, ManifestOption, QuietOption, complete_targets
from rolecall_generator.errors import ExitCode, OutputError, SelectionError
from rolecall_generator.terminal import emit_json, folder_parser, print_error, progress_bar, stderr, stdout
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT, command_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from rolecall_generator.bundle import BundleReport, BundleVerification


app = typer.Typer()


@app.command(
    epilog="""Examples:

gen bundle                                    a folder and a zip per customer and switch role, in output/bundles

gen bundle account1 --template-url-base https://acme-templates.s3.amazonaws.com/rolecall

gen bundle --sign minisign --key ~/.minisign/minisign.key

gen bundle --pdf                              also write each security review as a PDF"""
)
def bundle(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", autocompletion=complete_targets, help="Customers or switch roles; all by default."),
    ] = None,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            parser=folder_parser("--out"),
            metavar="<path>",
            help="Output folder; bundles are written to its subfolder bundles.",
        ),
    ] = DEFAULT_OUT,
    template_url_base: Annotated[
        str | None,
        typer.Option(
            "--template-url-base", metavar="URL", help="Base URL (https) at which you publish the CloudFormation templates."
        ),
    ] = None,
    sign: Annotated[
        Literal["minisign", "sigstore"] | None, typer.Option("--sign", help="Sign the checksums with this program.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="FILE", help="File of minisign's secret key, if it is not the default file."),
    ] = None,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Also write the security review as a PDF. Requires the extra 'pdf'.")
    ] = False,
    stored: Annotated[
        bool,
        typer.Option(
            "--stored", help="Write zips without compression, so that the bytes do not depend on the version of zlib."
        ),
    ] = False,
    prune: Annotated[bool, typer.Option("--prune/--no-prune", help="Delete bundles that are no longer planned.")] = True,
    prune_all: Annotated[bool, typer.Option("--prune-all", help="Allow --prune to delete all bundles.")] = False,
    output_format: FormatOption = "table",
    quiet: QuietOption = False,
) -> None:
    """Write a bundle per customer and switch role: a folder and a zip with all methods to grant the access and a README.

    Exit code 1 if a bundle is not safe to hand over because gen check finds an error in its module; it is written anyway.
    Exit code 5 if a bundle could not be written; the others are written.
    """
    if template_url_base is not None and not template_url_base.startswith("https://"):
        where, hint = "--template-url-base", "use an https URL, for example https://BUCKET.s3.amazonaws.com/rolecall"
        raise SelectionError("CloudFormation accepts templates only from https URLs", where=where, hint=hint)
    if key is not None and sign != "minisign":
        raise SelectionError("--key is only valid for minisign", where="--key", hint="add --sign minisign, or remove --key")
    signer = None if sign is None else Signer(sign, None if key is None else str(Path(key).expanduser().absolute()))
    options = BundleOptions(names or (), template_url_base, stored, signer, prune, prune_all, pdf)
    with progress_bar("bundles", quiet=quiet or output_format == "json") as (started, progress):
        done = write_bundles(manifest, out, options, started=started, progress=progress)
    if output_format == "json":
        emit_json(bundles_json(done))
    elif not quiet:
        print_bundles(stdout(), done, partial(command_line, manifest=manifest, out=out))
    print_failures(stderr(), done)
    print_blocking_findings(stderr(), done)
    if done.failed or done.blocking_findings:
        raise typer.Exit(int(ExitCode.OUTPUT if done.failed else ExitCode.FINDINGS))


@app.command(
    "bundle-check",
    epilog="""Examples:

gen bundle-check account1.zip

gen bundle-check output/bundles/account1 --public-key minisign.pub""",
)
def bundle_check(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", readable=False, help="Bundles: folders or zips.")],
    public_key: Annotated[
        str | None,
        typer.Option(
            "--public-key", metavar="KEY", help="Require a minisign signature by this public key; a key or a file."
        ),
    ] = None,
    identity: Annotated[
        str | None, typer.Option("--identity", metavar="WHO", help="Require a sigstore signature by this identity.")
    ] = None,
    issuer: Annotated[str | None, typer.Option("--issuer", metavar="URL", help="OIDC issuer of --identity.")] = None,
    output_format: FormatOption = "table",
    quiet: QuietOption = False,
) -> None:
    """Verify bundles against their checksums and list each changed, missing or added file.

    Exit code 1 if a bundle does not pass, 5 if one cannot be read.
    """
    trusted = RequiredSigner(public_key, identity, issuer)
    found: list[tuple[Path, BundleVerification]] = []
    unreadable: list[OutputError] = []
    for path in paths:
        try:
            found.append((path, verify_bundle(path, trusted)))
        except OutputError as error:  # check the other bundles, too
            unreadable.append(error)
    if output_format == "json":
        emit_json([check_json(path, verified) for path, verified in found])
    else:
        for path, verified in found:
            if not quiet or not verified.ok:
                print_checks(stdout(), path, verified)
    for each in unreadable:
        print_error(f"error: {each}")
    if unreadable:
        raise typer.Exit(int(ExitCode.OUTPUT))
    if not all(verified.ok for _, verified in found):
        raise typer.Exit(int(ExitCode.FINDINGS))


_SHOWN = 20
"""Maximum number of rows of a table."""
_HINT = "  hint: "
_UNSAFE = "not safe to hand over"
_STATES = ("created", "changed", "restored", "unchanged", "removed")
_STYLES = {"created": "green", "changed": "yellow", "restored": "yellow", "removed": "red", "failed": "bold red"}


def bundles_json(done: BundleReport) -> dict[str, Any]:
    """The object that `gen bundle --format json` prints; paths are relative to `folder`."""
    report = done.report
    return {
        "folder": str(done.folder),
        "bundles": {state: list(getattr(report, state)) for state in _STATES},
        "failed": dict(done.failed),
        "unsafe": {
            path: [{"rule": finding.rule, "message": finding.message, "hint": finding.hint} for finding in found]
            for path, found in done.blocking_findings.items()
        },
        "files_written": report.files_written,
        "kept": list(report.kept),
    }


def print_bundles(console: Console, done: BundleReport, command: Callable[[str], str] = str) -> None:
    """Print the bundles with their state, and the next step.

    `command` completes a command line with the options for manifest and output folder.
    """
    report = done.report
    bad = done.blocking_findings
    rows = [(path, state) for state in _STATES for path in getattr(report, state) if state != "unchanged" or path in bad]
    rows.sort(key=lambda row: row[0] not in bad)  # only the first rows are shown
    table = Table(title=str(done.folder), title_justify="left", title_style="bold")
    table.add_column("bundle", overflow="fold")
    table.add_column("state")
    for path, state in rows[:_SHOWN]:
        warning = (", ", (_UNSAFE, "bold red")) if path in bad else ()
        table.add_row(path, Text.assemble((state, _STYLES.get(state, "")), *warning))
    if rows:
        console.print(table)
    if len(rows) > _SHOWN:
        console.print(f"and {len(rows) - _SHOWN:,} more")
    counts = [f"{len(getattr(report, state)):,} {state}" for state in _STATES if getattr(report, state)]
    if rows:
        console.print(f"{report.files_written:,} files written; bundles: {', '.join(counts)}")
    elif not done.failed:
        console.print(_nothing_to_write(len(report.unchanged)))
    for path in report.kept:
        console.print(f"kept: {path} (not created by rolecall, or edited by hand)", style="yellow", markup=False)
    made = [path for path, state in rows if state != "removed"]
    safe = next((path for path in made if path not in bad), None)
    if safe is not None:
        console.print(_next_step(done.folder, safe, command), markup=False, soft_wrap=True)
    elif made:
        console.print("next: fix the errors, then run gen bundle again", markup=False, soft_wrap=True)


def _nothing_to_write(unchanged: int) -> str:
    if not unchanged:
        return "No bundles: the manifest has neither customers nor switch roles."
    return f"Nothing to write: {'1 bundle is' if unchanged == 1 else f'{unchanged:,} bundles are'} up to date."


def print_failures(console: Console, done: BundleReport) -> None:
    """Print each bundle that could not be written, with reason and hint."""
    for path, reason in done.failed.items():
        for line in f"error: {done.folder / path}: {reason}".split("\n"):  # str(RolecallError) has its hint on a second line
            console.print(line, style="red", markup=False, soft_wrap=True)
        if _HINT not in reason:  # only foreign files have no hint of their own
            console.print(f"{_HINT}move it out of the folder of bundles, then run again", markup=False, soft_wrap=True)


def print_blocking_findings(console: Console, done: BundleReport) -> None:
    """Print the error findings of each bundle that should not be handed over."""
    lines = [(path, finding) for path, found in done.blocking_findings.items() for finding in found]
    for path, finding in lines[:_SHOWN]:
        console.print(f"error: {done.folder / path}: {_UNSAFE}", style="bold red", markup=False, soft_wrap=True)
        console.print(f"  {finding.rule}: {finding.message}", style="red", markup=False, soft_wrap=True)
        console.print(f"{_HINT}{finding.hint}", markup=False, soft_wrap=True)
    if len(lines) > _SHOWN:
        console.print(f"and {len(lines) - _SHOWN:,} more (--format json lists all)", markup=False)


def _next_step(folder: Path, path: str, command: Callable[[str], str]) -> str:
    """The next step for a bundle; `runner onboard` is for customers only."""
    hand_over = f"next: hand over {folder / path}.zip, or the folder next to it"
    return hand_over if "/" in path else f"{hand_over}; after it is applied, run: {command(f'runner onboard {path}')}"


def check_json(path: Path, found: BundleVerification) -> dict[str, Any]:
    """The object that `gen bundle-check --format json` prints for one bundle."""
    return {"bundle": str(path), "ok": found.ok, "files": found.files, "signature": found.signature,
            "problems": [{"file": problem.file, "message": problem.what} for problem in found.problems]}  # fmt: skip


def print_checks(console: Console, path: Path, found: BundleVerification) -> None:
    """Print the problems of one bundle, or that there are none."""
    for problem in found.problems:
        console.print(f"{path}: {problem.file}: {problem.what}", markup=False, style="red", soft_wrap=True)
    if found.ok:
        message = f"{path}: {found.files:,} files match SHA256SUMS; {found.signature}"
        console.print(message, markup=False, soft_wrap=True)
