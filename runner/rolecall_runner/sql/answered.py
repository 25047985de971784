"""An answer of DuckDB: its columns, and its rows as Arrow batches or as JSON values, some thousand in memory at a time."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from typing import Any

from rolecall_runner.results.arrow_library import library
from rolecall_runner.sql.errors import SqlError

JSON_TYPE = "JSON"


@dataclass(frozen=True, slots=True)
class Answered:
    """Columns with their types in SQL; of equal names the later ones get a number. Rows can be taken once.

    `explained` makes a SqlError of what DuckDB says while rows are taken.
    """

    columns: tuple[tuple[str, str], ...]
    reader: Any
    explained: Callable[[Exception], SqlError]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, each of them once."""
        return tuple(name for name, _ in self.columns)

    def schema(self) -> Any:
        """The Arrow schema of `batches`."""
        pa = library("pyarrow")
        types = [pa.json_() if kind == JSON_TYPE else field.type for (_, kind), field in self._fields()]
        return pa.schema(list(zip(self.names, types, strict=True)))

    def batches(self) -> Iterator[Any]:
        """The rows as Arrow record batches; JSON as Arrow's JSON. Raises SqlError."""
        pa = library("pyarrow")
        schema = self.schema()
        for batch in self._taken(pa):
            arrays = [
                pa.ExtensionArray.from_storage(schema.field(index).type, array) if kind == JSON_TYPE else array
                for index, ((_, kind), array) in enumerate(zip(self.columns, batch.columns, strict=True))
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows as JSON values: times as ISO 8601, bytes as base64, maps as objects. Raises SqlError."""
        for batch in self._taken(library("pyarrow")):
            columns = [
                _values(array, parsed=kind == JSON_TYPE)
                for (_, kind), array in zip(self.columns, batch.columns, strict=True)
            ]
            for values in zip(*columns, strict=True):
                yield dict(zip(self.names, values, strict=True))

    def _fields(self) -> Iterator[tuple[tuple[str, str], Any]]:
        return zip(self.columns, self.reader.schema, strict=True)

    def _taken(self, pa: Any) -> Iterator[Any]:
        try:
            yield from self.reader
        except (pa.ArrowException, OSError) as error:  # pyarrow 26 hands DuckDB's errors on as OSError
            raise self.explained(error) from None


def unique(names: list[str]) -> Iterator[str]:
    """The names, each once: the second `a` is `a_2`."""
    used: set[str] = set()
    for name in names:
        free, number = name, 2
        while free.lower() in used:
            free, number = f"{name}_{number}", number + 1
        used.add(free.lower())
        yield free


def _values(array: Any, *, parsed: bool) -> list[Any]:
    if parsed:
        return [None if text is None else json.loads(text) for text in array.to_pylist()]
    return [json_value(array.type, value) for value in array.to_pylist()]


def json_value(kind: Any, value: Any) -> Any:
    """A value of Arrow's, as `to_pylist` gives it, in JSON's types."""
    pa = library("pyarrow")
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return {each.name: json_value(each.type, value[each.name]) for each in kind}
    if pa.types.is_map(kind):
        return {str(json_value(kind.key_type, key)): json_value(kind.item_type, item) for key, item in value}
    if isinstance(value, list):
        return [json_value(kind.value_type, item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)  # JSON has no NaN
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)
