"""Terraform's values and types, as the library cty has them.

A known value is a str, bool, number (int or Fraction), one of the collection classes here, None (null without a type) or
`Null`. `Document` is a string whose characters depend on the version of the provider; `Namespace` is a resource. There is no
unknown value: evaluation stops with Unresolvable where a value cannot be known, and with Refused where Terraform itself
reports an error, so that `try` and `can` go on after the second only.

Source: github.com/zclconf/go-cty, versions 1.13 to 1.18 (Terraform 1.5 to 1.15), November 2026.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rolecall_generator.iam import PolicyDocument


MAXIMUM_ITEMS = 200_000
"""Values within values, and a string's characters by five: more than any module of this kind holds."""
MAXIMUM_COMBINING = 100
"""Combining characters in a row; Unicode's stream-safe text has at most 30."""
MAXIMUM_CHARACTERS = 5 * MAXIMUM_ITEMS

GO_SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What Go's unicode.IsSpace takes for white space; Python's str.strip also takes U+001C to U+001F."""


# Types


@dataclass(frozen=True, slots=True)
class Primitive:
    """string, number or bool; `dynamic` is the type of a null that has none, and `any` in a type constraint."""

    name: str


@dataclass(frozen=True, slots=True)
class Collection:
    """`list`, `set` or `map` of one element type."""

    kind: str
    element: Type


@dataclass(frozen=True, slots=True)
class TupleType:
    """A sequence whose elements have types of their own."""

    elements: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class ObjectType:
    """Attributes sorted by name. `optional` is not empty in type constraints only."""

    attributes: tuple[tuple[str, Type], ...]
    optional: frozenset[str] = frozenset()


Type: TypeAlias = Primitive | Collection | TupleType | ObjectType

STRING = Primitive("string")
NUMBER = Primitive("number")
BOOL = Primitive("bool")
DYNAMIC = Primitive("dynamic")


class Unresolvable(Exception):  # noqa: N818 - becomes a finding, never an error to a user
    """An expression whose value is not known here. `file` and `line` are filled in on the way out.

    `type`: of a variable without a value, None elsewhere.
    """

    def __init__(
        self, reason: str, line: int | None = None, file: str | None = None, value_type: Type | None = None
    ) -> None:
        self.reason = reason
        self.line = line
        self.file = file
        self.type = value_type
        super().__init__(reason)


class Refused(Unresolvable):
    """An expression that every version of Terraform reports as an error. `try` and `can` go on after it."""


# Values


@dataclass(frozen=True, slots=True)
class Null:
    """A null of a type, as an attribute that `optional()` fills in."""

    type: Type


@dataclass(frozen=True, slots=True)
class Document:
    """A policy as JSON whose text depends on the version of the provider: only whole can it be used."""

    policy: PolicyDocument


@dataclass(frozen=True, slots=True)
class Namespace:
    """Something with attributes that are looked up by name, as `var` or one resource."""

    get: Callable[[str], Value]


class TupleValue(list["Value"]):
    """What a `[ ]` makes."""

    __slots__ = ()


class ListValue(list["Value"]):
    """A list of elements of one type."""

    __slots__ = ("element",)

    def __init__(self, element: Type, items: Iterable[Value] = ()) -> None:
        super().__init__(items)
        self.element = element


class SetValue(list["Value"]):
    """A set, made by `set_of`: elements once each, in the order of iteration if `ordered`."""

    __slots__ = ("element", "ordered")

    def __init__(self, element: Type, items: Iterable[Value] = (), *, ordered: bool = True) -> None:
        super().__init__(items)
        self.element = element
        self.ordered = ordered


class ObjectValue(dict[str, "Value"]):
    """What a `{ }` makes."""

    __slots__ = ()


class MapValue(dict[str, "Value"]):
    """A map of elements of one type."""

    __slots__ = ("element",)

    def __init__(self, element: Type, items: dict[str, Value] | None = None) -> None:
        super().__init__(items or {})
        self.element = element


Value: TypeAlias = (
    str
    | bool
    | int
    | Fraction
    | Null
    | Document
    | Namespace
    | TupleValue
    | ListValue
    | SetValue
    | ObjectValue
    | MapValue
    | None
)
Sequence: TypeAlias = TupleValue | ListValue | SetValue

_PRIMITIVES: dict[type, Type] = {
    str: STRING,
    bool: BOOL,
    int: NUMBER,
    Fraction: NUMBER,
    Document: STRING,
    type(None): DYNAMIC,
}


def type_of(value: Value) -> Type:  # noqa: PLR0911 - one way out per kind of value
    """The type of a value. Raises Unresolvable for a resource."""
    primitive = _PRIMITIVES.get(type(value))
    if primitive is not None:
        return primitive
    if isinstance(value, Null):
        return value.type
    if isinstance(value, TupleValue):
        return TupleType(tuple([type_of(item) for item in value]))
    if isinstance(value, ObjectValue):
        return ObjectType(tuple([(name, type_of(value[name])) for name in sorted(value)]))
    if isinstance(value, ListValue):
        return Collection("list", value.element)
    if isinstance(value, SetValue):
        return Collection("set", value.element)
    if isinstance(value, MapValue):
        return Collection("map", value.element)
    raise Unresolvable("a whole resource is no value here")


def is_null(value: Value) -> bool:
    """Whether a value is null, with a type or without."""
    return value is None or type(value) is Null


def has_dynamic(of: Type) -> bool:
    """Whether `dynamic` is anywhere in a type."""
    if isinstance(of, Primitive):
        return of is DYNAMIC or of == DYNAMIC
    if isinstance(of, Collection):
        return has_dynamic(of.element)
    if isinstance(of, TupleType):
        return any(map(has_dynamic, of.elements))
    return any(has_dynamic(attribute) for _, attribute in of.attributes)


def without_optional(of: Type) -> Type:
    """A type constraint as the type of the values that it makes."""
    if isinstance(of, Primitive):
        return of
    if isinstance(of, Collection):
        return Collection(of.kind, without_optional(of.element))
    if isinstance(of, TupleType):
        return TupleType(tuple(map(without_optional, of.elements)))
    return ObjectType(tuple((name, without_optional(attribute)) for name, attribute in of.attributes))


def string(characters: str) -> str:
    """A string as Terraform has it: it normalizes every string that it makes. Raises Unresolvable when it is too long."""
    if len(characters) > MAXIMUM_CHARACTERS:
        raise Unresolvable("a value too large to be evaluated")
    if characters.isascii():
        return characters
    if has_long_combining_run(characters):
        raise Unresolvable(f"more than {MAXIMUM_COMBINING} combining characters in a row")
    return unicodedata.normalize("NFC", characters)


def has_long_combining_run(characters: str) -> bool:
    """Whether normalizing would be slow: it takes time in the square of the length of a run of combining characters."""
    run = 0
    for character in characters if len(characters) > MAXIMUM_COMBINING else "":
        run = run + 1 if unicodedata.combining(character) else 0
        if run > MAXIMUM_COMBINING:
            return True
    return False


def plain(value: Value) -> str:
    """The characters of a string. Raises Unresolvable where they depend on the version of the provider."""
    if isinstance(value, str):
        return value
    if isinstance(value, Document):
        raise Unresolvable("the text of a policy document, which differs between versions of the provider")
    raise Unresolvable("a string is required here")


def elements(value: Sequence) -> Sequence:
    """The elements in the order in which Terraform iterates. Raises Unresolvable where that order is undefined."""
    if type(value) is SetValue and not value.ordered:
        raise Unresolvable("the elements of a set of objects or lists have no defined order")
    return value


def set_of(element: Type, items: Iterable[Value]) -> SetValue:
    """A set of values of one type. Raises Unresolvable when it cannot be known which of them are equal."""
    listed = list(items)
    if len(listed) <= 1:
        return SetValue(element, listed)
    if has_dynamic(element):
        raise Unresolvable("a set of nulls without a type")
    if not isinstance(element, Primitive):
        unique = {_frozen(item): item for item in reversed(listed)}
        return SetValue(element, unique.values(), ordered=len(unique) <= 1)
    known = [item for item in listed if not is_null(item)]
    if element == STRING:
        ordered: list[Value] = sorted({plain(item): item for item in known}.values(), key=plain)
    else:
        ordered = sorted(dict.fromkeys(known))  # type: ignore[type-var]
    # Nulls come last.
    return SetValue(element, ordered + [Null(element)] * (len(known) < len(listed)))


def _frozen(value: Value) -> object:
    """Something hashable that is equal for equal values of one type."""
    if isinstance(value, (TupleValue, ListValue)):
        return tuple([_frozen(item) for item in value])
    if isinstance(value, SetValue):
        return frozenset([_frozen(item) for item in value])
    if isinstance(value, dict):
        return tuple([(name, _frozen(value[name])) for name in sorted(value)])
    if isinstance(value, Document):
        return plain(value)
    if isinstance(value, Namespace):
        raise Unresolvable("a whole resource is no value here")
    return None if is_null(value) else value


def equal(one: Value, other: Value) -> bool:
    """Terraform's `==`: values of different types are never equal, all nulls are. Raises Unresolvable."""
    if is_null(one) or is_null(other):
        return is_null(one) and is_null(other)
    if type(one) is str and type(other) is str:
        return one == other
    first, second = type_of(one), type_of(other)
    if has_dynamic(first) or has_dynamic(second):
        # Terraform 1.11 makes an unknown value of it.
        raise Unresolvable("a comparison of values with a null without a type")
    return first == second and _same(one, other)


def _same(one: Value, other: Value) -> bool:
    """Whether two values of one type are equal."""
    if is_null(one) or is_null(other):
        return is_null(one) and is_null(other)
    if isinstance(one, Document) or isinstance(other, Document):
        raise Unresolvable("the text of a policy document, which differs between versions of the provider")
    if isinstance(one, SetValue):
        return _frozen(one) == _frozen(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    return bool(one == other)


def weight(*values: Value) -> int:
    """How much there is in values, nested ones each time. Raises Unresolvable beyond MAXIMUM_ITEMS.

    Doubling locals reach any size in a few lines.
    """
    left = MAXIMUM_ITEMS
    waiting: list[Value] = [*values]
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
    return MAXIMUM_ITEMS - left
