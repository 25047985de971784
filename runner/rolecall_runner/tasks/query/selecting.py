"""JMESPath over answers: compiled once, judged whether it may be asked page by page, and its finds made into rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError, ParseError
from jmespath.functions import Functions

from rolecall_runner.tasks.query.question import QueryError

_MEND = 'see https://jmespath.org/specification.html; quote names with - as "a-b"'
VALUE = "value"
"""The column of rows that are one bare value."""


@lru_cache(maxsize=256)
def compiled(expression: str) -> Any:
    """The compiled expression. Raises QueryError with the position in it."""
    try:
        made = jmespath.compile(expression)
    except ParseError as error:
        column = (error.lex_position or 0) + 1
        place = f"{error.token_value!r} at column {column}" if error.token_value else f"end at column {column}"
        raise QueryError(f"{expression!r} is no JMESPath: unexpected {place}", where="select", mend=_MEND) from None
    except JMESPathError as error:
        raise QueryError(f"{expression!r} is no JMESPath: {error}", where="select", mend=_MEND) from None
    if unknown := set(_functions(made.parsed)) - set(Functions.FUNCTION_TABLE):
        raise QueryError(f"JMESPath has no function {min(unknown)}", where="select", mend=_MEND)
    return made


def _functions(node: Any) -> Iterator[str]:
    """Names of all functions that an expression calls; jmespath itself asks only when it comes to them."""
    if isinstance(node, Mapping):
        if node["type"] == "function_expression":
            yield node["value"]
        for child in node["children"]:
            yield from _functions(child)


def search(expression: str, value: Any) -> Any:
    """What the expression finds in JSON values. Raises QueryError, as for a number where a text is needed."""
    try:
        return compiled(expression).search(value)
    except JMESPathError as error:
        text = f"{expression!r} cannot be applied to the answer: {error}"
        raise QueryError(text, where="select", mend="look at one answer without --select first") from None


def distributes(expression: str, keys: Sequence[str]) -> bool:
    """Whether the finds of all pages, one after the other, are those of the joined answer.

    True for a projection of a list that pages carry (`Reservations[].Instances[].InstanceId`): it looks at one item at a
    time. A slice, an index, a pipe or a function at the top looks at the whole.
    """
    roots = [jmespath.compile(key).parsed for key in keys]
    return _distributes(compiled(expression).parsed, roots)


def _distributes(node: Mapping[str, Any], roots: Sequence[Any]) -> bool:
    if node["type"] in {"projection", "filter_projection"}:
        source = node["children"][0]
        if source["type"] == "flatten":
            source = source["children"][0]
        return source in roots or _distributes(source, roots)
    return False


def rows_of(found: Any, columns: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Rows of what an expression found: an object is a row, a list one row an item, a bare value a row of one column."""
    if found is None:
        return
    for item in found if isinstance(found, list) else [found]:
        if isinstance(item, dict):
            yield item
        elif isinstance(item, list):
            yield {_name(columns, index): each for index, each in enumerate(item)}
        else:
            yield {columns[0] if len(columns) == 1 else VALUE: item}


def _name(columns: Sequence[str], index: int) -> str:
    return columns[index] if index < len(columns) else f"column{index + 1}"
