"""`runner explain`: causes and hints for a pasted error message or CloudTrail event."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Annotated

import typer

from rolecall_generator.check import read_access
from rolecall_generator.cli import FormatOption, ManifestOption, OutOption
from rolecall_generator.errors import ExitCode, InputError
from rolecall_generator.iam import Access
from rolecall_generator.terminal import emit_json, print_indented, stdout
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT
from rolecall_runner.inventory import Target, read_inventory
from rolecall_runner.verify import access_by_role
from rolecall_runner.verify import explain as explain_text

MAXIMUM_BYTES = 4_000_000
_UNKNOWN = "unknown"

EXAMPLES = """Examples:

runner explain "$(aws sts assume-role ... 2>&1)"           the message of a failed command

pbpaste | runner explain -                                 from standard input

runner explain event.json --format json                    a CloudTrail event in a file"""


def explain(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Message or event, a file that contains it, or - for stdin.")],
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    output_format: FormatOption = "table",
) -> None:
    """Explain an access-denied message or a CloudTrail event: likely causes and what to do.

    Names the customer if there is a manifest. Exit code 0 with a cause, 9 if no known error was found. No call is made.
    """
    targets, backend = _of_manifest(manifest, out)

    @cache
    def agreed() -> Mapping[str, Access]:
        return access_by_role(read_access(manifest, out, planned=True))

    found = explain_text(_read(text), targets, backend, lambda target: agreed().get(target.role_arn))
    if output_format == "json":
        emit_json([each.to_json() for each in found])
    else:
        for indent, line in (line for each in found for line in each.lines()):
            print_indented(stdout(), line, indent, style="" if indent else "bold")
    if not any(cause.cause != _UNKNOWN for each in found for cause in each.causes):
        raise typer.Exit(int(ExitCode.INCONCLUSIVE))


def _of_manifest(manifest: Path, out: Path) -> tuple[Sequence[Target], str]:
    """Targets and backend account of the manifest; none if there is no manifest at the default place."""
    if manifest == DEFAULT_MANIFEST and not manifest.exists():
        return (), ""
    found = read_inventory(manifest, out=out)
    backend = found.manifest.backend
    return found.targets, backend.account_id if backend is not None else ""


def _read(text: str) -> str:
    """The text itself, or the contents of the file of this name, or standard input. Raises InputError."""
    if text == "-":
        return _limited(sys.stdin.buffer, "standard input")
    try:
        is_file = Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or has a null character
        is_file = False
    if not is_file:
        return text
    try:
        with Path(text).open("rb") as file:
            return _limited(file, text)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=text, hint="check its permissions") from error


def _limited(file: IO[bytes], where: str) -> str:
    content = file.read(MAXIMUM_BYTES + 1)
    if len(content) > MAXIMUM_BYTES:
        raise InputError(f"has more than {MAXIMUM_BYTES:,} bytes", where=where, hint="extract the event of interest")
    return content.decode("utf-8", errors="replace")


app = typer.Typer()
app.command(epilog=EXAMPLES)(explain)
