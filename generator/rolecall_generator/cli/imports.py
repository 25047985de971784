"""`gen import`: accounts from a table, an AWS Organization or Terraform's outputs as customers of the manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rolecall_generator.cli.options import DryRunOption, FormatOption, ManifestOption, OutOption, YesOption, agree_and_write
from rolecall_generator.customers import import_customers
from rolecall_generator.errors import RolecallError, SelectionError
from rolecall_generator.importers import (
    ImportProblemsError,
    ImportSettings,
    OrganizationSelection,
    all_problems,
    edits_of,
    make_client,
    notes_of,
    parse_columns,
    plan_import,
    read_csv_accounts,
    read_organization,
    read_output_accounts,
)
from rolecall_generator.manifest import fresh_external_id, load_manifest
from rolecall_generator.records import read_rotations
from rolecall_generator.terminal import stdout
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT

if TYPE_CHECKING:
    from rolecall_generator.importers import Reading


app = typer.Typer(
    name="import", no_args_is_help=True, help="Take accounts over from a table, an AWS Organization, Terraform's outputs."
)

INTO = Path("customers") / "imported.yaml"
_NAMED = 10

IntoOption = Annotated[
    Path | None,
    typer.Option(
        "--into", metavar="FILE", help="The file for new customers: the manifest, one that it includes, or a new one; "
        "customers/imported.yaml next to the manifest when left out.",
    ),
]  # fmt: skip
PermissionsOption = Annotated[
    list[str] | None,
    typer.Option("--permissions", metavar="SET", help="A permission set for new customers; may be repeated."),
]
UpdateOption = Annotated[
    bool, typer.Option("--update/--no-update", help="Change entries of accounts that the manifest has already.")
]

CSV_EXAMPLES = """Examples:

gen import csv fleet.csv --dry-run                        what would be added, and who is known already

gen import csv crm.csv --column name="Account Name" --column account_id=AWS --permissions s3-read

gen import csv fleet.csv --update --yes                   known accounts too, without a question"""


@app.command("csv", epilog=CSV_EXAMPLES)
def csv_command(
    file: Annotated[Path, typer.Argument(readable=False, help="The table: CSV with a header row, as spreadsheets save it.")],
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="FIELD=HEADER", help="Which column holds a field; may be repeated."),
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option("--delimiter", help="What parts the cells; found out when left out.")
    ] = None,
    encoding: Annotated[str | None, typer.Option("--encoding", help="As in cp1252; UTF-8 or UTF-16 when left out.")] = None,
    into: IntoOption = None,
    permissions: PermissionsOption = None,
    update: UpdateOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    output_format: FormatOption = "table",
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Import the accounts of a table. A row that is wrong is named with all others that are, and nothing is imported.

    Accounts that the manifest has already stay as they are, so that the same import twice changes nothing.
    """
    if delimiter is not None and len(delimiter.replace("\\t", "\t")) != 1:
        raise SelectionError("a delimiter is one character", where="--delimiter", hint="write ; or \\t for a tab")
    told = delimiter.replace("\\t", "\t") if delimiter else None
    columns = parse_columns(column or ())
    reading = _read(lambda: read_csv_accounts(file, columns, delimiter=told, encoding=encoding), manifest)
    _import(reading, manifest, out, into, permissions, update=update, yes=yes, dry_run=dry_run, output_format=output_format)


ORGANIZATIONS_EXAMPLES = """Examples:

gen import organizations --profile management --dry-run

gen import organizations --ou Prod --ou ou-ab12-3456789a --exclude 'sandbox-*' --permissions s3-read"""


@app.command("organizations", epilog=ORGANIZATIONS_EXAMPLES)
def organizations_command(
    profile: Annotated[
        str | None, typer.Option("--profile", help="An AWS CLI profile; the usual chain of credentials when left out.")
    ] = None,
    ou: Annotated[
        list[str] | None,
        typer.Option("--ou", metavar="UNIT", help="Only this unit and all below it: id, name or path; may be repeated."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="WHOM", help="An account's id, name or pattern, or a unit; may be repeated."),
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
    """Import the active accounts of an AWS Organization, with the path of their unit as the label `ou`.

    It reads, in the management account or a delegated administrator's: organizations:ListRoots,
    ListOrganizationalUnitsForParent, ListAccountsForParent. Suspended accounts are left out, and named.
    """
    backend = load_manifest(manifest).manifest.backend
    own = {backend.account_id: "the backend account"} if backend is not None else {}
    choice = OrganizationSelection(tuple(ou or ()), tuple(exclude or ()), own)
    reading = read_organization(make_client(profile), choice, profile=profile)
    _import(reading, manifest, out, into, permissions, update=update, yes=yes, dry_run=dry_run, output_format=output_format)


OUTPUTS_EXAMPLES = """Examples:

gen import terraform-outputs returned/acme.json            what acme's `terraform output -json` wrote

gen import terraform-outputs returned/*.json --no-update   new customers alone"""


@app.command("terraform-outputs", epilog=OUTPUTS_EXAMPLES)
def outputs_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", readable=False, help="Of `terraform output -json`, `terraform show -json`, a state."
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
    """Import what customers' applies gave. Entries whose role differs are shown, and brought up to it.

    A file is matched by its content: the account id in its role_arn, and the external id that you gave to that account. A
    new customer is named by its file, or by the file's folder where that is called outputs.json.
    """
    reading = _read(lambda: read_output_accounts(files), manifest)
    _import(reading, manifest, out, into, permissions, update=update, yes=yes, dry_run=dry_run, output_format=output_format)


def _read(read: Callable[[], Reading], manifest: Path) -> Reading:
    """Read a source; where it is wrong, say what the manifest finds wrong of it too, unless that cannot be loaded."""
    try:
        return read()
    except ImportProblemsError as error:
        try:
            known = load_manifest(manifest).manifest
        except RolecallError:
            raise error from None
        raise all_problems(error, known) from error


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
    edits = edits_of(plan, into or manifest.parent / INTO)
    notes = tuple(notes_of(plan, None if output_format == "json" else _NAMED))
    if not edits and output_format != "json":  # what changes nothing need not be planned
        said = "Nothing to change: the manifest says so already."
        if any(one.differs for one in plan.known):
            said = "Nothing is changed: --update takes over what differs."
        for note in (*notes, said):
            stdout().print(note, markup=False)
        return
    proposal = import_customers(loaded, out, edits, notes=notes)
    agree_and_write(proposal, yes=yes, dry_run=dry_run, output_format=output_format)
