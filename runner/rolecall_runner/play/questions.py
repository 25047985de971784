"""The arguments of a query task as a question."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rolecall_runner.tasks.query.asked import Wanted
from rolecall_runner.tasks.query.named import find_query, load_query
from rolecall_runner.tasks.query.operations import read_regions
from rolecall_runner.tasks.query.question import QueryError

# The form of `placeholders`, doubled braces first; a test holds that what was escaped comes out as it was.
_NAME = r"[a-z_]+(?:\.[^{}]*)?(?:[+-]\d+[a-z]?)?"
_PLACEHOLDER = re.compile(rf"\{{\{{{_NAME}\}}\}}|\{{{_NAME}\}}")


def wanted_of(arguments: Mapping[str, Any]) -> Wanted:
    """The unchecked question of rendered arguments; what they say wins over a named query. Raises QueryError."""
    wanted = _base(arguments)
    changes: dict[str, Any] = {}
    for key, read in _READERS.items():
        if arguments.get(key) is not None:
            changes[key] = read(key, arguments[key])
    if "select" in changes:
        changes.setdefault("columns", ())
    if "parameters" in changes:
        changes["parameters"] = {**wanted.parameters, **changes["parameters"]}
    return replace(wanted, **changes)


def _text(key: str, given: Any) -> str:
    if isinstance(given, str):
        return given
    raise QueryError(f"{key} is no text: {given!r}", where=key, mend="write JMESPath as text")


def _texts(_key: str, given: Any) -> tuple[str, ...]:
    return tuple(map(str, given)) if isinstance(given, list) else tuple(part.strip() for part in str(given).split(","))


def _regions(key: str, given: Any) -> Any:
    return read_regions(_texts(key, given), None)


def _parameters(key: str, given: Any) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    raise QueryError("parameters are a mapping", where=key, mend="write `NAME: VALUE` lines below it")


def _flag(key: str, given: Any) -> bool:
    if isinstance(given, bool):
        return given
    raise QueryError(f"{key} is neither true nor false: {given!r}", where=key, mend="write true or false")


def _count(key: str, given: Any) -> int:
    if isinstance(given, int) and not isinstance(given, bool) and given > 0:
        return given
    raise QueryError(f"{key} is no number from 1: {given!r}", where=key, mend="write a number from 1")


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "select": _text,
    "where": _text,
    "regions": _regions,
    "columns": _texts,
    "limit": _count,
    "page_size": _count,
    "reveal": _flag,
    "parameters": _parameters,
}


def _base(arguments: Mapping[str, Any]) -> Wanted:
    ways = [key for key in ("service", "named", "file") if arguments.get(key)]
    if len(ways) != 1:
        what = f"{' and '.join(ways)} ask two things" if ways else "nothing is asked"
        raise QueryError(what, where="query", mend="write service: and operation:, or named:, or file:")
    if ways == ["named"]:
        return find_query(str(arguments["named"]))
    if ways == ["file"]:
        return load_query(Path(arguments["file"]))
    if not arguments.get("operation"):
        raise QueryError(f"what is asked of {arguments['service']}?", where="service", mend="add operation:")
    return Wanted(str(arguments["service"]), str(arguments["operation"]))


def escaped(given: Any) -> Any:
    """What an expression gave, so that a query takes its braces for text and not for placeholders."""
    if isinstance(given, str):
        return _doubled(given)
    if isinstance(given, Mapping):
        return {key: escaped(item) for key, item in given.items()}
    return [escaped(item) for item in given] if isinstance(given, list | tuple) else given


def _doubled(text: str) -> str:
    return _PLACEHOLDER.sub(lambda match: f"{{{match[0]}}}", text)
