"""One file of a manifest under edit, with the tree that its edited text must read as."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from rolecall_generator.errors import ManifestError, OutputError, Problem, SelectionError
from rolecall_generator.manifest.csvfile import parse_csv
from rolecall_generator.manifest.edit_csv import CsvRows
from rolecall_generator.manifest.edit_error import BY_HAND, EditError
from rolecall_generator.manifest.edit_lists import Item
from rolecall_generator.manifest.edit_render import Value
from rolecall_generator.manifest.edit_yaml import YamlText
from rolecall_generator.manifest.scalars import clip
from rolecall_generator.manifest.source import Source, parse_source
from rolecall_generator.manifest.textfile import read_text, text_of
from rolecall_generator.text import code_point, first_hidden

_SURROGATE = re.compile("[\ud800-\udfff]")
"""What Python makes of a byte of the command line that is not UTF-8 (PEP 383)."""
BOM = b"\xef\xbb\xbf"


class Editor(Protocol):
    """A text under edit; indexes count a section's entries in this text."""

    def add(self, section: str, entry: Item, /) -> None: ...  # noqa: D102 - YamlText says it
    def remove(self, section: str, index: int, /) -> None: ...  # noqa: D102
    def set(self, section: str, index: int, field: str, value: Value, /) -> None: ...  # noqa: D102
    def drop(self, section: str, index: int, field: str, /) -> None: ...  # noqa: D102
    def result(self) -> str: ...  # noqa: D102


class FileUnderEdit:
    """Each edit is made twice: in the text, and in the tree. `finished` holds one against the other."""

    def __init__(self, path: Path, *, new: bool = False) -> None:
        """Read the file; one that is `new` starts empty. Raises ManifestError or OutputError when it cannot be read."""
        self.before = None if new else _bytes_of(path)
        self._name = str(path)
        text = "" if new else read_text(path, self._name)
        if isinstance(text, Problem):
            raise ManifestError([text])
        self._csv = path.suffix.lower() == ".csv"
        self._tree: Any = {} if new else self._parse(text).tree
        self._editor: Editor = CsvRows(text) if self._csv else YamlText(text, self._name)
        self._names = {section: self._names_of(section) for section in ("customers", "switch_roles")}
        self._removed: list[tuple[str, int]] = []
        self._added: list[tuple[str, Any]] = []

    def index(self, section: str, name: str) -> int:
        """Which of the section's entries in this file has the name."""
        return self._names[section][name]

    def names(self, section: str) -> Collection[str]:
        """Names of the section's entries in this file, before the edits."""
        return self._names[section].keys()

    def add(self, section: str, entry: Item) -> None:
        """Put an entry, or a text of `include`, at the end of a section."""
        plain = entry if isinstance(entry, str) else {key: _plain(value) for key, value in entry.items()}
        self._editor.add(section, entry)
        self._added.append((section, plain))

    def remove(self, section: str, index: int) -> None:
        """Take an entry out."""
        self._editor.remove(section, index)
        self._removed.append((section, index))

    def set(self, section: str, index: int, field: str, value: Value) -> None:
        """Give a field a value; the text stays where it has that value already."""
        entry = self._tree[section][index]
        if field not in entry or entry[field] != _plain(value):
            self._editor.set(section, index, field, value)
            entry[field] = _plain(value)

    def drop(self, section: str, index: int, field: str) -> None:
        """Take a field out, if it is there."""
        entry = self._tree[section][index]
        if field in entry:
            self._editor.drop(section, index, field)
            del entry[field]

    def finished(self) -> bytes:
        """The edited file. Raises EditError when its text does not read as what was asked for."""
        for section, index in sorted(set(self._removed), reverse=True):
            del self._tree[section][index]
        for section, entry in self._added:
            self._tree.setdefault(section, []).append(entry)
        data = (BOM if self.before is not None and self.before.startswith(BOM) else b"") + self._editor.result().encode()
        text = text_of(data, self._name)
        read = None if isinstance(text, Problem) else self._parse(text)
        if read is None or read.problems or read.tree != self._tree:
            raise self._refusal(read)
        return data

    def _refusal(self, read: Source | None) -> EditError:
        """Why the edited text, None where it is no text for a manifest, is not what was asked for."""
        if self._csv and not (read and read.problems):
            which = "an empty one, one with spaces around it, or one with control characters"
            what = f"a cell of CSV cannot say one of these values: {which}"
            return EditError(what, where=self._name, mend="give another value, or move the customer to a YAML file")
        why = f": {read.problems[0].what}" if read and read.problems else ""
        what = f"this file is written in a way that cannot be edited safely{why}"
        return EditError(what, where=self._name, mend=BY_HAND)

    def _parse(self, text: str) -> Source:
        return parse_csv(text, self._name) if self._csv else parse_source(text, self._name)

    def _names_of(self, section: str) -> dict[str, int]:
        entries = self._tree.get(section) or []
        return {entry["name"]: index for index, entry in reversed(list(enumerate(entries)))}


def _bytes_of(path: Path) -> bytes:
    if not path.is_file():
        raise OutputError("only a regular file can be edited", where=str(path), mend="write the manifest into a file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise OutputError(f"cannot be read: {error.strerror}", where=str(path), mend="check its permissions") from error


def _plain(value: Value) -> Any:
    """A value as the reader gives it. Raises SelectionError for one that is not UTF-8, or that holds what no one sees."""
    if isinstance(value, int):
        return value
    texts = (value,) if isinstance(value, str) else (*value, *value.values()) if isinstance(value, Mapping) else value
    if any(_SURROGATE.search(text) for text in texts):
        raise SelectionError("a value has bytes that are not UTF-8 text", mend="type it in UTF-8")
    for text in texts:
        if (hidden := first_hidden(text)) is not None:
            what = f'"{clip(text)}" holds the invisible character {code_point(text[hidden])}'
            raise SelectionError(what, where="a value for the manifest", mend="type it anew, without that character")
    if isinstance(value, str):
        return value
    return dict(value) if isinstance(value, Mapping) else list(value)
