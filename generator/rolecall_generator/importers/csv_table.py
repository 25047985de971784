"""Import of accounts from a CSV table: encoding, delimiter, columns by header, rows with their lines."""

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
from rolecall_generator.importers.interface import (
    ImportedAccount,
    Importer,
    ImportOption,
    ImportProblemsError,
    Reading,
    Value,
    read_source,
    role_fields,
)
from rolecall_generator.manifest import CSV_COLUMNS
from rolecall_generator.manifest.yaml_source import Point, problem_at
from rolecall_generator.text import clip, nearest

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_DELIMITERS = (",", ";", "\t", "|")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SEP_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
"""A first line that sets the delimiter for Excel."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A non-empty row: the index of its first line (from 0), and its cells, stripped."""

    line: int
    cells: tuple[str, ...]


def read_table(path: Path, *, delimiter: str | None = None, encoding: str | None = None) -> tuple[TableRow, ...]:
    """Read the rows of a table, the header first. A delimiter or encoding of None is detected.

    Raises ImportProblemsError.
    """
    text = _text(path, encoding)
    first = next((line for line in text.splitlines() if line.strip()), "")
    sep_line = _SEP_LINE.fullmatch(first.strip())
    chosen = delimiter or (sep_line[1] if sep_line else max(_DELIMITERS, key=first.count))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True, delimiter=chosen)
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
        start, line = line, reader.line_num  # type: ignore[attr-defined]  # a quoted cell may span lines
        stripped = tuple(_plain(cell) for cell in cells)
        if any(stripped):
            yield TableRow(start, stripped)


def _plain(cell: str) -> str:
    """The value of a cell, without the `="..."` that keeps leading zeros in spreadsheets, and without no-break spaces."""
    text = cell.strip().strip("\u00a0\u200b").strip()
    return text[2:-1].strip() if text.startswith('="') and text.endswith('"') else text


def _text(path: Path, encoding: str | None) -> str:
    data = read_source(path, "split it, and import the parts separately")
    known = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding or known)
    except LookupError as error:
        raise ImportProblemsError.at(
            path, 1, f"there is no encoding {encoding}", "use a name that Python knows, as in utf-8 or cp1252"
        ) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"the file is not {encoding or known} text: byte 0x{data[error.start]:02x}"
        raise ImportProblemsError.at(
            path, line, what, "set its encoding, as in --encoding cp1252, or save it as UTF-8"
        ) from error
    if found := _CONTROL.search(text):
        what = f"the file contains the control character U+{ord(found[0]):04X}, as binary files do"
        raise ImportProblemsError.at(path, text.count("\n", 0, found.start()) + 1, what, "save it as CSV in UTF-8")
    return text.removeprefix("\ufeff")


ROLE_ARN = "role_arn"
"""A column with account id, path and role in one value."""
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
_KNOWN = {key: field for field in FIELDS for key in (field.replace("_", ""), *_ALIASES.get(field, ()))}
_NO_LETTER = re.compile(r"[^a-z0-9]")


def parse_columns(texts: Iterable[str]) -> dict[str, str]:
    """`FIELD=Header` of the command line, as header by field. Raises SelectionError."""
    wanted: dict[str, str] = {}
    for text in texts:
        field, equals, header = (part.strip() for part in text.partition("="))
        if not (equals and field and header):
            raise SelectionError(
                f"{text} is not FIELD=HEADER",
                where="--column",
                hint='write FIELD=HEADER, as in --column name="Account Name"',
            )
        if not is_field(field):
            near = nearest(field, CSV_COLUMNS.all)
            hint = f"write {near}" if near else f"a customer has: {', '.join((*CSV_COLUMNS.all, ROLE_ARN))}"
            raise SelectionError(f"a customer has no field {field}", where="--column", hint=hint)
        if field in wanted:
            raise SelectionError(f"{field} is mapped twice", where="--column", hint="remove one of the two")
        wanted[field] = header
    return wanted


def is_field(name: str) -> bool:
    """Whether a customer has the field: a plain one, or `tag:KEY`, `label:KEY`, `variable:KEY`."""
    prefix, colon, key = name.partition(":")
    return name in FIELDS or bool(colon and prefix in CSV_COLUMNS.maps and key)


def match_columns(header: Sequence[str], wanted: Mapping[str, str]) -> tuple[dict[int, str], tuple[str, ...]]:
    """The field of each column by its number from 0, and the headers of unmatched columns.

    `wanted`: headers by field, which take precedence over matching by name. Raises SelectionError for a header that does
    not exist, that two columns have, or that two fields name.
    """
    fields: dict[int, str] = {}
    for field, name in wanted.items():
        found = [number for number, cell in enumerate(header) if cell.casefold() == name.casefold()]
        if len(found) != 1:
            what = f"the table has no column {name}" if not found else f"{len(found)} columns are named {name}"
            raise SelectionError(what, where=f"--column {field}={name}", hint=f"it has: {headers_of(header)}")
        if found[0] in fields:
            what = f"the column {name} is already mapped to {fields[found[0]]}"
            raise SelectionError(what, where=f"--column {field}={name}", hint="map a column to one field")
        fields[found[0]] = field
    taken = set(fields.values())
    for number, cell in enumerate(header):
        meant = _field_of(cell)
        if number not in fields and meant is not None and meant not in taken:
            fields[number] = meant
            taken.add(meant)
    return fields, tuple(cell for number, cell in enumerate(header) if cell and number not in fields)


def headers_of(header: Sequence[str]) -> str:
    """The columns of a table for a message."""
    return ", ".join(clip(cell) for cell in header if cell) or "none with a heading"


def _field_of(cell: str) -> str | None:
    """The field that a header refers to, None for an unknown one."""
    prefix, colon, key = (part.strip() for part in cell.partition(":"))
    if colon and prefix.casefold() in CSV_COLUMNS.maps and key:
        return f"{prefix.casefold()}:{key}"
    return _KNOWN.get(_NO_LETTER.sub("", cell.casefold()))


_SEPARATORS = re.compile(r"[;,\s]+")
_GROUPED = re.compile(r"\d{4}[- ]\d{4}[- ]\d{4}")
_SHORTENED = re.compile(r"\d{1,11}|\d(?:[.,]\d+)?[eE]\+?\d+|\d+[.,]0+")


def read_csv_accounts(
    path: Path, columns: Mapping[str, str], *, delimiter: str | None = None, encoding: str | None = None
) -> Reading:
    """Read the accounts of a table. `columns`: headers by field, for headers that are not recognized.

    Raises ImportProblemsError with every row that cannot be read, and SelectionError for a column that does not exist.
    """
    head, *rows = read_table(path, delimiter=delimiter, encoding=encoding)
    fields, ignored = match_columns(head.cells, columns)
    if not {"account_id", ROLE_ARN} & set(fields.values()):
        raise SelectionError(
            "no column has the account ids", where=str(path),
            hint=f'map it: --column account_id="HEADER"; the table has: {headers_of(head.cells)}',
        )  # fmt: skip
    problems: list[Problem] = []
    accounts = tuple(_account(row, fields, str(path), problems) for row in rows)
    shifted = list(_surplus_cells(rows, len(head.cells), str(path)))
    if problems or shifted:
        lines = {
            problem.line - 1 for problem in shifted
        }  # their cells are in the wrong columns: further problems would be noise
        raise ImportProblemsError(problems + shifted, [one for one in accounts if one.at.line not in lines])
    return Reading(str(path), accounts, (), ignored)


def _account(row: TableRow, columns: Mapping[int, str], file: str, problems: list[Problem]) -> ImportedAccount:
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
            maps.setdefault(CSV_COLUMNS.maps[prefix], {})[key] = cell
            marks[CSV_COLUMNS.maps[prefix]] = at
        elif field == ROLE_ARN:
            parts = role_fields(cell)
            if parts is None:
                what, hint = f'role_arn "{clip(cell)}" is not the ARN of a role', "write arn:aws:iam::222222222222:role/NAME"
                problems.append(problem_at(file, at, what, hint))
                marks.setdefault("account_id", at)
                continue
            named, arn, partition = parts, at, cell.split(":")[1]
        else:
            found[field] = CSV_COLUMNS.value(field, cell, _SEPARATORS)
            marks[field] = at
            if field == "account_id":
                found[field] = re.sub(r"[- ]", "", cell) if _GROUPED.fullmatch(cell) else cell
                problems += _shortened(cell, file, at)
    if named:
        marks = {**dict.fromkeys(named, arn), **marks}
        problems += _contradicted(named, found, file, arn)
    name = str(found.pop("name", ""))
    return ImportedAccount(name, {**named, **found, **maps}, file, Point(row.line, 0), marks, partition)


def _contradicted(named: Mapping[str, Value], found: Mapping[str, Value], file: str, at: Point) -> Iterator[Problem]:
    """Columns of one row that contradict its role_arn: a guess could select another customer's account."""
    for field, value in named.items():
        if field in found and found[field] != value:
            what = f"role_arn has {field} {clip(str(value))}, the column {field} has {clip(str(found[field]))}"
            yield problem_at(file, at, what, "leave the wrong one empty")


def _shortened(cell: str, file: str, at: Point) -> Iterator[Problem]:
    """An account id that a spreadsheet has changed to a number: a guess could select another customer's account."""
    if _SHORTENED.fullmatch(cell):
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
