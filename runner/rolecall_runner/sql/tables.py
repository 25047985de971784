"""What `runner sql --tables` lists: each table with its columns, rows and runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rolecall_runner.results.arrow_batches import PLACES, layout_of
from rolecall_runner.results.arrow_rows import survey
from rolecall_runner.results.arrow_types import ListOf, MapOf, Scalar, Struct, Type
from rolecall_runner.sql.catalogue import Catalogue

_NAMES = {
    Scalar.NULL: "null",
    Scalar.BOOLEAN: "boolean",
    Scalar.INTEGER: "bigint",
    Scalar.LONG: "bigint",
    Scalar.DOUBLE: "double",
    Scalar.STRING: "varchar",
    Scalar.TIMESTAMP: "timestamptz",
    Scalar.BLOB: "blob",
    Scalar.JSON: "json",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A table: its columns with their types in SQL, the number of its rows, and the runs that they are of."""

    table: str
    rows: int
    runs: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]


def listed(catalogue: Catalogue) -> Iterator[Listed]:
    """The tables by name. Reads every row for the types. Raises JournalError."""
    for name in catalogue.listed:
        table = catalogue.tables[name]
        found = survey(catalogue.runs, table.questions)
        columns = [(place, sql_type(kind)) for place, kind in PLACES.items()]
        columns += [(column.name, sql_type(column.kind)) for column in layout_of(found.columns).columns]
        yield Listed(name, found.rows, tuple(each.record.run_id for each in table.questions), tuple(columns))


def sql_type(kind: Type) -> str:
    """The type as DuckDB writes it; the fields of an object are left out: `struct`, `struct[]`."""
    if isinstance(kind, ListOf):
        return f"{sql_type(kind.item)}[]"
    if isinstance(kind, MapOf):
        return f"map(varchar, {sql_type(kind.value)})"
    if isinstance(kind, Struct):
        return "struct" if kind.fields else "json"
    return _NAMES[kind]
