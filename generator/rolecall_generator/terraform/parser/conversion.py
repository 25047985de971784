"""Conversion between Terraform's types and to and from JSON, and unification of several types.

Source: github.com/zclconf/go-cty, `cty/convert` and `cty/json` (over Go's encoding/json), versions 1.13 to 1.18 (Terraform
1.5 to 1.15), November 2026. Terraform's language uses cty's unsafe conversions, which may fail for some values. If the
versions differ, the result is Unresolvable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

from rolecall_generator.terraform.parser.values import (
    BOOL,
    DYNAMIC,
    NUMBER,
    STRING,
    Collection,
    Document,
    ListValue,
    MapValue,
    Null,
    ObjectType,
    ObjectValue,
    Primitive,
    SetValue,
    TerraformError,
    TupleType,
    TupleValue,
    Type,
    Unresolvable,
    Value,
    elements,
    has_dynamic,
    is_null,
    number_text,
    parse_number,
    plain,
    set_of,
    string,
    type_of,
    without_optional,
)

_SEQUENCES = ("list", "set")


def convert(value: Value, target: Type) -> Value:
    """Convert a value. Raises TerraformError if Terraform has no such conversion, Unresolvable if the result is unknown."""
    if target == STRING and type(value) is str:
        return value
    return value if target == DYNAMIC else _element(value, target)


def describe(of: Type) -> str:
    """A description of a type for error messages."""
    if isinstance(of, Primitive):
        return "any type" if of == DYNAMIC else f"a {of.name}"
    if isinstance(of, Collection):
        return f"a {of.kind}"
    return "a tuple" if isinstance(of, TupleType) else "an object"


def _convert(value: Value, target: Type) -> Value:  # noqa: PLR0911 - one way out per type
    if target == DYNAMIC:
        return value
    if is_null(value):
        return Null(_replaced(type_of(value), without_optional(target)))
    if isinstance(target, Primitive):
        return _primitive(value, target)
    if isinstance(value, (ObjectValue, MapValue)):
        return _object(value, target) if isinstance(target, ObjectType) else _map(value, target)
    if not isinstance(value, (TupleValue, ListValue, SetValue)):
        raise Unresolvable("a whole resource cannot be used as a value here")
    if isinstance(target, TupleType):
        return TupleValue([_element(item, of) for item, of in zip(value, target.elements, strict=True)])
    if not isinstance(target, Collection):
        raise TerraformError(f"{describe(target)} is required, not {describe(type_of(value))}")
    if target.kind == "set":
        # A set does not keep the order of the source, which may be undefined.
        element, items = _same_type(value, type_of(value), target.element)
        return set_of(element, items)
    return ListValue(*_same_type(elements(value), type_of(value), target.element))


def _element(value: Value, target: Type) -> Value:
    have = type_of(value)
    if have == without_optional(target):
        return value
    if not convertible(have, target):
        raise TerraformError(f"{describe(target)} is required, not {describe(have)}")
    return _convert(value, target)


def _primitive(value: Value, target: Primitive) -> Value:
    if target == STRING:
        return text(value)
    if isinstance(value, Document):
        raise Unresolvable("the JSON of a policy document, which differs between versions of the provider")
    if target == NUMBER:
        return parse_number(value) if isinstance(value, str) else value
    if value in ("true", "1"):
        return True
    if value in ("false", "0"):
        return False
    if isinstance(value, bool):
        return value
    raise TerraformError("a bool is required")


def text(value: Value) -> Value:
    """Convert a string, number or bool to a string; a policy document is unchanged. Raises TerraformError."""
    if isinstance(value, (str, Document)):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_null(value):
        raise TerraformError("null is not a string")
    if isinstance(value, (list, dict)):
        raise TerraformError(f"a string is required, not {describe(type_of(value))}")
    if type_of(value) == NUMBER:
        return number_text(value)  # type: ignore[arg-type]
    raise Unresolvable("a string is required here")


def _same_type(items: Sequence[Value], have: Type, target: Type) -> tuple[Type, list[Value]]:
    """Convert elements to one type; returns them and the type. Raises Unresolvable."""
    if not items:
        empty = have.element if target == DYNAMIC and isinstance(have, Collection) else target
        return without_optional(empty), []
    if target == DYNAMIC:
        types = list(dict.fromkeys(map(type_of, items)))
        if len(types) == 1:
            return types[0], list(items)
        unified = unify(types)
        if unified is None:
            raise TerraformError("all elements must have the same type")
        target = unified
    converted = [_element(item, target) for item in items]
    if not has_dynamic(target):
        return without_optional(target), converted
    types = list(dict.fromkeys(map(type_of, converted)))
    if len(types) == 1:
        return types[0], converted
    raise Unresolvable("elements with different nested types")


def _map(value: ObjectValue | MapValue, target: Collection | TupleType) -> MapValue:
    if isinstance(target, TupleType):
        raise TerraformError(f"a tuple is required, not {describe(type_of(value))}")
    names = sorted(value)
    element, items = _same_type([value[name] for name in names], type_of(value), target.element)
    return MapValue(element, dict(zip(names, items, strict=True)))


def _object(value: ObjectValue | MapValue, target: ObjectType) -> ObjectValue:
    result = ObjectValue()
    for name, of in target.attributes:
        if name in value:
            result[name] = _element(value[name], of)
        elif name in target.optional:
            result[name] = Null(without_optional(of))
        else:
            raise TerraformError(f"the attribute {name} is required")
    return result


def _replaced(have: Type, target: Type) -> Type:
    """The type of a converted null."""
    if not has_dynamic(target) or have == DYNAMIC:
        return target
    if target == DYNAMIC:
        return have
    raise Unresolvable("a null of an unknown type")


def convertible(have: Type, target: Type) -> bool:  # noqa: PLR0911 - one way out per pair of kinds
    """True if Terraform has a conversion, which may fail for some values."""
    if have == target or DYNAMIC in (have, target):
        return True
    if isinstance(have, Primitive) or isinstance(target, Primitive):
        return isinstance(have, Primitive) and isinstance(target, Primitive) and STRING in (have, target)
    if isinstance(target, TupleType):
        return (
            isinstance(have, TupleType)
            and len(have.elements) == len(target.elements)
            and all(map(convertible, have.elements, target.elements))
        )
    if isinstance(target, ObjectType):
        return _convertible_to_object(have, target)
    if isinstance(have, Collection):
        same_kind = have.kind == target.kind or (have.kind in _SEQUENCES and target.kind in _SEQUENCES)
        return same_kind and convertible(have.element, target.element)
    if isinstance(have, TupleType):
        return target.kind in _SEQUENCES and _convertible_to_one(have.elements, target.element)
    return target.kind == "map" and _convertible_to_one([of for _, of in have.attributes], target.element)


def _convertible_to_one(have: Iterable[Type], target: Type) -> bool:
    types = list(dict.fromkeys(have))
    if target != DYNAMIC or len(types) <= 1:
        return all(convertible(of, target) for of in types)
    return unify(types) is not None


def _convertible_to_object(have: Type, target: ObjectType) -> bool:
    if isinstance(have, Collection) and have.kind == "map":
        return all(name in target.optional or convertible(have.element, of) for name, of in target.attributes)
    if not isinstance(have, ObjectType):
        return False
    own = dict(have.attributes)
    return all(convertible(own[name], of) if name in own else name in target.optional for name, of in target.attributes)


def unify(types: Sequence[Type]) -> Type | None:  # noqa: PLR0911 - one way out per kind of types
    """The common type of all these types; None if there is none. Raises Unresolvable."""
    distinct = list(dict.fromkeys(types))
    if len(distinct) == 1:
        return distinct[0]
    if not distinct:
        return None
    if DYNAMIC in distinct and not all(isinstance(of, Primitive) for of in distinct):
        raise Unresolvable("a null without a type next to lists or objects")
    kinds = {_kind(of) for of in distinct}
    if len(kinds) == 1:
        if isinstance(distinct[0], Collection):
            element = unify([of.element for of in distinct if isinstance(of, Collection)])
            return None if element is None else Collection(distinct[0].kind, element)
        if isinstance(distinct[0], ObjectType):
            return _unify_objects([of for of in distinct if isinstance(of, ObjectType)])
        if isinstance(distinct[0], TupleType):
            return _unify_tuples([of for of in distinct if isinstance(of, TupleType)])
    if kinds in ({"list", "tuple"}, {"map", "object"}):
        return _unify_mixed(distinct)
    return _preferred(distinct)


def _kind(of: Type) -> str:
    if isinstance(of, Primitive):
        return "primitive"
    if isinstance(of, Collection):
        return of.kind
    return "tuple" if isinstance(of, TupleType) else "object"


def _unify_objects(types: list[ObjectType]) -> Type | None:
    names = _names(types[0])
    if all(_names(of) == names for of in types):
        attributes = []
        for position, name in enumerate(names):
            unified = unify([of.attributes[position][1] for of in types])
            if unified is None:
                return None
            attributes.append((name, unified))
        result = ObjectType(tuple(attributes))
        if all(convertible(of, result) for of in types):
            return result
    return _collected("map", [of for each in types for _, of in each.attributes], types)


def _names(of: ObjectType) -> list[str]:
    return [name for name, _ in of.attributes]


def _unify_tuples(types: list[TupleType]) -> Type | None:
    if all(len(of.elements) == len(types[0].elements) for of in types):
        across = [unify(list(row)) for row in zip(*[of.elements for of in types], strict=True)]
        known = [of for of in across if of is not None]
        if len(known) < len(across):
            return None
        result = TupleType(tuple(known))
        if all(convertible(of, result) for of in types):
            return result
    return _collected("list", [of for each in types for of in each.elements], types)


def _collected(kind: str, inner: Sequence[Type], types: Sequence[Type]) -> Type | None:
    """The collection type for the elements of all these types; None if there is none."""
    element = unify(inner)
    if element is None:
        return None
    result = Collection(kind, element)
    return result if all(convertible(of, result) for of in types) else None


def _unify_mixed(types: list[Type]) -> Type | None:
    """Unify lists with tuples, or maps with objects. Raises Unresolvable if versions of cty differ."""
    older = _preferred(types)
    collections: list[Type] = [of for of in types if isinstance(of, Collection)]
    kind = _kind(collections[0])
    structural = [of for of in types if not isinstance(of, Collection)]
    inner = [
        of
        for each in structural
        for of in (each.elements if isinstance(each, TupleType) else [of for _, of in each.attributes])  # type: ignore[union-attr]
    ]
    if DYNAMIC in inner:
        raise Unresolvable("a null without a type next to a list or map")
    joined = _collected(kind, inner, structural)
    newer = None if joined is None else unify([*collections, joined])
    if isinstance(newer, Collection) and newer.kind == kind and newer != older:
        raise Unresolvable("a common type that differs between versions of Terraform")
    return older


def _preferred(types: list[Type]) -> Type | None:
    """The first type, from general to specific, to which all others can be converted."""
    for position in _general_first(types):
        if all(convertible(of, types[position]) for of in types):
            return types[position]
    return None


def _general_first(types: list[Type]) -> list[int]:
    """Indices in the order in which cty tries types: a stable topological sort."""
    below: list[list[int]] = [[] for _ in types]
    above = [0] * len(types)
    for one in range(len(types)):
        for other in range(one + 1, len(types)):
            order = _compare(types[one], types[other])
            if order:
                high, low = (one, other) if order < 0 else (other, one)
                below[high].append(low)
                above[low] += 1
    queue = [position for position, count in enumerate(above) if not count]
    for position in queue:
        for low in below[position]:
            above[low] -= 1
            if not above[low]:
                queue.append(low)
    return queue


def _compare(one: Type, other: Type) -> int:
    """Negative if `one` is more general, positive if `other` is, else 0."""
    if DYNAMIC in (one, other):
        return (one == DYNAMIC) - (other == DYNAMIC)
    kinds = (_kind(one), _kind(other))
    if kinds == ("primitive", "primitive"):
        return 0 if STRING not in (one, other) else (other == STRING) - (one == STRING)
    if isinstance(one, Collection) and isinstance(other, Collection) and one.kind == other.kind:
        return _compare(one.element, other.element)
    if kinds in (("list", "tuple"), ("map", "object"), ("tuple", "set"), ("list", "set")):
        return -1
    if kinds in (("tuple", "list"), ("object", "map"), ("set", "tuple"), ("set", "list")):
        return 1
    pairs: list[tuple[Type, Type]] = []
    if isinstance(one, TupleType) and isinstance(other, TupleType) and len(one.elements) == len(other.elements):
        pairs = list(zip(one.elements, other.elements, strict=True))
    elif isinstance(one, ObjectType) and isinstance(other, ObjectType) and _names(one) == _names(other):
        pairs = [(a, b) for (_, a), (_, b) in zip(one.attributes, other.attributes, strict=True)]
    orders = {_compare(*pair) for pair in pairs} - {0}
    return orders.pop() if len(orders) == 1 else 0


def truth(value: Value) -> bool:
    """Convert a condition to a bool. Raises TerraformError, also for null."""
    if value is True or value is False:
        return value
    converted = convert(value, BOOL)
    if isinstance(converted, bool):
        return converted
    raise TerraformError("a condition that is null")


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
