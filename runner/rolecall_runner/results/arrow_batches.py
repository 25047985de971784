"""Rows as Arrow record batches: types of the tree as Arrow's, values as their types want them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rolecall_runner.results.arrow_library import library
from rolecall_runner.results.arrow_rows import Record
from rolecall_runner.results.arrow_types import (
    ListOf,
    MapOf,
    Scalar,
    Struct,
    Type,
    read_blob,
    read_time,
    type_from_json,
    type_to_json,
)

PLACES: Mapping[str, Scalar] = {
    "account": Scalar.STRING,
    "account_id": Scalar.STRING,
    "region": Scalar.STRING,
    "asked_at": Scalar.TIMESTAMP,
    "run_id": Scalar.STRING,
}
"""Columns that every table has, before its own."""
BATCH_ROWS = 8192
_TYPES_KEY = b"rolecall.types"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, the key of the rows' values, and its type."""

    name: str
    key: str
    kind: Type


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of a table: those of the place, by name, then the rows' own.

    `schema` is Arrow's; its metadata holds the types that it was made of, which `types_in` reads back.
    """

    places: tuple[str, ...]
    columns: tuple[Column, ...]
    schema: Any


def layout_of(types: Struct, places: Iterable[str] = PLACES, taken: Iterable[str] = ()) -> Layout:
    """The columns of rows of this type. Names of places, and those `taken`, get `value_` before; names that SQL would take
    for one, since they differ in case alone, get a number after. Raises ToolError without pyarrow.
    """
    kept = tuple(places)
    reserved = {*kept, *taken}
    used = set(reserved)
    columns = []
    for key, kind in types.fields.items():
        columns.append(Column(_free(key, reserved, used), key, kind))
        used.add(columns[-1].name.lower())
    pa = library("pyarrow")
    fields = [pa.field(name, arrow_type(PLACES[name])) for name in kept]
    fields += [pa.field(column.name, arrow_type(column.kind)) for column in columns]
    return Layout(kept, tuple(columns), pa.schema(fields, {_TYPES_KEY: json.dumps(type_to_json(types)).encode()}))


def _free(key: str, reserved: set[str], used: set[str]) -> str:
    text = key.encode("utf-8", "replace").decode().replace("\0", "?") or "value"
    base = f"value_{text}" if text.lower() in reserved else text
    name, number = base, 2
    while name.lower() in used:
        name, number = f"{base}_{number}", number + 1
    return name


def types_in(schema: Any) -> Struct | None:
    """The types that a schema of ours was made of; None for another's."""
    try:
        found = type_from_json(json.loads((schema.metadata or {})[_TYPES_KEY]))
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    return found if isinstance(found, Struct) else None


def arrow_type(kind: Type, *, inner: bool = False) -> Any:
    """The Arrow type: times in microseconds UTC, maps with text keys, JSON as Arrow's own JSON text.

    `inner`: JSON inside of lists and objects is plain text, since pyarrow 26 builds no extension arrays there.
    """
    pa = library("pyarrow")
    if isinstance(kind, ListOf):
        return pa.list_(arrow_type(kind.item, inner=True))
    if isinstance(kind, MapOf):
        return pa.map_(pa.string(), arrow_type(kind.value, inner=True))
    if isinstance(kind, Struct) and kind.fields:
        return pa.struct([pa.field(name, arrow_type(each, inner=True)) for name, each in kind.fields.items()])
    simple: dict[Any, Callable[[], Any]] = {
        Scalar.NULL: pa.null,
        Scalar.BOOLEAN: pa.bool_,
        Scalar.INTEGER: pa.int64,
        Scalar.LONG: pa.int64,
        Scalar.DOUBLE: pa.float64,
        Scalar.STRING: pa.string,
        Scalar.TIMESTAMP: lambda: pa.timestamp("us", "UTC"),
        Scalar.BLOB: pa.binary,
    }
    if isinstance(kind, Struct):  # an object that never had a field: Parquet has no such type
        kind = Scalar.JSON
    return simple.get(kind, pa.string if inner else pa.json_)()


def arrow_value(kind: Type, value: Any) -> Any:
    """A JSON value as pyarrow takes it for the type, which must hold it."""
    if value is None:
        return None
    if isinstance(kind, ListOf):
        return [arrow_value(kind.item, item) for item in value]
    if isinstance(kind, MapOf):
        return [(key, arrow_value(kind.value, item)) for key, item in value.items()]
    if isinstance(kind, Struct) and kind.fields:
        return {name: arrow_value(inner, value.get(name)) for name, inner in kind.fields.items()}
    if isinstance(kind, Scalar) and kind is not Scalar.JSON:
        return _READERS[kind](value) if kind in _READERS else value
    return json.dumps(value, separators=(",", ":"))


_READERS: Mapping[Scalar, Callable[[Any], Any]] = {
    Scalar.TIMESTAMP: read_time,
    Scalar.BLOB: read_blob,
    Scalar.DOUBLE: float,
}


def batches(layout: Layout, records: Iterable[Record], rows: int = BATCH_ROWS) -> Iterator[Any]:
    """Record batches of at most `rows` rows; so many are in memory at a time."""
    pa = library("pyarrow")
    kinds = [*(PLACES[name] for name in layout.places), *(column.kind for column in layout.columns)]
    remaining = iter(records)
    while chunk := list(islice(remaining, rows)):
        values = [[getattr(record, name) for record in chunk] for name in layout.places]
        values += [[record.values.get(column.key) for record in chunk] for column in layout.columns]
        arrays = [
            pa.array([arrow_value(kind, value) for value in column], type=field.type)
            for kind, column, field in zip(kinds, values, layout.schema, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=layout.schema)
