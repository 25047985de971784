"""Reads the data of accounts from files of the AWS CLI, folders of iam-collect, or a live account.

Formats: botocore 1.44.5, service model iam (GetAccountAuthorizationDetails, ListRoles); iam-collect, docs/Storage.md and the
names of the files that it writes for roles, users, groups and policies (https://github.com/cloud-copilot/iam-collect, July
2026). November 2026.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rolecall_generator.audit.account import LISTS, ROLES, AccountBuilder, AccountData, malformed
from rolecall_generator.errors import InputError, SelectionError
from rolecall_generator.text import clip

if TYPE_CHECKING:
    from rolecall_generator.aws_client import AwsService

MAXIMUM_BYTES = 100_000_000
"""Size of the largest file that is read. GetAccountAuthorizationDetails returns about 4 KB per role."""

STANDARD_INPUT = Path("-")
Progress = Callable[[int], None]
"""Called with the number of files or pages read so far."""

_SPACES = re.compile(r"[ \t\r\n]*")
_ROLE_ARN = re.compile(r'"Arn"\s*:\s*"(arn:[^":]+:iam::[0-9]{12}:role/[^"\\]+)"')


def read_accounts(paths: Sequence[Path], *, progress: Progress = lambda _read: None) -> tuple[AccountData, ...]:
    """Read files of the AWS CLI (`-` is standard input), or folders of iam-collect.

    Pages of GetAccountAuthorizationDetails and of ListRoles may be in one file, one after the other or as a list, or in
    several files. Raises InputError for unreadable or malformed files, and SelectionError if there is no account.
    """
    files = [path for path in paths if not path.is_dir()]
    accounts = [account for path in paths if path.is_dir() for account in read_iam_collect(path, progress=progress)]
    if files:
        accounts += _read_files(files, progress)
    if not accounts:
        names = ", ".join(str(path) for path in paths)
        raise SelectionError(
            "there is no account in the data",
            where=names,
            hint="give the output of get-account-authorization-details; that of list-roles only adds session durations",
        )
    return tuple(accounts)


def _read_files(files: Sequence[Path], progress: Progress) -> tuple[AccountData, ...]:
    builder = AccountBuilder(str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more")
    places: dict[str, tuple[str, int]] = {}
    for number, path in enumerate(files, start=1):
        text = _read_text(path)
        for place, page in pages_of_text(text, str(path)):
            builder.add_page(page, place)
        for arn, line in _lines_of_roles(text):
            places.setdefault(arn, (str(path), line))
        progress(number)
    return builder.build(places)


def _read_text(path: Path) -> str:
    try:
        if path == STANDARD_INPUT:
            data = sys.stdin.buffer.read(MAXIMUM_BYTES + 1)
        else:
            with path.open("rb") as stream:
                data = stream.read(MAXIMUM_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"the file cannot be read: {reason}", where=str(path), hint="check its name and permissions"
        ) from error
    if len(data) > MAXIMUM_BYTES:
        limit = MAXIMUM_BYTES // 1_000_000
        raise InputError(
            f"the file is larger than {limit} MB", where=str(path), hint="give one file per account or per page"
        )
    try:
        return data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("the file is not UTF-8", where=str(path), hint="write the file again with --output json") from error


def pages_of_text(text: str, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the pages of a file with their places: one object, a list of objects, or several of these in a row.

    Raises InputError with FILE:LINE:COLUMN if the text is not JSON, or if an object is not a page.
    """
    decoder = json.JSONDecoder()
    position = _end_of_spaces(text, 0)
    count = 0
    while position < len(text):
        with _json_errors(
            name, "use the output of an IAM call", "the file may be truncated; write it again with --output json"
        ):
            value, end = decoder.raw_decode(text, position)
        position = _end_of_spaces(text, end)
        for page in value if isinstance(value, list) else [value]:
            count += 1
            place = name if count == 1 and position >= len(text) else f"{name}, page {count}"
            if not isinstance(page, dict) or not any(key in page for key in (*LISTS, ROLES)):
                raise malformed(place, f"it has none of {', '.join((*LISTS, ROLES))}")
            yield place, page
    if not count and text.strip():
        raise malformed(name, "the list is empty; a page with RoleDetailList is expected")
    if not count:
        raise InputError("the file is empty", where=name, hint="write it again with --output json")


@contextmanager
def _json_errors(name: str, hint: str, syntax_hint: str) -> Iterator[None]:
    """Raise InputError in place of the errors of the JSON decoder in the block."""
    try:
        yield
    except json.JSONDecodeError as error:
        place = f"{name}:{error.lineno}:{error.colno}"
        raise InputError(f"the file is not JSON: {error.msg}", where=place, hint=syntax_hint) from error
    except RecursionError as error:
        raise InputError("the file is nested too deeply", where=name, hint=hint) from error
    except ValueError as error:  # more digits than Python converts
        raise InputError("a number is too long", where=name, hint=hint) from error


def _end_of_spaces(text: str, position: int) -> int:
    found = _SPACES.match(text, position)
    return found.end() if found else position


def _lines_of_roles(text: str) -> Iterator[tuple[str, int]]:
    """Yield the ARNs of roles in the text with their line numbers, counted from 1."""
    line, position = 1, 0
    for found in _ROLE_ARN.finditer(text):
        line += text.count("\n", position, found.start())
        position = found.start()
        yield found[1], line


# Folder below an account of iam-collect, the page list of its items, and their list of inline policies.
_COLLECTED = {
    "role": ("RoleDetailList", "RolePolicyList"),
    "user": ("UserDetailList", "UserPolicyList"),
    "group": ("GroupDetailList", "GroupPolicyList"),
}


def read_iam_collect(folder: Path, *, progress: Progress = lambda _read: None) -> tuple[AccountData, ...]:
    """Read the accounts of a folder that `iam-collect download` wrote; `folder` is its storage path.

    iam-collect stores neither RoleLastUsed nor MaxSessionDuration. Raises InputError.
    """
    accounts = sorted(folder.glob("aws/*/accounts/*")) or sorted(folder.glob("*/accounts/*"))
    if not accounts:
        raise InputError(
            "the folder has no aws/PARTITION/accounts", where=str(folder), hint="give the storage path of iam-collect"
        )
    builder = AccountBuilder(str(folder))
    places: dict[str, tuple[str, int]] = {}
    for number, account in enumerate(accounts, start=1):
        page = _collected_page(account)
        builder.add_page(page, str(account))
        for item in page["RoleDetailList"]:
            places[item["Arn"]] = (item["Place"], 1)
        progress(number)
    return builder.build(places, _organizations(accounts))


def organization_accounts(folder: Path) -> Iterator[str]:
    """Yield the IDs of all accounts of the organizations that a folder of iam-collect describes."""
    for path in (*folder.glob("aws/*/organizations/*/accounts.json"), *folder.glob("*/organizations/*/accounts.json")):
        value = _read_json(path)
        if isinstance(value, dict):
            yield from map(str, value)


def _organizations(accounts: Iterable[Path]) -> dict[str, str]:
    """Organization IDs by account ID, from the file `organization.json` of each account."""
    found = {}
    for account in accounts:
        path = account / "organization.json"
        if path.is_file():
            value = _read_json(path)
            if isinstance(value, dict) and isinstance(value.get("organizationId"), str):
                found[account.name] = value["organizationId"]
    return found


def _collected_page(account: Path) -> dict[str, Any]:
    """One account as a page of GetAccountAuthorizationDetails."""
    page: dict[str, Any] = {"Policies": []}
    for kind, (name, inline) in _COLLECTED.items():
        page[name] = [_collected_item(item, inline) for item in _folders(account / "iam" / kind)]
    for item in (*_folders(account / "iam" / "policy"), *_folders(account / "iam" / "aws" / "policy")):
        document = item / "current-policy.json"
        if document.is_file():
            version = {"IsDefaultVersion": True, "Document": _read_json(document)}
            page["Policies"].append({"Arn": _metadata(item).get("arn"), "PolicyVersionList": [version]})
    return page


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.glob("*") if path.is_dir())


def _collected_item(item: Path, inline: str) -> dict[str, Any]:
    metadata = _metadata(item)
    boundary = metadata.get("permissionBoundary")
    tags = _optional(item / "tags.json", {})
    if not isinstance(tags, dict):
        raise malformed(str(item / "tags.json"), "it is not an object")
    return {
        "Arn": metadata.get("arn"),
        "Place": str(item / "trust-policy.json"),
        "GroupName": metadata.get("name"),
        "CreateDate": metadata.get("created"),
        "AssumeRolePolicyDocument": _optional(item / "trust-policy.json", None),
        inline: _optional(item / "inline-policies.json", []),
        "AttachedManagedPolicies": [{"PolicyArn": arn} for arn in _optional_list(item / "managed-policies.json")],
        "PermissionsBoundary": {"PermissionsBoundaryArn": boundary} if boundary else None,
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        "GroupList": [str(arn).rpartition("/")[2] for arn in _optional_list(item / "groups.json")],
    }


def _metadata(item: Path) -> dict[str, Any]:
    value = _read_json(item / "metadata.json")
    if not isinstance(value, dict):
        raise malformed(str(item / "metadata.json"), "it is not an object")
    return value


def _optional_list(path: Path) -> list[Any]:
    value = _optional(path, [])
    if not isinstance(value, list):
        raise malformed(str(path), "it is not a list")
    return value


def _optional(path: Path, otherwise: Any) -> Any:
    return _read_json(path) if path.is_file() else otherwise


def _read_json(path: Path) -> Any:
    text, hint = _read_text(path), "run iam-collect download again"
    with _json_errors(str(path), hint, hint):
        return json.loads(text)


def read_account_ids(values: Sequence[str]) -> frozenset[str]:
    """Account IDs of the option --organization-accounts: IDs separated by commas, or files.

    A file is a list of IDs, one per line or as the first column, or the output of `aws organizations list-accounts`. Raises
    SelectionError for a value that is neither, and InputError for a file without IDs.
    """
    found: set[str] = set()
    for value in values:
        ids = [part.strip() for part in value.split(",")]
        if all(re.fullmatch(r"[0-9]{12}", part, re.ASCII) for part in ids):
            found.update(ids)
        elif Path(value).is_file():
            found.update(_ids_of_file(Path(value)))
        else:
            raise SelectionError(
                f"{clip(value)!r} is neither an account ID nor a file",
                where="--organization-accounts",
                hint="write account IDs of 12 digits, separated by commas, or the name of a file with one per line",
            )
    return frozenset(found)


def _ids_of_file(path: Path) -> Iterable[str]:
    ids = set(re.findall(r"(?<![0-9])[0-9]{12}(?![0-9])", _ids_text(path), re.ASCII))
    if not ids:
        raise InputError(
            "the file has no account ID", where=str(path), hint="give the output of aws organizations list-accounts"
        )
    return ids


def _ids_text(path: Path) -> str:
    """The part of the file that has the IDs: those of accounts in JSON, otherwise the first column."""
    text = _read_text(path)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "\n".join(re.split(r"[,;\t]", line, maxsplit=1)[0] for line in text.splitlines())
    items = value.get("Accounts") if isinstance(value, dict) else value
    if not isinstance(items, list):
        return text
    return "\n".join(str(item.get("Id", "") if isinstance(item, dict) else item) for item in items)


_CREDENTIALS_HINT = "set AWS_PROFILE or --profile to a profile of the account"
_HINTS = {
    "AccessDenied": (
        "AWS denies this caller to read the account",
        "allow iam:GetAccountAuthorizationDetails and iam:ListRoles, for example with the managed policy SecurityAudit",
    ),
    "Throttling": ("IAM throttles the calls", "try again later"),
}


def read_live(profile: str | None, *, progress: Progress = lambda _read: None) -> tuple[AccountData, ...]:
    """Read the account of an AWS CLI profile; None for the default credential chain.

    The calls only read: iam:GetAccountAuthorizationDetails and iam:ListRoles. Raises CallerError.
    """
    return read_client(_service().client(profile), profile, progress=progress)


def read_client(
    client: Any, profile: str | None = None, *, progress: Progress = lambda _read: None
) -> tuple[AccountData, ...]:
    """Read the account of an IAM client, with all pages. Raises CallerError if a call fails."""
    source = f"profile {profile}" if profile else "live account"
    builder = AccountBuilder(source)
    read = 0
    with _service().calls(profile):
        for operation in ("get_account_authorization_details", "list_roles"):
            for page in client.get_paginator(operation).paginate():
                read += 1
                builder.add_page(page, f"{source}, page {read} of {operation}")
                progress(read)
    accounts = builder.build()
    if not accounts:
        raise SelectionError("the account has neither roles nor users", where=source, hint=_CREDENTIALS_HINT)
    return accounts


def _service() -> AwsService:
    from rolecall_generator.aws_client import AwsService  # noqa: PLC0415 - botocore takes longer than the audit of a file

    return AwsService("iam", "IAM", _CREDENTIALS_HINT, _HINTS)
