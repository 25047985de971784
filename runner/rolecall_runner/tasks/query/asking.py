"""One question asked in one account and Region: pages by themselves, rows by JMESPath, further calls for each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from botocore.paginate import Paginator

from rolecall_runner.failures import REFUSALS
from rolecall_runner.tasks.query.models import Operation, find_operation
from rolecall_runner.tasks.query.placeholders import Filling, fill
from rolecall_runner.tasks.query.plain import plain
from rolecall_runner.tasks.query.question import FollowUp, Question
from rolecall_runner.tasks.query.selecting import distributes, rows_of, search

EACH_KEY = "*"
"""As `into`: each key of the further answer becomes a column."""

Client = Any
"""A client of boto3, signed for the account by its surroundings."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Finished rows of one place, and notes on calls for single rows that were refused."""

    rows: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()


def ask_place(question: Question, client_of: Any, filling: Filling) -> Asked:
    """Ask one account in one Region. `client_of(service)` gives the client of a service there.

    Raises what the first call raises; refused further calls become notes. A place is answered whole or not at all.
    """
    operation = find_operation(question.service, question.operation)
    found = _rows(question, operation, client_of(question.service), fill(question.parameters, filling))
    notes: dict[str, int] = {}
    rows: list[Mapping[str, Any]] = []
    for row in found:
        if len(rows) == question.limit:
            break
        whole = dict(row)
        known = _follow(question, client_of, filling, whole, notes)
        # What a refused call leaves unknown is shown, not filtered away.
        if question.where is None or not known or search(question.where, whole):
            rows.append(whole)
    texts = tuple(f"{call} for {count:,} of the rows: the column is empty" for call, count in notes.items())
    return Asked(tuple(rows), texts)


def _rows(question: Question, operation: Operation, client: Client, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
    select = question.select or default_select(operation)
    for reply in _replies(operation, client, parameters, question, select):
        value = plain(reply, operation.model.output_shape, reveal=question.reveal)
        yield from rows_of(value if select is None else search(select, value), question.columns)


def default_select(operation: Operation) -> str | None:
    """What is selected when nobody says: the list that pages carry, or the reply's only list; None: the whole reply."""
    if operation.result_keys:
        return f"{operation.result_keys[0]}[]"
    shape = operation.model.output_shape
    lists = [name for name, member in shape.members.items() if member.type_name == "list"] if shape is not None else []
    return f"{lists[0]}[]" if len(lists) == 1 else None


def _replies(
    operation: Operation, client: Client, parameters: dict[str, Any], question: Question, select: str | None
) -> Iterator[Mapping[str, Any]]:
    method = getattr(client, operation.method)
    if operation.paging is None:
        yield method(**parameters)
        return
    sizes = {"PageSize": question.page_size} if question.page_size and operation.page_size_parameter else {}
    if select is None or not distributes(select, operation.result_keys):
        yield _pages(operation, method, parameters, sizes).build_full_result()
    elif sizes:
        yield from _pages(operation, method, parameters, sizes)
    else:
        first = method(**parameters)
        if operation.is_last(first):  # most answers are one page: botocore's paginator is not asked how to go on
            yield first
        else:
            yield from _pages(operation, _given_first(first, method), parameters, sizes)


def _pages(operation: Operation, method: Any, parameters: dict[str, Any], sizes: dict[str, Any]) -> Any:
    return Paginator(method, dict(operation.paging or {}), operation.model).paginate(PaginationConfig=sizes, **parameters)


def _given_first(reply: Mapping[str, Any], method: Any) -> Any:
    """The method, whose first call has been made."""
    replies = [reply]
    return lambda **parameters: replies.pop() if replies else method(**parameters)


def _follow(question: Question, client_of: Any, filling: Filling, row: dict[str, Any], notes: dict[str, int]) -> bool:
    """Add the columns of further calls to a row; False when one of them is not known."""
    known = True
    for follow_up in question.follow_ups:
        item = Filling(filling.target, filling.moment, filling.region, row)
        try:
            value = _further(follow_up, client_of(follow_up.service), item, question)
        except ClientError as error:
            code, value = error.response["Error"]["Code"], None
            if code not in follow_up.missing and code not in REFUSALS:
                raise
            if code not in follow_up.missing:
                known = False
                call = f"{code}: {find_operation(follow_up.service, follow_up.operation).method}"
                notes[call] = notes.get(call, 0) + 1
        row.update(value if follow_up.into == EACH_KEY and isinstance(value, dict) else {follow_up.into: value})
    return known


def _further(follow_up: FollowUp, client: Client, filling: Filling, question: Question) -> Any:
    operation = find_operation(follow_up.service, follow_up.operation)
    parameters = fill(follow_up.parameters, filling)
    whole = Question(follow_up.service, follow_up.operation, page_size=question.page_size)
    reply = next(iter(_replies(operation, client, parameters, whole, None)))
    value = plain(reply, operation.model.output_shape, reveal=question.reveal)
    return value if follow_up.select is None else search(follow_up.select, value)
