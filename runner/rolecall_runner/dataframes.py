"""Rows of a query as flat records, and as data frames of pandas, PyArrow and Polars.

No value is lost: a column whose values have no common type in PyArrow or Polars becomes strings of JSON. pandas keeps
Python's own objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rolecall_generator.errors import ToolError
from rolecall_generator.text import json_text
from rolecall_runner.query import Row

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

PLACE_COLUMNS = ("account", "account_id", "region", "time")
"""The first columns of every row."""
REHEARSAL_COLUMN = "rehearsal"
"""The column after those, true in rows from a sandbox; rows from AWS do not have it."""


def record_of(row: Row) -> dict[str, Any]:
    """The row as one object: its origin, then its values. Values named like an origin column get the prefix `value_`."""
    mark = {REHEARSAL_COLUMN: True} if row.rehearsal else {}
    taken = (*PLACE_COLUMNS, *mark)
    return {
        "account": row.account,
        "account_id": row.account_id,
        "region": row.region,
        "time": row.time,
        **mark,
        **{(f"value_{key}" if key in taken else key): value for key, value in row.values.items()},
    }


Columns = dict[str, list[Any]]


def columns_of_rows(rows: Iterable[Row]) -> Columns:
    """The values of each column, None where a row has none: first those of the origin, then in order of appearance."""
    records = [record_of(row) for row in rows]
    names = dict.fromkeys((*PLACE_COLUMNS, *(name for record in records for name in record)))
    return {name: [record.get(name) for record in records] for name in names}


def to_pandas(rows: Iterable[Row]) -> pandas.DataFrame:
    """A `pandas.DataFrame` with a column per name. Raises ToolError if pandas is not installed."""
    library = _library("pandas")
    frame: pandas.DataFrame = library.DataFrame(columns_of_rows(rows))
    return frame


def to_arrow(rows: Iterable[Row]) -> pyarrow.Table:
    """A `pyarrow.Table`. Raises ToolError if PyArrow is not installed."""
    library = _library("pyarrow")
    errors = (library.ArrowException, OverflowError, TypeError, ValueError)
    found = {
        name: _typed(values, library.array, lambda made: made.to_pylist(), errors)
        for name, values in columns_of_rows(rows).items()
    }
    table: pyarrow.Table = library.table(found)
    return table


def to_polars(rows: Iterable[Row]) -> polars.DataFrame:
    """A `polars.DataFrame`. Raises ToolError if Polars is not installed."""
    library = _library("polars")
    errors = (library.exceptions.PolarsError, OverflowError, TypeError, ValueError)
    found = {
        name: _typed(values, lambda given: library.Series(values=given), lambda made: made.to_list(), errors)
        for name, values in columns_of_rows(rows).items()
    }
    frame: polars.DataFrame = library.DataFrame(found)
    return frame


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ToolError(f"this needs {name}, which is not installed", hint=f"pip install {name}") from None


def _typed(
    values: Sequence[Any],
    make: Callable[[Sequence[Any]], Any],
    read: Callable[[Any], list[Any]],
    errors: tuple[type[Exception], ...],
) -> Any:
    """A column of the type that the library finds for the values, or of JSON if it finds none that holds all of them."""
    try:
        made = make(values)
        if all(_equal(value, found) for value, found in zip(values, read(made), strict=True)):
            return made
    except errors:
        pass
    return make([None if value is None else json_text(value, ascii_only=False) for value in values])


def _equal(value: Any, found: Any) -> bool:
    """Whether a value was kept. A missing field of an object may be read as None, a number as another type of number."""
    if isinstance(value, Mapping):
        if not isinstance(found, Mapping):
            return False
        return all(_equal(value.get(key), found.get(key)) for key in {*value, *found})
    if isinstance(value, list):
        return isinstance(found, list) and len(value) == len(found) and all(map(_equal, value, found))
    return isinstance(value, bool) == isinstance(found, bool) and value == found
