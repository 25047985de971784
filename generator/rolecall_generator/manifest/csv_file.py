"""Customers from a CSV file, as the same tree that YAML gives."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from typing import TYPE_CHECKING

from rolecall_generator.errors import Problem
from rolecall_generator.manifest.models import Customer
from rolecall_generator.manifest.yaml_source import START, ListNode, MapNode, Point, YamlSource
from rolecall_generator.text import clip, first_hidden, suggest
from rolecall_generator.workers import collection_paused

if TYPE_CHECKING:
    from _csv import Reader


LIST_COLUMNS = ("permissions", "regions")
NUMBER_COLUMNS = ("max_session_seconds",)
BOOLEAN_COLUMNS = ("session_tags", "source_identity")
MAP_COLUMNS = {"tag": "tags", "label": "labels", "variable": "variables"}
PLAIN_COLUMNS = tuple(name for name in Customer.model_fields if name not in MAP_COLUMNS.values())
COLUMNS = (*PLAIN_COLUMNS, *(f"{prefix}:KEY" for prefix in MAP_COLUMNS))
_SEPARATORS = re.compile(r"[;\s]+")
_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False}


def parse_csv(text: str, file: str) -> YamlSource:
    """CSV text to the tree `{customers: [...]}`. An empty cell is a value not given; all other cells are text.

    List columns are split at spaces and `;`. Lines count from 1 in the file, a place's column is the field's number.
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
        problems.append(
            Problem(file, max(reader.line_num, 1), 1, f"not CSV: {error}", "put cells that hold commas in quotes")
        )
    return YamlSource(file, tree, tuple(problems), unicodedata.is_normalized("NFC", text) and first_hidden(text) is None)


def _check_header(header: list[str], file: str, problems: list[Problem]) -> None:
    if not any(header):
        problems.append(
            Problem(file, 1, 1, "the file has no header row", f"start it with name,account_id: {', '.join(COLUMNS)}")
        )
        return
    seen: set[str] = set()
    for number, name in enumerate(header, 1):
        prefix, colon, key = name.partition(":")
        if name in seen:
            problems.append(Problem(file, 1, number, f"the column {clip(name)} stands here twice", "keep one of the two"))
        elif colon and prefix in MAP_COLUMNS and not key:
            problems.append(Problem(file, 1, number, f"the column {name} names no key", f"write {prefix}:KEY"))
        elif name not in PLAIN_COLUMNS and not (colon and prefix in MAP_COLUMNS):
            hint = suggest(name, COLUMNS, "remove it; known columns")
            problems.append(Problem(file, 1, number, f"unknown column {clip(name) or '(without a name)'}", hint))
        seen.add(name)


def _read_rows(reader: Reader, header: list[str], customers: ListNode, file: str, problems: list[Problem]) -> None:
    line = reader.line_num
    for row in reader:
        start, line = line, reader.line_num  # a quoted cell may span lines: the row starts after the one before
        if not any(row):
            continue
        if len(row) > len(header):
            what = f"the row has {len(row)} cells, the header {len(header)}"
            problems.append(Problem(file, start + 1, len(header) + 1, what, "put cells that hold commas in quotes"))
        mark = Point(start, 0)
        customers.append(_customer(row, header, mark))
        customers.marks.append(mark)


def _customer(row: list[str], header: list[str], mark: Point) -> MapNode:
    node = MapNode(mark)
    # Rows may be shorter (empty cells at the end) or longer (reported): what both have counts.
    for number, (name, cell) in enumerate(zip(header, row, strict=False)):
        value = cell.strip()
        if not value:
            continue
        at = Point(mark.line, number)
        prefix, colon, key = name.partition(":")
        if colon:
            if prefix in MAP_COLUMNS and key:
                _put(_inner(node, MAP_COLUMNS[prefix], at), key, value, at)
        elif name in LIST_COLUMNS:
            _put(node, name, _list(value, at), at)
        elif name in NUMBER_COLUMNS:
            _put(node, name, int(value) if value.isascii() and value.isdecimal() else value, at)
        elif name in BOOLEAN_COLUMNS:
            _put(node, name, _BOOLEANS.get(value.casefold(), value), at)
        elif name in PLAIN_COLUMNS:
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
