"""Imports the accounts of an AWS organization, with the path of their organizational unit as a label.

In the generator, only this importer, `guardrails` and `audit` call AWS. The calls only read: organizations:ListRoots,
ListOrganizationalUnitsForParent and ListAccountsForParent, with credentials of the management account or a delegated
administrator account. AWS added the field `State` of accounts in 2025 and stopped returning `Status` on 9 September 2026
(AWS Organizations API Reference, "Account", November 2026).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Any

from rolecall_generator.aws_client import AwsService
from rolecall_generator.errors import SelectionError
from rolecall_generator.importers.import_plan import ImportedAccount, Importer, ImportOption, Reading, SkippedAccount
from rolecall_generator.manifest import Manifest
from rolecall_generator.manifest.editing import Value

SOURCE = "AWS Organizations"
OU_LABEL = "ou"
_ACTIVE = "ACTIVE"
_NOT_IN_LABELS = re.compile(r"[^\w ./+@-]")  # characters of tags except : and =, which are special in patterns of --limit
_LABEL_CHARACTERS = 256
_MAXIMUM_DEPTH = 16  # AWS allows five levels; a simulator may return a loop


@dataclass(frozen=True, slots=True)
class OrganizationSelection:
    """The accounts to import: those in or below `units` (ids, names or paths; all if empty) that are not excluded.

    `exclude`: IDs or names of accounts (wildcards allowed), or IDs, names or paths of units. `own`: the vendor's accounts by
    id, with the reason to skip them.
    """

    units: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    own: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A root or organizational unit. `path`: unit names below the root, separated by /; "" for a root."""

    unit_id: str
    path: str
    name: str

    def matches(self, text: str) -> bool:
        """Whether the string is the ID, name or path of this unit."""
        return text in {self.unit_id, self.path or "/"} or text.strip("/") == self.path or text == self.name


def read_organization(client: Any, selection: OrganizationSelection, *, profile: str | None = None) -> Reading:
    """Read the active accounts of an organization, sorted by unit and name. All others are in `skipped`.

    Raises CallerError if a call fails, or SelectionError for an empty option or a unit that does not exist.
    """
    for option, values in (("--ou", selection.units), ("--exclude", selection.exclude)):
        if not all(text.strip() for text in values):  # usually an unset variable of a script
            raise SelectionError("the value is empty", where=option, hint="name a unit or an account, or omit the option")
    used: set[str] = set()
    with _SERVICE.calls(profile):
        entries = list(_walk(client, selection, used))
    entries.sort(key=lambda entry: (entry[0], str(entry[1]["Name"]).casefold(), str(entry[1]["Id"])))
    accounts: list[ImportedAccount] = []
    skipped: list[SkippedAccount] = []
    for path, account in entries:
        name, account_id = str(account["Name"]), str(account["Id"])
        patterns = {
            text for text in selection.exclude if text == account_id or fnmatchcase(name.casefold(), text.casefold())
        }
        used |= patterns
        reason = _skip_reason(account, selection) or ("excluded" if patterns else "")
        if reason:
            skipped.append(SkippedAccount(name, account_id, reason))
        else:
            fields: dict[str, Value] = {"account_id": account_id}
            if path:
                fields["labels"] = {OU_LABEL: _NOT_IN_LABELS.sub("-", path)[:_LABEL_CHARACTERS]}
            accounts.append(ImportedAccount(name, fields, f"account {account_id} of {SOURCE}"))
    notes = tuple(f"--exclude {text} matches no account" for text in selection.exclude if text not in used)
    return Reading(SOURCE, tuple(accounts), tuple(skipped), notes=notes)


def _walk(client: Any, selection: OrganizationSelection, used: set[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the path and account of each account in or below the selected units, without duplicates.

    The exclusions that matched a unit are added to `used`.
    """
    roots = [_Unit(root["Id"], "", root["Name"]) for root in _pages(client, "list_roots", "Roots")]
    selected_units = set(selection.units)
    seen: set[str] = set()
    matched: set[str] = set()
    pending = [(root, False, 0) for root in roots]
    while pending:
        unit, selected, depth = pending.pop()
        matching = {text for text in selected_units if unit.matches(text)}
        matched |= matching
        selected = selected or not selected_units or bool(matching)
        exclusions = {text for text in selection.exclude if unit.matches(text)}
        used |= exclusions
        if exclusions or depth > _MAXIMUM_DEPTH:
            continue
        if selected:
            for account in _pages(client, "list_accounts_for_parent", "Accounts", ParentId=unit.unit_id):
                if account["Id"] not in seen:
                    seen.add(account["Id"])
                    yield unit.path, account
        for child in _pages(client, "list_organizational_units_for_parent", "OrganizationalUnits", ParentId=unit.unit_id):
            path = f"{unit.path}/{child['Name']}".lstrip("/")
            pending.append((_Unit(child["Id"], path, child["Name"]), selected, depth + 1))
    if missing := sorted(selected_units - matched):
        raise SelectionError(
            f"the organization has no unit {missing[0]}", where="--ou", hint="name its ID, ou-..., or its path: Prod/Team"
        )


def _pages(client: Any, operation: str, key: str, **parameters: str) -> Iterator[Mapping[str, Any]]:
    for page in client.get_paginator(operation).paginate(**parameters):
        yield from page.get(key, ())


def _skip_reason(account: Mapping[str, Any], selection: OrganizationSelection) -> str:
    """The reason to skip an account; "" if it can be a customer."""
    state = str(account.get("State") or account.get("Status") or _ACTIVE)
    if state != _ACTIVE:
        return state.casefold().replace("_", " ")
    return selection.own.get(str(account["Id"]), "")


_CREDENTIALS_HINT = "set AWS_PROFILE or --profile to one of the management account, or of a delegated administrator"
_HINTS = {
    "AccessDeniedException": (
        "AWS denies this caller access to the organization",
        "use the management account or a delegated administrator with organizations:List*",
    ),
    "AWSOrganizationsNotInUseException": ("this account is not part of an organization", _CREDENTIALS_HINT),
    "TooManyRequestsException": ("AWS Organizations throttles the calls", "try again later"),
}
_SERVICE = AwsService("organizations", "AWS Organizations", _CREDENTIALS_HINT, _HINTS)


def _read(
    load: Callable[[], Manifest],
    profile: Annotated[
        str | None, ImportOption("AWS CLI profile; the default credential chain if omitted.", "--profile")
    ] = None,
    ou: Annotated[
        list[str] | None,
        ImportOption("Only this organizational unit and those below it: ID, name or path; may be repeated.", "--ou", "UNIT"),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        ImportOption(
            "Exclude an account by ID, name or pattern, or an organizational unit; may be repeated.", "--exclude", "ACCOUNT"
        ),
    ] = None,
) -> Reading:
    """Import the active accounts of an AWS Organization, with the path of their organizational unit as the label `ou`.

    Requires organizations:ListRoots, ListOrganizationalUnitsForParent and ListAccountsForParent in the management account or
    a delegated administrator account. Suspended accounts are skipped and listed.
    """
    backend = load().backend
    own = {backend.account_id: "the backend account"} if backend is not None else {}
    selection = OrganizationSelection(tuple(ou or ()), tuple(exclude or ()), own)
    return read_organization(_SERVICE.client(profile), selection, profile=profile)


IMPORTER = Importer(
    "organizations",
    _read,
    """Examples:

gen import organizations --profile management --dry-run

gen import organizations --ou Prod --ou ou-ab12-3456789a --exclude 'sandbox-*' --permissions s3-read""",
)
