"""Types of rows as a small tree, widened value by value until every row fits: of what AWS's model says, or of what came.

A value that does not fit its type widens it: a whole number and a fraction become doubles, a text where a time was promised
becomes text, and what has nothing in common becomes JSON text. So no answer is ever lost to its type.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

MOST_FIELDS = 300
"""Fields that an object may gather from values alone; with more it is a mapping of free keys, and kept as JSON text."""
_EXACT = 2**53
_LONGEST = 2**63


class Scalar(StrEnum):
    """A type without parts. NULL: nothing is known yet. INTEGER: whole numbers that a double holds exactly, LONG: 64 bits.

    TIMESTAMP: ISO 8601 with a time zone; BLOB: base64; JSON: any value, as JSON text.
    """

    NULL = "null"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    LONG = "long"
    DOUBLE = "double"
    STRING = "string"
    TIMESTAMP = "timestamp"
    BLOB = "blob"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of items of one type."""

    item: Type


@dataclass(frozen=True, slots=True)
class MapOf:
    """Free keys, values of one type: what AWS's models call a map."""

    value: Type


@dataclass(frozen=True, slots=True)
class Struct:
    """An object of known fields, in the model's order, then in order of appearance."""

    fields: Mapping[str, Type]


Type = Scalar | ListOf | MapOf | Struct

_PAIRS = {
    frozenset({Scalar.INTEGER, Scalar.LONG}): Scalar.LONG,
    frozenset({Scalar.INTEGER, Scalar.DOUBLE}): Scalar.DOUBLE,
    frozenset({Scalar.STRING, Scalar.TIMESTAMP}): Scalar.STRING,
    frozenset({Scalar.STRING, Scalar.BLOB}): Scalar.STRING,
    frozenset({Scalar.TIMESTAMP, Scalar.BLOB}): Scalar.STRING,
}


def merge(one: Type, other: Type) -> Type:
    """The narrowest type that holds all values of both."""
    if one == other or other is Scalar.NULL:
        return one
    if one is Scalar.NULL:
        return other
    if isinstance(one, Scalar) and isinstance(other, Scalar):
        return _PAIRS.get(frozenset({one, other}), Scalar.JSON)
    return _merge_parts(one, other)


def _merge_parts(one: Type, other: Type) -> Type:
    if isinstance(one, ListOf) and isinstance(other, ListOf):
        return ListOf(merge(one.item, other.item))
    if isinstance(one, MapOf) and isinstance(other, MapOf):
        return MapOf(merge(one.value, other.value))
    if isinstance(one, Struct) and isinstance(other, Struct):
        both = merge_structs(one, other)
        return both if _speakable(both.fields) else Scalar.JSON
    return Scalar.JSON


def merge_structs(one: Struct, other: Struct) -> Struct:
    """An object with the fields of both."""
    names = dict.fromkeys((*one.fields, *other.fields))
    return Struct({name: merge(one.fields.get(name, Scalar.NULL), other.fields.get(name, Scalar.NULL)) for name in names})


def widen(known: Type, value: Any) -> Type:
    """`known` itself where it holds the value (in JSON's types), else the narrowest type that holds this one too."""
    if value is None or known is Scalar.JSON:
        return known
    if isinstance(value, dict):
        return _widen_object(known, value)
    if isinstance(value, list):
        return _widen_list(known, value)
    return known if isinstance(known, Scalar) and _holds(known, value) else merge(known, _scalar_of(value))


def widen_row(known: Struct, row: Mapping[str, Any]) -> Struct:
    """The same for a whole row: its fields are columns, of which there may be any number."""
    changed: dict[str, Type] = {}
    for name, value in row.items():
        before = known.fields.get(name)
        after = widen(before or Scalar.NULL, value)
        if after is not before:
            changed[name] = after
    return Struct({**known.fields, **changed}) if changed else known


def _widen_object(known: Type, value: Mapping[str, Any]) -> Type:
    if isinstance(known, MapOf):
        if not all(map(_is_utf8, value)):
            return Scalar.JSON
        inner = _over(known.value, value.values())
        return known if inner is known.value else MapOf(inner)
    if isinstance(known, Struct) or known is Scalar.NULL:
        before = known if isinstance(known, Struct) else Struct({})
        after = widen_row(before, value)
        if after is before:
            return before
        grown = len(after.fields) > len(before.fields)
        return Scalar.JSON if grown and (len(after.fields) > MOST_FIELDS or not _speakable(after.fields)) else after
    return Scalar.JSON


def _widen_list(known: Type, value: list[Any]) -> Type:
    if isinstance(known, ListOf):
        inner = _over(known.item, value)
        return known if inner is known.item else ListOf(inner)
    return ListOf(_over(Scalar.NULL, value)) if known is Scalar.NULL else Scalar.JSON


def _speakable(names: Iterable[str]) -> bool:
    """Whether SQL can tell fields of these names apart: they are texts, and differ in more than case."""
    listed = list(names)
    return len({name.lower() for name in listed}) == len(listed) and all(
        name and "\0" not in name and _is_utf8(name) for name in listed
    )


def _over(known: Type, values: Iterable[Any]) -> Type:
    for value in values:
        known = widen(known, value)
    return known


def _holds(known: Scalar, value: Any) -> bool:
    if known is Scalar.TIMESTAMP:
        return isinstance(value, str) and read_time(value) is not None
    if known is Scalar.BLOB:
        return isinstance(value, str) and read_blob(value) is not None
    if known is Scalar.DOUBLE:
        return isinstance(value, float) or (_scalar_of(value) is Scalar.INTEGER)
    if known is Scalar.LONG:
        return _scalar_of(value) in {Scalar.INTEGER, Scalar.LONG}
    return _scalar_of(value) is known


def _scalar_of(value: Any) -> Scalar:
    if isinstance(value, bool):
        return Scalar.BOOLEAN
    if isinstance(value, int):
        if abs(value) <= _EXACT:
            return Scalar.INTEGER
        return Scalar.LONG if -_LONGEST <= value < _LONGEST else Scalar.JSON
    if isinstance(value, float):
        return Scalar.DOUBLE if math.isfinite(value) else Scalar.JSON
    # A lone surrogate is no text in UTF-8; JSON text escapes it.
    return Scalar.STRING if isinstance(value, str) and _is_utf8(value) else Scalar.JSON


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_time(text: str) -> datetime | None:
    """The moment that a text says; None when it says none, or one without a time zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def read_blob(text: str) -> bytes | None:
    """The bytes of base64; None when it is something else, or would be written otherwise."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if base64.b64encode(found).decode("ascii") == text else None


def type_to_json(kind: Type) -> Any:
    """A type as JSON values: a scalar's name, or an object with `list`, `map` or `struct`."""
    if isinstance(kind, Scalar):
        return str(kind)
    if isinstance(kind, ListOf):
        return {"list": type_to_json(kind.item)}
    if isinstance(kind, MapOf):
        return {"map": type_to_json(kind.value)}
    return {"struct": {name: type_to_json(inner) for name, inner in kind.fields.items()}}


def type_from_json(body: Any) -> Type:
    """Read `type_to_json` back. Raises ValueError, KeyError, TypeError or AttributeError for anything else."""
    if isinstance(body, str):
        return Scalar(body)
    if "list" in body:
        return ListOf(type_from_json(body["list"]))
    if "map" in body:
        return MapOf(type_from_json(body["map"]))
    return Struct({name: type_from_json(inner) for name, inner in body["struct"].items()})
