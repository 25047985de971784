"""The command `gen guardrails`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from rolecall_generator.cli.options import ManifestOption, OutOption, QuietOption, complete_customers, validate_organization
from rolecall_generator.errors import ExitCode, SelectionError
from rolecall_generator.guardrails import (
    Guardrails,
    PolicyFiles,
    PolicyProblemsError,
    ReviewSettings,
    answer_lines,
    customer_text,
    find_customer,
    make_organizations_client,
    read_files,
    read_guardrails,
    review_guardrails,
    review_to_json,
)
from rolecall_generator.iam import Arn
from rolecall_generator.terminal import emit, emit_json, print_lines, stdout
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT

app = typer.Typer()


@app.command(
    epilog="""Examples:

gen guardrails account1 --scp deny-regions.json --rcp perimeter.json

gen guardrails account1 --scp root=full.json --scp Prod=regions.json       one level each

aws organizations describe-policy --policy-id p-1a2b3c4d | gen guardrails account1 --scp -

gen guardrails account1 --folder organization/ --backend-organization none

gen guardrails account1 --profile management --format json"""
)
def guardrails(
    customer: Annotated[
        str, typer.Argument(metavar="CUSTOMER", autocompletion=complete_customers, help="Customer of the manifest.")
    ],
    scp: Annotated[
        list[str] | None,
        typer.Option("--scp", metavar="[LEVEL=]FILE", help="File with SCPs, - for standard input; may be repeated."),
    ] = None,
    rcp: Annotated[
        list[str] | None,
        typer.Option("--rcp", metavar="[LEVEL=]FILE", help="File with RCPs, - for standard input; may be repeated."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="Folder of the root: subfolders are units, then the account."),
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="AWS CLI profile of the customer's organization, to read the policies.")
    ] = None,
    organization: Annotated[
        str | None,
        typer.Option("--organization", metavar="ID", help="ID of the customer's organization; read with --profile."),
    ] = None,
    administrator: Annotated[
        str | None,
        typer.Option("--administrator", metavar="ARN", help="User or role that applies the module; any by default."),
    ] = None,
    backend_scp: Annotated[
        list[str] | None,
        typer.Option("--backend-scp", metavar="[LEVEL=]FILE", help="File with SCPs of your own organization."),
    ] = None,
    backend_profile: Annotated[
        str | None, typer.Option("--backend-profile", help="AWS CLI profile of your own organization, to read its SCPs.")
    ] = None,
    backend_organization: Annotated[
        str | None,
        typer.Option("--backend-organization", metavar="ID", help="ID of your organization, or none."),
    ] = None,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    output_format: Annotated[
        Literal["table", "json", "customer"],
        typer.Option("--format", help="Output format; customer is a section to send to the customer."),
    ] = "table",
    quiet: QuietOption = False,
) -> None:
    """Check whether SCPs and RCPs let a hand-over work, and print the exemptions that it needs.

    Decides over all requests whether the backend role can assume the customer's
    role, what the role can do, and whether the module can be applied. For each
    statement that stops something, prints an exemption and the proof of what it
    opens. Exit code 1 if something is stopped or unknown.
    """
    validate_organization("--organization", organization)
    if backend_organization != "none":
        hint = "write o-..., or none if the account is in no organization"
        validate_organization("--backend-organization", backend_organization, hint)
    found = find_customer(manifest, out, customer)
    _validate_administrator(administrator, found.customer.account_id)
    files = PolicyFiles(tuple(scp or ()), tuple(rcp or ()), folder)
    if [*files.scps, *files.rcps, *(backend_scp or ())].count("-") > 1:
        raise SelectionError("standard input can be read only once", where="-", hint="save one of the policies to a file")
    rails = _read(files, profile, organization, found.customer.account_id)
    backend = _read_backend(tuple(backend_scp or ()), backend_profile, backend_organization, found.backend_account_id)
    settings = ReviewSettings(backend, backend_organization or backend.organization_id, administrator, datetime.now(UTC))
    review = review_guardrails(found, rails, settings)
    if output_format == "json":
        emit_json(review_to_json(review))
    elif output_format == "customer":
        emit(customer_text(review), end="")
    elif not quiet:
        print_lines(stdout(), "\n".join(answer_lines(review)))
    if not review.works:
        raise typer.Exit(int(ExitCode.FINDINGS))


def _validate_administrator(administrator: str | None, account_id: str) -> None:
    """IAM has no access across accounts: only a principal of the account can apply the module."""
    if administrator is None:
        return
    parsed = Arn.parse(administrator)
    if parsed is None or parsed.kind not in {"role", "user"} or not parsed.name:
        hint = f"write the ARN of a user or role: arn:aws:iam::{account_id}:role/NAME"
        raise SelectionError(f"{administrator} is not the ARN of a user or role", where="--administrator", hint=hint)
    if parsed.account_id != account_id:
        what = f"{administrator} is not in the customer's account {account_id}"
        hint = "name the user or role of that account that runs terraform apply"
        raise SelectionError(what, where="--administrator", hint=hint)


def _read(files: PolicyFiles, profile: str | None, organization: str | None, account_id: str) -> Guardrails:
    given = files.scps or files.rcps or files.folder is not None
    if profile is not None:
        if given or organization is not None:
            raise SelectionError(
                "policies are read either from files or with a profile", where="--profile", hint="remove one of the options"
            )
        return read_guardrails(make_organizations_client(profile), account_id, profile=profile)
    if not given:
        raise SelectionError(
            "no policies are given", where="gen guardrails", hint="pass --scp, --rcp or --folder, or --profile to read them"
        )
    return read_files(files, account_id, _standard_input, organization)


def _read_backend(scps: tuple[str, ...], profile: str | None, organization: str | None, account_id: str) -> Guardrails:
    if profile is None:
        return read_files(PolicyFiles(scps), account_id, _standard_input)
    if scps or organization is not None:
        raise SelectionError(
            "policies are read either from files or with a profile",
            where="--backend-profile",
            hint="remove --backend-scp and --backend-organization",
        )
    return read_guardrails(make_organizations_client(profile), account_id, profile=profile)


def _standard_input() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise PolicyProblemsError.at("standard input", "the input is not UTF-8 text", "save it as UTF-8") from error
