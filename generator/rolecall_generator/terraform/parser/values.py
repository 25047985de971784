"""Terraform's values, numbers and types, as defined by the library cty.

A value is a str, bool, number (int or Fraction), a collection class of this module, None (null without a type) or `Null`.
`Document` is a string whose characters depend on the version of the provider; `Namespace` is a resource. There are no
unknown values: evaluation raises Unresolvable if a value cannot be determined, and its subclass TerraformError if Terraform
reports an error, which `try` and `can` handle.

Numbers are binary floating point with 512 bits of precision. Terraform rounds to the precision of the operands, which is 64
bits for what some functions return. What would need rounding is therefore Unresolvable, except in literals and strings,
which are always parsed with 512 bits.

Sources: github.com/zclconf/go-cty, versions 1.13 to 1.18 (Terraform 1.5 to 1.15), and its ParseNumberVal; Go's
math/big.Float; November 2026.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rolecall_generator.iam import PolicyDocument


MAXIMUM_ITEMS = 200_000
"""Maximum number of nested values; five characters of a string count as one value."""
MAXIMUM_COMBINING = 100
"""Maximum number of successive combining characters; Unicode's stream-safe text format allows 30."""
MAXIMUM_CHARACTERS = 5 * MAXIMUM_ITEMS

GO_SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""White space of Go's unicode.IsSpace; Python's str.strip also removes U+001C to U+001F."""


# Types


@dataclass(frozen=True, slots=True)
class Primitive:
    """string, number or bool; `dynamic` is the type of a null without a type, and `any` in a type constraint."""

    name: str


@dataclass(frozen=True, slots=True)
class Collection:
    """A `list`, `set` or `map` with one element type."""

    kind: str
    element: Type


@dataclass(frozen=True, slots=True)
class TupleType:
    """A sequence with a type for each element."""

    elements: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class ObjectType:
    """Attributes sorted by name. `optional` is used only in type constraints."""

    attributes: tuple[tuple[str, Type], ...]
    optional: frozenset[str] = frozenset()


Type: TypeAlias = Primitive | Collection | TupleType | ObjectType

STRING = Primitive("string")
NUMBER = Primitive("number")
BOOL = Primitive("bool")
DYNAMIC = Primitive("dynamic")


class Unresolvable(Exception):  # noqa: N818 - becomes a finding
    """The value of an expression cannot be determined. Callers set `file` and `line`.

    `type` is the type of a variable without a value, else None.
    """

    def __init__(
        self, reason: str, line: int | None = None, file: str | None = None, value_type: Type | None = None
    ) -> None:
        self.reason = reason
        self.line = line
        self.file = file
        self.type = value_type
        super().__init__(reason)


class TerraformError(Unresolvable):
    """All versions of Terraform report an error for the expression; `try` and `can` handle it."""


# Values


@dataclass(frozen=True, slots=True)
class Null:
    """A null with a type, as in an attribute with `optional()`."""

    type: Type


@dataclass(frozen=True, slots=True)
class Document:
    """A policy as JSON whose characters depend on the version of the provider; usable only as a whole."""

    policy: PolicyDocument


@dataclass(frozen=True, slots=True)
class Namespace:
    """A value with attributes that are evaluated when read, as `var` or a resource."""

    get: Callable[[str], Value]


class TupleValue(list["Value"]):
    """The value of `[ ]`."""

    __slots__ = ()


class ListValue(list["Value"]):
    """A list with one element type."""

    __slots__ = ("element",)

    def __init__(self, element: Type, items: Iterable[Value] = ()) -> None:
        super().__init__(items)
        self.element = element


class SetValue(list["Value"]):
    """A set, created by `set_of`: unique elements, in the order of iteration if `ordered`."""

    __slots__ = ("element", "ordered")

    def __init__(self, element: Type, items: Iterable[Value] = (), *, ordered: bool = True) -> None:
        super().__init__(items)
        self.element = element
        self.ordered = ordered


class ObjectValue(dict[str, "Value"]):
    """The value of `{ }`."""

    __slots__ = ()


class MapValue(dict[str, "Value"]):
    """A map with one element type."""

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
    raise Unresolvable("a whole resource cannot be used as a value here")


def is_null(value: Value) -> bool:
    """True for a null with or without a type."""
    return value is None or type(value) is Null


def has_dynamic(of: Type) -> bool:
    """True if `dynamic` is part of a type."""
    if isinstance(of, Primitive):
        return of is DYNAMIC or of == DYNAMIC
    if isinstance(of, Collection):
        return has_dynamic(of.element)
    if isinstance(of, TupleType):
        return any(map(has_dynamic, of.elements))
    return any(has_dynamic(attribute) for _, attribute in of.attributes)


def without_optional(of: Type) -> Type:
    """The type of the values that a type constraint produces."""
    if isinstance(of, Primitive):
        return of
    if isinstance(of, Collection):
        return Collection(of.kind, without_optional(of.element))
    if isinstance(of, TupleType):
        return TupleType(tuple(map(without_optional, of.elements)))
    return ObjectType(tuple((name, without_optional(attribute)) for name, attribute in of.attributes))


def string(characters: str) -> str:
    """Normalize a string to NFC, as Terraform does with every string. Raises Unresolvable if it is too long."""
    if len(characters) > MAXIMUM_CHARACTERS:
        raise Unresolvable("a value too large to be evaluated")
    if characters.isascii():
        return characters
    if has_long_combining_run(characters):
        raise Unresolvable(f"more than {MAXIMUM_COMBINING} combining characters in a row")
    return unicodedata.normalize("NFC", characters)


def has_long_combining_run(characters: str) -> bool:
    """True if normalizing would be slow: it takes quadratic time in the length of a run of combining characters."""
    run = 0
    for character in characters if len(characters) > MAXIMUM_COMBINING else "":
        run = run + 1 if unicodedata.combining(character) else 0
        if run > MAXIMUM_COMBINING:
            return True
    return False


def plain(value: Value) -> str:
    """The characters of a string. Raises Unresolvable if they depend on the version of the provider."""
    if isinstance(value, str):
        return value
    if isinstance(value, Document):
        raise Unresolvable("the JSON of a policy document, which differs between versions of the provider")
    raise Unresolvable("a string is required here")


def elements(value: Sequence) -> Sequence:
    """The elements in Terraform's order of iteration. Raises Unresolvable if that order is undefined."""
    if type(value) is SetValue and not value.ordered:
        raise Unresolvable("the elements of a set of objects or lists have no defined order")
    return value


def set_of(element: Type, items: Iterable[Value]) -> SetValue:
    """A set of values of one type. Raises Unresolvable if it cannot be determined which of them are equal."""
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
    # Terraform sorts nulls last.
    return SetValue(element, ordered + [Null(element)] * (len(known) < len(listed)))


def _frozen(value: Value) -> object:
    """A hashable key that is equal for equal values of one type. Raises Unresolvable."""
    if isinstance(value, (TupleValue, ListValue)):
        return tuple([_frozen(item) for item in value])
    if isinstance(value, SetValue):
        return frozenset([_frozen(item) for item in value])
    if isinstance(value, dict):
        return tuple([(name, _frozen(value[name])) for name in sorted(value)])
    if isinstance(value, Document):
        return plain(value)
    if isinstance(value, Namespace):
        raise Unresolvable("a whole resource cannot be used as a value here")
    return None if is_null(value) else value


def equal(one: Value, other: Value) -> bool:
    """Terraform's `==`: all nulls are equal, values of different types are not. Raises Unresolvable."""
    if is_null(one) or is_null(other):
        return is_null(one) and is_null(other)
    if type(one) is str and type(other) is str:
        return one == other
    first, second = type_of(one), type_of(other)
    if has_dynamic(first) or has_dynamic(second):
        # The result is unknown in Terraform 1.11.
        raise Unresolvable("a comparison of values with a null without a type")
    return first == second and _same(one, other)


def _same(one: Value, other: Value) -> bool:
    """True if two values of one type are equal. Raises Unresolvable."""
    if is_null(one) or is_null(other):
        return is_null(one) and is_null(other)
    if isinstance(one, Document) or isinstance(other, Document):
        raise Unresolvable("the JSON of a policy document, which differs between versions of the provider")
    if isinstance(one, SetValue):
        return _frozen(one) == _frozen(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    return bool(one == other)


def weight(*values: Value) -> int:
    """The number of nested values. Raises Unresolvable beyond MAXIMUM_ITEMS.

    A nested value counts at each occurrence, since a few locals that double each other produce values of any size.
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


Number = int | Fraction

PRECISION = 512
_SAFE_BITS = 64
"""A result of at most this many bits is exact at every precision that Terraform uses."""
_DIGITS = 60
_PLAIN = re.compile(r"-?[0-9]{1,150}(?:\.[0-9]{1,150})?(?:[eE][+-]?[0-9]{1,2})?")
_PERHAPS = re.compile(r"[+-]?(?:[0-9.][0-9._eEpP+-]*|[iI][nN][fF].*)")


def parse_number(text: str) -> Number:
    """Parse a number literal or a string that contains a number.

    Raises TerraformError if no version of Terraform accepts it, Unresolvable for unsupported forms.
    """
    if _PLAIN.fullmatch(text):
        value = _rounded(Fraction(text))
        if value == 0 and text.startswith("-"):
            raise Unresolvable("a negative zero")
        return value
    if _PERHAPS.fullmatch(text):
        raise Unresolvable("a number in an unsupported form")
    raise TerraformError("a number is required")


def _rounded(value: Fraction) -> Number:
    """Round to 512 bits, ties to even."""
    if value.denominator == 1 and value.numerator.bit_length() <= PRECISION:
        return value.numerator
    if value.numerator == 0:
        return 0
    scale = PRECISION - (abs(value.numerator).bit_length() - value.denominator.bit_length())
    # round() of a Fraction rounds half to even; the first scale may leave one bit too many or too few.
    for exponent in (scale + 1, scale, scale - 1):
        mantissa = round(value * Fraction(2) ** exponent)
        if abs(mantissa).bit_length() <= PRECISION:
            return normal(Fraction(mantissa) / Fraction(2) ** exponent)
    raise Unresolvable("a number that cannot be rounded")  # pragma: no cover


def normal(value: Number) -> Number:
    """Convert integral numbers to int. Raises Unresolvable for numbers that 512 bits cannot represent."""
    if isinstance(value, Fraction) and value.denominator == 1:
        value = value.numerator
    if isinstance(value, int) and value.bit_length() > PRECISION:
        raise Unresolvable("a number too large to be evaluated")
    return value


def exact(value: Number) -> Number:
    """The result of a calculation. Raises Unresolvable if Terraform may have rounded it."""
    fraction = Fraction(value)
    denominator = fraction.denominator
    if denominator & (denominator - 1):
        raise Unresolvable("a quotient that has to be rounded")
    odd = abs(fraction.numerator)
    if odd:
        odd >>= (odd & -odd).bit_length() - 1
    if max(odd.bit_length(), denominator.bit_length()) > _SAFE_BITS or abs(fraction.numerator).bit_length() > PRECISION:
        raise Unresolvable("a number that may have to be rounded")
    return normal(fraction)


def number_text(value: Number) -> str:
    """The shortest decimal form of a number, without exponent. Raises Unresolvable if it is very long."""
    if isinstance(value, int):
        return str(value)
    sign, magnitude = ("-" if value < 0 else ""), abs(value)
    whole = int(magnitude)
    # Decimal places of the first significant digit.
    first = 0 if whole else len(str(magnitude.denominator // magnitude.numerator)) - 1
    for places in range(max(first, 1), first + _DIGITS):
        scaled = round(magnitude * 10**places)
        if _rounded(Fraction(scaled, 10**places)) == magnitude:
            digits = str(scaled).rjust(places + 1, "0")
            return f"{sign}{digits[:-places]}.{digits[-places:]}"
    raise Unresolvable("a number with very many decimals")
