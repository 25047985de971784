"""`gen import organizations`: the accounts of an AWS Organization, with the path of their organizational unit as a label.

The one part of the generator that asks AWS, and only to read: organizations:ListRoots, ListOrganizationalUnitsForParent and
ListAccountsForParent, in the management account or a delegated administrator's. AWS gives an account's `State` since
2025 and no longer gives `Status` from 9 September 2026 on (API reference of Organizations, "Account", November 2026).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from rolecall_generator.errors import CallerError, SelectionError
from rolecall_generator.importers.interface import ImportedAccount, LeftOut, Reading, Value

SOURCE = "AWS Organizations"
OU_LABEL = "ou"
_ACTIVE = "ACTIVE"
_NOT_IN_LABELS = re.compile(r"[^\w ./+@-]")  # what a tag takes, but for : and =, which part patterns of --limit
_LABEL_CHARACTERS = 256
_MAXIMUM_DEPTH = 16  # AWS nests organizational units five deep; a fake that answers in circles must end too


class OrganizationsClient(Protocol):
    """What of boto3's client is used."""

    def get_paginator(self, name: str) -> Any:
        """A paginator of an operation."""


@dataclass(frozen=True, slots=True)
class OrganizationSelection:
    """Whom to take: accounts below these units (ids, names or paths; none: all), but none that `exclude` names.

    `exclude`: account ids, names (wildcards allowed), unit ids or paths. `own`: accounts of the vendor by id, with what
    they are.
    """

    units: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    own: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A root or organizational unit: `path` is "" for a root, else the names from below the root, parted by /."""

    unit_id: str
    path: str
    name: str

    def called(self, text: str) -> bool:
        """Whether a text of the command line means this unit."""
        return text in {self.unit_id, self.path or "/"} or text.strip("/") == self.path or text == self.name


def make_client(profile: str | None) -> OrganizationsClient:
    """A client by the usual AWS chain of credentials, or a profile of the AWS CLI. Raises CallerError."""
    try:
        session = botocore.session.Session(profile=profile)
        region = session.get_config_variable("region") or "us-east-1"
        # The service takes few calls a second, and an organization has two for each of its units.
        config = Config(retries={"mode": "standard", "total_max_attempts": 10})
        client: OrganizationsClient = session.create_client("organizations", region_name=region, config=config)
    except (BotoCoreError, ValueError) as error:
        raise CallerError(f"the AWS credentials cannot be had: {error}", where=_place(profile), hint=_HOW) from error
    return client


def read_organization(client: OrganizationsClient, choice: OrganizationSelection, *, profile: str | None = None) -> Reading:
    """The active accounts of an organization, sorted by unit and name; the others are named as left out.

    Raises CallerError for what AWS refuses, SelectionError for a unit that is not there.
    """
    for option, texts in (("--ou", choice.units), ("--exclude", choice.exclude)):
        if not all(text.strip() for text in texts):  # an unset variable of a script would mean everybody, or nobody
            raise SelectionError("it is empty", where=option, hint="name a unit or an account, or leave the option out")
    met: set[str] = set()
    try:
        found = list(_walk(client, choice, met))
    except ClientError as error:
        raise _refused(error.response.get("Error", {}), profile) from error
    except BotoCoreError as error:
        raise CallerError(f"AWS Organizations cannot be asked: {error}", where=_place(profile), hint=_HOW) from error
    found.sort(key=lambda pair: (pair[0], str(pair[1]["Name"]).casefold(), str(pair[1]["Id"])))
    accounts: list[ImportedAccount] = []
    left_out: list[LeftOut] = []
    for path, account in found:
        name, number = str(account["Name"]), str(account["Id"])
        patterns = _excluding(name, number, choice.exclude)
        met |= patterns
        why = _why_not(account, choice) or ("excluded" if patterns else "")
        if why:
            left_out.append(LeftOut(name, number, why))
        else:
            fields: dict[str, Value] = {"account_id": number}
            if path:
                fields["labels"] = {OU_LABEL: _label(path)}
            accounts.append(ImportedAccount(name, fields, f"account {number} of {SOURCE}"))
    idle = tuple(f"--exclude {text} names no one who was found" for text in choice.exclude if text not in met)
    return Reading(SOURCE, tuple(accounts), tuple(left_out), notes=idle)


def _walk(
    client: OrganizationsClient, choice: OrganizationSelection, met: set[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Accounts with their unit's path, of the chosen units and all below them, each account once.

    `met` gets what excluded a unit.
    """
    roots = [_Unit(root["Id"], "", root["Name"]) for root in _pages(client, "list_roots", "Roots")]
    wanted = set(choice.units)
    seen: set[str] = set()
    matched: set[str] = set()
    pending = [(root, False, 0) for root in roots]
    while pending:
        unit, inside, depth = pending.pop()
        names = {text for text in wanted if unit.called(text)}
        matched |= names
        inside = inside or not wanted or bool(names)
        excluding = {text for text in choice.exclude if unit.called(text)}
        met |= excluding
        if excluding or depth > _MAXIMUM_DEPTH:
            continue
        if inside:
            for account in _pages(client, "list_accounts_for_parent", "Accounts", ParentId=unit.unit_id):
                if account["Id"] not in seen:
                    seen.add(account["Id"])
                    yield unit.path, account
        for below in _pages(client, "list_organizational_units_for_parent", "OrganizationalUnits", ParentId=unit.unit_id):
            path = f"{unit.path}/{below['Name']}".lstrip("/")
            pending.append((_Unit(below["Id"], path, below["Name"]), inside, depth + 1))
    if missing := sorted(wanted - matched):
        raise SelectionError(
            f"the organization has no unit {missing[0]}", where="--ou", hint="name its id, ou-..., or its path: Prod/Team"
        )


def _pages(client: OrganizationsClient, operation: str, key: str, **parameters: str) -> Iterator[Mapping[str, Any]]:
    for page in client.get_paginator(operation).paginate(**parameters):
        yield from page.get(key, ())


def _why_not(account: Mapping[str, Any], choice: OrganizationSelection) -> str:
    """Why an account is no customer, whoever was asked for; "" when it may be one."""
    state = str(account.get("State") or account.get("Status") or _ACTIVE)
    if state != _ACTIVE:
        return state.casefold().replace("_", " ")
    return choice.own.get(str(account["Id"]), "")


def _excluding(name: str, number: str, patterns: Collection[str]) -> set[str]:
    """The patterns that name an account."""
    return {pattern for pattern in patterns if pattern == number or fnmatchcase(name.casefold(), pattern.casefold())}


def _label(path: str) -> str:
    return _NOT_IN_LABELS.sub("-", path)[:_LABEL_CHARACTERS]


_HOW = "set AWS_PROFILE or --profile to one of the management account, or of a delegated administrator"
_HINTS = {
    "AccessDeniedException": (
        "AWS does not let this caller list the organization",
        "use the management account or a delegated administrator with organizations:List*",
    ),
    "AWSOrganizationsNotInUseException": ("this account is in no organization", _HOW),
    "TooManyRequestsException": ("AWS Organizations is asked too much at the moment", "try again later"),
}


def _refused(error: Mapping[str, str], profile: str | None) -> CallerError:
    code = error.get("Code", "")
    what, hint = _HINTS.get(code, (f"AWS Organizations does not answer: {code}", _HOW))
    return CallerError(what, where=_place(profile), hint=hint)


def _place(profile: str | None) -> str | None:
    return f"profile {profile}" if profile else None
