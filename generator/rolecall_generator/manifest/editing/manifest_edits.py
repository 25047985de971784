"""Edits of a manifest's entries, made in the text of its files so that everything else stays byte for byte as it was.

    edits = [AddCustomer({"name": "acme", "account_id": "222222222222"}), SetField("account1", "role", "Auditor")]
    edited = apply_edits(Path("accounts.yaml"), edits)     # in memory; edited.before and edited.after are validated
    write_edited(edited)                                    # all files or none

Names in edits are those of the manifest before any of the edits. Entries are edited where they are: in the manifest, in an
included YAML file, or in a CSV file. Each edited text is parsed again and compared with the expected tree, so that a file
whose style the editors do not support is refused rather than corrupted.
"""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rolecall_generator.errors import ManifestError, OutputError, Problem, SelectionError
from rolecall_generator.manifest import Customer, LoadedManifest, load_manifest, parse_csv
from rolecall_generator.manifest.editing.entries import CsvRowEditor, Item, YamlText
from rolecall_generator.manifest.editing.text_edits import BY_HAND, EditedManifestError, EditError, Value
from rolecall_generator.manifest.yaml_source import YamlSource, parse_source, read_text, text_of
from rolecall_generator.output import Disk, folder_lock
from rolecall_generator.text import clip, code_point, first_hidden_index, suggest

Section = Literal["customers", "switch_roles"]
_NOUNS = {"customers": "customer", "switch_roles": "switch role"}


@dataclass(frozen=True, slots=True)
class AddCustomer:
    """Append a customer to a file.

    `file` None: the file of the last customer, or a file of its own if that customer has one. A file that does not exist is
    created in the manifest's folder or below, and added to `include` unless a pattern matches it.
    """

    values: Mapping[str, Value]
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class RemoveEntry:
    """Remove a customer or switch role."""

    name: str
    section: Section = "customers"


@dataclass(frozen=True, slots=True)
class RenameEntry:
    """Rename a customer or switch role, also in suppressions with exactly that name."""

    old: str
    new: str
    section: Section = "customers"


@dataclass(frozen=True, slots=True)
class SetField:
    """Set a field of an entry."""

    name: str
    field: str
    value: Value
    section: Section = "customers"


@dataclass(frozen=True, slots=True)
class UnsetField:
    """Remove a field of an entry, if it has it."""

    name: str
    field: str
    section: Section = "customers"


Edit = AddCustomer | RemoveEntry | RenameEntry | SetField | UnsetField


@dataclass(frozen=True, slots=True)
class EditedFile:
    """A file's bytes before and after the edits; before is None for a new file."""

    before: bytes | None
    after: bytes


@dataclass(frozen=True, slots=True)
class Edited:
    """The result of edits in memory: the changed files, new ones first, and the valid manifest before and after."""

    manifest: Path
    files: Mapping[Path, EditedFile]
    before: LoadedManifest
    after: LoadedManifest


def apply_edits(manifest: Path, edits: Sequence[Edit], loaded: LoadedManifest | None = None) -> Edited:
    """Apply edits in memory; nothing is written. `loaded`: the manifest, if it is already loaded.

    Raises ManifestError for an invalid manifest, EditedManifestError if it would be invalid after the edits, EditError when
    a file cannot be edited, SelectionError for a name or file that is not in the manifest.
    """
    loaded = loaded or load_manifest(manifest)
    files = _Files(loaded)
    for edit in edits:
        files.apply(edit)
    edited = files.finished()
    texts = {str(path): content.after.decode("utf-8-sig") for path, content in edited.items()}

    def read(path: Path, file: str) -> str | Problem:
        return texts[file] if file in texts else read_text(path, file)

    try:
        after = load_manifest(manifest, read=read, new_files=[path for path in edited if edited[path].before is None])
    except ManifestError as error:
        raise EditedManifestError(error.problems) from None
    return Edited(manifest, edited, loaded, after)


class _Files:
    """The files of a manifest under edit, opened on demand."""

    def __init__(self, loaded: LoadedManifest) -> None:
        self._loaded = loaded
        self._paths = {str(path): path for path in loaded.files}
        self._open: dict[Path, FileUnderEdit] = {}
        self._known = {
            section: dict.fromkeys(entry.name for entry in getattr(loaded.manifest, section))
            for section in ("customers", "switch_roles")
        }

    def apply(self, edit: Edit) -> None:
        match edit:
            case AddCustomer():
                self._add(edit)
            case RemoveEntry():
                file, index = self._find(edit.section, edit.name)
                file.remove(edit.section, index)
            case RenameEntry():
                file, index = self._find(edit.section, edit.old)
                file.set(edit.section, index, "name", edit.new)
                self._rename_suppressions(edit)
            case SetField():
                file, index = self._find(edit.section, edit.name)
                file.set(edit.section, index, edit.field, edit.value)
            case UnsetField():
                file, index = self._find(edit.section, edit.name)
                file.unset(edit.section, index, edit.field)

    def finished(self) -> dict[Path, EditedFile]:
        done = {path: EditedFile(file.before, file.finished()) for path, file in self._open.items()}
        changed = {path: file for path, file in done.items() if file.before != file.after}
        # New files first: after a crash between two files, every included file exists.
        return dict(sorted(changed.items(), key=lambda item: item[1].before is not None))

    def _add(self, edit: AddCustomer) -> None:
        path = self._own_file(str(edit.values["name"])) if edit.file is None else self._named(edit.file)
        if path not in self._open and str(path) not in self._paths:
            self._open[path] = FileUnderEdit(path, new=True)
            relative = path.relative_to(self._loaded.files[0].parent)
            if not self._loaded.includes(relative):
                self._opened(self._loaded.files[0]).add("include", relative.as_posix())
        self._opened(path).add("customers", _ordered(edit.values))

    def _own_file(self, name: str) -> Path:
        """The file for a customer without an explicit one."""
        customers = self._loaded.manifest.customers
        if not customers:
            return self._loaded.files[0]
        last = self._paths[self._loaded.places.find("customers", len(customers) - 1).file]
        has_own_file = last.stem == customers[-1].name and len(self._opened(last).names("customers")) == 1
        return last.with_name(f"{name}{last.suffix}") if has_own_file and last != self._loaded.files[0] else last

    def _named(self, requested: Path) -> Path:
        """The file for an explicit path: one of the manifest's files, or a new one below its folder."""
        folder = self._loaded.files[0].parent.resolve()
        target = requested.resolve()
        for path in (*self._loaded.files, *self._open):
            if path.resolve() == target:
                return path
        suffixes = LoadedManifest.INCLUDE_SUFFIXES
        where, hint = str(requested), "use one of the manifest's files, or a new file"
        if not target.is_relative_to(folder) or target.suffix.lower() not in suffixes:
            what = f"a file of customers must be below {self._loaded.files[0].parent} and end in {', '.join(suffixes)}"
            raise SelectionError(what, where=where, hint=hint)
        if target.exists():
            raise SelectionError("the file exists, but the manifest does not include it", where=where, hint=hint)
        return self._loaded.files[0].parent / target.relative_to(folder)

    def _rename_suppressions(self, edit: RenameEntry) -> None:
        for index, suppression in enumerate(self._loaded.manifest.suppress):
            if suppression.subject == edit.old:
                self._opened(self._loaded.files[0]).set("suppress", index, "subject", edit.new)

    def _find(self, section: Section, name: str) -> tuple[FileUnderEdit, int]:
        if name not in self._known[section]:
            where = str(self._loaded.files[0])
            raise SelectionError(f"there is no {_NOUNS[section]} named {name}", where=where, hint=self._hint(section, name))
        file = self._opened(self._paths[self._loaded.places.find(section, name).file])
        return file, file.index(section, name)

    def _hint(self, section: Section, name: str) -> str:
        """A hint for the name of an entry that does not exist."""
        if section == "customers" and name in self._known["switch_roles"]:
            return "a switch role has that name: rename and remove take --switch-role"
        if section == "switch_roles" and name in self._known["customers"]:
            return "a customer has that name: leave --switch-role out"
        if any(wildcard in name for wildcard in "*?["):
            return suggest("", self._known[section], "use full names")
        return suggest(name, self._known[section], f"use the name of a {_NOUNS[section]} of the manifest")

    def _opened(self, path: Path) -> FileUnderEdit:
        if path not in self._open:
            self._open[path] = FileUnderEdit(path)
        return self._open[path]


def _ordered(values: Mapping[str, Value]) -> dict[str, Value]:
    """A customer's fields in the models' order."""
    if unknown := sorted(set(values) - set(Customer.model_fields)):
        raise ValueError(f"a customer has no field {unknown[0]}")
    return {name: values[name] for name in Customer.model_fields if name in values}


_SURROGATE = re.compile("[\ud800-\udfff]")
"""A byte of the command line that is not UTF-8, as Python decodes it (PEP 383)."""
BOM = b"\xef\xbb\xbf"


class FileUnderEdit:
    """One file under edit. Each edit is made in the text and in the tree; `finished` compares the two."""

    def __init__(self, path: Path, *, new: bool = False) -> None:
        """Read the file; a `new` one starts empty. Raises ManifestError or OutputError when it cannot be read."""
        self.before = None if new else _bytes_of(path)
        self._name = str(path)
        text = "" if new else read_text(path, self._name)
        if isinstance(text, Problem):
            raise ManifestError([text])
        self._csv = path.suffix.lower() == ".csv"
        self._tree: Any = {} if new else self._parse(text).tree
        self._editor = CsvRowEditor(text) if self._csv else YamlText(text, self._name)
        self._names: dict[str, dict[str, int]] = {
            section: {entry["name"]: index for index, entry in reversed(list(enumerate(self._tree.get(section) or [])))}
            for section in ("customers", "switch_roles")
        }
        self._removed: list[tuple[str, int]] = []
        self._added: list[tuple[str, Any]] = []

    def index(self, section: str, name: str) -> int:
        """The index of the named entry in its section of this file."""
        return self._names[section][name]

    def names(self, section: str) -> Collection[str]:
        """Names of the section's entries in this file, before the edits."""
        return self._names[section].keys()

    def add(self, section: str, entry: Item) -> None:
        """Append an entry, or a pattern of `include`, to a section."""
        plain = entry if isinstance(entry, str) else {key: _plain(value) for key, value in entry.items()}
        self._editor.add(section, entry)
        self._added.append((section, plain))

    def remove(self, section: str, index: int) -> None:
        """Remove an entry."""
        self._editor.remove(section, index)
        self._removed.append((section, index))

    def set(self, section: str, index: int, field: str, value: Value) -> None:
        """Set a field; no change if it already has the value."""
        entry = self._tree[section][index]
        if field not in entry or entry[field] != _plain(value):
            self._editor.set(section, index, field, value)
            entry[field] = _plain(value)

    def unset(self, section: str, index: int, field: str) -> None:
        """Remove a field, if the entry has it."""
        entry = self._tree[section][index]
        if field in entry:
            self._editor.unset(section, index, field)
            del entry[field]

    def finished(self) -> bytes:
        """The edited file. Raises EditError when its text does not parse to the expected tree."""
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

    def _refusal(self, read: YamlSource | None) -> EditError:
        """The error for an edited text that does not parse to the expected tree; `read` is None if it cannot be decoded."""
        if self._csv and not (read and read.problems):
            which = "an empty one, one with spaces around it, or one with control characters"
            what = f"a CSV cell cannot represent one of the values: {which}"
            return EditError(what, where=self._name, hint="give another value, or move the customer to a YAML file")
        why = f": {read.problems[0].what}" if read and read.problems else ""
        what = f"this file has a style that cannot be edited safely{why}"
        return EditError(what, where=self._name, hint=BY_HAND)

    def _parse(self, text: str) -> YamlSource:
        return parse_csv(text, self._name) if self._csv else parse_source(text, self._name)


def _bytes_of(path: Path) -> bytes:
    if not path.is_file():
        raise OutputError("only a regular file can be edited", where=str(path), hint="use a regular file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise OutputError(f"cannot be read: {error.strerror}", where=str(path), hint="check its permissions") from error


def _plain(value: Value) -> Any:
    """A value as the parser returns it. Raises SelectionError for invalid UTF-8 and invisible characters."""
    if isinstance(value, int):
        return value
    texts = (value,) if isinstance(value, str) else (*value, *value.values()) if isinstance(value, Mapping) else value
    if any(_SURROGATE.search(text) for text in texts):
        raise SelectionError("a value is not valid UTF-8", hint="enter it in UTF-8")
    for text in texts:
        if (hidden := first_hidden_index(text)) is not None:
            what = f'"{clip(text)}" contains the invisible character {code_point(text[hidden])}'
            raise SelectionError(what, where="a value for the manifest", hint="enter it again without that character")
    if isinstance(value, str):
        return value
    return dict(value) if isinstance(value, Mapping) else list(value)


_ANY_WRITE_BIT = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_CHANGED = "check the file, then run the command again"


def write_edited(edited: Edited, disk: Disk | None = None) -> None:
    """Replace the files with the edited ones. Symbolic links and modes are kept.

    All new content is on disk before the first file is replaced, and each file is replaced atomically. Raises OutputError
    when a file cannot be written or has changed since it was read; then every file is as before.
    """
    disk = disk or Disk()
    ready: list[_Ready] = []
    try:
        with folder_lock(edited.manifest.parent):
            for path, content in edited.files.items():
                _unchanged(path, content.before)
                target = Path(os.path.realpath(path))  # a link stays a link
                _sweep(target, disk)
                ready.append(_Ready(_prepared(path, target, content.after, disk), path, target, content.before))
            _replace(ready, disk)
    except OSError as error:
        where = os.fsdecode(error.filename) if error.filename else str(edited.manifest)
        hint = "check permissions and free space; nothing has changed"
        raise OutputError(f"cannot be written: {error.strerror}", where=where, hint=hint) from error
    finally:
        for item in ready:
            with suppress(OSError):
                disk.unlink(str(item.temporary))


@dataclass(frozen=True, slots=True)
class _Ready:
    """A temporary file next to its target, and the target's content before (None if new). `path`: name in messages."""

    temporary: Path
    path: Path
    target: Path
    before: bytes | None


def _unchanged(path: Path, before: bytes | None) -> None:
    missing = before is not None and not path.is_file()  # reading a pipe would wait
    if missing or (path.read_bytes() if path.exists() else None) != before:
        raise OutputError("the file has changed since it was read; nothing was written", where=str(path), hint=_CHANGED)
    # A rename only needs write permission on the folder, and root may write everywhere: check the mode as well.
    if before is not None and not (os.access(path, os.W_OK) and path.stat().st_mode & _ANY_WRITE_BIT):
        raise OutputError("the file is read-only", where=str(path), hint="make it writable")


def _sweep(target: Path, disk: Disk) -> None:
    """Remove temporary files of killed edits. The folder is locked, so no other edit is running."""
    for piece in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        with suppress(FileNotFoundError):
            disk.unlink(str(piece))


def _prepared(path: Path, target: Path, content: bytes, disk: Disk) -> Path:
    """Write the content to a temporary file next to the target, with its mode, and sync it. An OSError has `path`."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        disk.write_new(str(temporary), content)
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        with suppress(OSError):
            disk.unlink(str(temporary))
        error.filename = os.fspath(path)
        raise
    return temporary


def _replace(ready: Sequence[_Ready], disk: Disk) -> None:
    done: list[_Ready] = []
    try:
        for item in ready:
            disk.replace(str(item.temporary), str(item.target))
            done.append(item)
    except OSError:
        for item in done:
            if item.before is None:
                disk.unlink(str(item.target))
            else:
                disk.replace(str(_prepared(item.path, item.target, item.before, disk)), str(item.target))
        raise
