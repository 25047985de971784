"""Answers of accounts: rows selected from replies with JMESPath, per Region, and the reason if a Region has no answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError, ParseError
from jmespath.functions import Functions

from rolecall_generator.text import pluralize
from rolecall_runner.aws import Status, failure_of
from rolecall_runner.execution import Outcome, Result
from rolecall_runner.query.operations import is_always_enabled
from rolecall_runner.query.spec import QueryError
from rolecall_runner.redact import REHEARSAL

_HINT = 'see https://jmespath.org/specification.html; quote names with - as "a-b"'
VALUE = "value"
"""Column name for rows that consist of a single value."""


@lru_cache(maxsize=256)
def compile_jmespath(expression: str) -> Any:
    """Compile a JMESPath expression. Raises QueryError with the position of a syntax error."""
    invalid = f"{expression!r} is not a valid JMESPath expression"
    try:
        compiled_expression = jmespath.compile(expression)
    except ParseError as error:
        column = (error.lex_position or 0) + 1
        place = f"{error.token_value!r} at column {column}" if error.token_value else f"end at column {column}"
        raise QueryError(
            f"{expression!r} is not a valid JMESPath expression: unexpected {place}", where="select", hint=_HINT
        ) from None
    except JMESPathError as error:
        raise QueryError(f"{invalid}: {error}", where="select", hint=_HINT) from None
    if unknown := set(_functions(compiled_expression.parsed)) - set(Functions.FUNCTION_TABLE):
        raise QueryError(f"JMESPath has no function {min(unknown)}", where="select", hint=_HINT)
    return compiled_expression


def _functions(node: Any) -> Iterator[str]:
    """Names of all functions in an expression. jmespath reports an unknown function only on evaluation."""
    if isinstance(node, Mapping):
        if node["type"] == "function_expression":
            yield node["value"]
        for child in node["children"]:
            yield from _functions(child)


def search(expression: str, value: Any) -> Any:
    """Apply an expression to a JSON value. Raises QueryError for invalid types, such as a number instead of a string."""
    try:
        return compile_jmespath(expression).search(value)
    except JMESPathError as error:
        message = f"{expression!r} cannot be applied to the reply: {error}"
        raise QueryError(message, where="select", hint="run the query without --select to see a whole reply") from None


def distributes(expression: str, keys: Sequence[str]) -> bool:
    """Whether applying the expression to each page gives the same rows as applying it to the merged pages.

    `keys`: expressions of the lists in each page. True for a projection of such a list
    (`Reservations[].Instances[].InstanceId`). False for a slice, an index, a pipe, or a function at the top level.
    """
    roots = [jmespath.compile(key).parsed for key in keys]
    return _distributes(compile_jmespath(expression).parsed, roots)


def _distributes(node: Mapping[str, Any], roots: Sequence[Any]) -> bool:
    if node["type"] in {"projection", "filter_projection"}:
        source = node["children"][0]
        if source["type"] == "flatten":
            source = source["children"][0]
        return source in roots or _distributes(source, roots)
    return False


def rows_of(found: Any, columns: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Convert a JSON value to rows: one for an object or a scalar, one per item for a list, none for null.

    `columns`: names for the values of an item that is a list or, if there is only one, of a scalar.
    """
    if found is None:
        return
    for item in found if isinstance(found, list) else [found]:
        if isinstance(item, dict):
            yield item
        elif isinstance(item, list):
            names = (*columns, *(f"column{index + 1}" for index in range(len(columns), len(item))))
            yield dict(zip(names, item, strict=False))
        else:
            yield {columns[0] if len(columns) == 1 else VALUE: item}


GLOBAL = "global"
"""Value of the Region for global services."""


class Reason(StrEnum):
    """Result of one account and Region. The last three are failures of the run, the others facts about the account.

    NOT_REHEARSED: the sandbox does not support the service or operation, so the answer of AWS is unknown.
    """

    OK = "ok"
    DENIED = "denied"
    DISABLED = "region-disabled"
    NOT_SUBSCRIBED = "not-subscribed"
    ABSENT = "not-in-region"
    NOT_REHEARSED = "not-rehearsed"
    INCONCLUSIVE = "inconclusive"
    UNREACHABLE = "unreachable"
    FAILED = "failed"


_REGION_DISABLED = "RegionDisabledException"
_INVALID_SESSION = frozenset({"UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure"})
"""Error codes for a valid session in a Region that is not enabled in the account (IAM User Guide, "Managing AWS STS in an
AWS Region"; EC2 API reference, "Error codes": AuthFailure; November 2026). In a Region that every account has, such a code
means that AWS does not accept the session, which is a failure."""
_NOT_SUBSCRIBED = frozenset(
    {"OptInRequired", "SubscriptionRequiredException", "NotSignedUp", "AWSOrganizationsNotInUseException",
     "DataUnavailableException", "AWSSupportSubscriptionRequired", "NotSubscribedException"}
)  # fmt: skip
_BY_STATUS: Mapping[Status, Reason] = {
    Status.OK: Reason.OK,
    Status.REFUSED: Reason.DENIED,
    Status.INCONCLUSIVE: Reason.INCONCLUSIVE,
    Status.UNREACHABLE: Reason.UNREACHABLE,
    Status.FAILED: Reason.FAILED,
    Status.SKIPPED: Reason.NOT_REHEARSED,
}
_STATUS = {reason: status for status, reason in _BY_STATUS.items()}
_SEVERITY = (Status.OK, Status.SKIPPED, Status.REFUSED, Status.INCONCLUSIVE, Status.UNREACHABLE, Status.FAILED)
"""Least severe first."""


@dataclass(frozen=True, slots=True)
class RegionResult:
    """The answer of one account and Region. `time`: of the call (ISO 8601). `rows`: JSON objects; empty on failure.

    `code` and `error`: from AWS. `notes`: further calls that were denied for some rows.
    """

    region: str
    reason: Reason
    time: str
    rows: tuple[Mapping[str, Any], ...] = ()
    code: str = ""
    error: str = ""
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The answer as JSON values, without empty fields other than `rows`."""
        body: dict[str, Any] = {"region": self.region, "reason": str(self.reason), "time": self.time}
        optional: dict[str, Any] = {"code": self.code, "error": self.error, "notes": list(self.notes)}
        return body | {"rows": list(self.rows)} | {key: value for key, value in optional.items() if value}


@dataclass(frozen=True, slots=True)
class Row:
    """One row with its origin. `time` is ISO 8601. `rehearsal`: the row comes from a sandbox, not from AWS."""

    account: str
    account_id: str
    region: str
    time: str
    values: Mapping[str, Any]
    rehearsal: bool = False


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The answer of one account. `reason`, `code`, and `error` apply only if `places` is empty: no call could be made.

    `rehearsal`: the answer comes from a sandbox, not from AWS.
    """

    account: str
    account_id: str
    places: tuple[RegionResult, ...] = ()
    reason: Reason = Reason.OK
    code: str = ""
    error: str = ""
    rehearsal: bool = False

    @classmethod
    def from_result(cls, result: Result, account_id: str = "") -> QueryResult:
        """Read the result of a `QueryTask`. `account_id`: used if the task failed without an answer."""
        body: Any = result.data if isinstance(result.data, Mapping) else {}
        places = tuple(
            RegionResult(
                each["region"],
                Reason(each["reason"]),
                each["time"],
                tuple(each["rows"]),
                each.get("code", ""),
                each.get("error", ""),
                tuple(each.get("notes", ())),
            )
            for each in body.get("places", ())
        )
        reason = _BY_STATUS[result.status]
        return cls(result.target, body.get("account_id", account_id), places, reason, result.code, result.error)

    def rows(self) -> Iterator[Row]:
        """Yield all rows, Region by Region."""
        for place in self.places:
            for values in place.rows:
                yield Row(self.account, self.account_id, place.region, place.time, values, self.rehearsal)

    def errors(self) -> Iterator[dict[str, str]]:
        """Yield failures and notes, each with account, account_id, region, reason, code, and error."""
        if not self.places and self.reason is not Reason.OK:
            yield self._error("", self.reason, self.code, self.error)
        for place in self.places:
            if place.reason is not Reason.OK:
                yield self._error(place.region, place.reason, place.code, place.error)
            for note in place.notes:
                yield self._error(place.region, Reason.DENIED, "", note)

    def _error(self, region: str, reason: Reason, code: str, error: str) -> dict[str, str]:
        return {
            "account": self.account,
            "account_id": self.account_id,
            "region": region,
            "reason": str(reason),
            "code": code,
            "error": error,
        }


@dataclass(slots=True)
class Count:
    """Counts of a run: accounts, rows, and accounts and Regions by reason."""

    accounts: int = 0
    rows: int = 0
    reasons: dict[Reason, int] = field(default_factory=dict)
    rehearsal: bool = False

    def add(self, answer: QueryResult) -> None:
        """Add the answer of one account."""
        self.accounts += 1
        self.rehearsal = self.rehearsal or answer.rehearsal
        for reason in [place.reason for place in answer.places] or [answer.reason]:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        self.rows += sum(len(place.rows) for place in answer.places)

    @property
    def text(self) -> str:
        """One line, marked if from a sandbox: `12 rows from 3 accounts; accounts and Regions: 5 ok, 1 denied`."""
        places = ", ".join(
            f"{count:,} {reason}" for reason, count in sorted(self.reasons.items(), key=lambda item: -item[1])
        )
        rows, accounts = pluralize(self.rows, "row"), pluralize(self.accounts, "account")
        mark = f"{REHEARSAL}: " if self.rehearsal else ""
        return f"{mark}{rows} from {accounts}; accounts and Regions: {places}"


def reason_of(error: BaseException, region: str, *, listed: bool = True) -> tuple[Reason, str, str]:
    """Reason, error code, and message of an exception of a call in `region`.

    `listed`: botocore's endpoint data has the service in the Region.
    """
    failure = failure_of(error)
    reason = _BY_STATUS[failure.status]
    if failure.code == _REGION_DISABLED or (failure.code in _INVALID_SESSION and not is_always_enabled(region)):
        reason = Reason.DISABLED
    elif failure.code in _NOT_SUBSCRIBED:
        reason = Reason.NOT_SUBSCRIBED
    elif not listed and reason is Reason.UNREACHABLE:
        reason = Reason.ABSENT
    return reason, failure.code, failure.message


def outcome_of(account_id: str, places: list[RegionResult]) -> Outcome:
    """The outcome of a task, with the most severe status of its Regions. Facts about the account count as OK."""
    statuses = [_STATUS.get(place.reason, Status.OK) for place in places]
    worst = max(statuses, key=_SEVERITY.index, default=Status.OK)
    first = next((place for place, status in zip(places, statuses, strict=True) if status is worst), None)
    code, error = (first.code, f"{first.region}: {first.error}") if first and worst is not Status.OK else ("", "")
    data = {"account_id": account_id, "places": [place.to_json() for place in places]}
    return Outcome(worst, data, error, code, final=True)
