"""The cache of an output folder: which modules need not be hashed, parsed or checked again.

Like git's index, it trusts a file while size, modification and change time are those recorded. It counts only for this very
package, Python and libraries (`environment_digest`), only for the user who wrote it, and only if its checksum is right.
Without it, or with a damaged one, a run does all the work and gives the same result.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from rolecall_generator.checks.finding import Finding, Severity
from rolecall_generator.disk import Disk, Stamp
from rolecall_generator.package_digest import environment_digest
from rolecall_generator.placing import Placer

CACHE_NAME = ".rolecall.cache"
_OWNER_ONLY = 0o600
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class PlannedModule(Protocol):
    """What identifies a module: its path in the output folder, and a digest of everything that was planned for it."""

    @property
    def path(self) -> str:
        """Relative to the output folder, `/` between its parts."""

    @property
    def fingerprint(self) -> str:
        """Equal fingerprints mean equal plans."""


@dataclass(frozen=True, slots=True)
class FolderStamp:
    """The state of a folder of plain files: any change of a file, or of the list of files, gives another stamp.

    `numbers`: inode of the folder, then the size of each file in bytes. `times`: modification and change time of the folder,
    then of each file, in nanoseconds. The change time cannot be set back by a program.
    """

    names: list[str]
    numbers: list[int]
    times: list[int]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found when all modules were as planned; `key` is a digest of everything else that it depends on.

    `declared` are findings about the manifest, `judged` those of proof and rules, both before suppressions.
    """

    key: str
    cells: int
    failed_cells: int
    declared: tuple[Finding, ...]
    judged: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A module's files as they were when it had the content that the lock says (`written`), and when it was checked.

    `checked` is the fingerprint of the plan that the module fulfilled, empty if it was not checked.
    """

    stamp: FolderStamp
    written: bool = False
    checked: str = ""


def stamp_folder(folder: str, names: list[str] | None = None) -> FolderStamp | None:
    """The stamp of a folder; None if it is missing, or holds anything but plain files: such a folder cannot be cached.

    `names` are its files as recorded; without them the folder is listed. Its own times tell if the list is still right.
    """
    try:
        status = os.lstat(folder)
        if not stat.S_ISDIR(status.st_mode):
            return None
        names = sorted(os.listdir(folder)) if names is None else names  # noqa: PTH208 - only names are wanted
        numbers, times = [status.st_ino], [status.st_mtime_ns, status.st_ctime_ns]
        for name in names:
            status = os.lstat(f"{folder}/{name}")
            if not stat.S_ISREG(status.st_mode):
                return None
            numbers.append(status.st_size)
            times += (status.st_mtime_ns, status.st_ctime_ns)
    except OSError:
        return None
    return FolderStamp(names, numbers, times)


def stamp_written(folder: str, files: Mapping[str, Stamp]) -> FolderStamp:
    """The stamp of a folder that was just written, whose files have these stamps. Raises OSError."""
    status = os.lstat(folder)
    numbers, times = [status.st_ino], [status.st_mtime_ns, status.st_ctime_ns]
    for name in (names := sorted(files)):
        size, modified, changed = files[name]
        numbers.append(size)
        times += (modified, changed)
    return FolderStamp(names, numbers, times)


class OutputState:
    """The cache of the output folder `root`. Changes are kept in memory until `save`.

    Three things are known: modules whose files have the content that the lock names, modules that were parsed and found to
    be as planned, and the result of the last check in which all were.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._entries: dict[str, _Entry] = {}
        self._racy: dict[str, _Entry] = {}
        """Modules that changed in the clock tick in which the cache was written: they may have changed again unseen."""
        self._lock_digest = ""
        self._result: CheckResult | None = None
        self._changed = False

    def known(self, module: PlannedModule) -> bool:
        """True if the module is as it was when it was found to fulfil this plan."""
        entry = self._entries.get(module.path)
        return entry is not None and entry.checked == module.fingerprint and self._unchanged(module.path, entry)

    def is_written(self, path: str) -> bool:
        """True if the module's files still have the content that the lock names."""
        entry = self._entries.get(path)
        return entry is not None and entry.written and self._unchanged(path, entry)

    def record_checked(self, path: str, fingerprint: str, stamp: FolderStamp) -> None:
        """The module was found to be as planned; `stamp` was taken before its files were read."""
        self._record(path, replace(self._entry(path, stamp), checked=fingerprint))

    def record_written(self, path: str, stamp: FolderStamp) -> None:
        """The module's files have the content that the lock names; `stamp` was taken before they were read."""
        self._record(path, replace(self._entry(path, stamp), written=True))

    def forget(self, path: str) -> None:
        """Drop what is known of a module."""
        self._entries.pop(path, None)

    def keep_only(self, paths: Collection[str]) -> None:
        """Drop what is known of all other modules. That alone is no reason to write the cache."""
        self._entries = {path: entry for path, entry in self._entries.items() if path in paths}

    def result(self, key: str) -> CheckResult | None:
        """The result of the last check, if it has this key. It holds only while every planned module is `known`."""
        return self._result if self._result is not None and self._result.key == key else None

    def record_result(self, result: CheckResult) -> None:
        """The result of a check in which every planned module was as planned."""
        if result != self._result:
            self._result, self._changed = result, True

    def bind(self, lock_digest: str) -> None:
        """Drop what is known of written files unless it was recorded for the lock with this SHA-256."""
        if lock_digest != self._lock_digest:
            self._entries = {path: replace(entry, written=False) for path, entry in self._entries.items()}
            self._racy = {}
            self._lock_digest = lock_digest

    def save(self, placer: Placer, *, lock_digest: str | None = None) -> None:
        """Write the cache if it changed. `lock_digest`: the lock that was written, to which written files belong now."""
        if lock_digest is not None and lock_digest != self._lock_digest:
            self._lock_digest, self._changed = lock_digest, True
        if self._changed:
            with suppress(OSError):  # costs the next run time, nothing else
                placer.place_file(CACHE_NAME, self._encode(), mode=_OWNER_ONLY)
                self._changed = False

    def save_alone(self) -> None:
        """As `save`, for a run that writes nothing else."""
        if self._changed:
            placer = Placer(Disk(), self._root)
            try:
                self.save(placer)
            finally:
                placer.close()

    def _unchanged(self, path: str, entry: _Entry) -> bool:
        return entry.stamp == stamp_folder(f"{self._root}/{path}", entry.stamp.names)

    def _entry(self, path: str, stamp: FolderStamp) -> _Entry:
        entry = self._entries.get(path)
        return entry if entry is not None and entry.stamp == stamp else _Entry(stamp)

    def _record(self, path: str, entry: _Entry) -> None:
        before = self._entries.get(path)
        if before == entry:
            return
        if before is None or before.stamp != entry.stamp:
            self._result = None  # its findings name lines of the files as they were
        self._entries[path] = entry
        # A racy entry that is confirmed is no reason to write the cache: a run that changes nothing writes nothing.
        self._changed = self._changed or entry != self._racy.get(path)

    def _encode(self) -> bytes:
        result = self._result
        body = {
            "lock": self._lock_digest,
            "modules": {
                path: [entry.stamp.names, entry.stamp.numbers, entry.stamp.times, entry.written, entry.checked]
                for path, entry in self._entries.items()
            },
            "result": None if result is None else astuple(result),
        }
        content = json.dumps(body, separators=(",", ":")).encode()
        return _header(content) + content

    def _decode(self, content: bytes, written_ns: int) -> None:
        """Raises KeyError, TypeError or ValueError."""
        body: dict[str, Any] = json.loads(content)
        for path, (names, numbers, times, written, checked) in body["modules"].items():
            entries = self._entries if max(times) < written_ns else self._racy
            entries[path] = _Entry(FolderStamp(names, numbers, times), written, checked)
        self._lock_digest = body["lock"]
        if (result := body["result"]) is not None:
            key, cells, failed, *findings = result
            self._result = CheckResult(key, cells, failed, *(tuple(map(_finding, each)) for each in findings))


def load_state(out: Path | str) -> OutputState:
    """The cache of an output folder; empty if absent, damaged, or written by other code or by another user."""
    root = os.path.realpath(out)
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        descriptor = os.open(f"{root}/{CACHE_NAME}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if status.st_uid == os.geteuid() and not status.st_mode & _WRITABLE_BY_OTHERS:
                header, content = file.readline(), file.read()
                if header == _header(content):
                    state = OutputState(root)
                    state._decode(content, status.st_mtime_ns)
                    return state
    return OutputState(root)


def _header(content: bytes) -> bytes:
    return f"{environment_digest()} {hashlib.sha256(content).hexdigest()}\n".encode()


def _finding(values: list[Any]) -> Finding:
    rule, severity, *rest = values
    return Finding(rule, Severity(severity), *rest)
