"""A question put together and checked, before anything is asked: names, types, expressions, placeholders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rolecall_runner.tasks.query.answers import compiled
from rolecall_runner.tasks.query.operations import Operation, find_operation
from rolecall_runner.tasks.query.parameters import Deferred, check_names, read_parameters, type_parameters
from rolecall_runner.tasks.query.question import FollowUp, QueryError, Question, RegionChoice


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question as somebody wrote it, unchecked; the fields are those of `Question`."""

    service: str
    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    regions: tuple[str, ...] | RegionChoice = RegionChoice.MANIFEST
    select: str | None = None
    columns: tuple[str, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    where: str | None = None
    page_size: int | None = None
    limit: int | None = None
    reveal: bool = False
    name: str = ""
    description: str = ""


def make_question(wanted: Wanted, texts: Iterable[str] = ()) -> Question:
    """Check a question. `texts` are `NAME=VALUE` parameters of a command line; they win over those in `wanted`.

    Raises QueryError for what AWS's models, JMESPath or the placeholders do not know.
    """
    operation = _answering(find_operation(wanted.service, wanted.operation))
    given = {**wanted.parameters}
    parameters = type_parameters(operation, given | read_parameters(operation, texts, complete=False))
    check_names(parameters, where=f"parameters of {operation.method}")
    for expression in filter(None, (wanted.select, wanted.where)):
        compiled(expression)
    return Question(
        wanted.service,
        operation.name,
        parameters,
        wanted.regions,
        wanted.select,
        wanted.columns,
        tuple(_follow_up(each) for each in wanted.follow_ups),
        wanted.where,
        wanted.page_size,
        wanted.limit,
        wanted.reveal,
        wanted.name,
        wanted.description,
    )


def _follow_up(wanted: FollowUp) -> FollowUp:
    operation = _answering(find_operation(wanted.service, wanted.operation))
    parameters = type_parameters(operation, wanted.parameters)
    check_names(parameters, where=f"parameters of {operation.method}", items=True)
    if wanted.select is not None:
        compiled(wanted.select)
    return FollowUp(wanted.service, operation.name, wanted.into, parameters, wanted.select, wanted.missing)


def _answering(operation: Operation) -> Operation:
    if operation.model.has_streaming_output or operation.model.has_event_stream_output:
        raise QueryError(
            f"{operation.service} {operation.method} answers with a stream of bytes, which is no rows",
            where="query",
            mend="ask an operation that answers with data",
        )
    return operation


def shown_parameters(value: Any) -> Any:
    """Checked parameters as JSON values, placeholders as they were written."""
    if isinstance(value, Deferred):
        return value.text
    if isinstance(value, Mapping):
        return {key: shown_parameters(item) for key, item in value.items()}
    return [shown_parameters(item) for item in value] if isinstance(value, list) else value


def described(question: Question) -> dict[str, Any]:
    """What a question asks, as JSON values: for a run's record and the head of its results."""
    regions = question.regions if isinstance(question.regions, tuple) else str(question.regions)
    body: dict[str, Any] = {
        "query": question.title,
        "service": question.service,
        "operation": question.operation,
        "parameters": shown_parameters(question.parameters),
        "regions": list(regions) if isinstance(regions, tuple) else regions,
        "select": question.select,
        "where": question.where,
        "for_each": [f"{each.service} {each.operation}" for each in question.follow_ups],
        "limit": question.limit,
    }
    return {key: value for key, value in body.items() if value not in (None, {}, [])}
