"""Execute a query in one account: Region by Region, with pagination and further calls for each row."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from botocore.paginate import Paginator

from rolecall_generator.text import pluralize
from rolecall_runner.aws import AccountSession, Clients, RetryPolicy, Sessions, Status, account, utc_now, with_retries
from rolecall_runner.execution import Outcome, ProcessLocal
from rolecall_runner.inventory import Target
from rolecall_runner.query.answers import (
    GLOBAL,
    Reason,
    RegionResult,
    compile_jmespath,
    distributes,
    outcome_of,
    reason_of,
    rows_of,
    search,
)
from rolecall_runner.query.operations import (
    Operation,
    enabled_regions,
    find_operation,
    is_global,
    known_regions,
    planned_regions,
)
from rolecall_runner.query.parameters import FillContext, check_targets, fill
from rolecall_runner.query.spec import FollowUp, QuerySpec
from rolecall_runner.redact import to_json_values

EACH_KEY = "*"
"""Value of `FollowUp.into` for one column per key of the reply."""

Client = Any
"""A boto3 client, to be called inside `account`."""


@dataclass(frozen=True, slots=True)
class RegionRows:
    """The rows of one account and Region, with notes on further calls that were denied."""

    rows: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()


def query_region(spec: QuerySpec, client_of: Any, context: FillContext) -> RegionRows:
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
    return RegionRows(tuple(rows), messages)


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
        return RegionResult(reported_region, Reason.OK, moment.isoformat(), found.rows, notes=found.notes)

    def _failure(
        self, error: BaseException, target: Target, region: str, reported_region: str, moment: datetime
    ) -> RegionResult:
        listed = region in known_regions(self.spec.service, target.partition) or reported_region == GLOBAL
        reason, code, message = reason_of(error, region, listed=listed)
        if reason is Reason.ABSENT:
            self._absent.add((self.spec.service, region))  # applies to all accounts
        return RegionResult(reported_region, reason, moment.isoformat(), code=code, error=message)
