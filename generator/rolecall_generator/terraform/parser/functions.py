"""Terraform's functions. The result is exactly that of Terraform, else Unresolvable.

Source: `cty/function/stdlib` of github.com/zclconf/go-cty and `internal/lang/funcs` of github.com/hashicorp/terraform,
versions 1.5 to 1.15, November 2026. `tests/tools/fuzz_expressions.py` compares them with Terraform itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from rolecall_generator.terraform.parser.conversion import (
    convert,
    decode_json,
    encode_json,
    text,
    truth,
    unify,
    value_of_json,
)
from rolecall_generator.terraform.parser.values import (
    BOOL,
    DYNAMIC,
    GO_SPACES,
    MAXIMUM_CHARACTERS,
    MAXIMUM_ITEMS,
    NUMBER,
    STRING,
    Collection,
    Document,
    ListValue,
    MapValue,
    Null,
    Number,
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
    equal,
    is_null,
    normal,
    plain,
    set_of,
    string,
    type_of,
)

_LIST_OF_STRINGS = Collection("list", STRING)
_LIST_OF_BOOLS = Collection("list", BOOL)
_ANY_LIST = Collection("list", DYNAMIC)
_ANY_SET = Collection("set", DYNAMIC)


@dataclass(frozen=True, slots=True)
class Function:
    """A function with the types of its parameters; `rest` is the type of variadic arguments.

    `null`: whether the function accepts null arguments. `result`: the type of the result, if it is always the same.
    """

    apply: Callable[..., Value]
    parameters: tuple[Type, ...] = ()
    rest: Type | None = None
    null: bool = False
    result: Type | None = None


def call(name: str, arguments: Sequence[Value]) -> Value:
    """Call a function. Raises Unresolvable if it is not supported, TerraformError if Terraform rejects the arguments."""
    function = _FUNCTIONS.get(name.removeprefix("core::"))
    if function is None:
        raise Unresolvable(f"the function {name} is not evaluated")
    try:
        return function.apply(*_fitted(function, arguments))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, StopIteration, TypeError, ValueError):
        raise Unresolvable(f"{name} cannot be evaluated with these arguments") from None
    except TerraformError as error:
        raise TerraformError(f"{name}: {error.reason}") from None


def result_type(name: str) -> Type | None:
    """The type of a function's result; None if it depends on the arguments."""
    name = name.removeprefix("core::")
    function = _FUNCTIONS.get(name)
    return _RESULTS.get(name) if function is None else function.result


def _fitted(function: Function, arguments: Sequence[Value]) -> list[Value]:
    """Convert arguments to the types of their parameters. Raises Unresolvable."""
    required = len(function.parameters)
    if len(arguments) < required or (function.rest is None and len(arguments) > required):
        raise TerraformError("wrong number of arguments")
    fitted = []
    for position, argument in enumerate(arguments):
        of = function.parameters[position] if position < required else function.rest or DYNAMIC
        value = convert(argument, of)
        null = is_null(value)
        if null and not function.null:
            raise TerraformError("an argument is null")
        fitted.append(plain(value) if of == STRING and not null else value)
    return fitted


# Strings


def _trim_space(value: str) -> str:
    return string(value.strip(GO_SPACES))


def _split(separator: str, value: str) -> Value:
    parts = value.split(separator) if separator else list(value)
    return ListValue(STRING, [string(part) for part in parts])


def _join(separator: str, *lists: ListValue) -> str:
    if not lists:
        raise TerraformError("at least one list is required")
    parts = []
    for items in lists:
        for item in items:
            if is_null(item):
                raise TerraformError("null cannot be joined")
            parts.append(plain(item))
    if len(separator) * len(parts) > MAXIMUM_CHARACTERS:
        raise Unresolvable("a value too large to be evaluated")
    return string(separator.join(parts))


def _replace(value: str, old: str, new: str) -> str:
    if len(old) > 1 and old.startswith("/") and old.endswith("/"):
        raise Unresolvable("replace with a regular expression is not evaluated")
    if len(new) * (value.count(old) if old else len(value) + 1) > MAXIMUM_CHARACTERS:
        raise Unresolvable("a value too large to be evaluated")
    return string(value.replace(old, new))


def _ascii(value: str) -> str:
    if not value.isascii():
        raise Unresolvable("characters outside ASCII, whose rules differ between versions of Unicode")
    return value


def _substr(value: str, offset: Number, length: Number) -> str:
    if "\r" in _ascii(value):
        raise Unresolvable("a substring of a string with carriage returns")
    start, count = _whole(offset), _whole(length)
    if start < 0:
        start += len(value)
        if start < 0 or count == 0:
            raise Unresolvable("a substring with an offset before the start")
    elif count == 0:
        return ""
    return value[start:] if count < 0 else value[start : start + count]


_VERB = re.compile(r"%(?:(?P<percent>%)|(?P<verb>[svqtd])|(?P<zeros>0[1-9]?[0-9]?)d|(?P<other>.|$))", re.DOTALL)


def _format(template: str, *arguments: Value) -> str:
    if None in arguments:
        raise Unresolvable("a null without a type in format, which is unknown in some versions of Terraform")
    parts, at, used = [], 0, 0
    verbs = list(_VERB.finditer(template))
    if unknown := next((verb for verb in verbs if verb["other"] is not None), None):
        raise Unresolvable(f"the verb {unknown.group()} of format is not evaluated")
    for verb in verbs:
        parts.append(template[at : verb.start()])
        at = verb.end()
        if verb["percent"]:
            parts.append("%")
            continue
        if used == len(arguments):
            raise TerraformError("not enough arguments for the verbs of format")
        parts.append(_formatted(verb, arguments[used]))
        used += 1
    if used < len(arguments):
        raise TerraformError("more arguments than verbs of format")
    parts.append(template[at:])
    return string("".join(parts))


def _formatted(verb: re.Match[str], value: Value) -> str:
    kind = verb["verb"] or "d"
    if kind == "v":
        return _as_is(value)
    if is_null(value):
        raise TerraformError("null cannot be formatted")
    if kind in ("s", "q"):
        characters = plain(text(value))
        return characters if kind == "s" else encode_json(characters)
    if kind == "t":
        return "true" if truth(value) else "false"
    number = convert(value, NUMBER)
    if not isinstance(number, int):
        raise TerraformError("an integer is required")
    return f"{number:{verb['zeros'] or ''}d}"


def _as_is(value: Value) -> str:
    """The format `%v`: strings and numbers as they are, other values as JSON. Raises Unresolvable."""
    if isinstance(value, (str, Document)):
        return plain(value)
    if isinstance(value, bool) or is_null(value) or type_of(value) != NUMBER:
        return encode_json(value)
    if isinstance(value, int):
        digits = str(abs(value))
        if len(digits) <= 6:  # noqa: PLR2004 - from the seventh digit on Go's 'g' writes an exponent
            return str(value)
        first, rest = digits[0], digits[1:].rstrip("0")
        return f"{'-' * (value < 0)}{first}{'.' * bool(rest)}{rest}e+{len(digits) - 1:02d}"
    raise Unresolvable("a fraction formatted with %v")


def _format_list(template: str, *arguments: Value) -> Value:
    rows = [value for value in arguments if isinstance(value, (TupleValue, ListValue, SetValue))]
    lengths = {len(elements(row)) for row in rows}
    if len(lengths) > 1:
        raise TerraformError("lists of different lengths")
    length = lengths.pop() if lengths else 1
    columns = [value if isinstance(value, (TupleValue, ListValue, SetValue)) else [value] * length for value in arguments]
    if any(isinstance(value, Null) and isinstance(value.type, (Collection, TupleType)) for value in arguments):
        raise Unresolvable("a null list in formatlist")
    return ListValue(STRING, [_format(template, *[column[row] for column in columns]) for row in range(length)])


# Numbers


def _whole(value: Number) -> int:
    """An integer in the range of indices. Raises Unresolvable."""
    if not isinstance(value, int):
        raise TerraformError("a whole number is required")
    if value.bit_length() > 62:  # noqa: PLR2004 - Go's int has 64
        raise Unresolvable("a very large whole number")
    return value


def _extreme(choose: Callable[[Sequence[Number]], Number], *values: Number) -> Number:
    if not values:
        raise TerraformError("at least one number is required")
    return choose(values)


def _ceil(value: Number) -> Number:
    result = -(Fraction(-value) // 1)
    if result == 0 and value < 0:
        raise Unresolvable("a negative zero")
    return normal(result)


# Collections


def _sequence(value: Value) -> TupleValue | ListValue | SetValue:
    if isinstance(value, (TupleValue, ListValue, SetValue)):
        return elements(value)
    type_of(value)
    raise TerraformError("a list, set or tuple is required")


def _mapping(value: Value) -> ObjectValue | MapValue:
    if isinstance(value, (ObjectValue, MapValue)):
        return value
    type_of(value)
    raise TerraformError("a map or object is required")


def _like(source: ObjectValue | MapValue, items: list[Value], element: Type) -> Value:
    """A list for a map, a tuple for an object."""
    return ListValue(element, items) if isinstance(source, MapValue) else TupleValue(items)


def _length(value: Value) -> int:
    if isinstance(value, (str, Document)):
        characters = _ascii(plain(value))
        # One grapheme cluster.
        return len(characters) - characters.count("\r\n")
    if isinstance(value, (list, dict)):
        return len(value)
    type_of(value)
    raise TerraformError("only strings and collections have a length")


def _concat(*lists: Value) -> Value:
    if not lists:
        raise TerraformError("at least one list is required")
    for items in lists:
        if not isinstance(items, (TupleValue, ListValue)):
            type_of(items)
            raise TerraformError("only lists and tuples can be joined")
    of_lists = [items for items in lists if isinstance(items, ListValue)]
    if len(of_lists) == len(lists):
        common = unify([type_of(items) for items in of_lists])
        if isinstance(common, Collection):
            joined = [item for items in of_lists for item in convert(items, common)]  # type: ignore[union-attr]
            return ListValue(common.element, joined)
    return TupleValue([item for items in lists for item in items])  # type: ignore[union-attr]


def _flatten(value: Value) -> Value:
    flat = TupleValue()
    for item in _sequence(value):
        flat.extend(_flatten(item) if isinstance(item, (TupleValue, ListValue, SetValue)) else [item])  # type: ignore[arg-type]
        if len(flat) > MAXIMUM_ITEMS:
            raise Unresolvable("a value too large to be evaluated")
    return flat


def _merge(*maps: Value) -> Value:
    merged: dict[str, Value] = {}
    types = []
    for values in maps:
        if is_null(values):
            of = type_of(values)
            if of == DYNAMIC:
                raise Unresolvable("merge with a null without a type")
            if not isinstance(of, ObjectType) and not (isinstance(of, Collection) and of.kind == "map"):
                raise TerraformError("only maps and objects can be merged")
            types.append(of if isinstance(of, Collection) else type_of(ObjectValue()))
            continue
        types.append(type_of(_mapping(values)) if isinstance(values, MapValue) else DYNAMIC)
        merged.update(_mapping(values))
    if maps and all(map(is_null, maps)):
        raise Unresolvable("merge of nulls only")
    if types and isinstance(types[0], Collection) and all(of == types[0] for of in types):
        return MapValue(types[0].element, merged)
    return ObjectValue(merged)


def _element(items: Value, index: Number) -> Value:
    if isinstance(items, SetValue):
        raise TerraformError("a set has no indices")
    sequence, position = _sequence(items), _whole(index)
    if not sequence:
        raise TerraformError("an element of an empty list")
    if position < 0:
        raise Unresolvable("element with a negative index, which differs between versions of Terraform")
    return sequence[position % len(sequence)]


def _lookup(values: Value, key: Value, *default: Value) -> Value:
    if is_null(values) or is_null(key):
        raise TerraformError("an argument is null")
    mapping, name = _mapping(values), plain(key)
    if len(default) > 1:
        raise TerraformError("too many arguments")
    fallback = default[0] if default else None
    if default and isinstance(mapping, MapValue):
        fallback = convert(fallback, mapping.element)
    if name in mapping:
        return mapping[name]
    if default:
        return fallback
    raise TerraformError(f"there is no element {name}")


def _one(items: Value) -> Value:
    if not isinstance(items, (TupleValue, ListValue, SetValue)):
        type_of(items)
    elif len(items) <= 1:
        if items:
            return items[0]
        return None if isinstance(items, TupleValue) else Null(items.element)
    raise TerraformError("a list with at most one element is required")


def _coalesce(*values: Value) -> Value:
    common = unify([type_of(value) for value in values])
    if common is None:
        raise TerraformError("all arguments must have the same type")
    for value in values:
        try:
            converted = convert(value, common)
        except TerraformError:
            raise Unresolvable("coalesce of values without a common type") from None
        if not is_null(converted) and not (converted == "" and isinstance(converted, str)):
            return converted
    raise TerraformError("no argument that is neither null nor empty")


def _coalesce_list(*lists: Value) -> Value:
    if not lists:
        raise TerraformError("at least one argument is required")
    for items in lists:
        of = type_of(items)
        if of == DYNAMIC:
            raise Unresolvable("coalescelist with a null without a type")
        if not isinstance(of, TupleType) and not (isinstance(of, Collection) and of.kind == "list"):
            raise TerraformError("only lists and tuples are allowed")
    for items in lists:
        if items and isinstance(items, (TupleValue, ListValue)):
            return items
    raise TerraformError("all lists are empty")


def _contains(items: Value, value: Value) -> bool:
    if is_null(items):
        raise TerraformError("an argument is null")
    if not isinstance(items, (TupleValue, ListValue, SetValue)):
        type_of(items)
        raise TerraformError("a list, set or tuple is required")
    if is_null(value):
        raise Unresolvable("contains with a null, which differs between versions of Terraform")
    return any(equal(value, item) for item in items)


def _distinct(items: ListValue) -> Value:
    if items.element == STRING:
        seen: dict[object, Value] = {}
        for item in items:
            seen.setdefault(None if is_null(item) else plain(item), item)
        return ListValue(STRING, seen.values())
    if len(items) > _QUADRATIC:
        raise Unresolvable("distinct of a very long list")
    unique: list[Value] = []
    for item in items:
        if not any(equal(item, other) for other in unique):
            unique.append(item)
    return ListValue(items.element, unique)


_QUADRATIC = 500


def _compact(items: ListValue) -> Value:
    return ListValue(STRING, [item for item in items if not is_null(item) and (isinstance(item, Document) or item != "")])


def _sort(items: ListValue) -> Value:
    if any(map(is_null, items)):
        raise TerraformError("null cannot be sorted")
    return ListValue(STRING, sorted(map(plain, items)))


def _reverse(value: Value) -> Value:
    items = _sequence(value)
    if isinstance(items, TupleValue):
        return TupleValue(items[::-1])
    return ListValue(items.element, items[::-1])


def _slice(value: Value, start: Number, end: Number) -> Value:
    if not isinstance(value, (TupleValue, ListValue)):
        type_of(value)
        raise TerraformError("a list or tuple is required")
    first, last = _whole(start), _whole(end)
    if not 0 <= first <= last <= len(value):
        raise TerraformError("indices out of range")
    part = value[first:last]
    return TupleValue(part) if isinstance(value, TupleValue) else ListValue(value.element, part)


def _keys(value: Value) -> Value:
    mapping = _mapping(value)
    return _like(mapping, [str(name) for name in sorted(mapping)], STRING)


def _values(value: Value) -> Value:
    mapping = _mapping(value)
    element = mapping.element if isinstance(mapping, MapValue) else DYNAMIC
    return _like(mapping, [mapping[name] for name in sorted(mapping)], element)


def _zipmap(keys: ListValue, values: Value) -> Value:
    if not isinstance(values, (TupleValue, ListValue)):
        type_of(values)
        raise TerraformError("a list or tuple is required")
    if len(keys) != len(values):
        raise TerraformError("as many keys as values are required")
    if any(map(is_null, keys)):
        raise TerraformError("null is not a key")
    pairs = dict(zip(map(plain, keys), values, strict=True))
    return MapValue(values.element, pairs) if isinstance(values, ListValue) else ObjectValue(pairs)


def _set_operation(combine: Callable[[list[Value], list[Value]], list[Value]]) -> Callable[..., Value]:
    def apply(*sets: SetValue) -> Value:
        types = [each.element for each in sets if each or each.element != DYNAMIC]
        element = unify(types) if types else DYNAMIC
        if element is None:
            raise TerraformError("sets of different types")
        if element == DYNAMIC:
            if any(sets):
                raise Unresolvable("sets of nulls without a type")
            return SetValue(DYNAMIC)
        if not isinstance(element, Primitive):
            raise Unresolvable("a set of lists or objects")
        converted = [list(convert(each, Collection("set", element))) for each in sets]  # type: ignore[arg-type]
        result = converted[0]
        for other in converted[1:]:
            result = combine(result, other)
        return set_of(element, result)

    return apply


def _all_true(items: ListValue) -> bool:
    return all(item is True for item in items)


def _any_true(items: ListValue) -> bool:
    return any(item is True for item in items)


def _jsondecode(characters: str) -> Value:
    try:
        return value_of_json(decode_json(characters))
    except ValueError:
        # Terraform accepts some documents that `decode_json` rejects, as with a repeated key.
        raise Unresolvable("JSON that is invalid or that Terraform may parse differently") from None


_S, _N, _ANY = STRING, NUMBER, DYNAMIC
_FUNCTIONS: dict[str, Function] = {
    "abs": Function(abs, (_N,), result=_N),
    "alltrue": Function(_all_true, (_LIST_OF_BOOLS,), result=BOOL),
    "anytrue": Function(_any_true, (_LIST_OF_BOOLS,), result=BOOL),
    "ceil": Function(_ceil, (_N,), result=_N),
    "chomp": Function(lambda value: value.rstrip("\r\n"), (_S,), result=_S),
    "coalesce": Function(_coalesce, rest=_ANY, null=True),
    "coalescelist": Function(_coalesce_list, rest=_ANY, null=True),
    "compact": Function(_compact, (_LIST_OF_STRINGS,), result=_LIST_OF_STRINGS),
    "concat": Function(_concat, rest=_ANY),
    "contains": Function(_contains, (_ANY, _ANY), null=True, result=BOOL),
    "distinct": Function(_distinct, (_ANY_LIST,)),
    "element": Function(_element, (_ANY, _N)),
    "endswith": Function(lambda value, end: value.endswith(end), (_S, _S), result=BOOL),
    "flatten": Function(_flatten, (_ANY,)),
    "floor": Function(lambda value: normal(Fraction(value) // 1), (_N,), result=_N),
    "format": Function(_format, (_S,), _ANY, null=True, result=_S),
    "formatlist": Function(_format_list, (_S,), _ANY, null=True, result=_LIST_OF_STRINGS),
    "join": Function(_join, (_S,), _LIST_OF_STRINGS, result=_S),
    "jsondecode": Function(_jsondecode, (_S,)),
    "jsonencode": Function(encode_json, (_ANY,), null=True, result=_S),
    "keys": Function(_keys, (_ANY,)),
    "length": Function(_length, (_ANY,), result=_N),
    "lookup": Function(_lookup, (_ANY, _S), _ANY, null=True),
    "lower": Function(lambda value: _ascii(value).lower(), (_S,), result=_S),
    "max": Function(lambda *values: _extreme(max, *values), rest=_N, result=_N),
    "merge": Function(_merge, rest=_ANY, null=True),
    "min": Function(lambda *values: _extreme(min, *values), rest=_N, result=_N),
    "nonsensitive": Function(lambda value: value, (_ANY,), null=True),
    "one": Function(_one, (_ANY,)),
    "replace": Function(_replace, (_S, _S, _S), result=_S),
    "reverse": Function(_reverse, (_ANY,)),
    "sensitive": Function(lambda value: value, (_ANY,), null=True),
    "setintersection": Function(_set_operation(lambda a, b: [item for item in a if item in b]), (_ANY_SET,), _ANY_SET),
    "setsubtract": Function(_set_operation(lambda a, b: [item for item in a if item not in b]), (_ANY_SET, _ANY_SET)),
    "setunion": Function(_set_operation(lambda a, b: a + b), (_ANY_SET,), _ANY_SET),
    "slice": Function(_slice, (_ANY, _N, _N)),
    "sort": Function(_sort, (_LIST_OF_STRINGS,), result=_LIST_OF_STRINGS),
    "split": Function(_split, (_S, _S), result=_LIST_OF_STRINGS),
    "startswith": Function(lambda value, start: value.startswith(start), (_S, _S), result=BOOL),
    "strcontains": Function(lambda value, part: part in value, (_S, _S), result=BOOL),
    "substr": Function(_substr, (_S, _N, _N), result=_S),
    "tobool": Function(lambda value: convert(value, BOOL), (_ANY,), null=True, result=BOOL),
    "tolist": Function(lambda value: convert(value, _ANY_LIST), (_ANY,), null=True),
    "tomap": Function(lambda value: convert(value, Collection("map", DYNAMIC)), (_ANY,), null=True),
    "tonumber": Function(lambda value: convert(value, NUMBER), (_ANY,), null=True, result=_N),
    "toset": Function(lambda value: convert(value, _ANY_SET), (_ANY,), null=True),
    "tostring": Function(lambda value: convert(value, STRING), (_ANY,), null=True, result=_S),
    "trim": Function(lambda value, characters: string(value.strip(characters)), (_S, _S), result=_S),
    "trimprefix": Function(lambda value, start: string(value.removeprefix(start)), (_S, _S), result=_S),
    "trimspace": Function(_trim_space, (_S,), result=_S),
    "trimsuffix": Function(lambda value, end: string(value.removesuffix(end)), (_S, _S), result=_S),
    "upper": Function(lambda value: _ascii(value).upper(), (_S,), result=_S),
    "values": Function(_values, (_ANY,)),
    "zipmap": Function(_zipmap, (_LIST_OF_STRINGS, _ANY)),
}

_RESULTS: dict[str, Type] = {
    **dict.fromkeys(
        ("abspath", "base64decode", "base64encode", "base64sha256", "basename", "cidrhost", "dirname", "file", "filebase64",
         "filemd5", "filesha256", "formatdate", "indent", "md5", "pathexpand", "sha1", "sha256", "sha512", "strrev",
         "templatefile", "timeadd", "timestamp", "title", "urlencode", "uuid", "uuidv5", "yamlencode"), STRING),
    **dict.fromkeys(("can", "fileexists"), BOOL),
    **dict.fromkeys(("index", "log", "parseint", "pow", "signum", "sum"), NUMBER),
}  # fmt: skip
"""Types of the results of other functions, whatever their arguments."""
