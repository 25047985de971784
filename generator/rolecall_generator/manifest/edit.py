"""Changes of a manifest's entries, made in the text of its files so that all else stays byte for byte as it was.

    edits = [AddCustomer({"name": "acme", "account_id": "222222222222"}), SetField("account1", "role", "Auditor")]
    edited = apply_edits(Path("accounts.yaml"), edits)     # nothing is written; edited.before and edited.after are loaded
    write_edited(edited)                                    # edit_write.py: all files or none

Names in edits are those of the manifest as it stands, before any of the edits. Entries are edited where they are: in the
manifest, in an included YAML file, or in a CSV file. Values are as `edit_render.Value`: text, number, true or false, list of
texts, mapping of texts. Each edited text is read again and held against what was asked for, so that a file written in a
way that the edits do not know is refused, never changed into something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rolecall_generator.errors import ManifestError, Problem, SelectionError
from rolecall_generator.manifest.edit_error import EditedManifestError
from rolecall_generator.manifest.edit_file import FileUnderEdit
from rolecall_generator.manifest.edit_render import Value
from rolecall_generator.manifest.load import SUFFIXES, LoadedManifest, included_by, load_manifest
from rolecall_generator.manifest.messages import suggest
from rolecall_generator.manifest.models import Customer
from rolecall_generator.manifest.textfile import read_text

Section = Literal["customers", "switch_roles"]
_NOUNS = {"customers": "customer", "switch_roles": "switch role"}


@dataclass(frozen=True, slots=True)
class AddCustomer:
    """A new customer, at the end of a file.

    `file` None: where the last customer stands, or a file of its own where that one has one. A file that is not there yet
    is made, and included where no pattern of `include` matches it; it stands in the manifest's folder or below.
    """

    values: Mapping[str, Value]
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class RemoveEntry:
    """A customer or switch role goes."""

    name: str
    section: Section = "customers"


@dataclass(frozen=True, slots=True)
class RenameEntry:
    """A customer or switch role gets another name; suppressions that name it exactly follow."""

    old: str
    new: str
    section: Section = "customers"


@dataclass(frozen=True, slots=True)
class SetField:
    """A field of an entry gets a value, whether or not it had one."""

    name: str
    field: str
    value: Value
    section: Section = "customers"


@dataclass(frozen=True, slots=True)
class DropField:
    """A field of an entry goes; nothing happens where the entry does not have it."""

    name: str
    field: str
    section: Section = "customers"


Edit = AddCustomer | RemoveEntry | RenameEntry | SetField | DropField


@dataclass(frozen=True, slots=True)
class EditedFile:
    """A file's bytes before and after; before is None for a file that is new."""

    before: bytes | None
    after: bytes


@dataclass(frozen=True, slots=True)
class Edited:
    """Edits made in memory: the files that change, new ones first, and the manifest before and after, both valid."""

    manifest: Path
    files: Mapping[Path, EditedFile]
    before: LoadedManifest
    after: LoadedManifest


def apply_edits(manifest: Path, edits: Sequence[Edit], loaded: LoadedManifest | None = None) -> Edited:
    """Make edits in memory. Nothing is written. `loaded` is the manifest, where whoever asks has loaded it already.

    Raises ManifestError when the manifest is wrong as it stands, EditedManifestError when it would be afterwards, EditError
    when a text cannot be edited as asked, SelectionError for a name or file that the manifest does not have.
    """
    loaded = loaded or load_manifest(manifest)
    files = _Files(loaded)
    for edit in edits:
        files.take(edit)
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
    """The files of a manifest that edits touch, opened when the first edit needs them."""

    def __init__(self, loaded: LoadedManifest) -> None:
        self._loaded = loaded
        self._paths = {str(path): path for path in loaded.files}
        self._open: dict[Path, FileUnderEdit] = {}
        self._known = {
            section: dict.fromkeys(entry.name for entry in getattr(loaded.manifest, section))
            for section in ("customers", "switch_roles")
        }

    def take(self, edit: Edit) -> None:
        match edit:
            case AddCustomer():
                self._add(edit)
            case RemoveEntry():
                file, index = self._find(edit.section, edit.name)
                file.remove(edit.section, index)
            case RenameEntry():
                file, index = self._find(edit.section, edit.old)
                file.set(edit.section, index, "name", edit.new)
                self._follow(edit)
            case SetField():
                file, index = self._find(edit.section, edit.name)
                file.set(edit.section, index, edit.field, edit.value)
            case DropField():
                file, index = self._find(edit.section, edit.name)
                file.drop(edit.section, index, edit.field)

    def finished(self) -> dict[Path, EditedFile]:
        done = {path: EditedFile(file.before, file.finished()) for path, file in self._open.items()}
        changed = {path: file for path, file in done.items() if file.before != file.after}
        # A crash between two files leaves a manifest that is valid: nothing is included before it is there.
        return dict(sorted(changed.items(), key=lambda item: item[1].before is not None))

    def _add(self, edit: AddCustomer) -> None:
        path = self._own_file(str(edit.values["name"])) if edit.file is None else self._named(edit.file)
        if path not in self._open and str(path) not in self._paths:
            self._open[path] = FileUnderEdit(path, new=True)
            self._include(path.relative_to(self._loaded.files[0].parent))
        self._opened(path).add("customers", _ordered(edit.values))

    def _own_file(self, name: str) -> Path:
        """Where a customer goes that nobody named a file for."""
        customers = self._loaded.manifest.customers
        if not customers:
            return self._loaded.files[0]
        last = self._paths[self._loaded.places.find("customers", len(customers) - 1).file]
        alone = last.stem == customers[-1].name and len(self._opened(last).names("customers")) == 1
        return last.with_name(f"{name}{last.suffix}") if alone and last != self._loaded.files[0] else last

    def _named(self, wanted: Path) -> Path:
        """One of the manifest's files, or a new one below its folder."""
        folder = self._loaded.files[0].parent.resolve()
        target = wanted.resolve()
        for path in (*self._loaded.files, *self._open):
            if path.resolve() == target:
                return path
        where, mend = str(wanted), "name one of the manifest's files, or a new one"
        if not target.is_relative_to(folder) or target.suffix.lower() not in SUFFIXES:
            what = f"a file of customers stands below {self._loaded.files[0].parent} and ends in {', '.join(SUFFIXES)}"
            raise SelectionError(what, where=where, mend=mend)
        if target.exists():
            raise SelectionError("the file is there, but the manifest does not include it", where=where, mend=mend)
        return self._loaded.files[0].parent / target.relative_to(folder)

    def _include(self, relative: Path) -> None:
        if not any(included_by(pattern, relative) for pattern in self._loaded.manifest.include):
            self._opened(self._loaded.files[0]).add("include", relative.as_posix())

    def _follow(self, edit: RenameEntry) -> None:
        for index, suppression in enumerate(self._loaded.manifest.suppress):
            if suppression.subject == edit.old:
                self._opened(self._loaded.files[0]).set("suppress", index, "subject", edit.new)

    def _find(self, section: Section, name: str) -> tuple[FileUnderEdit, int]:
        if name not in self._known[section]:
            where = str(self._loaded.files[0])
            raise SelectionError(f"there is no {_NOUNS[section]} named {name}", where=where, mend=self._meant(section, name))
        file = self._opened(self._paths[self._loaded.places.find(section, name).file])
        return file, file.index(section, name)

    def _meant(self, section: Section, name: str) -> str:
        """What somebody may have meant who named an entry that is not there."""
        if section == "customers" and name in self._known["switch_roles"]:
            return "a switch role has that name: rename and remove take --switch-role"
        if section == "switch_roles" and name in self._known["customers"]:
            return "a customer has that name: leave --switch-role out"
        if any(wildcard in name for wildcard in "*?["):
            return suggest("", self._known[section], "write names in full")
        return suggest(name, self._known[section], f"write the name of a {_NOUNS[section]} of the manifest")

    def _opened(self, path: Path) -> FileUnderEdit:
        if path not in self._open:
            self._open[path] = FileUnderEdit(path)
        return self._open[path]


def _ordered(values: Mapping[str, Value]) -> dict[str, Value]:
    """A customer's fields in the models' order."""
    if unknown := sorted(set(values) - set(Customer.model_fields)):
        raise ValueError(f"a customer has no field {unknown[0]}")
    return {name: values[name] for name in Customer.model_fields if name in values}
