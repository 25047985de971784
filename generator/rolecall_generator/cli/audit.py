"""The command `gen audit`."""

from __future__ import annotations

import gc
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rolecall_generator.audit import (
    UNUSED_DAYS,
    AccountData,
    OwnAccounts,
    audit_accounts,
    organization_accounts,
    read_account_ids,
    read_accounts,
    read_live,
)
from rolecall_generator.cli.options import QuietOption, validate_organization
from rolecall_generator.errors import ExitCode, SelectionError
from rolecall_generator.findings import Severity
from rolecall_generator.reports import AuditReport, audit_formats, print_audit
from rolecall_generator.terminal import emit, progress_bar, stdout
from rolecall_generator.workers import collection_paused

if TYPE_CHECKING:
    AuditFormat = str
else:  # Typer reads the choices from a Literal, here one that is made at run time
    AuditFormat = Literal[("table", *audit_formats())]

app = typer.Typer()


@app.command(
    epilog="""Examples:

aws iam get-account-authorization-details > account.json && gen audit account.json

gen audit account.json --format html > audit.html            a page with all roles and their permissions

gen audit --profile audit --organization-accounts ids.txt    a live account of an organization

gen audit iam-data/ --format sarif > audit.sarif             the accounts that iam-collect downloaded"""
)
def audit(
    source: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE|FOLDER",
            readable=False,
            show_default=False,
            help="Output of aws iam get-account-authorization-details and list-roles, - for standard input, or a "
            "folder of iam-collect.",
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Read the live account of this AWS CLI profile instead of files.")
    ] = None,
    organization_accounts_: Annotated[
        list[str] | None,
        typer.Option(
            "--organization-accounts",
            metavar="IDS|FILE",
            help="Accounts that are not outsiders: IDs separated by commas, or a file such as the output of "
            "aws organizations list-accounts; may be repeated.",
        ),
    ] = None,
    organization_id: Annotated[
        list[str] | None,
        typer.Option("--organization-id", metavar="ID", help="Organization that is not an outsider; may be repeated."),
    ] = None,
    unused_days: Annotated[
        int, typer.Option("--unused-days", min=1, help="Days without use after which a role is unused.")
    ] = UNUSED_DAYS,
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], metavar="DATE", help="Date of the data; today by default."),
    ] = None,
    fail_on: Annotated[
        Literal["error", "warning", "note"], typer.Option("--fail-on", help="Lowest severity that causes exit code 1.")
    ] = "warning",
    output_format: Annotated[AuditFormat, typer.Option("--format", help="Output format.")] = "table",
    quiet: QuietOption = False,
) -> None:
    """Find the roles of an AWS account that outsiders can assume, and what these roles may do. Needs no manifest.

    Exit code 1 if there are findings, otherwise 0. The rules are described in docs/rules/.
    """
    for each in organization_id or ():
        validate_organization("--organization-id", each)
    paths = source or []
    own = OwnAccounts(
        read_account_ids(organization_accounts_ or ()).union(
            each for path in paths if path.is_dir() for each in organization_accounts(path)
        ),
        frozenset(organization_id or ()),
    )
    silent = quiet or output_format != "table"
    with collection_paused():
        accounts = _read(paths, profile, quiet=silent)
        now = datetime.combine(as_of, time.max, UTC) if as_of is not None else datetime.now(UTC)
        with progress_bar("roles", quiet=silent) as (started, progress):
            found = audit_accounts(accounts, now, own=own, unused_days=unused_days, started=started, progress=progress)
        # The result is needed until the process ends.
        gc.freeze()
    if output_format != "table":
        emit(audit_formats()[output_format](AuditReport(found, accounts[0].source)), end="")
    elif not quiet:
        print_audit(stdout(), found)
    if found.report.worst is not None and found.report.worst >= Severity[fail_on.upper()]:
        raise typer.Exit(int(ExitCode.FINDINGS))


def _read(paths: list[Path], profile: str | None, *, quiet: bool) -> tuple[AccountData, ...]:
    """The accounts of the files and folders, or of the profile. Raises SelectionError for both or neither."""
    if bool(paths) is bool(profile):
        what = "a file and a profile are given" if paths else "there is nothing to audit"
        raise SelectionError(
            what,
            where="gen audit",
            hint="give the output of aws iam get-account-authorization-details, or --profile NAME for a live account",
        )
    with progress_bar("pages" if profile else "files", quiet=quiet) as (_, progress):
        return read_live(profile, progress=progress) if profile else read_accounts(paths, progress=progress)
