"""SHA256SUMS, in the form of GNU coreutils: `sha256sum -c SHA256SUMS` and `shasum -a 256 -c SHA256SUMS` read it.

There is exactly one right content for a set of files. Everything else is refused, however harmless it looks: what a reader
of this module skips or reads differently from `sha256sum` is a file that no one checked.

What stands where a bundle belongs: nothing, the bundle as it was written, an altered one, or someone else's files. A
bundle says by itself which files are its own: SHA256SUMS lists them, and the lock holds the digest of SHA256SUMS.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rolecall_generator.bundle.forms.interface import Files
from rolecall_generator.output import read_regular, regular_stamp, sha256
from rolecall_generator.records import SUMS

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


Hashes = Mapping[str, str]
"""SHA-256 (hex) by name relative to the bundle's folder; "" for a link or another thing that is no file."""
Owned = Mapping[str, frozenset[str]]
"""By file name, hashes that rolecall itself wrote: of files directly in the bundle's folder, and of the zip next to it."""


@dataclass(frozen=True, slots=True)
class BundleState:
    """A bundle's place: the files `found` in its folder, the hash of the `packed` zip next to it (None when there is none).

    `listed` is what SHA256SUMS says, empty when that file is not one that rolecall wrote. `blocked` names what is there
    instead of a folder, or of one of the folders above it.
    """

    found: Hashes
    packed: str | None
    listed: Hashes
    blocked: str | None = None

    @property
    def empty(self) -> bool:
        """True when nothing is there, not even an empty folder's content."""
        return not self.found and self.packed is None and self.blocked is None

    def intact(self, written: Hashes, zip_name: str) -> bool:
        """True when the bundle is there as it was `written` (the lock's hashes), and nothing else."""
        own = {**self.listed, **written}
        return bool(self.listed) and self.packed == own.pop(zip_name, None) and self.found == own

    def foreign(self, contents: Hashes, packed: str, owned: Owned, zip_name: str) -> list[str]:
        """What is there and is not rolecall's. `contents` are the hashes of what is to be written, `packed` of its zip.

        Of a bundle that rolecall wrote (`owned`) all that it lists is its own, altered or not. Of another only files that
        are as they would be written.
        """
        if self.blocked is not None:
            return [self.blocked]
        own = {*self.listed, *owned, *contents} if owned else set()
        names = [name for name, sha in self.found.items() if not sha or (name not in own and contents.get(name) != sha)]
        if self.packed is not None and not (self.packed and (owned or self.packed == packed)):
            names.append(f"../{zip_name}")
        return sorted(names)


def zip_name(path: str) -> str:
    """Name of the zip that stands next to a bundle's folder."""
    return f"{path.rpartition('/')[2]}.zip"


def look(root: str, path: str, owned: Owned) -> BundleState:
    """See what stands at a bundle's place below `root`, by content. Raises OSError for what cannot be read."""
    folder = f"{root}/{path}"
    blocked = _blocked(root, path)
    if blocked is not None:
        return BundleState({}, None, {}, blocked)
    found = dict(_walk(folder, ""))
    listed: Hashes = {}
    if found.get(SUMS) and found[SUMS] in owned.get(SUMS, ()):
        listed = read_sums(read_regular(f"{folder}/{SUMS}"))
    return BundleState(found, _hash(f"{folder}.zip"), listed)


def _blocked(root: str, path: str) -> str | None:
    """The first part of a path that is there and no real folder; nothing is ever written through a symbolic link."""
    parts = path.split("/")
    for count in range(1, len(parts) + 1):
        part = "/".join(parts[:count])
        try:
            mode = os.lstat(f"{root}/{part}").st_mode
        except FileNotFoundError:
            return None
        if not stat.S_ISDIR(mode):
            return f"{part} (a symbolic link)" if stat.S_ISLNK(mode) else f"{part} (not a folder)"
    return None


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, str]]:
    try:
        entries = sorted(os.scandir(f"{folder}/{prefix}"), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder, f"{name}/")
        else:
            yield name, _hash(entry.path) or ""


def _hash(path: str) -> str | None:
    """SHA-256 of a file; "" of anything else, a link included; None when nothing is there."""
    if regular_stamp(path) is None:
        return "" if os.path.lexists(path) else None
    return sha256(read_regular(path))
