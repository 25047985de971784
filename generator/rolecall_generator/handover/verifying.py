"""Whether a bundle is as it was made: every file as SHA256SUMS says, none missing, none added, signed where that is asked.

A zip is read with suspicion: it comes back from somebody else. Nothing of it is unpacked.
"""

from __future__ import annotations

import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rolecall_generator.disk import read_regular
from rolecall_generator.errors import OutputError
from rolecall_generator.handover.checksums import read_sums
from rolecall_generator.handover.layout import SUMS
from rolecall_generator.handover.signing import SIGNATURES, Trusted
from rolecall_generator.handover.words import counted
from rolecall_generator.survey import sha256

_MOST_FILES = 1_000
_MOST_BYTES = 64 * 1024 * 1024
"""More than any bundle has by far: a zip that claims more is not opened further."""

_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, RuntimeError)
"""ValueError and RuntimeError: how zipfile speaks of impossible offsets, names that are no text, and passwords."""

_Reader = Callable[[], bytes | None]
"""Content of a file; None when the zip is damaged there."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with one file of a bundle."""

    file: str
    what: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check found. `files` counts those of the bundle; `signature` says in words what is known of it."""

    files: int
    troubles: tuple[Trouble, ...]
    signature: str

    @property
    def ok(self) -> bool:
        """True when nothing is wrong."""
        return not self.troubles


def verify_bundle(path: Path, trusted: Trusted) -> Verified:
    """Check a folder or a zip. Raises OutputError when there is neither, or it cannot be read; ToolError; SelectionError."""
    try:
        if path.is_dir():
            return _verify(*_of_folder(path), trusted)
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise OutputError("is neither a folder nor a file", where=str(path), mend="name a bundle's folder or its zip")
        return verify_zip(path, trusted)
    except FileNotFoundError as error:
        raise OutputError("there is no such bundle", where=str(path), mend="name a bundle's folder or its zip") from error
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        raise OutputError(what, where=str(error.filename or path), mend="make it readable for this user") from error


def verify_zip(source: Path | BinaryIO, trusted: Trusted) -> Verified:
    """Check a zip. Raises OutputError when it is none or is damaged, OSError when it cannot be read; ToolError."""
    try:
        with zipfile.ZipFile(source) as archive:
            return _verify(*_of_zip(archive), trusted)
    except _DAMAGE as error:
        where = str(source) if isinstance(source, Path) else None
        raise OutputError(f"is no zip that can be read ({error})", where=where, mend="ask for it again") from error


def _of_folder(folder: Path) -> tuple[dict[str, _Reader], list[Trouble]]:
    """Readers by name, and what is no plain file."""
    readers: dict[str, _Reader] = {}
    troubles = []
    for name, plain in _walk(folder, ""):
        if plain:
            readers[name] = lambda name=name: read_regular(f"{folder}/{name}")  # type: ignore[misc]
        else:
            troubles.append(Trouble(name, "is a link or no plain file; a bundle has neither"))
    return readers, troubles


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, bool]]:
    with os.scandir(folder / prefix) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(folder, f"{name}/")
            else:
                yield name, entry.is_file(follow_symlinks=False)


def _of_zip(archive: zipfile.ZipFile) -> tuple[dict[str, _Reader], list[Trouble]]:
    """Readers by name below the bundle's folder in the zip, and what no bundle's zip has."""
    entries = [entry for entry in archive.infolist() if not _is_folder(entry)]
    if len(entries) > _MOST_FILES or sum(entry.file_size for entry in entries) > _MOST_BYTES:
        return {}, [Trouble(".", f"holds more than a bundle can ({_extent(entries)}); it was not opened")]
    tops = [entry.filename.removesuffix(SUMS) for entry in entries if entry.filename.rpartition("/")[2] == SUMS]
    top = min(tops, key=len, default="")
    readers: dict[str, _Reader] = {}
    troubles = []
    for entry in entries:
        name = entry.filename.removeprefix(top)
        if trouble := _oddity(entry):
            troubles.append(Trouble(entry.filename, trouble))
        elif not entry.filename.startswith(top):
            troubles.append(Trouble(entry.filename, f"was added beside the bundle's folder {top}"))
        elif name in readers:
            troubles.append(Trouble(entry.filename, "is in the zip a second time"))
        else:
            readers[name] = lambda entry=entry: _content(archive, entry)  # type: ignore[misc]
    return readers, troubles


def _extent(entries: Collection[zipfile.ZipInfo]) -> str:
    mebibytes = sum(entry.file_size for entry in entries) / (1024 * 1024)
    return f"{counted(len(entries), 'file')}, {mebibytes:,.1f} MiB"


def _is_folder(entry: zipfile.ZipInfo) -> bool:
    return entry.filename.endswith("/") and entry.file_size == 0 and _oddity(entry) is None


def _oddity(entry: zipfile.ZipInfo) -> str | None:
    """What a bundle's zip never has: names that lead elsewhere, links, encrypted files."""
    # orig_filename is what stands in the zip; zipfile itself cuts a name at a NUL.
    name = entry.orig_filename.removesuffix("/")
    if name.startswith("/") or "\\" in name or "\0" in name or ":" in name.partition("/")[0]:
        return "has a name that leads out of the folder"
    if any(part in {"", ".", ".."} for part in name.split("/")):
        return "has a name that leads out of the folder"
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "is a link or no plain file; a bundle has neither"
    return "is encrypted" if entry.flag_bits & 1 else None


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes | None:
    """A file's content, and no more than it says it has: what else it would unpack to is not read. None when damaged."""
    try:
        with archive.open(entry) as file:
            return file.read(entry.file_size + 1)
    except _DAMAGE:
        return None


def _verify(readers: Mapping[str, _Reader], troubles: list[Trouble], trusted: Trusted) -> Verified:
    found = list(troubles)
    sums = _sums(readers, found) if readers or not troubles else {}
    for name, wanted in sums.items():
        if name not in readers:
            found.append(Trouble(name, "is missing"))
        elif (content := readers[name]()) is None or sha256(content) != wanted:
            found.append(Trouble(name, f"was changed: it is not what {SUMS} says"))
    extra = sorted(readers.keys() - sums.keys() - {SUMS, *SIGNATURES}) if sums else []
    found += [Trouble(name, f"was added: {SUMS} does not name it") for name in extra]
    signature = _signature(readers, trusted, found)
    return Verified(len(readers), tuple(found), signature)


def _sums(readers: Mapping[str, _Reader], found: list[Trouble]) -> Mapping[str, str]:
    if SUMS not in readers:
        found.append(Trouble(SUMS, "is missing: nothing can be said of the other files"))
        return {}
    content = readers[SUMS]()
    if content is None:
        found.append(Trouble(SUMS, "was changed: it cannot be unpacked"))
        return {}
    try:
        return read_sums(content)
    except ValueError as error:
        found.append(Trouble(SUMS, f"cannot be read: {error}"))
        return {}


def _signature(readers: Mapping[str, _Reader], trusted: Trusted, found: list[Trouble]) -> str:
    """In words; a signature that was asked for and does not count is a trouble."""
    there = [name for name in SIGNATURES if name in readers]
    if trusted.nobody:
        return f"{', '.join(there)} was not checked: name whose it should be" if there else "not signed"
    with tempfile.TemporaryDirectory(prefix="rolecall-") as folder:
        for name in {SUMS, *there} & readers.keys():
            Path(folder, name).write_bytes(readers[name]() or b"")
        refusal = trusted.refusal(Path(folder))
    if refusal is not None:
        found.append(Trouble(trusted.signature, f"the signature does not count: {refusal}"))
        return "the signature does not count"
    return f"{trusted.signature} is by who was named"
