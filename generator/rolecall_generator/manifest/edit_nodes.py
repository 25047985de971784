"""A YAML text as nodes that know where they stand: the offsets that edits cut and fill.

From libyaml's events, as `source.py`: ruamel.yaml's composer without its C part takes eight times as long (2,000 customers:
1.1 s beside 0.14 s, November 2026), and only the offsets are wanted here. What is written anew is rendered by ruamel.yaml.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import AliasEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

from rolecall_generator.manifest.source import collection_paused

BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What ends a line for libyaml (YAML 1.1, production b-break)."""


@dataclass(slots=True)
class Node:
    """A value of the text. `start` and `end` are offsets in characters; properties (anchor, tag) count as part of it.

    `end` is the end of the value's own text: blank lines and comments below it do not belong to it. `children` holds the
    items of a list, or keys and values by turns.
    """

    kind: str
    start: int
    end: int
    column: int
    flow: bool = False
    style: str | None = None
    anchor: str | None = None
    value: str = ""
    children: list[Node] = field(default_factory=list)

    @property
    def pairs(self) -> list[tuple[Node, Node]]:
        """Keys and values of a mapping, in the text's order."""
        return list(zip(self.children[::2], self.children[1::2], strict=True))

    def pair(self, key: str) -> tuple[Node, Node] | None:
        """The key's node and its value's; None when the mapping has no such key."""
        return next((pair for pair in self.pairs if pair[0].value == key), None) if self.kind == "map" else None

    def within(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for child in self.children:
            yield from child.within()


def nodes_of(text: str) -> Node | None:
    """The root of a text that the manifest's reader has accepted; None when it holds no document."""
    loader = yaml.CSafeLoader(text)
    try:
        with collection_paused():
            return _compose(loader, text)
    finally:
        loader.dispose()


def _compose(loader: yaml.CSafeLoader, text: str) -> Node | None:
    root = Node("list", 0, 0, 0)
    stack = [root]
    event: Any
    for event in iter(loader.get_event, None):
        kind = type(event)
        if kind is ScalarEvent or kind is AliasEvent:
            stack[-1].children.append(_leaf(event, text))
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            mark = event.start_mark
            node = Node(
                "map" if kind is MappingStartEvent else "list",
                mark.index,
                event.end_mark.index,
                mark.column,
                flow=bool(event.flow_style),
                anchor=event.anchor,
            )
            stack[-1].children.append(node)
            stack.append(node)
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            node = stack.pop()
            if node.flow:
                node.end = event.end_mark.index
            elif node.children:  # libyaml ends a block where the next token starts, beyond comments
                node.end = node.children[-1].end
    return root.children[0] if root.children else None


def _leaf(event: Any, text: str) -> Node:
    start, end = event.start_mark, event.end_mark.index
    if isinstance(event, AliasEvent):
        return Node("alias", start.index, end, start.column, flow=True, anchor=event.anchor)
    if event.style in ("|", ">"):  # ends where the next token starts
        end = len(text[start.index : end].rstrip()) + start.index
    return Node(
        "scalar", start.index, end, start.column, flow=True, style=event.style, anchor=event.anchor, value=event.value
    )


class Lines:
    """The lines of a text by offset."""

    def __init__(self, text: str) -> None:
        self._breaks = [(found.start(), found.end()) for found in BREAK.finditer(text)]
        self._length = len(text)
        self._text = text

    def start(self, offset: int) -> int:
        """Offset of the first character of the line that holds `offset`."""
        index = bisect_right(self._breaks, offset, key=lambda found: found[1])
        return self._breaks[index - 1][1] if index else 0

    def end(self, offset: int) -> int:
        """Offset of the break that ends the line, or of the text's end."""
        found = self._break(offset)
        return found[0] if found else self._length

    def next(self, offset: int) -> int:
        """Offset of the first character of the line after the one that holds `offset`, or of the text's end."""
        found = self._break(offset)
        return found[1] if found else self._length

    def newline(self, offset: int) -> str:
        """The kind of break that the line ends with; where it has none, the text's first kind."""
        found = self._break(offset) or (self._breaks[0] if self._breaks else None)
        return self._text[found[0] : found[1]] if found else "\n"

    def number(self, offset: int) -> int:
        """The line's number, counted from 1."""
        return bisect_right(self._breaks, offset, key=lambda found: found[1]) + 1

    @staticmethod
    def last_break(text: str) -> int:
        """Offset of the break that ends a text."""
        return len(text) - (2 if text.endswith("\r\n") else 1)

    def _break(self, offset: int) -> tuple[int, int] | None:
        index = bisect_right(self._breaks, offset, key=lambda found: found[1])
        return self._breaks[index] if index < len(self._breaks) else None
