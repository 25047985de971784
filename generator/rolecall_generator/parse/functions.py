"""Terraform's functions that modules of this kind use, over plain values.

A value is str, int, float, bool, None, list or dict; sets are lists without repetition, sorted as Terraform orders them.
Source: Terraform language documentation, "Functions", November 2026.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

MAXIMUM_ITEMS = 200_000
"""Values within values, and a text's characters by five: more than any module of this kind holds."""
MAXIMUM_CHARACTERS = 5 * MAXIMUM_ITEMS


class Unresolvable(Exception):  # noqa: N818 - becomes a finding, never an error to a user
    """An expression whose value only Terraform can know. `file` and `line` are filled in on the way out."""

    def __init__(self, reason: str, line: int | None = None, file: str | None = None) -> None:
        self.reason = reason
        self.line = line
        self.file = file
        super().__init__(reason)


def text(value: Any) -> str:
    """A value as a template shows it. Raises Unresolvable for what Terraform refuses there."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (int, float)):
        return str(value)
    raise Unresolvable("a text is wanted here")


def bounded(value: Any) -> Any:
    """The value itself, if it is not absurdly large (doubling locals reach any size in a few lines)."""
    left = MAXIMUM_ITEMS
    waiting = [value]
    while waiting:
        item = waiting.pop()
        left -= 1 + (len(item) // 5 if isinstance(item, str) else 0)
        if left < 0:
            raise Unresolvable("a value too large to be evaluated")
        if isinstance(item, list):
            left -= len(item)
            waiting.extend(item if left >= 0 else ())
        elif isinstance(item, dict):
            left -= 2 * len(item)
            waiting.extend(item.values() if left >= 0 else ())
    return value


def as_list(value: Any) -> list[Any]:
    """A list, set or the values of a map. Raises Unresolvable for anything else."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [value[key] for key in sorted(value)]
    raise Unresolvable("a list is wanted here")


def as_map(value: Any) -> dict[str, Any]:
    """A map or object. Raises Unresolvable for anything else."""
    if isinstance(value, dict):
        return value
    raise Unresolvable("a map is wanted here")


def same(one: Any, other: Any) -> bool:
    """Terraform's `==`: values of different types are never equal."""
    if isinstance(one, bool) is not isinstance(other, bool):
        return False
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def call(name: str, arguments: list[Any]) -> Any:
    """Apply a function. Raises Unresolvable when it is unknown here or its arguments are wrong."""
    function = _FUNCTIONS.get(name.removeprefix("core::"))
    if function is None:
        raise Unresolvable(f"the function {name} is not evaluated")
    try:
        return bounded(function(*bounded(arguments)))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, StopIteration, TypeError, ValueError):
        raise Unresolvable(f"{name} cannot be evaluated with these arguments") from None


def to_set(value: Any) -> list[Any]:
    """Elements once each, texts in order."""
    items = distinct(as_list(value))
    return sorted(items) if all(isinstance(item, str) for item in items) else items


def distinct(items: list[Any]) -> list[Any]:
    """Elements once each, in the order of their first occurrence."""
    seen: dict[str, Any] = {}
    for item in items:
        seen.setdefault(json.dumps(item, sort_keys=True), item)
    return list(seen.values())


def _concat(*lists: list[Any]) -> list[Any]:
    return [item for items in lists for item in as_list(items)]


def _flatten(items: list[Any]) -> list[Any]:
    flat: list[Any] = []
    for item in as_list(items):
        flat.extend(_flatten(item) if isinstance(item, list) else [item])
    return flat


def _merge(*maps: dict[str, Any] | None) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for values in maps:
        merged.update(as_map(values) if values is not None else {})
    return merged


def _format(template: str, *arguments: Any) -> str:
    waiting = list(arguments)

    def one(match: re.Match[str]) -> str:
        verb = match.group()
        if verb == "%%":
            return "%"
        if verb not in ("%s", "%v", "%d"):
            raise Unresolvable(f"the verb {verb} of format is not evaluated")
        return text(waiting.pop(0))

    done = re.sub(r"%[^a-zA-Z%]*[a-zA-Z%]?", one, template)
    if waiting:
        raise ValueError
    return done


def _format_list(template: str, *arguments: Any) -> list[str]:
    length = max(len(item) for item in arguments if isinstance(item, list))
    columns = [item if isinstance(item, list) else [item] * length for item in arguments]
    return [_format(template, *row) for row in zip(*columns, strict=True)]


def _replace(value: str, old: str, new: str) -> str:
    if len(old) > 1 and old.startswith("/") and old.endswith("/"):
        raise Unresolvable("replace with a regular expression is not evaluated")
    if len(new) * value.count(old) > MAXIMUM_CHARACTERS:
        raise ValueError
    return value.replace(old, new)


def _element(items: list[Any], index: int) -> Any:
    if index < 0:
        raise ValueError
    return items[index % len(items)]


def _lookup(values: dict[str, Any], key: str, *default: Any) -> Any:
    if key in as_map(values):
        return values[key]
    return default[0]


def _one(items: list[Any]) -> Any:
    if len(as_list(items)) > 1:
        raise ValueError
    return items[0] if items else None


def _coalesce(*values: Any) -> Any:
    for value in values:
        if value not in (None, ""):
            return value
    raise ValueError


def _join(separator: str, *lists: list[Any]) -> str:
    parts = [text(item) for items in lists for item in as_list(items)]
    if (len(separator) + 1) * len(parts) > MAXIMUM_CHARACTERS:
        raise ValueError
    return separator.join(parts)


def _unions(*sets: Iterable[Any]) -> list[Any]:
    return to_set(_concat(*[list(items) for items in sets]))


def _to_number(value: Any) -> int | float:
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII) else float(value)
    return value + 0  # type: ignore[no-any-return]


def _bool(value: Any) -> bool:
    return {"true": True, "false": False}[text(value)]


def decoded(document: str) -> Any:
    """JSON to a value. Raises ValueError, also for a key that comes twice: whoever reads it decides which one counts."""
    return json.loads(document, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("a key comes twice in one JSON object")
    return body


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "chomp": lambda value: value.rstrip("\r\n"),
    "coalesce": _coalesce,
    "coalescelist": lambda *lists: next(items for items in lists if as_list(items)),
    "compact": lambda items: [item for item in as_list(items) if item not in (None, "")],
    "concat": _concat,
    "contains": lambda items, value: any(same(item, value) for item in as_list(items)),
    "distinct": lambda items: distinct(as_list(items)),
    "element": _element,
    "endswith": lambda value, end: value.endswith(end),
    "flatten": _flatten,
    "format": _format,
    "formatlist": _format_list,
    "join": _join,
    "jsondecode": decoded,
    "jsonencode": lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    "keys": lambda values: sorted(as_map(values)),
    "length": len,
    "lookup": _lookup,
    "lower": lambda value: value.lower(),
    "merge": _merge,
    "nonsensitive": lambda value: value,
    "one": _one,
    "replace": _replace,
    "reverse": lambda items: as_list(items)[::-1],
    "sensitive": lambda value: value,
    "setunion": _unions,
    "sort": lambda items: sorted(text(item) for item in as_list(items)),
    "split": lambda separator, value: value.split(separator),
    "startswith": lambda value, start: value.startswith(start),
    "tobool": _bool,
    "tolist": as_list,
    "tomap": as_map,
    "tonumber": _to_number,
    "toset": to_set,
    "tostring": lambda value: None if value is None else text(value),
    "trimprefix": lambda value, start: value.removeprefix(start),
    "trimspace": lambda value: value.strip(),
    "trimsuffix": lambda value, end: value.removesuffix(end),
    "upper": lambda value: value.upper(),
    "values": lambda values: [as_map(values)[key] for key in sorted(values)],
    "zipmap": lambda keys, values: dict(zip(keys, values, strict=True)),
}
