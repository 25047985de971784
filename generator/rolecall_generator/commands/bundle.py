"""`gen bundle` and `gen bundle-check`: what a customer is handed, and whether it still is what was handed over."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rolecall_generator.command_line import DEFAULT_MANIFEST, DEFAULT_OUT, command_line
from rolecall_generator.completion import everybody
from rolecall_generator.console import emit_json, folder_of, print_error, progress_bar, stderr, stdout
from rolecall_generator.errors import ExitCode, OutputError, SelectionError
from rolecall_generator.options import FormatOption, ManifestOption, QuietOption

if TYPE_CHECKING:
    from rolecall_generator.handover.verifying import Verified

BUNDLE_EXAMPLES = """Examples:

gen bundle                                    a folder and a zip for everybody, in output/bundles

gen bundle account1 --template-url-base https://acme-templates.s3.amazonaws.com/rolecall

gen bundle --sign minisign --key ~/.minisign/minisign.key

gen bundle --pdf                              with each security review as a PDF as well"""

CHECK_EXAMPLES = """Examples:

gen bundle-check account1.zip

gen bundle-check output/bundles/account1 --public-key minisign.pub"""


def bundle(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", autocompletion=everybody, help="Customers or switch roles; all when left out."),
    ] = None,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: Annotated[
        Path,
        typer.Option("--out", parser=folder_of("--out"), metavar="<path>", help="The output folder; they go below it."),
    ] = DEFAULT_OUT,
    template_url_base: Annotated[
        str | None,
        typer.Option("--template-url-base", metavar="URL", help="Where you put the bundles' templates: an https address."),
    ] = None,
    sign: Annotated[
        Literal["minisign", "sigstore"] | None, typer.Option("--sign", help="Sign the checksums with this program of yours.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="FILE", help="minisign's secret key, where it is not in its usual place.")
    ] = None,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Write the security review as a PDF as well. Requires the extra 'pdf'.")
    ] = False,
    stored: Annotated[
        bool, typer.Option("--stored", help="Zips without compression: the same bytes whichever zlib made them.")
    ] = False,
    prune: Annotated[bool, typer.Option("--prune/--no-prune", help="Delete bundles that are no longer planned.")] = True,
    prune_all: Annotated[bool, typer.Option("--prune-all", help="Allow --prune to take every bundle.")] = False,
    output_format: FormatOption = "table",
    quiet: QuietOption = False,
) -> None:
    """Write what each customer is handed: a folder and a zip with all ways to give the access, and a page to start with.

    Exit code 1 when one is not safe to hand over: gen check finds an error in what it asks for. It is written all the same.
    Exit code 5 when a bundle could not be written; the others are.
    """
    from rolecall_generator.bundle_reports import (  # noqa: PLC0415 - loads only where needed
        bundles_json,
        print_bundles,
        print_failures,
        print_objections,
    )
    from rolecall_generator.handover.signing import Signer  # noqa: PLC0415 - as above
    from rolecall_generator.handover.writing import Choices, write_bundles  # noqa: PLC0415 - as above

    if template_url_base is not None and not template_url_base.startswith("https://"):
        where, mend = "--template-url-base", "give an https address, as in https://BUCKET.s3.amazonaws.com/rolecall"
        raise SelectionError("CloudFormation takes templates from https addresses alone", where=where, mend=mend)
    if key is not None and sign != "minisign":
        raise SelectionError("a key is for minisign alone", where="--key", mend="add --sign minisign, or leave the key out")
    signer = None if sign is None else Signer(sign, None if key is None else str(Path(key).expanduser().absolute()))
    choices = Choices(names or (), template_url_base, stored, signer, prune, prune_all, pdf)
    with progress_bar("bundles", quiet=quiet or output_format == "json") as (started, progress):
        done = write_bundles(manifest, out, choices, started=started, progress=progress)
    if output_format == "json":
        emit_json(bundles_json(done))
    elif not quiet:
        print_bundles(stdout(), done, partial(command_line, manifest=manifest, out=out))
    print_failures(stderr(), done)
    print_objections(stderr(), done)
    if done.failed or done.objections:
        raise typer.Exit(int(ExitCode.OUTPUT if done.failed else ExitCode.FINDINGS))


def bundle_check(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", readable=False, help="Bundles: folders or zips.")],
    public_key: Annotated[
        str | None,
        typer.Option("--public-key", metavar="KEY", help="Ask for minisign's signature by this key, or file."),
    ] = None,
    identity: Annotated[
        str | None, typer.Option("--identity", metavar="WHO", help="Ask for sigstore's signature by this identity.")
    ] = None,
    issuer: Annotated[str | None, typer.Option("--issuer", metavar="URL", help="Who vouches for --identity.")] = None,
    output_format: FormatOption = "table",
    quiet: QuietOption = False,
) -> None:
    """Say whether bundles are as they were made: each changed, missing or additional file is named.

    Exit code 1 when something is found, 5 when one cannot be read.
    """
    from rolecall_generator.bundle_reports import check_json, print_checks  # noqa: PLC0415 - as above
    from rolecall_generator.handover.signing import Trusted  # noqa: PLC0415 - as above
    from rolecall_generator.handover.verifying import verify_bundle  # noqa: PLC0415 - as above

    trusted = Trusted(public_key, identity, issuer)
    found: list[tuple[Path, Verified]] = []
    unreadable: list[OutputError] = []
    for path in paths:
        try:
            found.append((path, verify_bundle(path, trusted)))
        except OutputError as error:  # the other bundles are checked all the same
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
