"""The form of a bundle: SHA256SUMS, and a zip that is the same bytes for the same files, whatever time, umask and folder.

SHA256SUMS has the format of GNU coreutils, for `sha256sum -c` and `shasum -a 256 -c`. There is exactly one valid content
for a set of files, and any other is rejected: a file would not be verified if its line was parsed differently here and by
`sha256sum`. SHA256SUMS lists the bundle's own files, and the lock has its digest.

The same files can be encoded in a zip in many ways, and programs differ in how they read some of them: data before, between
and after the entries, two directories, hidden entries. A bundle's zip therefore has exactly one encoding. `container` writes
it, and `gen bundle-check` compares byte for byte. Only the compressed data depends on the zlib that Python was built with;
uncompressed zips (`stored`) do not. Format: PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rolecall_generator.bundle.forms.interface import Files
from rolecall_generator.output import sha256
from rolecall_generator.records import SUMS_NAME

_LINE = re.compile(r"([0-9a-f]{64})  ([^\\\r\n]+)")
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def sums_of(files: Files) -> bytes:
    """The checksums of the files, sorted by name, one per line."""
    return _encode({name: sha256(content) for name, content in files.items()})


def read_sums(content: bytes) -> Mapping[str, str]:
    """SHA-256 (hex) by file name. Raises ValueError for content that `sums_of` would not write for at least one file."""
    sums: dict[str, str] = {}
    lines = content.decode().split("\n")
    if lines.pop():
        raise ValueError("the last line does not end with a line feed")
    if not lines:
        raise ValueError("it lists no files")
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number} is not a checksum, two spaces and a file name")
        if match[2] in sums:
            raise ValueError(f"line {number} lists {match[2]} again")
        if not is_bundle_name(match[2]) or is_sums_name(match[2]):
            raise ValueError(f"line {number} lists a file that cannot be in a bundle")
        sums[match[2]] = match[1]
    if content != _encode(sums):
        raise ValueError("its lines are not sorted by file name")
    return sums


def is_bundle_name(name: str) -> bool:
    """Whether a path can occur in a bundle: ASCII letters, digits and `._-` between single forward slashes.

    Such a path is not absolute, stays in the folder, is not hidden, and is the same on file systems that normalize Unicode,
    drop trailing dots or treat a backslash as a separator. The caller has to detect paths that differ only in case.
    """
    return all(_PART.fullmatch(part) and not part.endswith(".") for part in name.split("/"))


def is_sums_name(name: str) -> bool:
    """Whether a path can be mistaken for SHA256SUMS or its signature, at any depth and in any case."""
    return name.rpartition("/")[2].casefold().startswith(SUMS_NAME.casefold())


def _encode(sums: Mapping[str, str]) -> bytes:
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode()


STORED, DEFLATED = 0, 8
"""Compression methods (APPNOTE 4.4.5)."""

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s2B5H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION = 20
_UNIX = 3
_MIDNIGHT_1980 = 0, 0x21
"""Time and date in MS-DOS format, the earliest that a zip supports."""
_UTF_8 = 0x800
_FILE, _PROGRAM = 0o100644 << 16, 0o100755 << 16
_LEVEL = 6
_PACKED = (".pdf",)
"""File types that are already compressed."""


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """One file of a zip: full name, compression method, stored data, CRC-32 and size in bytes of the content."""

    name: str
    method: int
    data: bytes
    crc: int
    size: int


def is_program(name: str) -> bool:
    """Whether a file of a bundle is executable."""
    return name.endswith(".sh")


def method_of(name: str, *, stored: bool) -> int:
    """The compression method of a bundle's file."""
    return STORED if stored or name.endswith(_PACKED) else DEFLATED


def zip_bytes(files: Files, top: str, *, stored: bool = False) -> bytes:
    """A zip of the files below a folder `top`, sorted by name."""
    return container([_entry(f"{top}/{name}", files[name], method_of(name, stored=stored)) for name in sorted(files)])


def container(entries: Sequence[ArchiveEntry]) -> bytes:
    """The bytes of a bundle's zip with these entries, in this order. Raises struct.error if it would need ZIP64."""
    body, directory = bytearray(), bytearray()
    for entry in entries:
        name = entry.name.encode()
        flags = 0 if entry.name.isascii() else _UTF_8
        common = (flags, entry.method, *_MIDNIGHT_1980, entry.crc, len(entry.data), entry.size, len(name), 0)
        mode = _PROGRAM if is_program(entry.name) else _FILE
        directory += _CENTRAL.pack(b"PK\1\2", _VERSION, _UNIX, _VERSION, *common, 0, 0, 0, mode, len(body)) + name
        body += _LOCAL.pack(b"PK\3\4", _VERSION, *common) + name + entry.data
    end = _END.pack(b"PK\5\6", 0, 0, len(entries), len(entries), len(directory), len(body), 0)
    return bytes(body + directory + end)


def local_length(name: str) -> int:
    """Number of bytes of an entry before its data, in a zip that `container` wrote."""
    return _LOCAL.size + len(name.encode())


def _entry(name: str, content: bytes, method: int) -> ArchiveEntry:
    data = content
    if method == DEFLATED:
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        data = compressor.compress(content) + compressor.flush()
    return ArchiveEntry(name, method, data, zlib.crc32(content), len(content))
