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
    tree["customers"] = customers
    tree.marks["customers"] = (START, START)
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
        customers.append(_customer(row, header, mark))
        customers.marks.append(mark)


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
                _put(_inner(node, CSV_COLUMNS.maps[prefix], at), key, value, at)
        elif name in CSV_COLUMNS.lists:
            _put(node, name, _list(value, at), at)
        elif name in CSV_COLUMNS.numbers:
            _put(node, name, int(value) if value.isascii() and value.isdecimal() else value, at)
        elif name in CSV_COLUMNS.booleans:
            _put(node, name, _BOOLEANS.get(value.casefold(), value), at)
        elif name in CSV_COLUMNS.plain:
            _put(node, name, value, at)
    return node


def _put(node: MapNode, key: str, value: object, at: Point) -> None:
    node[key] = value
    node.marks[key] = (at, at)


def _inner(node: MapNode, key: str, at: Point) -> MapNode:
    if key not in node:
        _put(node, key, MapNode(at), at)
    inner: MapNode = node[key]
    return inner


def _list(value: str, at: Point) -> ListNode:
    node = ListNode(at)
    node.extend(part for part in _SEPARATORS.split(value) if part)
    node.marks.extend(at for _ in node)
    return node
