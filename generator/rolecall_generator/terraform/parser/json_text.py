"""Terraform's encoding and decoding of JSON.

Source: `cty/json` of github.com/zclconf/go-cty over Go's encoding/json, November 2026.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from rolecall_generator.terraform.parser.values import (
    Document,
    ListValue,
    MapValue,
    ObjectValue,
    SetValue,
    TupleValue,
    Unresolvable,
    Value,
    elements,
    is_null,
    number_text,
    parse_number,
    plain,
    string,
    type_of,
)

_SPECIAL = re.compile('["\\\\\x00-\x1f<>&\u2028\u2029]')
_NAMED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SURROGATE = re.compile("[\ud800-\udfff]")


def encode_json(value: Value) -> str:
    """Encode a value as `jsonencode` does. Raises Unresolvable."""
    out: list[str] = []
    _write(value, out)
    return string("".join(out))


def _write(value: Value, out: list[str]) -> None:
    if isinstance(value, (str, Document)):
        out.append(_quoted(plain(value)))
    elif isinstance(value, bool):
        out.append("true" if value else "false")
    elif isinstance(value, (int, Fraction)):
        out.append(number_text(value))
    elif is_null(value):
        out.append("null")
    elif isinstance(value, (TupleValue, ListValue, SetValue)):
        for position, item in enumerate(elements(value)):
            out.append("," if position else "[")
            _write(item, out)
        out.append("]" if value else "[]")
    elif isinstance(value, (ObjectValue, MapValue)):
        for position, name in enumerate(sorted(value)):
            out += ("," if position else "{", _quoted(name), ":")
            _write(value[name], out)
        out.append("}" if value else "{}")
    else:
        type_of(value)
        raise Unresolvable("a value without JSON form")


def _quoted(characters: str) -> str:
    return f'"{_SPECIAL.sub(_escaped, characters)}"'


def _escaped(match: re.Match[str]) -> str:
    character = match.group()
    if character in "\b\f":
        # Written as `\b` and `\f` since Go 1.22, as `\u0008` and `\u000c` before.
        raise Unresolvable("a control character, which versions of Terraform encode differently")
    return _NAMED.get(character) or f"\\u{ord(character):04x}"


def decode_json(document: str, number: Callable[[str], Any] | None = None) -> Any:
    """Decode JSON to Python values; numbers are int or Fraction. `number` converts numbers that are not plain integers.

    Raises ValueError, also for repeated keys (parsers differ in which one they take) and unpaired surrogates.
    """
    value = json.loads(
        document, object_pairs_hook=_unique, parse_int=_number, parse_float=number or _number, parse_constant=_constant
    )
    if "\\u" in document and _has_surrogate(value):
        raise ValueError("half a surrogate pair")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("a key comes twice in one JSON object")
    return body


def _number(digits: str) -> Any:
    try:
        return parse_number(digits)
    except Unresolvable as error:
        raise ValueError(error.reason) from None


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _has_surrogate(value: Any) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if _SURROGATE.search(item):
                return True
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting += [*item, *item.values()]
    return False


def value_of_json(value: Any) -> Value:
    """Convert the result of `decode_json` to a Terraform value, with tuples and objects. Raises ValueError."""
    if isinstance(value, str):
        return string(value)
    if isinstance(value, list):
        return TupleValue([value_of_json(item) for item in value])
    if isinstance(value, dict):
        names = {string(name): value_of_json(item) for name, item in value.items()}
        if len(names) != len(value):
            raise ValueError("two keys that are the same when normalized")
        return ObjectValue(names)
    result: Value = value
    return result
