"""A disposable memory of modules that were read and found to be as planned, so that they are not read again.

It works as git's index does: a module counts as unread only when its folder or a file in it has another stamp than when
it was found right, or when something else was planned. It lies in the output folder, is never committed, and says
nothing about folders that customers send back. Without it, or with a broken one, everything is read.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rolecall_generator.disk import Disk
from rolecall_generator.package_digest import environment_digest
from rolecall_generator.placing import Placer

MEMORY_NAME = ".rolecall.checked"
Entry = list[Any]
"""A planned module's fingerprint, then its folder's and files' stamps as `entry_of` makes them."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Entries by module path. A module that changed in the clock tick of the writing (`written_ns`) is read again."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    written_ns: int = 0

    def as_planned(self, path: str, fingerprint: str, folder: str) -> bool:
        """True when the module surely still is what was found to be as planned."""
        known = self.entries.get(path)
        if known is None or known[0] != fingerprint or known != entry_of(fingerprint, folder, known[4::4]):
            return False
        return all(isinstance(number, str) or number < self.written_ns for number in known[2:])


def entry_of(fingerprint: str, folder: str, names: list[str] | None = None) -> Entry | None:
    """The entry of a module as it stands: inode, change times of the folder, then name, size and times of each file.

    `names` are its files when they are known; without them the folder is listed. None where anything in it is no plain
    file, or has gone: such a module is read every time.
    """
    try:
        status = os.lstat(folder)
        if not stat.S_ISDIR(status.st_mode):
            return None
        # The folder's time changes when a file comes or goes: that is what `names` relies on.
        entry: Entry = [fingerprint, str(status.st_ino), status.st_mtime_ns, status.st_ctime_ns]
        for name in sorted(os.listdir(folder)) if names is None else names:  # noqa: PTH208 - names alone are wanted
            found = os.lstat(f"{folder}/{name}")
            if not stat.S_ISREG(found.st_mode):
                return None
            entry += (name, str(found.st_size), found.st_mtime_ns, found.st_ctime_ns)
    except OSError:
        return None
    return entry


def load_memory(out: Path) -> Memory:
    """The memory of an output folder; empty when absent, broken, or made by other code."""
    try:
        descriptor = os.open(out / MEMORY_NAME, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            written_ns = os.fstat(file.fileno()).st_mtime_ns
            body = json.loads(file.read())
        if body["code"] == environment_digest() and isinstance(body["modules"], dict):
            return Memory(body["modules"], written_ns)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        pass  # it only saves time
    return Memory()


def save_memory(out: Path, entries: Mapping[str, Entry]) -> None:
    """Write the memory; that it cannot be written costs time alone."""
    with suppress(OSError):
        placer = Placer(Disk(), os.path.realpath(out))
        try:
            content = json.dumps({"code": environment_digest(), "modules": dict(entries)}, separators=(",", ":")).encode()
            placer.place_file(MEMORY_NAME, content)
        finally:
            placer.close()
