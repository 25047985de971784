"""SHA256SUMS, in the form of GNU coreutils: `sha256sum -c SHA256SUMS` and `shasum -a 256 -c SHA256SUMS` read it.

There is exactly one right content for a set of files. Everything else is refused, however harmless it looks: what a reader
of this module skips or reads differently from `sha256sum` is a file that nobody checked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rolecall_generator.handover.layout import SUMS
from rolecall_generator.handover.model import Files
from rolecall_generator.survey import sha256

_LINE = re.compile(r"([0-9a-f]{64})  ([^\\\r\n]+)")
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def sums_of(files: Files) -> bytes:
    """The checksums of the files, sorted by name, one a line."""
    return _encode({name: sha256(content) for name, content in files.items()})


def read_sums(content: bytes) -> Mapping[str, str]:
    """SHA-256 (hex) by file name. Raises ValueError for anything but what `sums_of` writes for at least one file."""
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
            raise ValueError(f"line {number} names {match[2]} a second time")
        if not is_bundle_name(match[2]) or is_sums_name(match[2]):
            raise ValueError(f"line {number} names a file that a bundle does not list")
        sums[match[2]] = match[1]
    if content != _encode(sums):
        raise ValueError("its lines are not sorted by file name")
    return sums


def is_bundle_name(name: str) -> bool:
    """Whether a path can occur in a bundle: ASCII letters, digits and `._-` between single forward slashes.

    So no name is absolute, leads out of the folder, is hidden, or is another name on a file system that folds Unicode, drops
    a trailing dot or reads a backslash as a separator. Names that differ only in case are for the caller to find.
    """
    return all(_PART.fullmatch(part) and not part.endswith(".") for part in name.split("/"))


def is_sums_name(name: str) -> bool:
    """Whether a path would pass for SHA256SUMS or a signature of it, at any depth and in any case."""
    return name.rpartition("/")[2].casefold().startswith(SUMS.casefold())


def _encode(sums: Mapping[str, str]) -> bytes:
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode()
