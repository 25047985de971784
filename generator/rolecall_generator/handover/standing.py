"""What stands where a bundle belongs: nothing, the bundle as it was written, an altered one, or somebody else's files.

A bundle says by itself which files are its own: SHA256SUMS lists them, and the lock holds the digest of SHA256SUMS.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rolecall_generator.disk import read_regular, regular_stamp
from rolecall_generator.handover.checksums import read_sums
from rolecall_generator.handover.layout import SUMS
from rolecall_generator.survey import sha256

Hashes = Mapping[str, str]
"""SHA-256 (hex) by name relative to the bundle's folder; "" for a link or another thing that is no file."""
Owned = Mapping[str, frozenset[str]]
"""By file name, hashes that rolecall itself wrote: of files directly in the bundle's folder, and of the zip beside it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A bundle's place: the files `found` in its folder, the hash of the `packed` zip beside it (None when there is none).

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
    """Name of the zip that stands beside a bundle's folder."""
    return f"{path.rpartition('/')[2]}.zip"


def look(root: str, path: str, owned: Owned) -> Standing:
    """See what stands at a bundle's place below `root`, by content. Raises OSError for what cannot be read."""
    folder = f"{root}/{path}"
    blocked = _blocked(root, path)
    if blocked is not None:
        return Standing({}, None, {}, blocked)
    found = dict(_walk(folder, ""))
    listed: Hashes = {}
    if found.get(SUMS) and found[SUMS] in owned.get(SUMS, ()):
        listed = read_sums(read_regular(f"{folder}/{SUMS}"))
    return Standing(found, _hash(f"{folder}.zip"), listed)


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
