"""Column types of query results: read from the botocore model, widened by the values, and written as DuckDB types.

Columns of the model exist even if no row has a value for them. A value of another type widens its column: an integer and a
fraction become DOUBLE, a string in a timestamp column changes it to VARCHAR, and types with nothing in common become JSON.
No value is dropped because of its type.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from rolecall_runner.query import VALUE, QueryError, reply_model

MAX_FIELDS = 300
"""Maximum number of fields of an object type that is widened by values. Objects with more fields are stored as JSON."""
_MAXIMUM_EXACT = 2**53
_INT64_LIMIT = 2**63


class Scalar(StrEnum):
    """A scalar type of JSON values in the journal.

    NULL: no value seen yet. INTEGER: integers that a double represents exactly. LONG: other 64-bit integers. TIMESTAMP: ISO
    8601 with a time zone. BLOB: base64. JSON: any value, stored as JSON text.
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
    """A map with string keys and values of one type, as in the AWS models."""

    value: Type


@dataclass(frozen=True, slots=True)
class Struct:
    """An object with known fields: those of the model in its order, then others in order of appearance."""

    fields: Mapping[str, Type]


Type = Scalar | ListOf | MapOf | Struct

_MERGED_SCALARS = {
    frozenset({Scalar.INTEGER, Scalar.LONG}): Scalar.LONG,
    frozenset({Scalar.INTEGER, Scalar.DOUBLE}): Scalar.DOUBLE,
    frozenset({Scalar.STRING, Scalar.TIMESTAMP}): Scalar.STRING,
    frozenset({Scalar.STRING, Scalar.BLOB}): Scalar.STRING,
    frozenset({Scalar.TIMESTAMP, Scalar.BLOB}): Scalar.STRING,
}


def merge(one: Type, other: Type) -> Type:
    """Return the narrowest type that holds the values of both types."""
    if one == other or other is Scalar.NULL:
        return one
    if one is Scalar.NULL:
        return other
    if isinstance(one, Scalar) and isinstance(other, Scalar):
        return _MERGED_SCALARS.get(frozenset({one, other}), Scalar.JSON)
    return _merge_parts(one, other)


def _merge_parts(one: Type, other: Type) -> Type:
    if isinstance(one, ListOf) and isinstance(other, ListOf):
        return ListOf(merge(one.item, other.item))
    if isinstance(one, MapOf) and isinstance(other, MapOf):
        return MapOf(merge(one.value, other.value))
    if isinstance(one, Struct) and isinstance(other, Struct):
        both = merge_structs(one, other)
        return both if _valid_field_names(both.fields) else Scalar.JSON
    return Scalar.JSON


def merge_structs(one: Struct, other: Struct) -> Struct:
    """Return an object type with the fields of both, without the limits that apply to nested objects."""
    names = dict.fromkeys((*one.fields, *other.fields))
    return Struct({name: merge(one.fields.get(name, Scalar.NULL), other.fields.get(name, Scalar.NULL)) for name in names})


def widen(known: Type, value: Any) -> Type:
    """Return `known` itself if it holds this JSON value, else the narrowest type that holds both."""
    if value is None or known is Scalar.JSON:
        return known
    if isinstance(value, dict):
        return _widen_object(known, value)
    if isinstance(value, list):
        return _widen_list(known, value)
    return known if isinstance(known, Scalar) and _holds(known, value) else merge(known, _scalar_of(value))


def widen_row(known: Struct, row: Mapping[str, Any]) -> Struct:
    """Widen the columns of a table by one row. There is no limit on the number of columns."""
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
        inner = _widen_all(known.value, value.values())
        return known if inner is known.value else MapOf(inner)
    if isinstance(known, Struct) or known is Scalar.NULL:
        before = known if isinstance(known, Struct) else Struct({})
        after = widen_row(before, value)
        if after is before:
            return before
        grown = len(after.fields) > len(before.fields)
        return Scalar.JSON if grown and (len(after.fields) > MAX_FIELDS or not _valid_field_names(after.fields)) else after
    return Scalar.JSON


def _widen_list(known: Type, value: list[Any]) -> Type:
    if isinstance(known, ListOf):
        inner = _widen_all(known.item, value)
        return known if inner is known.item else ListOf(inner)
    return ListOf(_widen_all(Scalar.NULL, value)) if known is Scalar.NULL else Scalar.JSON


def _valid_field_names(names: Iterable[str]) -> bool:
    """Return whether the names can be the field names of a STRUCT: valid, non-empty, and distinct regardless of case."""
    listed = list(names)
    return len({name.lower() for name in listed}) == len(listed) and all(
        name and "\0" not in name and _is_utf8(name) for name in listed
    )


def _widen_all(known: Type, values: Iterable[Any]) -> Type:
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
        if abs(value) <= _MAXIMUM_EXACT:
            return Scalar.INTEGER
        return Scalar.LONG if -_INT64_LIMIT <= value < _INT64_LIMIT else Scalar.JSON
    if isinstance(value, float):
        return Scalar.DOUBLE if math.isfinite(value) else Scalar.JSON
    # UTF-8 cannot encode a lone surrogate; JSON escapes it.
    return Scalar.STRING if isinstance(value, str) and _is_utf8(value) else Scalar.JSON


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_time(text: str) -> datetime | None:
    """Parse ISO 8601 into a UTC time. Return None for anything else, including a time without a time zone."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def read_blob(text: str) -> bytes | None:
    """Decode base64. Return None for anything else, including text that would not encode back to the same string."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if base64.b64encode(found).decode("ascii") == text else None


def type_to_json(kind: Type) -> Any:
    """Return the type as JSON values: the name of a scalar, or an object with the key `list`, `map` or `struct`."""
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


def duckdb_type(kind: Type, *, inner: bool = False) -> str:
    """Return the DuckDB type in SQL. `inner`: inside a list, map, or struct, where JSON is stored as VARCHAR."""
    if isinstance(kind, ListOf):
        return f"{duckdb_type(kind.item, inner=True)}[]"
    if isinstance(kind, MapOf):
        return f"MAP(VARCHAR, {duckdb_type(kind.value, inner=True)})"
    if isinstance(kind, Struct) and kind.fields:
        fields = (f"{quote_name(name)} {duckdb_type(each, inner=True)}" for name, each in kind.fields.items())
        return f"STRUCT({', '.join(fields)})"
    if kind is Scalar.JSON or isinstance(kind, Struct):  # Parquet has no object type without fields
        return "VARCHAR" if inner else "JSON"
    return _DUCKDB_SCALARS[kind]


def short_type(kind: Type) -> str:
    """Return the DuckDB type for display: in lower case, without the fields of objects (`struct`, `struct[]`)."""
    if isinstance(kind, ListOf):
        return f"{short_type(kind.item)}[]"
    if isinstance(kind, MapOf):
        return f"map(varchar, {short_type(kind.value)})"
    if isinstance(kind, Struct) and kind.fields:
        return "struct"
    return duckdb_type(kind).strip('"').lower()


def quote_name(name: str) -> str:
    """Quote an SQL identifier."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def duckdb_encoder(kind: Type) -> Callable[[Any], Any] | None:
    """Return a function that turns a value of the type into the JSON that DuckDB reads as its `duckdb_type`.

    None means that values need no conversion, so that most cells are not traversed.
    """
    if isinstance(kind, ListOf):
        return _list_encoder(kind)
    if isinstance(kind, MapOf):
        return _map_encoder(kind)
    if isinstance(kind, Struct) and kind.fields:
        return _struct_encoder(kind)
    if kind is Scalar.TIMESTAMP:
        return _encode_time
    if kind is Scalar.BLOB:
        return lambda text: "".join(f"\\x{byte:02X}" for byte in base64.b64decode(text))
    is_json = kind is Scalar.JSON or isinstance(kind, Struct)
    return (lambda value: json.dumps(value, separators=(",", ":"))) if is_json else None


def _list_encoder(kind: ListOf) -> Callable[[Any], Any] | None:
    encode = duckdb_encoder(kind.item)
    return encode and (lambda items: [None if item is None else encode(item) for item in items])


def _map_encoder(kind: MapOf) -> Callable[[Any], Any] | None:
    encode = duckdb_encoder(kind.value)
    return encode and (lambda body: {key: None if item is None else encode(item) for key, item in body.items()})


def _struct_encoder(kind: Struct) -> Callable[[Any], Any] | None:
    encoders = {name: encode for name, each in kind.fields.items() if (encode := duckdb_encoder(each)) is not None}

    def encode_fields(body: Mapping[str, Any]) -> dict[str, Any]:
        encoded = dict(body)
        for name, encode in encoders.items():
            if encoded.get(name) is not None:
                encoded[name] = encode(encoded[name])
        return encoded

    return encode_fields if encoders else None


def _encode_time(text: str) -> str | None:
    found = read_time(text)
    return None if found is None else found.isoformat()


_DUCKDB_SCALARS: Mapping[Type, str] = {
    Scalar.NULL: '"NULL"',
    Scalar.BOOLEAN: "BOOLEAN",
    Scalar.INTEGER: "BIGINT",
    Scalar.LONG: "BIGINT",
    Scalar.DOUBLE: "DOUBLE",
    Scalar.STRING: "VARCHAR",
    Scalar.TIMESTAMP: "TIMESTAMPTZ",
    Scalar.BLOB: "BLOB",
}

_MODEL_SCALARS = {
    "boolean": Scalar.BOOLEAN,
    "integer": Scalar.LONG,  # some services exceed the 32 bits that their model declares
    "long": Scalar.LONG,
    "float": Scalar.DOUBLE,  # a 32-bit float would change the digits
    "double": Scalar.DOUBLE,
    "string": Scalar.STRING,
    "timestamp": Scalar.TIMESTAMP,
    "blob": Scalar.BLOB,
}
_MAXIMUM_DEPTH = 24


def row_type(service: str, operation: str, select: str | None) -> Struct:
    """Return the columns that the botocore model declares for the rows of a query.

    `select`: the JMESPath expression that produces the rows. The result has no fields if the model does not determine the
    columns, or if the installed botocore does not have the operation.
    """
    try:
        shape, expression = reply_model(service, operation, select)
    except QueryError:
        return Struct({})
    kind = shape_type(shape)
    if expression is not None:
        kind = selected_type(expression, kind)
    if isinstance(kind, ListOf):
        kind = kind.item
    if isinstance(kind, Struct):
        return kind
    return Struct({}) if kind is Scalar.NULL or not isinstance(kind, Scalar) else Struct({VALUE: kind})


def shape_type(shape: Any, above: tuple[str, ...] = ()) -> Type:
    """Return the type of a botocore shape. `above`: names of the enclosing shapes.

    Recursive shapes (AttributeValue in DynamoDB) and document types are JSON. Sensitive shapes are NULL, because their
    values may be replaced by a placeholder string.
    """
    if shape is None or shape.metadata.get("sensitive"):
        return Scalar.NULL
    if shape.name in above or len(above) > _MAXIMUM_DEPTH or getattr(shape, "is_document_type", False):
        return Scalar.JSON
    inside = (*above, shape.name)
    if shape.type_name == "structure":
        fields = {name: shape_type(member, inside) for name, member in shape.members.items() if name != "ResponseMetadata"}
        return Struct(fields) if len({name.lower() for name in fields}) == len(fields) else Scalar.JSON
    if shape.type_name == "list":
        return ListOf(shape_type(shape.member, inside))
    if shape.type_name == "map":
        return MapOf(shape_type(shape.value, inside))
    return _MODEL_SCALARS.get(shape.type_name, Scalar.NULL)


def selected_type(node: Mapping[str, Any], kind: Type) -> Type:
    """Return the type that a parsed JMESPath expression selects from `kind`; NULL if it depends on the values."""
    name, children = node["type"], node["children"]
    if name in {"subexpression", "pipe", "index_expression"}:
        for child in children:
            kind = selected_type(child, kind)
        return kind
    if name in {"projection", "filter_projection", "value_projection"}:
        return _projected(node, kind)
    if name in {"or_expression", "and_expression"}:
        # An empty list or false on the left yields the right side; its values then widen the type.
        return merge(selected_type(children[0], kind), selected_type(children[1], kind))
    simple = _NODE_TYPES.get(name)
    return simple(node, kind) if simple is not None else Scalar.NULL


def _projected(node: Mapping[str, Any], kind: Type) -> Type:
    source = selected_type(node["children"][0], kind)
    if node["type"] == "value_projection":
        each: Type = source.value if isinstance(source, MapOf) else Scalar.NULL
    else:
        each = source.item if isinstance(source, ListOf) else Scalar.NULL
    return ListOf(selected_type(node["children"][1], each))


def _field(node: Mapping[str, Any], kind: Type) -> Type:
    if isinstance(kind, Struct):
        return kind.fields.get(node["value"], Scalar.NULL)
    return kind.value if isinstance(kind, MapOf) else Scalar.NULL


def _flatten(node: Mapping[str, Any], kind: Type) -> Type:
    source = selected_type(node["children"][0], kind)
    if isinstance(source, ListOf) and isinstance(source.item, ListOf):
        return source.item
    return source if isinstance(source, ListOf) else Scalar.NULL


_FUNCTIONS: Mapping[str, Type] = {
    "length": Scalar.LONG,
    "contains": Scalar.BOOLEAN,
    "starts_with": Scalar.BOOLEAN,
    "ends_with": Scalar.BOOLEAN,
    "join": Scalar.STRING,
    "type": Scalar.STRING,
    "keys": ListOf(Scalar.STRING),
    "avg": Scalar.DOUBLE,
}
_NODE_TYPES: Mapping[str, Callable[[Mapping[str, Any], Type], Type]] = {
    "field": _field,
    "flatten": _flatten,
    "multi_select_dict": lambda node, kind: Struct(
        {pair["value"]: selected_type(pair["children"][0], kind) for pair in node["children"]}
    ),
    "index": lambda _node, kind: kind.item if isinstance(kind, ListOf) else Scalar.NULL,
    "slice": lambda _node, kind: kind,
    "identity": lambda _node, kind: kind,
    "current": lambda _node, kind: kind,
    "comparator": lambda _node, _kind: Scalar.BOOLEAN,
    "not_expression": lambda _node, _kind: Scalar.BOOLEAN,
    "function_expression": lambda node, _kind: _FUNCTIONS.get(node["value"], Scalar.NULL),
}
