"""The data of an account that the audit uses, built from items of GetAccountAuthorizationDetails and ListRoles."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from rolecall_generator.errors import InputError
from rolecall_generator.iam import ACCOUNT_ID_PATTERN, Access, Arn, Group, ManagedPolicy, PolicyDocument, Role, User
from rolecall_generator.iam_replies import UNREADABLE_DOCUMENT, UnreadableDocumentError, document_of, partition_of
from rolecall_generator.text import clip

LISTS = ("RoleDetailList", "UserDetailList", "GroupDetailList", "Policies")
"""Lists of a page of GetAccountAuthorizationDetails."""
ROLES = "Roles"
"""List of a page of ListRoles, which has the session duration."""

_AWS = "aws"
_ACCOUNT = re.compile(ACCOUNT_ID_PATTERN, re.ASCII)
_ROLE_SECONDS = 3600
# AWS allows up to 8,192 characters in a trust policy and 10,240 in all inline policies of a role (IAM quotas, November
# 2026); AWS managed policies are longer. URL encoding triples the length at most.
_TRUST_CHARACTERS = 3 * 8_192
_POLICY_CHARACTERS = 500_000
_SHOWN = 120
_NO_DEFAULT = "no version is the default version"


@dataclass(frozen=True, slots=True)
class RoleRecord:
    """Facts about a role that are not part of the access model; None if the data does not have them.

    `last_used` is meaningful only if `usage_known`: without a date, the role was not used in AWS's tracking period of 400
    days (IAM API Reference, "RoleLastUsed", November 2026). `unreadable`: why a policy of its permissions cannot be read;
    `unreadable_trust`: why its trust policy cannot be read, otherwise empty.
    """

    created: datetime | None = None
    last_used: datetime | None = None
    usage_known: bool = False
    max_session_seconds: int | None = None
    unreadable: tuple[str, ...] = ()
    unreadable_trust: str = ""


@dataclass(frozen=True, slots=True)
class AccountData:
    """One account. `source`: file, folder or profile that it was read from. `organization_id`: None if it is not known.

    `access` contains the AWS managed policies that the data has. `places` are files and lines of roles, by ARN.
    `unreadable_policies`: why managed policies cannot be read, by ARN.
    """

    account_id: str
    partition: str
    source: str
    access: Access
    records: Mapping[str, RoleRecord] = field(default_factory=dict)
    places: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    organization_id: str | None = None
    unreadable_policies: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Items:
    """Items of one account while it is read."""

    partition: str
    roles: dict[str, Role] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    policies: dict[str, ManagedPolicy] = field(default_factory=dict)
    records: dict[str, RoleRecord] = field(default_factory=dict)


class AccountBuilder:
    """Collects pages of one source and builds the accounts that they describe.

    Equal documents become one object, so that they are compiled once.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._accounts: dict[str, _Items] = {}
        self._aws_policies: dict[str, ManagedPolicy] = {}
        self._unreadable_policies: dict[str, str] = {}
        self._sessions: dict[str, int] = {}
        self._documents: dict[tuple[str, str], PolicyDocument] = {}
        self._group_names: dict[str, dict[str, str]] = {}
        self._memberships: dict[str, list[str]] = {}
        self._unfinished: dict[str, str] = {}
        """Accounts with a page that others follow, and its place."""
        self._finished: set[str] = set()
        """Accounts with a last page."""
        self._has_empty_end = False
        """Whether there is a last page without items, which can be that of any account."""
        self._on_page: set[str] = set()

    def add_page(self, page: Mapping[str, Any], where: str) -> None:
        """Add a page of GetAccountAuthorizationDetails or ListRoles.

        Raises InputError if an item is not as AWS documents it; `where` is the place of the page.
        """
        self._on_page = set()
        readers = {
            "GroupDetailList": self._add_group,
            "UserDetailList": self._add_user,
            "RoleDetailList": self._add_role,
            "Policies": self._add_policy,
            ROLES: self._add_listed_role,
        }
        for name, read in readers.items():
            items = page.get(name)
            if items is None:
                continue
            if not isinstance(items, list):
                raise malformed(f"{where}, {name}", "it is not a list")
            for index, item in enumerate(items):
                place = f"{where}, {name}[{index}]"
                try:
                    read(_object(item), place)
                except (KeyError, TypeError, AttributeError, ValueError) as error:
                    arn = item.get("Arn") if isinstance(item, Mapping) else None
                    named = f"{place} ({clip(arn, _SHOWN)})" if isinstance(arn, str) and arn else place
                    raise malformed(named, _reason(error)) from error
        self._note_end(page, where)

    def _note_end(self, page: Mapping[str, Any], where: str) -> None:
        """Record whether further pages follow. The AWS CLI writes NextToken if it stopped at --max-items."""
        if ROLES in page and not any(name in page for name in LISTS):
            return
        if page.get("IsTruncated", False) is not False or page.get("NextToken"):
            self._unfinished.update(dict.fromkeys(self._on_page or self._accounts, where))
        elif self._on_page:
            self._finished |= self._on_page
        else:
            self._has_empty_end = True

    def build(
        self, places: Mapping[str, tuple[str, int]] | None = None, organizations: Mapping[str, str] | None = None
    ) -> tuple[AccountData, ...]:
        """The accounts, sorted by ID. Raises InputError if the last page of an account has not been added.

        `places`: files and lines of roles, by ARN. `organizations`: organization IDs by account ID.
        """
        for account, where in self._unfinished.items():
            if account not in self._finished and not self._has_empty_end:
                raise InputError(
                    f"the data of account {account} is truncated: no page follows one with IsTruncated or NextToken",
                    where=where,
                    hint="write all pages: aws iam get-account-authorization-details without --no-paginate and --max-items",
                )
        for arn, names in self._memberships.items():
            account = arn.split(":", 5)[4]
            groups = self._group_names.get(account, {})
            user = self._accounts[account].users[arn]
            joined = frozenset(groups[name] for name in names if name in groups)
            self._accounts[account].users[arn] = User(arn, joined, user.inline, user.attached, boundary=user.boundary)
        return tuple(
            self._build(account, items, places or {}, organizations or {})
            for account, items in sorted(self._accounts.items())
            if items.roles or items.users
        )

    def _build(
        self,
        account: str,
        items: _Items,
        places: Mapping[str, tuple[str, int]],
        organizations: Mapping[str, str],
    ) -> AccountData:
        records = {
            arn: record if arn not in self._sessions else replace(record, max_session_seconds=self._sessions[arn])
            for arn, record in items.records.items()
        }
        access = Access(items.roles, {**self._aws_policies, **items.policies}, items.groups, items.users)
        return AccountData(
            account,
            items.partition,
            self._source,
            access,
            records,
            {arn: place for arn, place in places.items() if arn in items.roles},
            organizations.get(account),
            self._unreadable_policies,
        )

    def _account(self, arn: str, kind: str) -> _Items:
        parsed = Arn.parse(arn)
        if parsed is None or parsed.service != "iam" or parsed.kind != kind or not _ACCOUNT.match(parsed.account_id):
            raise ValueError(f"{clip(arn, _SHOWN)!r} is not the ARN of a {kind}")
        self._on_page.add(parsed.account_id)
        return self._accounts.setdefault(parsed.account_id, _Items(parsed.partition))

    def _add_role(self, item: Mapping[str, Any], where: str) -> None:
        arn = _text(item, "Arn")
        items = self._account(arn, "role")
        problems: list[str] = []
        document = item.get("AssumeRolePolicyDocument")
        trust, problem = self._document(document, partition_of(arn), _TRUST_CHARACTERS)
        boundary = _object(item.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
        role = Role(
            arn,
            trust,
            self._inline(item, "RolePolicyList", problems),
            _attached(item),
            boundary if boundary is None else str(boundary),
            tags={str(tag["Key"]): str(tag["Value"]) for tag in _objects(item, "Tags")},
        )
        _store(items.roles, arn, role, where)
        usage = item.get("RoleLastUsed")
        items.records[arn] = RoleRecord(
            _moment(item.get("CreateDate")),
            _moment(_object(usage).get("LastUsedDate")) if usage else None,
            usage is not None,
            unreadable=tuple(problems),
            unreadable_trust="it is missing" if document is None else problem,
        )

    def _add_user(self, item: Mapping[str, Any], where: str) -> None:
        arn = _text(item, "Arn")
        items = self._account(arn, "user")
        boundary = _object(item.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
        user = User(arn, frozenset(), self._inline(item, "UserPolicyList", []), _attached(item), boundary=boundary)
        _store(items.users, arn, user, where)
        self._memberships[arn] = [str(name) for name in item.get("GroupList") or ()]

    def _add_group(self, item: Mapping[str, Any], where: str) -> None:
        arn = _text(item, "Arn")
        items = self._account(arn, "group")
        _store(items.groups, arn, Group(arn, self._inline(item, "GroupPolicyList", []), _attached(item)), where)
        self._group_names.setdefault(arn.split(":", 5)[4], {})[_text(item, "GroupName")] = arn

    def _add_policy(self, item: Mapping[str, Any], where: str) -> None:
        arn = _text(item, "Arn")
        parsed = Arn.parse(arn)
        if parsed is None or parsed.service != "iam" or parsed.kind != "policy":
            raise ValueError(f"{clip(arn, _SHOWN)!r} is not the ARN of a policy")
        version = next((each for each in item["PolicyVersionList"] if _object(each).get("IsDefaultVersion")), None)
        document, problem = self._document(version.get("Document"), partition_of(arn)) if version else (None, _NO_DEFAULT)
        if document is None:
            self._unreadable_policies[arn] = problem
            return
        policies = self._aws_policies if parsed.account_id == _AWS else self._account(arn, "policy").policies
        _store(policies, arn, ManagedPolicy(arn, document), where)

    def _add_listed_role(self, item: Mapping[str, Any], _where: str) -> None:
        seconds = item.get("MaxSessionDuration", _ROLE_SECONDS)
        if not isinstance(seconds, int):
            raise TypeError("MaxSessionDuration is not a number")
        self._sessions[_text(item, "Arn")] = seconds

    def _inline(self, item: Mapping[str, Any], key: str, problems: list[str]) -> dict[str, PolicyDocument]:
        found = {}
        for policy in _objects(item, key):
            name = str(policy["PolicyName"])
            document, problem = self._document(policy["PolicyDocument"])
            if document is not None:
                found[name] = document
            else:
                problems.append(f"the inline policy {name} cannot be read: {problem}")
        return found

    def _document(
        self, value: object, partition: str = _AWS, longest: int = _POLICY_CHARACTERS
    ) -> tuple[PolicyDocument | None, str]:
        """The document, shared with equal ones, and an empty string; None and the reason if it cannot be read."""
        key = (partition, value if isinstance(value, str) else json.dumps(value, sort_keys=True))
        if len(key[1]) > longest:
            return None, "it is longer than AWS allows"
        if key not in self._documents:
            try:
                self._documents[key] = document_of(value, where=partition, partition=partition)
            except UnreadableDocumentError as error:
                return None, error.what.removeprefix(f"{UNREADABLE_DOCUMENT}: ")
            except (RecursionError, AttributeError, TypeError):
                return None, "it is not a policy document"
        return self._documents[key], ""


def malformed(where: str, reason: str) -> InputError:
    """The error for data that is not an IAM response."""
    return InputError(
        f"this is not an IAM response: {reason}",
        where=where,
        hint="write the file with: aws iam get-account-authorization-details --output json > account.json",
    )


def _reason(error: Exception) -> str:
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else clip(str(error), _SHOWN)


def _object(item: Any) -> Mapping[str, Any]:
    if not isinstance(item, Mapping):
        raise TypeError("it is not an object")
    return item


def _objects(item: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """A list of objects; empty if it is missing."""
    value = item.get(key) or []
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise TypeError(f"{key} is not a list of objects")
    return value


def _text(item: Mapping[str, Any], key: str) -> str:
    value = item[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is not a string")
    return value


def _attached(item: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(_text(policy, "PolicyArn") for policy in _objects(item, "AttachedManagedPolicies"))


def _store(items: dict[str, Any], arn: str, item: Any, where: str) -> None:
    """Add an item. The same item may occur in several files, but not with different content."""
    if items.setdefault(arn, item) != item:
        raise InputError(
            f"{arn} is described twice, with different content", where=where, hint="use files from the same point in time"
        )


def _moment(value: object) -> datetime | None:
    """The time of a field, which is a datetime from boto3 and a string (ISO 8601) or number from the AWS CLI."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
