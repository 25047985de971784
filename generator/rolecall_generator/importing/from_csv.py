"""`gen import csv`: the accounts of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from rolecall_generator.errors import Problem, SelectionError
from rolecall_generator.iam.arn import parse_arn
from rolecall_generator.importing.columns import ROLE_ARN, headers_of, match_columns
from rolecall_generator.importing.model import Account, ImportProblemsError, Reading, Value
from rolecall_generator.importing.table import Row, read_table
from rolecall_generator.manifest.csvfile import BOOLEAN_COLUMNS, LIST_COLUMNS, MAP_COLUMNS, NUMBER_COLUMNS
from rolecall_generator.manifest.scalars import clip
from rolecall_generator.manifest.tree import Point

_SEPARATORS = re.compile(r"[;,\s]+")
_GROUPED = re.compile(r"\d{4}[- ]\d{4}[- ]\d{4}")
_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False}
_SHORTENED = re.compile(r"\d{1,11}|\d(?:[.,]\d+)?[eE]\+?\d+|\d+[.,]0+")


def read_csv_accounts(
    path: Path, columns: Mapping[str, str], *, delimiter: str | None = None, encoding: str | None = None
) -> Reading:
    """The accounts of a table. `columns`: headers by field, for those that are called otherwise.

    Raises ImportProblemsError with every row that cannot be read, and SelectionError for a column that is not there.
    """
    table = read_table(path, delimiter=delimiter, encoding=encoding)
    fields, ignored = match_columns(table.header, columns)
    if not {"account_id", ROLE_ARN} & set(fields.values()):
        raise SelectionError(
            "no column holds the account ids", where=str(path),
            mend=f'name it: --column account_id="HEADER"; the table has: {headers_of(table.header)}',
        )  # fmt: skip
    problems: list[Problem] = []
    accounts = tuple(_account(row, fields, str(path), problems) for row in table.rows)
    shifted = list(_too_long(table.rows, len(table.header), str(path)))
    if problems or shifted:
        lines = {problem.line - 1 for problem in shifted}  # their cells stand in wrong columns: more would be noise
        raise ImportProblemsError(problems + shifted, [one for one in accounts if one.at.line not in lines])
    return Reading(str(path), accounts, (), ignored)


def _account(row: Row, columns: Mapping[int, str], file: str, problems: list[Problem]) -> Account:
    found: dict[str, Value] = {}
    marks: dict[str, Point] = {}
    maps: dict[str, dict[str, str]] = {}
    named: dict[str, Value] = {}
    partition = ""
    for number, field in columns.items():
        cell = row.cells[number] if number < len(row.cells) else ""
        if not cell:
            continue
        at = Point(row.line, number)
        prefix, colon, key = field.partition(":")
        if colon:
            maps.setdefault(MAP_COLUMNS[prefix], {})[key] = cell
            marks[MAP_COLUMNS[prefix]] = at
        elif field == ROLE_ARN:
            parts = role_fields(cell)
            if parts is None:
                what, mend = f'role_arn "{clip(cell)}" is no role', "write arn:aws:iam::222222222222:role/NAME"
                problems.append(Problem(file, row.line + 1, number + 1, what, mend))
                marks.setdefault("account_id", at)
                continue
            named, arn, partition = parts, at, cell.split(":")[1]
        else:
            found[field] = _value(field, cell)
            marks[field] = at
            if field == "account_id":
                problems += _shortened(cell, file, at)
    if named:
        marks = {**dict.fromkeys(named, arn), **marks}
        problems += _contradicted(named, found, file, arn)
    name = str(found.pop("name", ""))
    return Account(name, {**named, **found, **maps}, file, Point(row.line, 0), marks, partition)


def _contradicted(named: Mapping[str, Value], found: Mapping[str, Value], file: str, at: Point) -> Iterator[Problem]:
    """Columns of one row that speak of different roles: a guess would name somebody else's account."""
    for field, value in named.items():
        if field in found and found[field] != value:
            what = f"role_arn says {field} {clip(str(value))}, the column {field} {clip(str(found[field]))}"
            yield Problem(file, at.line + 1, at.column + 1, what, "see which is right, and leave the other empty")


def role_fields(arn: str) -> dict[str, Value] | None:
    """Account id, role and path of a role's ARN; None for anything else."""
    parsed = parse_arn(arn)
    if parsed is None or parsed.service != "iam" or parsed.kind != "role" or not parsed.account_id:
        return None
    path, _, name = parsed.resource.removeprefix("role").rpartition("/")
    return {"account_id": parsed.account_id, "role": name, "path": f"{path}/"}


def _value(field: str, cell: str) -> Value:
    if field == "account_id":
        return re.sub(r"[- ]", "", cell) if _GROUPED.fullmatch(cell) else cell
    if field in LIST_COLUMNS:
        return tuple(part for part in _SEPARATORS.split(cell) if part)
    if field in NUMBER_COLUMNS:
        return int(cell) if cell.isascii() and cell.isdecimal() else cell
    return _BOOLEANS.get(cell.casefold(), cell) if field in BOOLEAN_COLUMNS else cell


def _shortened(cell: str, file: str, at: Point) -> Iterator[Problem]:
    """What a spreadsheet makes of an account id that it takes for a number; a guess would name somebody else's account."""
    if _SHORTENED.fullmatch(cell):
        yield Problem(
            file, at.line + 1, at.column + 1, f'account_id "{clip(cell)}" was shortened, as spreadsheets do with numbers',
            "format the column as text, and write all 12 digits",
        )  # fmt: skip


def _too_long(rows: tuple[Row, ...], width: int, file: str) -> Iterator[Problem]:
    for row in rows:
        if any(row.cells[width:]):
            what = f"the row has {len(row.cells)} cells, the header {width}"
            yield Problem(file, row.line + 1, width + 1, what, "put cells that hold the delimiter in quotes")
