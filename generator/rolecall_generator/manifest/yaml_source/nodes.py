"""The tree of a manifest file: dicts and lists with the positions of their parts. YAML and CSV give the same tree.

Marks count lines and columns from 0, as libyaml does; a `Place` counts from 1, as editors do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from rolecall_generator.errors import Problem

Loc = tuple[str | int, ...]


class YamlMark(Protocol):
    """A position with line and column counted from 0, such as PyYAML's marks."""

    @property
    def line(self) -> int: ...  # noqa: D102 - described by the class

    @property
    def column(self) -> int: ...  # noqa: D102


class Point(NamedTuple):
    """A mark without further data: line and column counted from 0."""

    line: int
    column: int


START = Point(0, 0)


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a manifest file; line and column count from 1. In CSV files the column is the number of the cell."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class MapNode(dict[str, Any]):
    """A mapping. `marks`: the marks of key and value, by key; `raw`: the source text of values that are not strings."""

    __slots__ = ("mark", "marks", "raw")

    def __init__(self, mark: YamlMark) -> None:
        self.mark = mark
        self.marks: dict[str, tuple[YamlMark, YamlMark]] = {}
        self.raw: dict[str, str] | None = None

    def put(self, key: str, value: Any, mark: YamlMark) -> None:
        """Set a value. `mark`: the mark of both key and value."""
        self[key] = value
        self.marks[key] = (mark, mark)


class ListNode(list[Any]):
    """A list. `marks`: the marks of the items; `raw`: the source text of items that are not strings, by index."""

    __slots__ = ("mark", "marks", "raw")

    def __init__(self, mark: YamlMark) -> None:
        self.mark = mark
        self.marks: list[YamlMark] = []
        self.raw: dict[int, str] | None = None

    def put(self, value: Any, mark: YamlMark) -> None:
        """Append a value."""
        self.append(value)
        self.marks.append(mark)


class NodeRef(NamedTuple):
    """The end of a walk: the parent node, the last key or index in it, the value, and whether it exists."""

    parent: MapNode | ListNode | None
    key: str | int | None
    value: Any
    found: bool

    @property
    def raw(self) -> str | None:
        """The source text of a value that is not a string, None for strings."""
        raws: dict[Any, str] | None = self.parent.raw if self.parent is not None else None
        return raws.get(self.key) if raws else None


def walk(tree: Any, loc: Loc) -> NodeRef:
    """Follow keys and indexes down the tree as far as they exist."""
    spot = NodeRef(None, None, tree, True)
    for part in loc:
        node = spot.value
        if isinstance(node, MapNode) and isinstance(part, str):
            if part not in node:
                return NodeRef(node, part, None, False)
            spot = NodeRef(node, part, node[part], True)
        elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node):
            spot = NodeRef(node, part, node[part], True)
        else:
            return NodeRef(spot.parent, spot.key, node, False)
    return spot


def mark_of(tree: Any, loc: Loc, *, key: bool = False) -> YamlMark:
    """The mark of the value at `loc` (of its key when `key`), or of the nearest thing above it that exists."""
    mark: YamlMark = getattr(tree, "mark", START)
    node = tree
    for depth, part in enumerate(loc):
        if isinstance(node, MapNode) and part in node:
            marks = node.marks[str(part)]
            mark = marks[0] if key and depth == len(loc) - 1 else marks[1]
        elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node):
            mark = node.marks[part]
        else:
            break
        node = node[part]
    return mark


def place_at(file: str, mark: YamlMark) -> Place:
    """Convert a mark to a place, counted from 1."""
    return Place(file, mark.line + 1, mark.column + 1)


def problem_at(file: str, mark: YamlMark, what: str, hint: str) -> Problem:
    """A problem at a mark of a file."""
    return Problem(file, mark.line + 1, mark.column + 1, what, hint)


_LISTS = ("customers", "switch_roles")


class SourceMap:
    """Positions of the entries of all files. Built from the files' trees in their order, the main file first."""

    def __init__(self, parts: list[tuple[str, Any]]) -> None:
        self._main_file, self._main = parts[0]
        self._lists: dict[str, list[tuple[str, ListNode]]] = {section: [] for section in _LISTS}
        self._sets: list[tuple[str, MapNode]] = []
        for file, tree in parts:
            if not isinstance(tree, MapNode):
                continue
            for section in _LISTS:
                if isinstance(items := tree.get(section), ListNode):
                    self._lists[section].append((file, items))
            if isinstance(sets := tree.get("permission_sets"), MapNode):
                self._sets.append((file, sets))
        self._names: dict[str, dict[str, int]] = {}

    def find(self, *path: str | int, key: bool = False) -> Place:
        """The position of an entry, as in `find("customers", "acme", "external_id")`, or of its nearest existing parent.

        Customers and switch roles are found by name or by index in the merged manifest, permission sets by name. `key`:
        the position of the last key instead of its value. For unknown entries it is the first line of the main file.
        """
        section = path[0] if path else ""
        if section in self._lists and len(path) > 1:
            return self._in_list(str(section), path[1], path[2:], key)
        if section == "permission_sets" and len(path) > 1:
            for file, sets in self._sets:
                if path[1] in sets:
                    return place_at(file, mark_of(sets, path[1:], key=key))
        return place_at(self._main_file, mark_of(self._main, path, key=key))

    def problem(self, path: Loc, what: str, hint: str, *, key: bool = False) -> Problem:
        """A problem at the place of an entry."""
        place = self.find(*path, key=key)
        return Problem(place.file, place.line, place.column, what, hint)

    def set_marks(self) -> list[tuple[str, str, YamlMark]]:
        """Every permission set as (name, file, mark of its key), in the order of the files, with duplicates."""
        return [(name, file, sets.marks[name][0]) for file, sets in self._sets for name in sets]

    def _in_list(self, section: str, which: str | int, rest: Loc, key: bool) -> Place:
        index = which if isinstance(which, int) else self._index(section, which)
        for file, items in self._lists[section]:
            if 0 <= index < len(items):
                return place_at(file, mark_of(items, (index, *rest), key=key))
            index -= len(items)
        return place_at(self._main_file, START)

    def _index(self, section: str, name: str) -> int:
        if section not in self._names:
            items = [item for _, chunk in self._lists[section] for item in chunk]
            names = {item["name"]: index for index, item in reversed(list(enumerate(items)))}
            self._names[section] = names
        return self._names[section].get(name, -1)
