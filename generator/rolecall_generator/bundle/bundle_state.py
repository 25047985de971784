"""SHA256SUMS, and the state of a bundle on disk: absent, as written, altered, or files that rolecall did not create.

SHA256SUMS has the format of GNU coreutils, for `sha256sum -c` and `shasum -a 256 -c`. There is exactly one valid content
for a set of files, and any other is rejected: a file would not be verified if its line was parsed differently here and by
`sha256sum`. SHA256SUMS lists the bundle's own files, and the lock has its digest.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rolecall_generator.bundle.forms.interface import Files
from rolecall_generator.output import hash_regular, read_regular, sha256
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


Hashes = Mapping[str, str]
"""SHA-256 (hex) by name relative to the bundle's folder; "" for anything but a regular file."""
Owned = Mapping[str, frozenset[str]]
"""Hashes that rolecall wrote, by file name: of files directly in the bundle's folder, and of its zip."""


@dataclass(frozen=True, slots=True)
class BundleState:
    """The state of a bundle on disk.

    Attributes:
        files: Files in its folder.
        zip_hash: Hash of its zip; None if there is no zip.
        checksums: Checksums in SHA256SUMS; empty if rolecall did not write that file.
        obstacle: What exists in place of the folder or of a parent folder; None if nothing does.
    """

    files: Hashes
    zip_hash: str | None
    checksums: Hashes
    obstacle: str | None = None

    @property
    def empty(self) -> bool:
        """Whether there are no files."""
        return not self.files and self.zip_hash is None and self.obstacle is None

    def is_intact(self, recorded: Hashes, zip_name: str) -> bool:
        """Whether exactly the files exist that were `recorded` (the lock's hashes)."""
        own = {**self.checksums, **recorded}
        return bool(self.checksums) and self.zip_hash == own.pop(zip_name, None) and self.files == own

    def foreign_files(self, contents: Hashes, zip_hash: str, owned: Owned, zip_name: str) -> list[str]:
        """Files that rolecall did not create.

        In a bundle that rolecall wrote (`owned` is not empty), all listed files are its own, even if altered. Otherwise
        only files that equal those to be written are: `contents` has their hashes, and `zip_hash` is that of the zip.
        """
        if self.obstacle is not None:
            return [self.obstacle]
        own = {*self.checksums, *owned, *contents} if owned else set()
        names = [name for name, sha in self.files.items() if not sha or (name not in own and contents.get(name) != sha)]
        if self.zip_hash is not None and not (self.zip_hash and (owned or self.zip_hash == zip_hash)):
            names.append(f"../{zip_name}")
        return sorted(names)


def zip_name(path: str) -> str:
    """Name of the zip next to a bundle's folder."""
    return f"{path.rpartition('/')[2]}.zip"


def read_bundle_state(root: str, path: str, owned: Owned) -> BundleState:
    """Read the state of a bundle below `root`. Raises OSError for files that cannot be read."""
    folder = f"{root}/{path}"
    obstacle = _obstacle(root, path)
    if obstacle is not None:
        return BundleState({}, None, {}, obstacle)
    files = dict(_walk(folder, ""))
    checksums: Hashes = {}
    if files.get(SUMS_NAME) and files[SUMS_NAME] in owned.get(SUMS_NAME, ()):
        checksums = read_sums(read_regular(f"{folder}/{SUMS_NAME}"))
    return BundleState(files, hash_regular(f"{folder}.zip"), checksums)


def _obstacle(root: str, path: str) -> str | None:
    """The first existing part of a path that is not a folder. A symbolic link counts: rolecall never writes through one."""
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
            yield name, hash_regular(entry.path) or ""
