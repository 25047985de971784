"""Reads manifest files to trees of dicts and lists with the positions of their parts. YAML and CSV give the same tree.

Marks count lines and columns from 0, as libyaml does; a `Place` counts from 1, as editors do. The tree of YAML is built from
libyaml's events in one loop: for 10,000 customers that takes a third of the time of PyYAML's composer, which creates a node
object per scalar (measured November 2026, PyYAML 6.0.3).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from rolecall_generator.errors import Problem
from rolecall_generator.text import clip, code_point, first_hidden_index
from rolecall_generator.workers import collection_paused

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


def node_of(value: object, mark: YamlMark) -> object:
    """A value of strings, numbers, mappings and sequences as a tree in which everything has the same mark."""
    if isinstance(value, Mapping):
        mapping = MapNode(mark)
        for key, item in value.items():
            mapping.put(key, item, mark)
        return mapping
    if isinstance(value, str) or not isinstance(value, Sequence):
        return value
    items = ListNode(mark)
    for item in value:
        items.put(item, mark)
    return items


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


MAXIMUM_BYTES = 32 * 1024 * 1024
# YAML 1.1 and 1.2, production c-printable; libyaml refuses them too, but without a line.
_BREAKS = str.maketrans("\x85\u2028\u2029", "\n\n\n")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")


def read_text(path: Path, file: str) -> str | Problem:
    """The text of a UTF-8 file without byte order mark, or why it cannot be read. `file`: name in messages."""
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            return _too_large(file)
        with path.open("rb") as stream:
            data = stream.read(MAXIMUM_BYTES + 1)
    except OSError as error:
        return _unreadable(file, error)
    return text_of(data, file)


def text_of(data: bytes, file: str) -> str | Problem:
    """Decode a file's bytes as `read_text` does."""
    if len(data) > MAXIMUM_BYTES:  # a pipe, or a file that grew meanwhile
        return _too_large(file)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        column = len(before) - before.rfind("\n")
        return Problem(file, before.count("\n") + 1, column, "the file is not UTF-8 text", "save it as plain text in UTF-8")
    if control := _CONTROL.search(text):
        start = control.start()
        column = start - text.rfind("\n", 0, start)
        what = f"the file contains the control character U+{ord(control[0]):04X}, as binary files do"
        return Problem(file, text.count("\n", 0, start) + 1, column, what, "save it as plain text in UTF-8")
    return _invisible(text, file) or text


def _invisible(text: str, file: str) -> Problem | None:
    """Invisible characters: they make a name look like another one, or a comment like code (CVE-2021-42574)."""
    # YAML's other line breaks are invisible too, but allowed here; values are checked later.
    start = None if text.isascii() else first_hidden_index(text.translate(_BREAKS))
    if start is None:
        return None
    before = text.rfind("\n", 0, start)
    what = f"the file contains the invisible character {code_point(text[start])}"
    hint = "delete it in an editor that shows it, or retype the line"
    return Problem(file, text.count("\n", 0, start) + 1, start - before, what, hint)


def _too_large(file: str) -> Problem:
    limit = MAXIMUM_BYTES // (1024 * 1024)
    return Problem(
        file, 1, 1, f"the file is larger than {limit} MiB", "split the customers into several files with `include`"
    )


def _unreadable(file: str, error: OSError) -> Problem:
    if isinstance(error, FileNotFoundError):
        return Problem(file, 1, 1, "there is no such file", "name the manifest, or create one with `gen init`")
    if isinstance(error, IsADirectoryError):
        return Problem(file, 1, 1, "this is a folder, not a file", "give the path of the manifest in it")
    if isinstance(error, PermissionError):
        return Problem(file, 1, 1, "permission denied", "check the permissions of the file")
    return Problem(file, 1, 1, f"the file cannot be read: {error.strerror or error}", "check the path and the disk")


CORE = "tag:yaml.org,2002:"
TEXT_TAGS = {"!", CORE + "str"}
SCALAR_TAGS = {CORE + name for name in ("int", "float", "bool", "null")}
# Numbers in YAML 1.2, strings in YAML 1.1 (PyYAML): ambiguous, so they must be quoted.
_NUMBER_1_2 = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


class _Scalars(yaml.constructor.SafeConstructor, yaml.resolver.Resolver):
    """PyYAML's resolver and constructor of scalars, without its parser."""

    def __init__(self) -> None:
        yaml.constructor.SafeConstructor.__init__(self)
        yaml.resolver.Resolver.__init__(self)


_SCALARS = _Scalars()
AMBIGUOUS_STARTS = frozenset(_SCALARS.yaml_implicit_resolvers) | set("0123456789+-.")
"""First characters of plain scalars that may not be strings; "" for the empty scalar."""


def resolve_plain(text: str) -> Any:
    """The value of a plain scalar: str, int, float, bool, None or a date, as in YAML 1.1 or 1.2."""
    tag: str = _SCALARS.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    if tag == CORE + "str":
        return float(text) if _NUMBER_1_2.fullmatch(text) else text
    try:
        return construct(tag, text)
    except (ValueError, KeyError, OverflowError, yaml.YAMLError):
        return text  # resembles a date or number but is invalid, as 2024-13-45


def kind_of(value: Any) -> str:
    """The type of a scalar, for messages."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, int | float) else "a date"


def construct(tag: str, text: str) -> Any:
    """The value of a scalar with this tag. Raises ValueError, KeyError, OverflowError or YAMLError if it is invalid."""
    constructor = _SCALARS.yaml_constructors.get(tag, yaml.constructor.SafeConstructor.construct_yaml_str)
    return constructor(_SCALARS, yaml.ScalarNode(tag, text))


MAXIMUM_DEPTH = 64
MAXIMUM_ALIASED_CHARACTERS = 8_000_000
"""Maximum number of characters that aliases repeat, nested aliases included: a limit against alias bombs.

Characters are counted rather than values, because a long string that is repeated is a bomb too.
"""

_COLLECTION_TAGS = {MappingStartEvent: {None, "!", CORE + "map"}, SequenceStartEvent: {None, "!", CORE + "seq"}}
_SYNTAX_HINTS = (
    ("tab character", "indent with spaces"),
    ("cannot start any token", "indent with spaces, and quote strings that start with @, ` or %"),
    ("mapping values are not allowed", "quote strings that contain `: `, and check the indentation"),
    ("expected key", "check the indentation: keys of one mapping start in the same column"),
    ("expected '-' indicator", "check the indentation: items of one list start in the same column"),
    ("flow node", "close the bracket"),
    ("expected ',' or", "close the bracket, or add a comma between the entries"),
    ("end of stream", "close the open quote or bracket"),
    ("undefined alias", "write the anchor (&name) above its alias (*name)"),
    ("control characters", "save the file as plain text in UTF-8"),
)


@dataclass(frozen=True, slots=True)
class YamlSource:
    """A parsed file: its name for messages, its tree (None if it has none), its problems."""

    file: str
    tree: Any
    problems: tuple[Problem, ...]
    plain: bool = True
    """True if every string is in Unicode normal form C without invisible characters; False: strings must be checked."""


class _Stop(Exception):  # noqa: N818 - control flow in this module: parsing cannot continue
    pass


def parse_source(text: str, file: str) -> YamlSource:
    """Parse YAML to a tree. Garbage collection is paused: it would double the time, and the tree has no cycles."""
    builder = _Builder(file)
    with collection_paused():
        builder.run(text)
    if not builder.problems and builder.root is None:
        builder.report(START, "the file is empty", "start from the file that `gen init` writes")
    # Escapes in quoted strings can produce any character.
    plain = text.isascii() or (unicodedata.is_normalized("NFC", text) and first_hidden_index(text) is None)
    plain = plain and "\\" not in text
    return YamlSource(file, builder.root, tuple(builder.problems), plain)


class _Builder:
    """Builds the tree from events. Keys that are not strings in YAML are reported, and kept as strings."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Any = None
        self.problems: list[Problem] = []
        self.current: MapNode | ListNode = ListNode(START)  # collects the document's root
        self.key: str | None = None
        self.key_mark: YamlMark = START
        self.stack: list[tuple[MapNode | ListNode, str | None, YamlMark, tuple[str, int] | None]] = []
        self.anchors: dict[str, tuple[Any, str | None, int] | None] = {}
        self.plain: dict[str, Any] = {}
        self.documents = 0
        self.length = 0
        self.aliased = 0

    def report(self, mark: YamlMark, what: str, hint: str) -> None:
        self.problems.append(problem_at(self.file, mark, what, hint))

    def run(self, text: str) -> None:
        self.length = len(text.rstrip())
        loader = yaml.CSafeLoader(text)
        handlers: dict[type, Callable[[Any], None]] = {
            ScalarEvent: self.scalar,
            MappingStartEvent: self.start,
            SequenceStartEvent: self.start,
            MappingEndEvent: self.end,
            SequenceEndEvent: self.end,
            AliasEvent: self.alias,
            DocumentStartEvent: self.document,
        }
        handler = handlers.get
        try:
            for event in iter(loader.get_event, None):
                if handle := handler(type(event)):
                    handle(event)
        except _Stop:
            return
        except yaml.YAMLError as error:
            self.syntax(error)
            return
        finally:
            loader.dispose()
        if isinstance(self.current, ListNode) and self.current:
            self.root = self.current[0]

    def scalar(self, event: Any) -> None:
        """Handle a scalar. Hot path (nine of ten events), so it avoids calls."""
        text = event.value
        plain, quoted = event.implicit
        if plain:
            if text[:1] in AMBIGUOUS_STARTS:
                value = self.plain.get(text, _Stop)
                if value is _Stop:
                    value = self.plain[text] = resolve_plain(text)
            else:
                value = text
        elif quoted:
            value = text
        else:
            value = self.tagged(event)
        node = self.current
        key = self.key
        if type(node) is MapNode and key is None:
            self.key = text
            self.key_mark = event.start_mark
            if text in node or value is not text or text == "<<":
                self.check_key(node, event, value)
            return
        raw = None if isinstance(value, str) else text
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, raw, event.end_mark.index - event.start_mark.index)
        if raw is None and type(node) is MapNode:
            node[key] = value  # type: ignore[index]
            node.marks[key] = (self.key_mark, event.start_mark)  # type: ignore[index]
            self.key = None
        else:
            self.store(value, event.start_mark, raw)

    def check_key(self, node: MapNode, event: Any, value: Any) -> None:
        mark, text = event.start_mark, event.value
        if text == "<<" and event.implicit[0]:
            hint = "write the keys out, or put shared values under `defaults`"
            self.report(mark, "merge keys (<<) are not supported", hint)
        elif not isinstance(value, str):
            self.report(mark, f"the key {clip(text)} is read by YAML as {kind_of(value)}", f'write "{clip(text)}" in quotes')
        elif text in node:
            first = node.marks[text][0].line + 1
            self.report(mark, f"duplicate key {clip(text)}, first in line {first}", "keep one of the two")

    def start(self, event: Any) -> None:
        mark = event.start_mark
        if isinstance(self.current, MapNode) and self.key is None:
            self.report(mark, "a list or mapping where a key is expected", "write the key as a string, in quotes if needed")
            raise _Stop
        if len(self.stack) >= MAXIMUM_DEPTH:
            self.report(mark, f"nested deeper than {MAXIMUM_DEPTH} levels", "a manifest needs no more than ten levels")
            raise _Stop
        if event.tag not in _COLLECTION_TAGS[type(event)]:
            self.unknown_tag(event)
        node = MapNode(mark) if type(event) is MappingStartEvent else ListNode(mark)
        opened = None
        if event.anchor is not None:
            opened = (event.anchor, mark.index + self.aliased)
            self.anchors[event.anchor] = None  # an alias inside its own anchor would be a cycle
        self.stack.append((self.current, self.key, self.key_mark, opened))
        self.current = node
        self.key = None

    def end(self, event: Any) -> None:
        node = self.current
        self.current, self.key, self.key_mark, opened = self.stack.pop()
        if opened is not None:
            self.anchors[opened[0]] = (node, None, event.end_mark.index + self.aliased - opened[1])
        self.store(node, node.mark, None)

    def alias(self, event: Any) -> None:
        mark = event.start_mark
        if isinstance(self.current, MapNode) and self.key is None:
            self.report(mark, f"the alias *{event.anchor} is used as a key", "write the key as a string")
            raise _Stop
        target = self.anchors.get(event.anchor, ("", None, 0))
        if target is None:
            self.report(mark, f"the alias *{event.anchor} is inside its own anchor", "write out the value")
            raise _Stop
        value, raw, size = target
        if event.anchor not in self.anchors:
            self.report(mark, f"the alias *{event.anchor} has no anchor above it", f"write &{event.anchor} before the value")
        self.aliased += size
        if self.aliased > MAXIMUM_ALIASED_CHARACTERS:
            self.report(
                mark,
                f"aliases repeat more than {MAXIMUM_ALIASED_CHARACTERS:,} characters",
                "write the values out, or put them under `defaults`",
            )
            raise _Stop
        self.store(value, mark, raw)

    def document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            self.report(event.start_mark, "a second document starts here (---)", "keep one document per file; use `include`")
            raise _Stop

    def store(self, value: Any, mark: YamlMark, raw: str | None) -> None:
        node = self.current
        if isinstance(node, MapNode):
            key = self.key or ""
            node[key] = value
            node.marks[key] = (self.key_mark, mark)
            if raw is not None:
                node.raw = node.raw or {}
                node.raw[key] = raw
            self.key = None
        else:
            node.append(value)
            node.marks.append(mark)
            if raw is not None:
                node.raw = node.raw or {}
                node.raw[len(node) - 1] = raw

    def tagged(self, event: Any) -> Any:
        if event.tag in TEXT_TAGS:
            return event.value
        if event.tag in SCALAR_TAGS:
            try:
                return construct(event.tag, event.value)
            except (ValueError, KeyError, yaml.YAMLError):
                pass
        self.unknown_tag(event)
        return event.value

    def unknown_tag(self, event: Any) -> None:
        shown = str(event.tag).replace(CORE, "!!")
        self.report(event.start_mark, f"unsupported tag {clip(shown)}", "remove the tag and write the plain value")

    def syntax(self, error: yaml.YAMLError) -> None:
        mark = getattr(error, "problem_mark", None) or START
        opened = getattr(error, "context_mark", None)
        if opened is not None and getattr(mark, "index", 0) >= self.length:
            mark = opened  # the end of the file would not help to find an open quote
        words = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "the file cannot be read")
        context = getattr(error, "context", None)
        text = f"{context}: {words}" if context else words
        hint = next(
            (hint for part, hint in _SYNTAX_HINTS if part in text), "check quotes, brackets and indentation near here"
        )
        self.report(mark, f"not YAML: {text}", hint)
