"""Imports accounts from a CSV file: detects encoding and delimiter, and matches columns by their headers."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rolecall_generator.errors import Problem, SelectionError
from rolecall_generator.importers.import_plan import (
    ImportedAccount,
    Importer,
    ImportOption,
    ImportProblemsError,
    Reading,
    read_source,
    role_fields,
)
from rolecall_generator.manifest import CSV_COLUMNS
from rolecall_generator.manifest.editing import Value
from rolecall_generator.manifest.yaml_source import Point, problem_at
from rolecall_generator.text import clip, nearest

_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_DELIMITERS = (",", ";", "\t", "|")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SEP_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
"""A first line in which Excel looks for the delimiter."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row that is not empty: its first line, counted from 0, and its cells without surrounding white space."""

    line: int
    cells: tuple[str, ...]


def read_table(path: Path, *, delimiter: str | None = None, encoding: str | None = None) -> tuple[TableRow, ...]:
    """Read the rows of a table, the header first. If `delimiter` or `encoding` is None, it is detected.

    Raises ImportProblemsError if the file cannot be read or is not a table.
    """
    text = _decode(path, encoding)
    first = next((line for line in text.splitlines() if line.strip()), "")
    sep_line = _SEP_LINE.fullmatch(first.strip())
    used_delimiter = delimiter or (sep_line[1] if sep_line else max(_DELIMITERS, key=first.count))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True, delimiter=used_delimiter)
    try:
        rows = tuple(_rows(reader))[1 if sep_line else 0 :]
    except csv.Error as error:
        hint = "quote cells that contain the delimiter or line breaks, or set --delimiter"
        raise ImportProblemsError.at(path, max(reader.line_num, 1), f"not a table: {error}", hint) from error
    if not rows:
        raise ImportProblemsError.at(
            path, 1, "the file has no header row", "add a row of column names, as in name,account_id"
        )
    return rows


def _rows(reader: Iterator[list[str]]) -> Iterator[TableRow]:
    line = 0
    for cells in reader:
        start, line = line, reader.line_num  # type: ignore[attr-defined]  # a quoted cell can contain line breaks
        values = tuple(_cell_value(cell) for cell in cells)
        if any(values):
            yield TableRow(start, values)


def _cell_value(cell: str) -> str:
    """The value of a cell without surrounding spaces, and without `="..."`, which keeps leading zeros in spreadsheets."""
    text = cell.strip().strip("\u00a0\u200b").strip()
    return text[2:-1].strip() if text.startswith('="') and text.endswith('"') else text


def _decode(path: Path, encoding: str | None) -> str:
    data = read_source(path, "split it, and import the parts separately")
    detected = next((name for byte_order_mark, name in _BYTE_ORDER_MARKS if data.startswith(byte_order_mark)), "utf-8")
    try:
        text = data.decode(encoding or detected)
    except LookupError as error:
        raise ImportProblemsError.at(
            path, 1, f"there is no encoding {encoding}", "use an encoding that Python supports, as in utf-8 or cp1252"
        ) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"the file is not {encoding or detected} text: byte 0x{data[error.start]:02x}"
        raise ImportProblemsError.at(
            path, line, what, "set its encoding, as in --encoding cp1252, or save it as UTF-8"
        ) from error
    if found := _CONTROL.search(text):
        what = f"the file contains the control character U+{ord(found[0]):04X}, as binary files do"
        raise ImportProblemsError.at(path, text.count("\n", 0, found.start()) + 1, what, "save it as CSV in UTF-8")
    return text.removeprefix("\ufeff")


ROLE_ARN = "role_arn"
"""Column with account ID, path and role name in one value."""
FIELDS = (*CSV_COLUMNS.plain, ROLE_ARN)

_ALIASES: Mapping[str, tuple[str, ...]] = {
    "name": ("accountname", "customer", "customername", "company", "alias", "accountalias"),
    "account_id": ("account", "awsaccount", "awsaccountid", "accountnumber", "awsaccountnumber", "accountno"),
    "role": ("rolename", "iamrole"),
    ROLE_ARN: ("arn", "iamrolearn"),
    "external_id": ("stsexternalid",),
    "permissions": ("permissionsets", "permissionset"),
    "regions": ("region", "awsregion", "awsregions"),
}
_FIELD_BY_HEADER = {key: field for field in FIELDS for key in (field.replace("_", ""), *_ALIASES.get(field, ()))}
_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]")


def parse_columns(options: Iterable[str]) -> dict[str, str]:
    """Parse options of the form FIELD=HEADER. Returns headers by field. Raises SelectionError."""
    headers: dict[str, str] = {}
    for option in options:
        field, equals, header = (part.strip() for part in option.partition("="))
        if not (equals and field and header):
            raise SelectionError(
                f"{option} is not FIELD=HEADER",
                where="--column",
                hint='write FIELD=HEADER, as in --column name="Account Name"',
            )
        if not is_field(field):
            suggestion = nearest(field, CSV_COLUMNS.all)
            hint = f"write {suggestion}" if suggestion else f"a customer has: {', '.join((*CSV_COLUMNS.all, ROLE_ARN))}"
            raise SelectionError(f"a customer has no field {field}", where="--column", hint=hint)
        if field in headers:
            raise SelectionError(f"{field} is mapped twice", where="--column", hint="remove one of the two")
        headers[field] = header
    return headers


def is_field(name: str) -> bool:
    """Whether the name is a field of customers, or `tag:KEY`, `label:KEY` or `variable:KEY`."""
    prefix, colon, key = name.partition(":")
    return name in FIELDS or bool(colon and prefix in CSV_COLUMNS.maps and key)


def match_columns(header: Sequence[str], mapping: Mapping[str, str]) -> tuple[dict[int, str], tuple[str, ...]]:
    """Match columns with fields. Returns fields by column number (from 0), and the headers of unmatched columns.

    `mapping`: headers by field, which take precedence over matching by name. Raises SelectionError for a header that does
    not exist, is not unique, or is mapped to two fields.
    """
    fields: dict[int, str] = {}
    for field, name in mapping.items():
        numbers = [number for number, cell in enumerate(header) if cell.casefold() == name.casefold()]
        if len(numbers) != 1:
            what = f"the table has no column {name}" if not numbers else f"{len(numbers)} columns are named {name}"
            raise SelectionError(what, where=f"--column {field}={name}", hint=f"it has: {headers_of(header)}")
        if numbers[0] in fields:
            what = f"the column {name} is already mapped to {fields[numbers[0]]}"
            raise SelectionError(what, where=f"--column {field}={name}", hint="map a column to one field")
        fields[numbers[0]] = field
    matched = set(fields.values())
    for number, cell in enumerate(header):
        matching_field = _field_of(cell)
        if number not in fields and matching_field is not None and matching_field not in matched:
            fields[number] = matching_field
            matched.add(matching_field)
    return fields, tuple(cell for number, cell in enumerate(header) if cell and number not in fields)


def headers_of(header: Sequence[str]) -> str:
    """The headers of a table, for messages."""
    return ", ".join(clip(cell) for cell in header if cell) or "none with a heading"


def _field_of(cell: str) -> str | None:
    """The field that matches a header; None if there is none."""
    prefix, colon, key = (part.strip() for part in cell.partition(":"))
    if colon and prefix.casefold() in CSV_COLUMNS.maps and key:
        return f"{prefix.casefold()}:{key}"
    return _FIELD_BY_HEADER.get(_NOT_ALPHANUMERIC.sub("", cell.casefold()))


_SEPARATORS = re.compile(r"[;,\s]+")
_GROUPED_DIGITS = re.compile(r"\d{4}[- ]\d{4}[- ]\d{4}")
_SPREADSHEET_NUMBER = re.compile(r"\d{1,11}|\d(?:[.,]\d+)?[eE]\+?\d+|\d+[.,]0+")


def read_csv_accounts(
    path: Path, columns: Mapping[str, str], *, delimiter: str | None = None, encoding: str | None = None
) -> Reading:
    """Read the accounts of a table. `columns`: headers by field, for headers that are not recognized.

    Raises ImportProblemsError with the problems of all rows, or SelectionError for a column that does not exist.
    """
    header, *rows = read_table(path, delimiter=delimiter, encoding=encoding)
    fields, unmatched = match_columns(header.cells, columns)
    if not {"account_id", ROLE_ARN} & set(fields.values()):
        raise SelectionError(
            "no column has the account IDs", where=str(path),
            hint=f'map it: --column account_id="HEADER"; the table has: {headers_of(header.cells)}',
        )  # fmt: skip
    problems: list[Problem] = []
    accounts = tuple(_account(row, fields, str(path), problems) for row in rows)
    surplus = list(_surplus_cells(rows, len(header.cells), str(path)))
    if problems or surplus:
        # The cells of these rows are in the wrong columns, so further problems in them would be misleading.
        lines = {problem.line - 1 for problem in surplus}
        raise ImportProblemsError(problems + surplus, [account for account in accounts if account.at.line not in lines])
    return Reading(str(path), accounts, (), unmatched)


def _account(row: TableRow, columns: Mapping[int, str], file: str, problems: list[Problem]) -> ImportedAccount:
    values: dict[str, Value] = {}
    positions: dict[str, Point] = {}
    maps: dict[str, dict[str, str]] = {}
    arn_fields: dict[str, Value] = {}
    partition = ""
    for number, field in columns.items():
        cell = row.cells[number] if number < len(row.cells) else ""
        if not cell:
            continue
        position = Point(row.line, number)
        prefix, colon, key = field.partition(":")
        if colon:
            maps.setdefault(CSV_COLUMNS.maps[prefix], {})[key] = cell
            positions[CSV_COLUMNS.maps[prefix]] = position
        elif field == ROLE_ARN:
            parsed = role_fields(cell)
            if parsed is None:
                what, hint = f'role_arn "{clip(cell)}" is not the ARN of a role', "write arn:aws:iam::222222222222:role/NAME"
                problems.append(problem_at(file, position, what, hint))
                positions.setdefault("account_id", position)
                continue
            arn_fields, arn_position, partition = parsed, position, cell.split(":")[1]
        else:
            values[field] = CSV_COLUMNS.value(field, cell, _SEPARATORS)
            positions[field] = position
            if field == "account_id":
                values[field] = re.sub(r"[- ]", "", cell) if _GROUPED_DIGITS.fullmatch(cell) else cell
                problems += _spreadsheet_number(cell, file, position)
    if arn_fields:
        positions = {**dict.fromkeys(arn_fields, arn_position), **positions}
        problems += _contradictions(arn_fields, values, file, arn_position)
    name = str(values.pop("name", ""))
    return ImportedAccount(name, {**arn_fields, **values, **maps}, file, Point(row.line, 0), positions, partition)


def _contradictions(arn_fields: Mapping[str, Value], values: Mapping[str, Value], file: str, at: Point) -> Iterator[Problem]:
    """Report columns that contradict the role_arn of the row. Choosing one could select another customer's account."""
    for field, value in arn_fields.items():
        if field in values and values[field] != value:
            what = f"role_arn has {field} {clip(str(value))}, the column {field} has {clip(str(values[field]))}"
            yield problem_at(file, at, what, "leave the wrong one empty")


def _spreadsheet_number(cell: str, file: str, at: Point) -> Iterator[Problem]:
    """Report an account ID that a spreadsheet changed to a number. Guessing it could select another customer's account."""
    if _SPREADSHEET_NUMBER.fullmatch(cell):
        what = f'account_id "{clip(cell)}" was changed to a number by a spreadsheet'
        yield problem_at(file, at, what, "format the column as text, and enter all 12 digits")


def _surplus_cells(rows: Iterable[TableRow], width: int, file: str) -> Iterator[Problem]:
    for row in rows:
        if any(row.cells[width:]):
            what = f"the row has {len(row.cells)} cells, the header {width}"
            yield Problem(file, row.line + 1, width + 1, what, "quote cells that contain the delimiter")


def _read(
    _manifest: object,
    file: Annotated[Path, ImportOption("CSV file with a header row.")],
    column: Annotated[
        list[str] | None, ImportOption("Column of a field; may be repeated.", "--column", "FIELD=HEADER")
    ] = None,
    delimiter: Annotated[str | None, ImportOption("Delimiter; detected by default.", "--delimiter")] = None,
    encoding: Annotated[
        str | None, ImportOption("Encoding, for example cp1252; UTF-8 or UTF-16 by default.", "--encoding")
    ] = None,
) -> Reading:
    """Import the accounts of a CSV file. All invalid rows are reported in one pass, and then nothing is imported.

    Accounts that are already in the manifest do not change, so importing the same file again has no effect.
    """
    character = None if delimiter is None else delimiter.replace("\\t", "\t")
    if character is not None and len(character) != 1:
        raise SelectionError("the delimiter must be one character", where="--delimiter", hint="use ; or \\t for a tab")
    return read_csv_accounts(file, parse_columns(column or ()), delimiter=character, encoding=encoding)


IMPORTER = Importer(
    "csv",
    _read,
    """Examples:

gen import csv fleet.csv --dry-run                        show what would be added

gen import csv crm.csv --column name="Account Name" --column account_id=AWS --permissions s3-read

gen import csv fleet.csv --update --yes                   also change known accounts, without confirmation""",
)
