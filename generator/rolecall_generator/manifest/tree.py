"""The tree that manifest files are read into: plain dicts and lists that remember where their parts stood.

YAML and CSV end in the same tree, so that one piece of code turns a validation error into a place. Marks count lines and
columns from 0, as libyaml does; a `Place` counts from 1, as people and editors do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

Loc = tuple[str | int, ...]


class Mark(Protocol):
    """Anything with a line and a column counted from 0; PyYAML's marks are one."""

    @property
    def line(self) -> int: ...  # noqa: D102 - the class says it

    @property
    def column(self) -> int: ...  # noqa: D102


class Point(NamedTuple):
    """The lightest mark: line and column counted from 0."""

    line: int
    column: int


START = Point(0, 0)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a manifest file; line and column count from 1. In CSV files the column is the field's number."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class MapNode(dict[str, Any]):
    """A mapping. `marks` holds each key's and value's mark, `raw` the text of values that were not read as text."""

    __slots__ = ("mark", "marks", "raw")

    def __init__(self, mark: Mark) -> None:
        self.mark = mark
        self.marks: dict[str, tuple[Mark, Mark]] = {}
        self.raw: dict[str, str] | None = None


class ListNode(list[Any]):
    """A list. `marks` holds each item's mark, `raw` the text of items that were not read as text, by index."""

    __slots__ = ("mark", "marks", "raw")

    def __init__(self, mark: Mark) -> None:
        self.mark = mark
        self.marks: list[Mark] = []
        self.raw: dict[int, str] | None = None


class Spot(NamedTuple):
    """Where a walk ended: the parent node, the last key or index in it, the value there, and whether it exists."""

    parent: MapNode | ListNode | None
    key: str | int | None
    value: Any
    found: bool

    @property
    def raw(self) -> str | None:
        """The text of a value that the reader did not take for text, None for all others."""
        raws: dict[Any, str] | None = self.parent.raw if self.parent is not None else None
        return raws.get(self.key) if raws else None


def walk(tree: Any, loc: Loc) -> Spot:
    """Follow keys and indexes down the tree, as far as they lead."""
    spot = Spot(None, None, tree, True)
    for part in loc:
        node = spot.value
        if isinstance(node, MapNode) and isinstance(part, str):
            if part not in node:
                return Spot(node, part, None, False)
            spot = Spot(node, part, node[part], True)
        elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node):
            spot = Spot(node, part, node[part], True)
        else:
            return Spot(spot.parent, spot.key, node, False)
    return spot


def mark_of(tree: Any, loc: Loc, *, key: bool = False) -> Mark:
    """The mark of the value at `loc` (of its key when `key`), or of the nearest thing above it that exists."""
    mark: Mark = getattr(tree, "mark", START)
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


def place_at(file: str, mark: Mark) -> Place:
    """A mark as a place for people."""
    return Place(file, mark.line + 1, mark.column + 1)
