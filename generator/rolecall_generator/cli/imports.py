"""The commands `gen import`: add accounts from a CSV file, an AWS Organization or Terraform outputs to the manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rolecall_generator.cli.customer_output import confirm_and_write
from rolecall_generator.cli.options import DryRunOption, FormatOption, ManifestOption, OutOption, YesOption
from rolecall_generator.customers import import_customers
from rolecall_generator.errors import RolecallError, SelectionError
from rolecall_generator.importers import (
    ImportProblemsError,
    ImportSettings,
    OrganizationSelection,
    import_edits,
    import_notes,
    make_client,
    parse_columns,
    plan_import,
    read_csv_accounts,
    read_organization,
    read_output_accounts,
    with_manifest_problems,
)
from rolecall_generator.manifest import fresh_external_id, load_manifest
from rolecall_generator.records import read_rotations
from rolecall_generator.terminal import stdout
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT

if TYPE_CHECKING:
    from rolecall_generator.importers import Reading


app = typer.Typer(
    name="import", no_args_is_help=True, help="Import accounts from a CSV file, an AWS Organization or Terraform outputs."
)

INTO = Path("customers") / "imported.yaml"
_NAMED = 10

IntoOption = Annotated[
    Path | None,
    typer.Option(
        "--into", metavar="FILE", help="File for new customers: the manifest, a file that it includes, or a new one; "
        "customers/imported.yaml next to the manifest by default.",
    ),
]  # fmt: skip
PermissionsOption = Annotated[
    list[str] | None,
    typer.Option("--permissions", metavar="SET", help="Permission set for new customers; may be repeated."),
]
UpdateOption = Annotated[
    bool, typer.Option("--update/--no-update", help="Change entries of accounts that are already in the manifest.")
]

CSV_EXAMPLES = """Examples:

gen import csv fleet.csv --dry-run                        show what would be added

gen import csv crm.csv --column name="Account Name" --column account_id=AWS --permissions s3-read

gen import csv fleet.csv --update --yes                   also change known accounts, without confirmation"""


@app.command("csv", epilog=CSV_EXAMPLES)
def csv_command(
    file: Annotated[Path, typer.Argument(readable=False, help="CSV file with a header row.")],
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="FIELD=HEADER", help="Column of a field; may be repeated."),
    ] = None,
    delimiter: Annotated[str | None, typer.Option("--delimiter", help="Delimiter; detected by default.")] = None,
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="Encoding, for example cp1252; UTF-8 or UTF-16 by default.")
    ] = None,
    into: IntoOption = None,
    permissions: PermissionsOption = None,
    update: UpdateOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    output_format: FormatOption = "table",
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Import the accounts of a CSV file. All invalid rows are reported in one pass, and then nothing is imported.

    Accounts that are already in the manifest do not change, so importing the same file again has no effect.
    """
    if delimiter is not None and len(delimiter.replace("\\t", "\t")) != 1:
        raise SelectionError("the delimiter must be one character", where="--delimiter", hint="use ; or \\t for a tab")
    character = delimiter.replace("\\t", "\t") if delimiter else None
    columns = parse_columns(column or ())
    reading = _read(lambda: read_csv_accounts(file, columns, delimiter=character, encoding=encoding), manifest)
    _import(reading, manifest, out, into, permissions, update=update, yes=yes, dry_run=dry_run, output_format=output_format)


ORGANIZATIONS_EXAMPLES = """Examples:

gen import organizations --profile management --dry-run

gen import organizations --ou Prod --ou ou-ab12-3456789a --exclude 'sandbox-*' --permissions s3-read"""


@app.command("organizations", epilog=ORGANIZATIONS_EXAMPLES)
def organizations_command(
    profile: Annotated[
        str | None, typer.Option("--profile", help="AWS CLI profile; the default credential chain if omitted.")
    ] = None,
    ou: Annotated[
        list[str] | None,
        typer.Option(
            "--ou",
            metavar="UNIT",
            help="Only this organizational unit and those below it: ID, name or path; may be repeated.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="ACCOUNT",
            help="Exclude an account by ID, name or pattern, or an organizational unit; may be repeated.",
        ),
    ] = None,
    into: IntoOption = None,
    permissions: PermissionsOption = None,
    update: UpdateOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    output_format: FormatOption = "table",
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Import the active accounts of an AWS Organization, with the path of their organizational unit as the label `ou`.

    Requires organizations:ListRoots, ListOrganizationalUnitsForParent and ListAccountsForParent in the management account or
    a delegated administrator account. Suspended accounts are skipped and listed.
    """
    backend = load_manifest(manifest).manifest.backend
    own = {backend.account_id: "the backend account"} if backend is not None else {}
    choice = OrganizationSelection(tuple(ou or ()), tuple(exclude or ()), own)
    reading = read_organization(make_client(profile), choice, profile=profile)
    _import(reading, manifest, out, into, permissions, update=update, yes=yes, dry_run=dry_run, output_format=output_format)


OUTPUTS_EXAMPLES = """Examples:

gen import terraform-outputs returned/acme.json            output of `terraform output -json` at acme

gen import terraform-outputs returned/*.json --no-update   only new customers"""


@app.command("terraform-outputs", epilog=OUTPUTS_EXAMPLES)
def outputs_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            readable=False,
            help="Output of `terraform output -json` or `terraform show -json`, or a state file.",
        ),
    ],
    into: IntoOption = None,
    permissions: PermissionsOption = None,
    update: UpdateOption = True,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    output_format: FormatOption = "table",
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Import the Terraform outputs of customers. Entries with a different role are shown and updated.

    A file is matched by its content: the account ID in its role_arn, and the external ID that you gave to that account. A
    new customer gets the name of its file, or of the file's folder if the file is called outputs.json.
    """
    reading = _read(lambda: read_output_accounts(files), manifest)
    _import(reading, manifest, out, into, permissions, update=update, yes=yes, dry_run=dry_run, output_format=output_format)


def _read(read: Callable[[], Reading], manifest: Path) -> Reading:
    """Read a source. On problems, also report those that its accounts have with the manifest, if that can be loaded."""
    try:
        return read()
    except ImportProblemsError as error:
        try:
            known = load_manifest(manifest).manifest
        except RolecallError:
            raise error from None
        raise with_manifest_problems(error, known) from error


def _import(
    reading: Reading,
    manifest: Path,
    out: Path,
    into: Path | None,
    permissions: list[str] | None,
    *,
    update: bool,
    yes: bool,
    dry_run: bool,
    output_format: str,
) -> None:
    retired = {name: entry.retired for name, entry in read_rotations(out).items() if entry.retired}
    settings = ImportSettings(fresh_external_id, tuple(permissions) if permissions else None, update, retired)
    loaded = load_manifest(manifest)
    plan = plan_import(reading, loaded.manifest, settings)
    edits = import_edits(plan, into or manifest.parent / INTO)
    notes = tuple(import_notes(plan, None if output_format == "json" else _NAMED))
    if not edits and output_format != "json":  # without edits there is nothing to plan
        said = "No changes: the manifest is up to date."
        if any(one.differs for one in plan.known):
            said = "No changes: use --update to apply the differences."
        for note in (*notes, said):
            stdout().print(note, markup=False)
        return
    proposal = import_customers(loaded, out, edits, notes=notes)
    confirm_and_write(proposal, yes=yes, dry_run=dry_run, output_format=output_format)
