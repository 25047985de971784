"""Building blocks of text edits: nodes of a YAML text with offsets, replacements at offsets, values rendered as YAML.

Nodes are built from libyaml's events: ruamel.yaml's composer takes eight times as long without its C part (2,000
customers: 1.1 s instead of 0.14 s, November 2026), and only offsets are needed. New values are rendered by ruamel.yaml.
"""

from __future__ import annotations

import io
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, SingleQuotedScalarString
from yaml.events import AliasEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

from rolecall_generator.errors import ExitCode, ManifestError, RolecallError
from rolecall_generator.manifest.yaml_source import AMBIGUOUS_STARTS, resolve_plain
from rolecall_generator.workers import collection_paused

BY_HAND = "make this change in an editor, then run `gen diff` to see what it does"


class EditError(RolecallError):
    """The manifest is valid, but this edit is not possible without changing other parts of the text."""

    exit_code = ExitCode.MANIFEST


class EditedManifestError(ManifestError):
    """The manifest would be invalid after the edits; lines in the problems are those of the edited text."""

    def __str__(self) -> str:
        return f"the edited manifest would be invalid; nothing was written\n{super().__str__()}"


BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""Line breaks of libyaml (YAML 1.1, production b-break)."""


@dataclass(slots=True)
class YamlNode:
    """A YAML value with its offsets in characters, anchor and tag included.

    `end` excludes blank lines and comments below the value. `children`: the items of a list, or alternating keys and
    values.
    """

    kind: str
    start: int
    end: int
    column: int
    flow: bool = False
    style: str | None = None
    anchor: str | None = None
    value: str = ""
    children: list[YamlNode] = field(default_factory=list)

    @property
    def pairs(self) -> list[tuple[YamlNode, YamlNode]]:
        """Keys and values of a mapping, in order."""
        return list(zip(self.children[::2], self.children[1::2], strict=True))

    def pair(self, key: str) -> tuple[YamlNode, YamlNode] | None:
        """The nodes of a key and its value; None if the mapping does not have the key."""
        return next((pair for pair in self.pairs if pair[0].value == key), None) if self.kind == "map" else None

    def within(self) -> Iterator[YamlNode]:
        """This node and all its descendants."""
        yield self
        for child in self.children:
            yield from child.within()


def nodes_of(text: str) -> YamlNode | None:
    """The root node of valid YAML; None without a document."""
    loader = yaml.CSafeLoader(text)
    try:
        with collection_paused():
            return _compose(loader, text)
    finally:
        loader.dispose()


def _compose(loader: yaml.CSafeLoader, text: str) -> YamlNode | None:
    root = YamlNode("list", 0, 0, 0)
    stack = [root]
    event: Any
    for event in iter(loader.get_event, None):
        kind = type(event)
        if kind is ScalarEvent or kind is AliasEvent:
            stack[-1].children.append(_leaf(event, text))
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            mark = event.start_mark
            node = YamlNode(
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
            elif node.children:  # libyaml ends a block at the next token, after comments
                node.end = node.children[-1].end
    return root.children[0] if root.children else None


def _leaf(event: Any, text: str) -> YamlNode:
    start, end = event.start_mark, event.end_mark.index
    if isinstance(event, AliasEvent):
        return YamlNode("alias", start.index, end, start.column, flow=True, anchor=event.anchor)
    if event.style in ("|", ">"):  # libyaml ends it at the next token
        end = len(text[start.index : end].rstrip()) + start.index
    return YamlNode(
        "scalar", start.index, end, start.column, flow=True, style=event.style, anchor=event.anchor, value=event.value
    )


class Lines:
    """The lines of a text by offset."""

    def __init__(self, text: str) -> None:
        self._breaks = [(found.start(), found.end()) for found in BREAK.finditer(text)]
        self._length = len(text)
        self._text = text

    def start(self, offset: int) -> int:
        """Offset of the first character of the line with `offset`."""
        index = bisect_right(self._breaks, offset, key=lambda found: found[1])
        return self._breaks[index - 1][1] if index else 0

    def end(self, offset: int) -> int:
        """Offset of the line break of the line with `offset`, or of the end of the text."""
        found = self._break(offset)
        return found[0] if found else self._length

    def next(self, offset: int) -> int:
        """Offset of the first character of the line after `offset`, or of the end of the text."""
        found = self._break(offset)
        return found[1] if found else self._length

    def newline(self, offset: int) -> str:
        """The line break of the line with `offset`; if it has none, the first one of the text."""
        found = self._break(offset) or (self._breaks[0] if self._breaks else None)
        return self._text[found[0] : found[1]] if found else "\n"

    def number(self, offset: int) -> int:
        """The number of the line with `offset`, from 1."""
        return bisect_right(self._breaks, offset, key=lambda found: found[1]) + 1

    @staticmethod
    def last_break(text: str) -> int:
        """Offset of the line break at the end of a text."""
        return len(text) - (2 if text.endswith("\r\n") else 1)

    def _break(self, offset: int) -> tuple[int, int] | None:
        index = bisect_right(self._breaks, offset, key=lambda found: found[1])
        return self._breaks[index] if index < len(self._breaks) else None


class Splices:
    """A text with pending replacements, all at offsets of the text as it was read. `file`: name in messages.

    A missing line break at the end is added for editing, and removed from the result.
    """

    def __init__(self, text: str, file: str) -> None:
        lines = Lines(text)
        self._unended = bool(text) and lines.next(len(text)) == lines.end(len(text)) and lines.start(len(text)) != len(text)
        self.text = text + lines.newline(len(text)) if self._unended else text
        self.file = file
        self.lines = Lines(self.text)
        self.root = nodes_of(text)
        self._splices: list[tuple[int, int, str]] = []

    def replace(self, start: int, end: int, new: str) -> None:
        """Replace the characters from start to end; insertions at the same offset keep the order of the calls."""
        self._splices.append((start, end, new))

    def insert_lines(self, offset: int, new: Sequence[str]) -> None:
        """Insert lines (without line breaks) below the line with `offset`."""
        newline = self.lines.newline(offset)
        below = self.lines.next(offset)
        self.replace(below, below, "".join(line + newline for line in new))

    def keep_anchors(self, *removed: YamlNode) -> None:
        """Raise EditError if an alias outside the nodes to be removed refers to an anchor in them."""
        inside = [node for one in removed for node in one.within()]
        anchors = {node.anchor: node for node in inside if node.anchor and node.kind != "alias"}
        if not anchors or self.root is None:
            return
        going = {id(node) for node in inside}
        for node in self.root.within():
            if node.kind == "alias" and node.anchor in anchors and id(node) not in going:
                line = self.lines.number(node.start)
                what = f"the anchor &{node.anchor} is used in line {line} (*{node.anchor})"
                raise self.refusal(anchors[node.anchor].start, what, f"write out the value in line {line}, then run again")

    def refusal(self, offset: int, what: str, hint: str) -> EditError:
        """An EditError at the position of an offset."""
        line = self.lines.number(offset)
        column = offset - self.lines.start(offset) + 1
        return EditError(what, where=f"{self.file}:{line}:{column}", hint=hint)

    def result(self) -> str:
        """The text with all replacements applied. Raises EditError if two of them overlap."""
        parts: list[str] = []
        done = 0
        for start, end, new in sorted(self._splices, key=lambda splice: (splice[0], splice[1])):
            if start < done:
                raise self.refusal(start, "two changes overlap", "make them separately")
            parts += (self.text[done:start], new)
            done = end
        text = "".join([*parts, self.text[done:]])
        return text[: self.lines.last_break(text)] if self._unended else text


Value = str | int | bool | Sequence[str] | Mapping[str, str]
"""The value of a customer's field."""

QUOTED_FIELDS = ("account_id", "external_id", "previous_external_id")
"""Always quoted: only digits, or hex with a single e, would be a number."""
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./+=@-]*")
_SIMPLE = re.compile(r"[ !#-&(-\[\]-~]+")
"""Printable ASCII without quotes and backslash: the same in single and double quotes."""
_WIDTH = 1 << 30
_QUOTES: dict[str, type[str]] = {'"': DoubleQuotedScalarString, "'": SingleQuotedScalarString}


@dataclass(frozen=True, slots=True)
class Style:
    """The style of an entry: the kind of quotes, and whether all keys and strings are quoted, as in JSON."""

    quote: str = '"'
    everything: bool = False


def style_of(entry: YamlNode) -> Style:
    """The style of an entry: the quotes of its account ID, and whether its first key is quoted."""
    pair = entry.pair("account_id")
    quote = "'" if pair is not None and pair[1].style == "'" else '"'
    return Style(quote, everything=bool(entry.children) and entry.children[0].style in _QUOTES)


def render(value: Value, style: Style, *, quoted: bool = False) -> str:
    """Render a value in flow style. `quoted`: quote a string even if it does not need quotes."""
    if isinstance(value, str):
        return _text(value, style, quoted=quoted)
    if isinstance(value, Mapping):
        pairs = (f"{_text(key, style)}: {_text(text, style)}" for key, text in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_text(item, style) for item in value) + "]"
    return str(value).lower()  # a number, true or false


def render_field(key: str, value: Value, style: Style) -> str:
    """Render `key: value`."""
    return f"{_text(key, style)}: {render(value, style, quoted=key in QUOTED_FIELDS)}"


def render_map(fields: Mapping[str, Value], style: Style) -> str:
    """Render an entry in flow style."""
    return "{" + ", ".join(render_field(key, value, style) for key, value in fields.items()) + "}"


def _text(value: str, style: Style, *, quoted: bool = False) -> str:
    # A string that is the same in YAML 1.1 and 1.2 needs no quotes.
    bare = _PLAIN.fullmatch(value) and (value[0] not in AMBIGUOUS_STARTS or resolve_plain(value) is value)
    if bare and not (quoted or style.everything):
        return value
    if _SIMPLE.fullmatch(value):  # most strings; ruamel.yaml takes a millisecond each
        return f"{style.quote}{value}{style.quote}"
    # Single-quoted strings have no escapes, and their line breaks would be folded.
    styled = _QUOTES[style.quote if value.isprintable() else '"'](value)
    stream = io.StringIO()
    writer = YAML()
    writer.width = _WIDTH  # never folds
    writer.allow_unicode = True
    writer.dump([styled], stream)
    return stream.getvalue().strip().removeprefix("- ")
