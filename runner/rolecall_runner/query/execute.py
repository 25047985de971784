"""Execute a query in one account, Region by Region, with pagination and further calls for each row.

Rows are selected from replies with JMESPath. A Region without an answer has a reason.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

import jmespath
from botocore.exceptions import ClientError
from botocore.paginate import Paginator
from jmespath.exceptions import JMESPathError, ParseError
from jmespath.functions import Functions

from rolecall_generator.text import pluralize
from rolecall_runner.aws import (
    AccountSession,
    Clients,
    RetryPolicy,
    Sessions,
    Status,
    account,
    failure_of,
    utc_now,
    with_retries,
)
from rolecall_runner.execution import Outcome, ProcessLocal, Result
from rolecall_runner.inventory import Target
from rolecall_runner.query.operations import (
    Operation,
    enabled_regions,
    find_operation,
    is_always_enabled,
    is_global,
    known_regions,
    planned_regions,
)
from rolecall_runner.query.parameters import FillContext, check_targets, fill
from rolecall_runner.query.spec import FollowUp, QueryError, QuerySpec
from rolecall_runner.redact import REHEARSAL, to_json_values

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
        raise QueryError(f"{invalid}: unexpected {place}", where="select", hint=_HINT) from None
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


EACH_KEY = "*"
"""Value of `FollowUp.into` for one column per key of the reply."""

Client = Any
"""A boto3 client, to be called inside `account`."""


def query_region(spec: QuerySpec, client_of: Any, context: FillContext) -> RegionResult:
    """Execute the query in one account and Region; `client_of(service)` returns the client of a service there.

    Raises the errors of the first call. A further call that is denied becomes a note; its other errors are raised, except
    those in `FollowUp.missing`.
    """
    operation = find_operation(spec.service, spec.operation)
    found = _rows(spec, operation, client_of(spec.service), fill(spec.parameters, context))
    notes: dict[str, int] = {}
    rows: list[Mapping[str, Any]] = []
    for row in found:
        if len(rows) == spec.limit:
            break
        complete_row = dict(row)
        is_complete = _add_columns(spec, client_of, context, complete_row, notes)
        # A row with an unknown column is kept, because the filter cannot be evaluated.
        if spec.where is None or not is_complete or search(spec.where, complete_row):
            rows.append(complete_row)
    messages = tuple(f"{call} for {pluralize(count, 'row')}: the column is empty" for call, count in notes.items())
    return RegionResult(context.region, Reason.OK, context.moment.isoformat(), tuple(rows), notes=messages)


def _rows(spec: QuerySpec, operation: Operation, client: Client, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
    select = spec.select or default_select(operation)
    for reply in _replies(operation, client, parameters, spec, select):
        value = to_json_values(reply, operation.model.output_shape, reveal=spec.reveal)
        yield from rows_of(value if select is None else search(select, value), spec.columns)


def default_select(operation: Operation) -> str | None:
    """The default of `select`: the main list of a paginated reply, else its only list. None: the whole reply."""
    if operation.result_keys:
        return f"{operation.result_keys[0]}[]"
    shape = operation.model.output_shape
    lists = [name for name, member in shape.members.items() if member.type_name == "list"] if shape is not None else []
    return f"{lists[0]}[]" if len(lists) == 1 else None


def reply_model(service: str, operation: str, select: str | None) -> tuple[Any, Mapping[str, Any] | None]:
    """The botocore shape of a reply, and the parsed JMESPath expression for its rows (None: the whole reply).

    Raises QueryError for an unknown operation or an invalid expression.
    """
    found = find_operation(service, operation)
    chosen = select or default_select(found)
    return found.model.output_shape, None if chosen is None else compile_jmespath(chosen).parsed


def _replies(
    operation: Operation, client: Client, parameters: dict[str, Any], spec: QuerySpec, select: str | None
) -> Iterator[Mapping[str, Any]]:
    method = getattr(client, operation.method)
    if operation.paging is None:
        yield method(**parameters)
        return
    sizes = {"PageSize": spec.page_size} if spec.page_size and operation.page_size_parameter else {}
    if select is None or not distributes(select, operation.result_keys):
        yield _pages(operation, method, parameters, sizes).build_full_result()
    elif sizes:
        yield from _pages(operation, method, parameters, sizes)
    else:
        first = method(**parameters)
        if operation.is_last(first):  # most replies have one page, so botocore's paginator is not needed
            yield first
        else:
            yield from _pages(operation, _with_first_reply(first, method), parameters, sizes)


def _pages(operation: Operation, method: Any, parameters: dict[str, Any], sizes: dict[str, Any]) -> Any:
    return Paginator(method, dict(operation.paging or {}), operation.model).paginate(PaginationConfig=sizes, **parameters)


def _with_first_reply(reply: Mapping[str, Any], method: Any) -> Any:
    """Wrap the method so that its first call returns `reply`."""
    replies = [reply]
    return lambda **parameters: replies.pop() if replies else method(**parameters)


def _add_columns(spec: QuerySpec, client_of: Any, context: FillContext, row: dict[str, Any], notes: dict[str, int]) -> bool:
    """Add the columns of further calls to a row. Returns False if a call was denied, so that its column is unknown."""
    is_complete = True
    for follow_up in spec.for_each:
        item = FillContext(context.target, context.moment, context.region, row)
        try:
            value = _call_follow_up(follow_up, client_of(follow_up.service), item, spec)
        except ClientError as error:
            code, value = error.response["Error"]["Code"], None
            if code not in follow_up.missing and Status.from_code(code) is not Status.REFUSED:
                raise
            if code not in follow_up.missing:
                is_complete = False
                call = f"{code}: {find_operation(follow_up.service, follow_up.operation).method}"
                notes[call] = notes.get(call, 0) + 1
        row.update(value if follow_up.into == EACH_KEY and isinstance(value, dict) else {follow_up.into: value})
    return is_complete


def _call_follow_up(follow_up: FollowUp, client: Client, context: FillContext, spec: QuerySpec) -> Any:
    operation = find_operation(follow_up.service, follow_up.operation)
    parameters = fill(follow_up.parameters, context)
    follow_up_spec = QuerySpec(follow_up.service, follow_up.operation, page_size=spec.page_size)
    reply = next(iter(_replies(operation, client, parameters, follow_up_spec, None)))
    value = to_json_values(reply, operation.model.output_shape, reveal=spec.reveal)
    return value if follow_up.select is None else search(follow_up.select, value)


_RETRYABLE = frozenset({Reason.INCONCLUSIVE, Reason.UNREACHABLE})


@dataclass(frozen=True)
class QueryTask:
    """Executes a query in a target; `QueryResult.from_result` reads its result.

    `connections`: creates clients and sessions, once per process. `now`: the clock for the time of rows and for relative
    dates. `retry`: for the Regions of an account that were throttled or not reached, after the others.
    """

    spec: QuerySpec
    connections: ProcessLocal[tuple[Clients, Sessions]]
    now: Callable[[], datetime] = utc_now
    retry: RetryPolicy = field(default_factory=lambda: RetryPolicy(base_seconds=1.0))
    name: str = "query"
    _absent: set[tuple[str, str]] = field(default_factory=set, repr=False, compare=False)

    def check_target(self, target: Target) -> None:
        """Raise QueryError if the target has no value for a placeholder."""
        check_targets(self.spec.parameters, [target])

    def __call__(self, target: Target) -> Outcome:
        """Execute the query in one target. Raises the errors of assuming its role; other errors are in the outcome."""
        clients, sessions = self.connections.get()
        session = sessions.session(target)
        session.get_frozen_credentials()  # fail once, not once per Region, if the role cannot be assumed
        with account(session):
            regions = planned_regions(self.spec, target)
            if regions is None:
                try:
                    regions = enabled_regions(clients, target)
                except Exception as error:  # without Regions, no call can be made
                    reason, code, message = reason_of(error, target.regions[0] if target.regions else "")
                    message = f"the enabled Regions could not be listed: {message}"
                    return outcome_of(
                        target.account_id, [RegionResult("", reason, self.now().isoformat(), code=code, error=message)]
                    )
            places: dict[str, RegionResult] = {}

            def query_regions() -> bool:
                """Query the Regions that have no final result; returns whether any is still to be retried."""
                for region in regions:
                    if region not in places or places[region].reason in _RETRYABLE:
                        places[region] = self._query_region(clients, session, target, region)
                return any(place.reason in _RETRYABLE for place in places.values())

            with_retries(query_regions, self.retry, inconclusive=bool, random=random.random, sleep=time.sleep)
        return outcome_of(target.account_id, list(places.values()))

    def _query_region(self, clients: Clients, session: AccountSession, target: Target, region: str) -> RegionResult:
        reported_region = GLOBAL if is_global(self.spec, target) else region
        moment = self.now()
        if (self.spec.service, region) in self._absent:
            message = f"{self.spec.service} is not offered in {region}"
            return RegionResult(reported_region, Reason.ABSENT, moment.isoformat(), error=message)
        try:
            found = query_region(
                self.spec, lambda service: clients.client(service, region), FillContext(target, moment, region)
            )
        except Exception as error:  # a failure in one Region does not affect the others
            place = self._failure(error, target, region, reported_region, moment)
            if place.code.startswith("ExpiredToken"):
                session.renew()
            return place
        return replace(found, region=reported_region)

    def _failure(
        self, error: BaseException, target: Target, region: str, reported_region: str, moment: datetime
    ) -> RegionResult:
        listed = region in known_regions(self.spec.service, target.partition) or reported_region == GLOBAL
        reason, code, message = reason_of(error, region, listed=listed)
        if reason is Reason.ABSENT:
            self._absent.add((self.spec.service, region))  # applies to all accounts
        return RegionResult(reported_region, reason, moment.isoformat(), code=code, error=message)
