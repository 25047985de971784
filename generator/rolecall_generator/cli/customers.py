"""The commands `gen customer`: add, change, rename, remove and show customers, and rotate external IDs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rolecall_generator.cli.customer_output import (
    confirm_and_write,
    customer_view_json,
    customers_json,
    print_customer,
    print_customers,
    rotation_lines,
    rotations_json,
)
from rolecall_generator.cli.options import (
    ChangeOptions,
    FormatOption,
    ManifestOption,
    OutOption,
    complete_customers,
    complete_targets,
    with_option_groups,
)
from rolecall_generator.customers import (
    abort_rotation,
    add_customer,
    change_customer,
    finish_rotation,
    list_customers,
    ongoing_rotations,
    profiles_text,
    remove_entries,
    rename_entry,
    show_customer,
    start_rotation,
)
from rolecall_generator.errors import ExitCode, SelectionError
from rolecall_generator.manifest import load_manifest
from rolecall_generator.records import rehearsing
from rolecall_generator.terminal import emit_json, stdout
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT, command_line

if TYPE_CHECKING:
    from rolecall_generator.manifest.editing import Section, Value


app = typer.Typer(name="customer", no_args_is_help=True, help="Add, change, rename, remove and show customers.")

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", autocompletion=complete_targets, help="Customer of the manifest.")
]
SwitchRoleOption = Annotated[bool, typer.Option("--switch-role", help="The names are those of switch roles.")]


@dataclass(frozen=True, slots=True)
class CustomerFields:
    """The options for the fields of a customer other than name and account ID; None for those that are not given."""

    role: Annotated[str | None, typer.Option("--role", help="Role name instead of the default.")] = None
    path: Annotated[str | None, typer.Option("--path", help="IAM path of the role instead of the default.")] = None
    external_id: Annotated[
        str | None,
        typer.Option("--external-id", metavar="ID", help="External ID; a new customer gets a random one by default."),
    ] = None
    permissions: Annotated[
        list[str] | None, typer.Option("--permissions", metavar="SET", help="Permission set; may be repeated.")
    ] = None
    backend_role: Annotated[
        str | None, typer.Option("--backend-role", metavar="ROLE", help="Backend role that the role trusts.")
    ] = None
    region: Annotated[list[str] | None, typer.Option("--region", help="Region for queries; may be repeated.")] = None
    max_session_seconds: Annotated[
        int | None,
        typer.Option("--max-session-seconds", metavar="SECONDS", help="Maximum session duration, 3600 to 43200."),
    ] = None
    permissions_boundary: Annotated[
        str | None, typer.Option("--permissions-boundary", metavar="ARN", help="Permissions boundary of the role.")
    ] = None
    trust: Annotated[
        Literal["role-arn", "account-root"] | None, typer.Option("--trust", help="Principal of the trust policy.")
    ] = None
    session_tags: Annotated[
        bool | None, typer.Option("--session-tags/--no-session-tags", help="Let the backend role pass session tags.")
    ] = None
    source_identity: Annotated[
        bool | None,
        typer.Option("--source-identity/--no-source-identity", help="Let the backend role set a source identity."),
    ] = None
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="AWS tag; may be repeated.")] = None
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Label for selection; may be repeated.")
    ] = None
    variable: Annotated[
        list[str] | None,
        typer.Option("--variable", metavar="KEY=VALUE", help="Variable for queries and plays; may be repeated."),
    ] = None

    def values(self) -> dict[str, Value]:
        """The given fields by their keys in the manifest. Raises SelectionError."""
        renamed = {"region": "regions", "tag": "tags", "label": "labels", "variable": "variables"}
        found: dict[str, Value] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in {"tag", "label", "variable"}:
                value = _pairs(f"--{field.name}", value)
            if value is not None and value not in ([], {}):
                found[renamed.get(field.name, field.name)] = value
        return found


@app.command(
    epilog="""Examples:

gen customer add acme --account-id 222222222222

gen customer add acme --account-id 222222222222 --permissions s3-read --label tier=gold --yes

gen customer add acme --account-id 222222222222 --file customers/acme.yaml --dry-run"""
)
@with_option_groups
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new customer and of its module's folder.")],
    account_id: Annotated[str, typer.Option("--account-id", metavar="ID", help="Account ID, 12 digits.")],
    *,
    given: CustomerFields,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", readable=False, help="File for the entry: one of the manifest's files, or a new one in its folder."
        ),
    ] = None,
    change: ChangeOptions,
) -> None:
    """Add a customer with a new external ID to the manifest, after showing the access that it grants.

    Comments, order and formatting of the manifest are preserved. Omitted options use the manifest's defaults.
    """
    values = {"name": name, "account_id": account_id, **given.values()}
    confirm_and_write(add_customer(change.manifest, change.out, values, file=file), change)


@app.command(
    "set",
    epilog="""Examples:

gen customer set acme --permissions s3-read --permissions ec2-read

gen customer set acme --label tier=gold --unset trust""",
)
@with_option_groups
def set_fields(
    name: NameArgument,
    *,
    account_id: Annotated[str | None, typer.Option("--account-id", metavar="ID", help="Account ID, 12 digits.")] = None,
    given: CustomerFields,
    unset: Annotated[
        list[str] | None,
        typer.Option("--unset", metavar="KEY", help="Key of the entry to remove, as in the manifest; may be repeated."),
    ] = None,
    change: ChangeOptions,
) -> None:
    """Change a customer's entry, after showing how the access changes. Tags, labels and variables are added.

    To change the external ID without an outage, use `gen customer rotate-external-id`.
    """
    values = ({} if account_id is None else {"account_id": account_id}) | given.values()
    if not values and not unset:
        raise SelectionError("nothing to set", hint="specify the changes, for example --label tier=gold")
    confirm_and_write(change_customer(change.manifest, change.out, name, values, unset=unset or ()), change)


@app.command(epilog="Example:  gen customer remove acme --dry-run")
@with_option_groups
def remove(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", autocompletion=complete_targets, help="Customers of the manifest.")
    ],
    *,
    switch_role: SwitchRoleOption = False,
    change: ChangeOptions,
) -> None:
    """Remove customers from the manifest, after showing which access ends. Roles remain until their owners destroy them."""
    confirm_and_write(remove_entries(change.manifest, change.out, names, section=_section(switch_role)), change)


@app.command(epilog="Example:  gen customer rename acme acme-europe")
@with_option_groups
def rename(
    old: Annotated[str, typer.Argument(metavar="OLD", autocompletion=complete_targets, help="Customer of the manifest.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    *,
    switch_role: SwitchRoleOption = False,
    change: ChangeOptions,
) -> None:
    """Rename a customer and its folder. No AWS resource changes, because no ARN contains the name."""
    confirm_and_write(rename_entry(change.manifest, change.out, old, new, section=_section(switch_role)), change)


@app.command(
    "list",
    epilog="""Examples:

gen customer list 'acme-*'

gen customer list --label tier=gold --format json""",
)
def list_all(
    patterns: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATTERN",
            autocompletion=complete_customers,
            help="Names or account IDs, with wildcards; all by default.",
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="KEY=VALUE", help="Only with this label; accepts wildcards; may be repeated."),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="KEY=VALUE", help="Only with this tag; accepts wildcards; may be repeated."),
    ] = None,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    output_format: FormatOption = "table",
) -> None:
    """List the customers with the state of their modules in the output folder."""
    rows = list_customers(manifest, out, patterns or (), labels=_pairs("--label", label), tags=_pairs("--tag", tag))
    if output_format == "json":
        emit_json(customers_json(rows))
    else:
        print_customers(stdout(), rows)


@app.command(epilog="Example:  gen customer show acme")
def show(
    name: NameArgument,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
    output_format: FormatOption = "table",
) -> None:
    """Show one customer with all defaults applied: role, trust, access, backend policy, files, and AWS CLI profile."""
    loaded = load_manifest(manifest)
    shown = show_customer(loaded, out, name)
    profile = profiles_text(loaded.manifest, [name])
    if output_format == "json":
        emit_json(customer_view_json(shown, profile))
    else:
        print_customer(stdout(), shown, profile)


def _section(switch_role: bool) -> Section:
    return "switch_roles" if switch_role else "customers"


def _pairs(option: str, texts: Sequence[str] | None) -> dict[str, str]:
    """KEY=VALUE of a repeated option. Raises SelectionError for a string without `=`."""
    pairs: dict[str, str] = {}
    for text in texts or ():
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise SelectionError(f"{text} is not KEY=VALUE", where=option, hint="use the format of tier=gold")
        pairs[key] = value
    return pairs


@app.command(
    epilog="""Examples:

gen customer rotate-external-id account1               a new ID; the old one is still accepted

gen customer rotate-external-id account1 --finish      after runner verify has seen the new one accepted

gen customer rotate-external-id account1 --abort       back to the old one"""
)
@with_option_groups
def rotate_external_id(
    name: Annotated[
        str, typer.Argument(metavar="NAME", autocompletion=complete_customers, help="Customer of the manifest.")
    ],
    *,
    finish: Annotated[bool, typer.Option("--finish", help="Remove the previous ID.")] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Return to the previous ID.")] = False,
    external_id: Annotated[
        str | None, typer.Option("--external-id", metavar="ID", help="The new ID; a random one by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Finish even if the new ID was not verified.")] = False,
    change: ChangeOptions,
) -> None:
    """Give a customer a new external ID. Both IDs are accepted until the rotation is finished, so there is no outage.

    Exit code 1 if --finish is used before the new ID was verified; nothing is changed in that case.
    """
    given = {"--finish": finish, "--abort": abort, "--external-id": external_id is not None}
    chosen = [option for option, there in given.items() if there]
    if len(chosen) > 1:
        raise SelectionError(f"{' and '.join(chosen)} are mutually exclusive", hint="use one of them")
    if force and not finish:
        raise SelectionError("--force requires --finish", where="--force", hint="remove it")
    common = change.manifest, change.out, name
    now = datetime.now(UTC)
    if finish:
        proposal = finish_rotation(*common, now=now, force=force, rehearsal=rehearsing(os.environ))
    elif abort:
        proposal = abort_rotation(*common, now=now)
    else:
        proposal = start_rotation(*common, now=now, external_id=external_id)
    confirm_and_write(proposal, change)


@app.command(
    epilog="""Examples:

gen customer rotations                       all rotations, and what each is waiting for

gen customer rotations --older-than 30       for a nightly job: exit code 1 if one takes longer than 30 days"""
)
def rotations(
    older_than: Annotated[
        int | None,
        typer.Option(
            "--older-than", metavar="DAYS", min=0, help="Only rotations older than this; exit code 1 if there are any."
        ),
    ] = None,
    output_format: FormatOption = "table",
    manifest: ManifestOption = DEFAULT_MANIFEST,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """List the rotations of external IDs in progress: since when, and what each is waiting for.

    Exit code 1 with --older-than if there are any.
    """
    now = datetime.now(UTC)
    found = [
        one
        for one in ongoing_rotations(manifest, out, rehearsal=rehearsing(os.environ))
        if older_than is None or (days := one.days(now)) is None or days > older_than
    ]
    if output_format == "json":
        emit_json(rotations_json(found))
    else:
        for line in rotation_lines(found, now, partial(command_line, manifest=manifest, out=out)):
            stdout().print(line, markup=False, soft_wrap=True)
    if found and older_than is not None:
        raise typer.Exit(int(ExitCode.FINDINGS))
