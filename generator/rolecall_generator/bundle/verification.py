"""Whether a bundle is as it was made: every file as SHA256SUMS says, none missing, none added, signed where that is asked.

A bundle comes back from someone else and is read with suspicion; nothing of it is unpacked. What passes must be what every
other program finds in it: SHA256SUMS is exactly what `sums_of` writes, a zip is byte for byte what `container` writes around
the compressed data found in it, and a folder holds nothing but the files that are listed.
"""

from __future__ import annotations

import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rolecall_generator.bundle.archive import DEFLATED, STORED, ArchiveEntry, container, local_length, method_of
from rolecall_generator.bundle.bundle_state import is_bundle_name, is_sums_name, read_sums
from rolecall_generator.bundle.signing import SIGNATURES, Trusted
from rolecall_generator.errors import OutputError
from rolecall_generator.output import read_regular, sha256
from rolecall_generator.records import SUMS
from rolecall_generator.text import counted

_MOST_FILES = 1_000
_MOST_BYTES = 64 * 1024 * 1024
"""More than any bundle has by far: what holds more is not opened further."""

_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, RuntimeError)
"""ValueError and RuntimeError: how zipfile speaks of impossible offsets, names that are no text, and passwords."""

_ODD_FILE = "is a link or no plain file; a bundle has neither"

_Contents = Mapping[str, bytes | None]
"""Contents by name below the bundle's folder; None for a file that cannot be unpacked."""


@dataclass(frozen=True, slots=True)
class BundleProblem:
    """What is wrong with one file of a bundle."""

    file: str
    what: str


@dataclass(frozen=True, slots=True)
class BundleVerification:
    """What a check found. `files` counts those of the bundle; `signature` says in words what is known of it."""

    files: int
    troubles: tuple[BundleProblem, ...]
    signature: str

    @property
    def ok(self) -> bool:
        """True when nothing is wrong."""
        return not self.troubles


def verify_bundle(path: Path, trusted: Trusted) -> BundleVerification:
    """Check a folder or a zip. Raises OutputError when there is neither, or it cannot be read; ToolError; SelectionError."""
    try:
        if path.is_dir():
            return _verify(*_of_folder(path), trusted)
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise OutputError("is neither a folder nor a file", where=str(path), hint="name a bundle's folder or its zip")
        return verify_zip(path, trusted)
    except FileNotFoundError as error:
        raise OutputError("there is no such bundle", where=str(path), hint="name a bundle's folder or its zip") from error
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        raise OutputError(what, where=str(error.filename or path), hint="make it readable for this user") from error


def verify_zip(source: Path | BinaryIO, trusted: Trusted) -> BundleVerification:
    """Check a zip. Raises OutputError when it is none or is damaged, OSError when it cannot be read; ToolError."""
    try:
        with zipfile.ZipFile(source) as archive:
            return _verify(*_of_zip(archive), trusted)
    except _DAMAGE as error:
        where = str(source) if isinstance(source, Path) else None
        raise OutputError(f"is no zip that can be read ({error})", where=where, hint="ask for it again") from error


def _of_folder(folder: Path) -> tuple[_Contents, list[BundleProblem]]:
    """Contents by name, and what a bundle's folder never has."""
    troubles: list[BundleProblem] = []
    names: list[str] = []
    total = 0
    for name, kind in _walk(folder, ""):
        if kind == "file":
            names.append(name)
            total += (folder / name).lstat().st_size
        else:
            troubles.append(BundleProblem(name, _ODD_FILE if kind == "odd" else "is an empty folder; a bundle has none"))
        if len(names) + len(troubles) > _MOST_FILES or total > _MOST_BYTES:
            return {}, [
                BundleProblem(".", f"holds more than a bundle can (over {_extent(len(names), total)}); it was not read")
            ]
    odd = _odd_names(names)
    troubles += [BundleProblem(name, why) for name, why in odd.items()]
    return {name: read_regular(f"{folder}/{name}") for name in names if name not in odd}, troubles


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, str]]:
    """Names below a folder with their kind: `file`, `empty` (a folder without anything) or `odd`."""
    with os.scandir(folder / prefix) as scanned:
        entries = sorted(scanned, key=lambda entry: entry.name)
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder, f"{name}/")
        else:
            yield name, "file" if entry.is_file(follow_symlinks=False) else "odd"
    if prefix and not entries:
        yield prefix, "empty"


def _of_zip(archive: zipfile.ZipFile) -> tuple[_Contents, list[BundleProblem]]:
    """Contents by name below the bundle's folder in the zip, and what no bundle's zip has."""
    entries = [entry for entry in archive.infolist() if not _is_folder(entry)]
    data = _bytes_of(archive)
    size = max(sum(entry.file_size for entry in entries), len(data))
    if len(entries) > _MOST_FILES or size > _MOST_BYTES:
        return {}, [BundleProblem(".", f"holds more than a bundle can ({_extent(len(entries), size)}); it was not opened")]
    tops = [entry.filename.removesuffix(SUMS) for entry in entries if entry.filename.rpartition("/")[2] == SUMS]
    top = min(tops, key=len, default="")
    contents: dict[str, bytes | None] = {}
    troubles = []
    for entry in entries:
        name = entry.filename.removeprefix(top)
        if trouble := _oddity(entry):
            troubles.append(BundleProblem(entry.filename, trouble))
        elif not entry.filename.startswith(top):
            troubles.append(BundleProblem(entry.filename, f"was added next to the bundle's folder {top}"))
        elif name in contents:
            troubles.append(BundleProblem(entry.filename, "is in the zip a second time"))
        else:
            contents[name] = _content(archive, entry)
    for name, why in _odd_names(contents).items():
        troubles.append(BundleProblem(f"{top}{name}", why))
        del contents[name]
    if not troubles and None not in contents.values() and not _is_canonical(archive.infolist(), data):
        troubles.append(
            BundleProblem(".", "is not packed as gen bundle packs it: other programs may find other files in it")
        )
    return contents, troubles


def _bytes_of(archive: zipfile.ZipFile) -> bytes:
    """The zip as it is, and one byte more than a bundle can have of a larger one."""
    if archive.fp is None:
        raise ValueError("the zip is closed")
    archive.fp.seek(0)
    return archive.fp.read(_MOST_BYTES + 1)


def _is_canonical(entries: Collection[zipfile.ZipInfo], data: bytes) -> bool:
    """Whether a zip is byte for byte what gen bundle writes, but for the choices of its zlib.

    Each compressed stream must end where its entry ends. Everything else is written anew from the directory's values and
    compared: what lies before, between or behind the entries, a local header that differs, and any flag, extra field or
    comment make a difference.
    """
    names = [entry.orig_filename for entry in entries]
    if not names or names != sorted(set(names)) or len({name.partition("/")[0] for name in names}) != 1:
        return False
    stored = all(entry.compress_type == STORED for entry in entries)
    at = 0
    found = []
    for entry, name in zip(entries, names, strict=True):
        if entry.compress_type != method_of(name, stored=stored):
            return False
        at += local_length(name)
        packed = data[at : at + entry.compress_size]
        if entry.compress_type == DEFLATED and not _ends_with(packed, entry.file_size):
            return False
        found.append(ArchiveEntry(name, entry.compress_type, packed, entry.CRC, entry.file_size))
        at += entry.compress_size
    return container(found) == data


def _ends_with(packed: bytes, size: int) -> bool:
    """Whether a deflate stream fills these bytes to the last one and unpacks to `size` bytes."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = stream.decompress(packed, size + 1)
    except zlib.error:
        return False
    return len(content) == size and stream.eof and not stream.unused_data


def _odd_names(names: Iterable[str]) -> dict[str, str]:
    """By name, why it is one that no bundle has, or that somewhere unpacks to the same file as another."""
    odd: dict[str, str] = {}
    known: dict[str, str] = {}
    for name in sorted(names):
        folders = [name[:at] for at, character in enumerate(name) if character == "/"]
        if not is_bundle_name(name):
            odd[name] = "has a name that no bundle has"
        elif is_sums_name(name) and name not in {SUMS, *SIGNATURES}:
            odd[name] = f"is named like {SUMS} and is not it"
        elif other := next((known[part] for part in (name.casefold(), *map(str.casefold, folders)) if part in known), None):
            odd[name] = f"takes the place of {other} where case does not count"
        known.setdefault(name.casefold(), name)
    return odd


def _extent(files: int, size: int) -> str:
    return f"{counted(files, 'file')}, {size / (1024 * 1024):,.1f} MiB"


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
        return _ODD_FILE
    return "is encrypted" if entry.flag_bits & 1 else None


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes | None:
    """A file's content, and no more than it says it has: what else it would unpack to is not read. None when damaged."""
    try:
        with archive.open(entry) as file:
            return file.read(entry.file_size + 1)
    except _DAMAGE:
        return None


def _verify(contents: _Contents, troubles: list[BundleProblem], trusted: Trusted) -> BundleVerification:
    found = list(troubles)
    sums = _sums(contents, found) if contents or not troubles else {}
    for name, wanted in sums.items():
        if name not in contents:
            found.append(BundleProblem(name, "is missing"))
        elif (content := contents[name]) is None or sha256(content) != wanted:
            found.append(BundleProblem(name, f"was changed: it is not what {SUMS} says"))
    extra = sorted(contents.keys() - sums.keys() - {SUMS, *SIGNATURES}) if sums else []
    found += [BundleProblem(name, f"was added: {SUMS} does not name it") for name in extra]
    signature = _signature(contents, trusted, found)
    return BundleVerification(len(contents), tuple(found), signature)


def _sums(contents: _Contents, found: list[BundleProblem]) -> Mapping[str, str]:
    """What SHA256SUMS lists. Empty only together with a trouble: then nothing is known of the other files."""
    if SUMS not in contents:
        found.append(BundleProblem(SUMS, "is missing: nothing can be said of the other files"))
        return {}
    content = contents[SUMS]
    if content is None:
        found.append(BundleProblem(SUMS, "was changed: it cannot be unpacked"))
        return {}
    try:
        return read_sums(content)
    except ValueError as error:
        found.append(BundleProblem(SUMS, f"cannot be read: {error}"))
        return {}


def _signature(contents: _Contents, trusted: Trusted, found: list[BundleProblem]) -> str:
    """In words; a signature that was asked for and does not count is a trouble."""
    there = [name for name in SIGNATURES if name in contents]
    if trusted.nobody:
        return f"{', '.join(there)} was not checked: name whose it should be" if there else "not signed"
    with tempfile.TemporaryDirectory(prefix="rolecall-") as folder:
        for name in {SUMS, *there} & contents.keys():
            Path(folder, name).write_bytes(contents[name] or b"")
        refusal = trusted.refusal(Path(folder))
    if refusal is not None:
        found.append(BundleProblem(trusted.signature, f"the signature does not count: {refusal}"))
        return "the signature does not count"
    return f"{trusted.signature} is by who was named"
