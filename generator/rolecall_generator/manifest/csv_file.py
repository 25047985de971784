"""Customers from a CSV file, parsed to the same tree as YAML."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rolecall_generator.errors import Problem
from rolecall_generator.manifest.models import Customer
from rolecall_generator.manifest.yaml_source import START, ListNode, MapNode, Point, YamlSource
from rolecall_generator.text import clip, first_hidden_index, suggest
from rolecall_generator.workers import collection_paused

if TYPE_CHECKING:
    from _csv import Reader


CellValue = str | int | bool | tuple[str, ...]
_MAPS = {"tag": "tags", "label": "labels", "variable": "variables"}


@dataclass(frozen=True, slots=True)
class CsvColumns:
    """The columns of a table of customers, by the type of their cells.

    `plain` are the fields with a column of their own; `lists`, `numbers` and `booleans` are those of them whose cells are
    not strings. `maps` gives the field of a prefix: the column `tag:KEY` holds the value of KEY in `tags`.
    """

    plain: tuple[str, ...] = tuple(name for name in Customer.model_fields if name not in _MAPS.values())
    lists: tuple[str, ...] = ("permissions", "regions")
    numbers: tuple[str, ...] = ("max_session_seconds",)
    booleans: tuple[str, ...] = ("session_tags", "source_identity")
    maps: Mapping[str, str] = field(default_factory=lambda: _MAPS)

    @property
    def all(self) -> tuple[str, ...]:
        """Every column, as in messages: `tag:KEY` for the columns of mappings."""
        return (*self.plain, *(f"{prefix}:KEY" for prefix in self.maps))

    def value(self, column: str, cell: str, separators: re.Pattern[str]) -> CellValue:
        """The value of a cell of a plain column; `separators` split lists. An invalid number or boolean stays a string."""
        if column in self.lists:
            return tuple(part for part in separators.split(cell) if part)
        if column in self.numbers:
            return int(cell) if cell.isascii() and cell.isdecimal() else cell
        return _BOOLEANS.get(cell.casefold(), cell) if column in self.booleans else cell


CSV_COLUMNS = CsvColumns()
_SEPARATORS = re.compile(r"[;\s]+")
_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False}


def parse_csv(text: str, file: str) -> YamlSource:
    """Parse CSV to the tree `{customers: [...]}`. An empty cell leaves its field out.

    Lists are split at spaces and `;`. A mark's column is the number of the cell.
    """
    problems: list[Problem] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    tree = MapNode(START)
    customers = ListNode(START)
    tree.put("customers", customers, START)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(header, file, problems)
        with collection_paused():
            _read_rows(reader, header, customers, file, problems)
    except csv.Error as error:
        problems.append(Problem(file, max(reader.line_num, 1), 1, f"not CSV: {error}", "quote cells that contain commas"))
    return YamlSource(
        file, tree, tuple(problems), unicodedata.is_normalized("NFC", text) and first_hidden_index(text) is None
    )


def _check_header(header: list[str], file: str, problems: list[Problem]) -> None:
    if not any(header):
        problems.append(
            Problem(file, 1, 1, "the file has no header row", f"start it with name,account_id: {', '.join(CSV_COLUMNS.all)}")
        )
        return
    seen: set[str] = set()
    for number, name in enumerate(header, 1):
        prefix, colon, key = name.partition(":")
        if name in seen:
            problems.append(Problem(file, 1, number, f"duplicate column {clip(name)}", "keep one of the two"))
        elif colon and prefix in CSV_COLUMNS.maps and not key:
            problems.append(Problem(file, 1, number, f"the column {name} has no key", f"write {prefix}:KEY"))
        elif name not in CSV_COLUMNS.plain and not (colon and prefix in CSV_COLUMNS.maps):
            hint = suggest(name, CSV_COLUMNS.all, "remove it; known columns")
            problems.append(Problem(file, 1, number, f"unknown column {clip(name) or '(without a name)'}", hint))
        seen.add(name)


def _read_rows(reader: Reader, header: list[str], customers: ListNode, file: str, problems: list[Problem]) -> None:
    line = reader.line_num
    for row in reader:
        start, line = line, reader.line_num  # a quoted cell may span lines
        if not any(row):
            continue
        if len(row) > len(header):
            what = f"the row has {len(row)} cells, the header {len(header)}"
            problems.append(Problem(file, start + 1, len(header) + 1, what, "quote cells that contain commas"))
        mark = Point(start, 0)
        customers.put(_customer(row, header, mark), mark)


def _customer(row: list[str], header: list[str], mark: Point) -> MapNode:
    node = MapNode(mark)
    # Rows may be shorter (empty cells at the end) or longer (reported by the caller) than the header.
    for number, (name, cell) in enumerate(zip(header, row, strict=False)):
        value = cell.strip()
        if not value:
            continue
        at = Point(mark.line, number)
        prefix, colon, key = name.partition(":")
        if colon:
            if prefix in CSV_COLUMNS.maps and key:
                field = CSV_COLUMNS.maps[prefix]
                if field not in node:
                    node.put(field, MapNode(at), at)
                node[field].put(key, value, at)
        elif name in CSV_COLUMNS.plain:
            node.put(name, _node(CSV_COLUMNS.value(name, value, _SEPARATORS), at), at)
    return node


def _node(value: CellValue, at: Point) -> object:
    if not isinstance(value, tuple):
        return value
    node = ListNode(at)
    for part in value:
        node.put(part, at)
    return node
