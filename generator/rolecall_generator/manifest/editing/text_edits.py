"""Edits of a YAML text: its nodes with the offsets that edits cut and fill, and the reasons why an edit is refused.

Nodes come from libyaml's events: ruamel.yaml's composer without its C part takes eight times as long (2,000 customers:
1.1 s next to 0.14 s, November 2026), and only the offsets are wanted here. What is written anew is rendered by
ruamel.yaml.

A text with cuts and insertions to come: all of them at offsets of the text as it was read.

Values as YAML text on one line, by ruamel.yaml, such that YAML 1.1 and 1.2 read the same value back.
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
    """The manifest is right, but this change cannot be made in it without touching more than was asked for."""

    exit_code = ExitCode.MANIFEST


class EditedManifestError(ManifestError):
    """The manifest would be wrong after the edit; lines in the problems are those of the edited text."""

    def __str__(self) -> str:
        return f"the edited manifest would be wrong; nothing was written\n{super().__str__()}"


BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What ends a line for libyaml (YAML 1.1, production b-break)."""


@dataclass(slots=True)
class YamlNode:
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
    children: list[YamlNode] = field(default_factory=list)

    @property
    def pairs(self) -> list[tuple[YamlNode, YamlNode]]:
        """Keys and values of a mapping, in the text's order."""
        return list(zip(self.children[::2], self.children[1::2], strict=True))

    def pair(self, key: str) -> tuple[YamlNode, YamlNode] | None:
        """The key's node and its value's; None when the mapping has no such key."""
        return next((pair for pair in self.pairs if pair[0].value == key), None) if self.kind == "map" else None

    def within(self) -> Iterator[YamlNode]:
        """This node and all below it."""
        yield self
        for child in self.children:
            yield from child.within()


def nodes_of(text: str) -> YamlNode | None:
    """The root of a text that the manifest's reader has accepted; None when it holds no document."""
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
            elif node.children:  # libyaml ends a block where the next token starts, beyond comments
                node.end = node.children[-1].end
    return root.children[0] if root.children else None


def _leaf(event: Any, text: str) -> YamlNode:
    start, end = event.start_mark, event.end_mark.index
    if isinstance(event, AliasEvent):
        return YamlNode("alias", start.index, end, start.column, flow=True, anchor=event.anchor)
    if event.style in ("|", ">"):  # ends where the next token starts
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


class Splices:
    """The text, its lines and nodes, and the edits collected so far. `file` names it in messages.

    A text whose last line is not ended is worked on as if it were; the result is not ended either.
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
        """Put `new` in place of the characters from start to end; insertions at one offset keep the order of the calls."""
        self._splices.append((start, end, new))

    def insert_lines(self, offset: int, new: Sequence[str]) -> None:
        """Put whole lines (without breaks) below the line that holds `offset`."""
        newline = self.lines.newline(offset)
        below = self.lines.next(offset)
        self.replace(below, below, "".join(line + newline for line in new))

    def keep_anchors(self, *doomed: YamlNode) -> None:
        """Raise EditError when something outside of the doomed nodes repeats what they hold."""
        inside = [node for one in doomed for node in one.within()]
        anchors = {node.anchor: node for node in inside if node.anchor and node.kind != "alias"}
        if not anchors or self.root is None:
            return
        going = {id(node) for node in inside}
        for node in self.root.within():
            if node.kind == "alias" and node.anchor in anchors and id(node) not in going:
                line = self.lines.number(node.start)
                what = f"the anchor &{node.anchor} stands here, and line {line} repeats it (*{node.anchor})"
                raise self.refusal(anchors[node.anchor].start, what, f"write the value out in line {line}, then run again")

    def refusal(self, offset: int, what: str, hint: str) -> EditError:
        """An EditError at the place of an offset."""
        line = self.lines.number(offset)
        column = offset - self.lines.start(offset) + 1
        return EditError(what, where=f"{self.file}:{line}:{column}", hint=hint)

    def result(self) -> str:
        """The text with all edits made. Raises EditError where two of them touch the same characters."""
        parts: list[str] = []
        done = 0
        for start, end, new in sorted(self._splices, key=lambda splice: (splice[0], splice[1])):
            if start < done:
                raise self.refusal(start, "two changes touch the same text", "make them one after the other")
            parts += (self.text[done:start], new)
            done = end
        text = "".join([*parts, self.text[done:]])
        return text[: self.lines.last_break(text)] if self._unended else text


Value = str | int | bool | Sequence[str] | Mapping[str, str]
"""What a field of a customer can hold."""

QUOTED_FIELDS = ("account_id", "external_id", "previous_external_id")
"""Always in quotes: digits alone, or hex with a single e, read as a number."""
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./+=@-]*")
_SIMPLE = re.compile(r"[ !#-&(-\[\]-~]+")
"""Printable ASCII without quotes and backslash: means the same in both kinds of quotes."""
_WIDTH = 1 << 30
_QUOTES: dict[str, type[str]] = {'"': DoubleQuotedScalarString, "'": SingleQuotedScalarString}


@dataclass(frozen=True, slots=True)
class Dress:
    """How a text's author writes: the kind of quotes, and whether all keys and texts stand in them, as in JSON."""

    quote: str = '"'
    everything: bool = False


def dress_of(entry: YamlNode) -> Dress:
    """The dress of an entry: its account id tells the kind of quotes, its first key whether all is in them."""
    pair = entry.pair("account_id")
    quote = "'" if pair is not None and pair[1].style == "'" else '"'
    return Dress(quote, everything=bool(entry.children) and entry.children[0].style in _QUOTES)


def render(value: Value, dress: Dress, *, quoted: bool = False) -> str:
    """One value in flow style. `quoted`: a text must be in quotes, even if it needs none."""
    if isinstance(value, str):
        return _text(value, dress, quoted=quoted)
    if isinstance(value, Mapping):
        pairs = (f"{_text(key, dress)}: {_text(text, dress)}" for key, text in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_text(item, dress) for item in value) + "]"
    return str(value).lower()  # a number, true or false


def render_field(key: str, value: Value, dress: Dress) -> str:
    """`key: value` as it stands in an entry."""
    return f"{_text(key, dress)}: {render(value, dress, quoted=key in QUOTED_FIELDS)}"


def render_map(fields: Mapping[str, Value], dress: Dress) -> str:
    """A whole entry in flow style."""
    return "{" + ", ".join(render_field(key, value, dress) for key, value in fields.items()) + "}"


def _text(value: str, dress: Dress, *, quoted: bool = False) -> str:
    if not (quoted or dress.everything) and _is_bare(value):
        return value
    if _SIMPLE.fullmatch(value):  # nearly all: ruamel.yaml takes a millisecond for each
        return f"{dress.quote}{value}{dress.quote}"
    # A text in single quotes has no escapes: line breaks and the like would be folded away.
    styled = _QUOTES[dress.quote if value.isprintable() else '"'](value)
    stream = io.StringIO()
    _writer().dump([styled], stream)
    return stream.getvalue().strip().removeprefix("- ")


def _writer() -> YAML:
    writer = YAML()
    writer.width = _WIDTH  # never folds
    writer.allow_unicode = True
    return writer


def _is_bare(value: str) -> bool:
    """Whether the text means itself without quotes, for every reader of YAML."""
    return bool(_PLAIN.fullmatch(value)) and (value[0] not in AMBIGUOUS_STARTS or resolve_plain(value) is value)
