"""Verification of bundles: each file matches SHA256SUMS, no file is missing or added, and a required signature is valid.

A bundle is untrusted input, and no file of it is extracted. A bundle that passes has the same content for all programs:
SHA256SUMS is exactly what `sums_of` writes, a zip is byte for byte what `container` writes for the compressed data in it,
and a folder contains only the listed files.
"""

from __future__ import annotations

import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from rolecall_generator.bundle.archive import (
    DEFLATED,
    STORED,
    ArchiveEntry,
    container,
    is_bundle_name,
    is_sums_name,
    local_length,
    method_of,
    read_sums,
)
from rolecall_generator.bundle.signing import SIGNATURES, RequiredSigner
from rolecall_generator.errors import OutputError
from rolecall_generator.output import read_regular, sha256
from rolecall_generator.records import SUMS_NAME
from rolecall_generator.text import pluralize

_MOST_FILES = 1_000
_MOST_BYTES = 64 * 1024 * 1024
"""Far more than any bundle has. A larger folder or zip is not read."""

_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, RuntimeError)
"""zipfile raises ValueError and RuntimeError for invalid offsets, undecodable names, and encrypted files."""

_DEPTH = 3
"""Levels below the folder that is searched for bundles: bundles/switch-roles/NAME/trusted."""
_MOST_ENTRIES = 20_000
_BUNDLES_LISTED = 4

_PATH_HINT = "give the path of a bundle's folder or zip"
_ODD_FILE = "is a symbolic link or not a regular file"

_Contents = Mapping[str, bytes | None]
"""Contents by name relative to the bundle's folder; None for a file that cannot be unpacked."""


@dataclass(frozen=True, slots=True)
class BundleProblem:
    """A problem with one file of a bundle."""

    file: str
    what: str


@dataclass(frozen=True, slots=True)
class BundleVerification:
    """The result of a verification: number of files, problems, and the state of the signature as a phrase."""

    files: int
    problems: tuple[BundleProblem, ...]
    signature: str

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems


def verify_bundle(path: Path, trusted: RequiredSigner) -> BundleVerification:
    """Verify a folder or a zip.

    Raises OutputError if the bundle does not exist, cannot be read or is a folder of bundles, ToolError if the signing
    program is not installed.
    """
    try:
        if path.is_dir():
            if below := _bundles_below(path):
                raise OutputError(f"is not a bundle: it has no {SUMS_NAME}", where=str(path), hint=_hint_below(below))
            return _verify(*_of_folder(path), trusted)
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would block
            raise OutputError("is neither a folder nor a file", where=str(path), hint=_PATH_HINT)
        return verify_zip(path, trusted)
    except FileNotFoundError as error:
        raise OutputError("bundle not found", where=str(path), hint=_PATH_HINT) from error
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        raise OutputError(what, where=str(error.filename or path), hint="make it readable for this user") from error


def _bundles_below(folder: Path) -> list[Path]:
    """Folders with SHA256SUMS, and zips, below a folder that has none; at most one more than a message lists."""
    found: list[Path] = []
    if os.path.lexists(folder / SUMS_NAME):
        return found
    pending = [(folder, 0)]
    entries = 0
    while pending and len(found) <= _BUNDLES_LISTED:
        at, depth = pending.pop()
        with os.scandir(at) as scanned:
            children = sorted(islice(scanned, _MOST_ENTRIES), key=lambda entry: entry.name, reverse=True)
        entries += len(children)
        folders = [Path(entry.path) for entry in children if entry.is_dir(follow_symlinks=False)]
        if any(entry.name == SUMS_NAME for entry in children):
            found.append(at)
        elif depth < _DEPTH and entries < _MOST_ENTRIES:
            pending += ((each, depth + 1) for each in folders)
    if not found:
        found = sorted(each for each in folder.iterdir() if each.suffix == ".zip")
    return found[: _BUNDLES_LISTED + 1]


def _hint_below(bundles: Sequence[Path]) -> str:
    names = ", ".join(map(str, bundles[:_BUNDLES_LISTED]))
    more = " and others" if len(bundles) > _BUNDLES_LISTED else ""
    return f"give the paths of bundles; below it, these look like bundles: {names}{more}"


def verify_zip(source: Path | BinaryIO, trusted: RequiredSigner) -> BundleVerification:
    """Verify a zip. Raises OutputError if it is not a zip or damaged, OSError if it cannot be read, and ToolError."""
    try:
        with zipfile.ZipFile(source) as archive:
            return _verify(*_of_zip(archive), trusted)
    except _DAMAGE as error:
        where = str(source) if isinstance(source, Path) else None
        raise OutputError(f"is not a readable zip file ({error})", where=where, hint="ask for a new copy") from error


def _of_folder(folder: Path) -> tuple[_Contents, list[BundleProblem]]:
    """Contents by name, and problems."""
    problems: list[BundleProblem] = []
    names: list[str] = []
    total = 0
    for name, kind in _walk(folder, ""):
        if kind == "file":
            names.append(name)
            total += (folder / name).lstat().st_size
        else:
            problem = _ODD_FILE if kind == "odd" else "is an empty folder, which bundles do not contain"
            problems.append(BundleProblem(name, problem))
        if len(names) + len(problems) > _MOST_FILES or total > _MOST_BYTES:
            return {}, [
                BundleProblem(".", f"exceeds the size limit of a bundle (over {_extent(len(names), total)}); not read")
            ]
    odd = _odd_names(names)
    problems += [BundleProblem(name, why) for name, why in odd.items()]
    return {name: read_regular(f"{folder}/{name}") for name in names if name not in odd}, problems


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, str]]:
    """Names below a folder with their kind: `file`, `empty` (an empty folder) or `odd` (any other file type)."""
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
    """Contents by name relative to the bundle's folder in the zip, and problems."""
    entries = [
        entry
        for entry in archive.infolist()
        if not (entry.filename.endswith("/") and entry.file_size == 0 and _oddity(entry) is None)  # a folder
    ]
    data = _bytes_of(archive)
    size = max(sum(entry.file_size for entry in entries), len(data))
    if len(entries) > _MOST_FILES or size > _MOST_BYTES:
        return {}, [BundleProblem(".", f"exceeds the size limit of a bundle ({_extent(len(entries), size)}); not opened")]
    tops = [entry.filename.removesuffix(SUMS_NAME) for entry in entries if entry.filename.rpartition("/")[2] == SUMS_NAME]
    top = min(tops, key=len, default="")
    contents: dict[str, bytes | None] = {}
    problems = []
    for entry in entries:
        name = entry.filename.removeprefix(top)
        if problem := _oddity(entry):
            problems.append(BundleProblem(entry.filename, problem))
        elif not entry.filename.startswith(top):
            problems.append(BundleProblem(entry.filename, f"is outside the bundle's folder {top}"))
        elif name in contents:
            problems.append(BundleProblem(entry.filename, "occurs twice in the zip"))
        else:
            contents[name] = _content(archive, entry)
    for name, why in _odd_names(contents).items():
        problems.append(BundleProblem(f"{top}{name}", why))
        del contents[name]
    if not problems and None not in contents.values() and not _is_canonical(archive.infolist(), data):
        problems.append(BundleProblem(".", "was not packed by gen bundle: other programs may extract different files"))
    return contents, problems


def _bytes_of(archive: zipfile.ZipFile) -> bytes:
    """The zip's bytes, at most one more than the size limit."""
    if archive.fp is None:
        raise ValueError("the zip is closed")
    archive.fp.seek(0)
    return archive.fp.read(_MOST_BYTES + 1)


def _is_canonical(entries: Collection[zipfile.ZipInfo], data: bytes) -> bool:
    """Whether a zip is byte for byte what `gen bundle` writes, except for the compressed data, which depends on zlib.

    Each compressed stream must end where its entry ends. Everything else is rebuilt from the directory and compared, which
    detects data before, between and after the entries, different local headers, flags, extra fields and comments.
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
    """Whether a deflate stream takes exactly these bytes and unpacks to `size` bytes."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = stream.decompress(packed, size + 1)
    except zlib.error:
        return False
    return len(content) == size and stream.eof and not stream.unused_data


def _odd_names(names: Iterable[str]) -> dict[str, str]:
    """Names that a bundle cannot contain, or that collide on some file systems, with the problem."""
    odd: dict[str, str] = {}
    known: dict[str, str] = {}
    for name in sorted(names):
        folders = [name[:at] for at, character in enumerate(name) if character == "/"]
        if not is_bundle_name(name):
            odd[name] = "has a name that is not allowed in a bundle"
        elif is_sums_name(name) and name not in {SUMS_NAME, *SIGNATURES}:
            odd[name] = f"has a name that can be mistaken for {SUMS_NAME}"
        elif other := next((known[part] for part in (name.casefold(), *map(str.casefold, folders)) if part in known), None):
            odd[name] = f"has the same name as {other} on a case-insensitive file system"
        known.setdefault(name.casefold(), name)
    return odd


def _extent(files: int, size: int) -> str:
    return f"{pluralize(files, 'file')}, {size / (1024 * 1024):,.1f} MiB"


def _oddity(entry: zipfile.ZipInfo) -> str | None:
    """The problem of an entry with a path outside the folder, a file type other than regular, or encryption; else None."""
    # orig_filename is the name in the zip; zipfile cuts filename at a NUL.
    name = entry.orig_filename.removesuffix("/")
    if name.startswith("/") or "\\" in name or "\0" in name or ":" in name.partition("/")[0]:
        return "has a path outside the bundle's folder"
    if any(part in {"", ".", ".."} for part in name.split("/")):
        return "has a path outside the bundle's folder"
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return _ODD_FILE
    return "is encrypted" if entry.flag_bits & 1 else None


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes | None:
    """A file's content, at most one byte more than its declared size; None if it is damaged."""
    try:
        with archive.open(entry) as file:
            return file.read(entry.file_size + 1)
    except _DAMAGE:
        return None


def _verify(contents: _Contents, problems: list[BundleProblem], trusted: RequiredSigner) -> BundleVerification:
    found = list(problems)
    sums = _sums(contents, found) if contents or not problems else {}
    for name, expected in sums.items():
        if name not in contents:
            found.append(BundleProblem(name, "is missing"))
        elif (content := contents[name]) is None or sha256(content) != expected:
            found.append(BundleProblem(name, f"was changed: its checksum differs from {SUMS_NAME}"))
    extra = sorted(contents.keys() - sums.keys() - {SUMS_NAME, *SIGNATURES}) if sums else []
    found += [BundleProblem(name, f"was added: it is not listed in {SUMS_NAME}") for name in extra]
    signature = _signature(contents, trusted, found)
    return BundleVerification(len(contents), tuple(found), signature)


def _sums(contents: _Contents, found: list[BundleProblem]) -> Mapping[str, str]:
    """The checksums in SHA256SUMS; empty, with a problem appended to `found`, if it is missing or invalid."""
    if SUMS_NAME not in contents:
        found.append(BundleProblem(SUMS_NAME, "is missing: the other files cannot be verified"))
        return {}
    content = contents[SUMS_NAME]
    if content is None:
        found.append(BundleProblem(SUMS_NAME, "is damaged: it cannot be unpacked"))
        return {}
    try:
        return read_sums(content)
    except ValueError as error:
        found.append(BundleProblem(SUMS_NAME, f"cannot be read: {error}"))
        return {}


def _signature(contents: _Contents, trusted: RequiredSigner, found: list[BundleProblem]) -> str:
    """The state of the signature as a phrase; a failed verification is appended to `found`."""
    there = [name for name in SIGNATURES if name in contents]
    if not trusted.required:
        return f"{', '.join(there)} was not verified: specify the expected signer" if there else "not signed"
    with tempfile.TemporaryDirectory(prefix="rolecall-") as folder:
        for name in {SUMS_NAME, *there} & contents.keys():
            Path(folder, name).write_bytes(contents[name] or b"")
        refusal = trusted.refusal(Path(folder))
    if refusal is not None:
        found.append(BundleProblem(trusted.signature, f"signature verification failed: {refusal}"))
        return "signature verification failed"
    return f"{trusted.signature} verified"
