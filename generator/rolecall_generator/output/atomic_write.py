"""Atomic writes: files are staged inside the output folder, moved into place by renames, and restored if a step fails.

All changes go through `Disk`, so that tests can inject failures.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rolecall_generator.errors import OutputError

JOURNAL_NAME = ".rolecall.journal"
Stamp = tuple[int, int, int]
"""Size in bytes, modification and change time in nanoseconds. A program cannot set the change time."""

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


def stamp_of(status: os.stat_result) -> Stamp:
    """The stamp of a file; it differs after any change of the file."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


@contextmanager
def folder_lock(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on the folder itself, which leaves no file behind. Raises OSError.

    While another process of rolecall holds it: waits, or without `wait` raises OutputError. Without `wait`, file systems
    that have no locks (NFS on some servers) are accepted: concurrent runs are not detected there.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if isinstance(error, BlockingIOError):
                what, hint = "another run is writing to this folder", "wait until it has ended, then run again"
                raise OutputError(what, where=str(folder), hint=hint) from error
            if wait:
                raise
        yield
    finally:
        os.close(descriptor)


def _write(flags: int, path: str, content: bytes) -> Stamp:
    """Write to a file; returns its stamp. Raises OSError with the file's name."""
    descriptor = os.open(path, flags, 0o666)
    try:
        written = os.write(descriptor, content)
        while written < len(content):  # a nearly full disk may accept only a part
            written += os.write(descriptor, content[written:])
        return stamp_of(os.fstat(descriptor))
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(descriptor)


write_new = partial(_write, _NEW_FILE)
append = partial(_write, _APPEND)


@dataclass(frozen=True, slots=True)
class Disk:
    """All file-system operations that change something; tests pass one that fails at a chosen step."""

    mkdir: Callable[[str], None] = os.mkdir
    write_new: Callable[[str, bytes], Stamp] = write_new
    append: Callable[[str, bytes], Stamp] = append
    rename: Callable[[str, str], None] = os.rename
    replace: Callable[[str, str], None] = os.replace
    link: Callable[[str, str], None] = os.link
    unlink: Callable[[str], None] = os.unlink
    rmdir: Callable[[str], None] = os.rmdir
    chmod: Callable[[str, int], None] = os.chmod


def remove_tree(disk: Disk, folder: str) -> None:
    """Remove a folder and its content; symbolic links are removed, not followed. Raises OSError."""
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                remove_tree(disk, entry.path)
            else:
                disk.unlink(entry.path)
    disk.rmdir(folder)


def regular_stamp(path: str) -> Stamp | None:
    """The stamp of a regular file; None if there is none (a symbolic link is not a regular file). Raises OSError."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stamp_of(status) if stat.S_ISREG(status.st_mode) else None


def read_regular(path: str) -> bytes:
    """Read a file. Raises OSError, also for a symbolic link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def hash_regular(path: str) -> str | None:
    """SHA-256 (hex) of a regular file; "" for anything else with this name, None if there is nothing. Raises OSError."""
    if regular_stamp(path) is None:
        return "" if os.path.lexists(path) else None
    return sha256(read_regular(path))


def sha256(content: bytes) -> str:
    """SHA-256 as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def names_in(folder: str) -> list[str]:
    """Names of the entries of a folder. Raises OSError."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def remove_empty(disk: Disk, root: str, path: str) -> None:
    """Remove the folder `path` below `root`, and the folders above it, as far as they are empty. Raises OSError."""
    while path and not names_in(f"{root}/{path}"):
        disk.rmdir(f"{root}/{path}")
        path = path.rpartition("/")[0]


_AGAIN = "then run again: complete modules are kept and not written again"
_HINTS = {
    errno.ENOSPC: f"free some space, {_AGAIN}",
    errno.EDQUOT: f"free some space or raise the quota, {_AGAIN}",
    errno.EFBIG: f"raise the limit on file sizes (ulimit -f), {_AGAIN}",
    errno.EROFS: "choose a folder that can be written with --out",
    errno.EACCES: "make the folder writable for this user, or choose another with --out",
    errno.EPERM: "make the folder writable for this user, or choose another with --out",
    errno.ENAMETOOLONG: "choose a shorter name, or a shorter folder with --out",
    errno.ENOTDIR: "a part of this path is not a folder: move it away, or choose another folder with --out",
    errno.EEXIST: "move the existing file away, or choose another folder with --out",
    errno.ELOOP: "replace the symbolic link by its target",
}


def output_error(error: OSError, fallback: str) -> OutputError:
    """The OutputError for an operating-system error; `fallback` is the path to report if the error has none."""
    reason = error.strerror or type(error).__name__
    where = os.fsdecode(error.filename) if error.filename else fallback
    hint = _HINTS.get(error.errno or 0, f"fix the cause, {_AGAIN}")
    return OutputError(f"cannot be written: {reason}", where=where, hint=hint)


STAGING_PREFIX = ".rolecall-staging-"
_READABLE = 0o444


def remove_leftovers(disk: Disk, root: str) -> None:
    """Remove the staging folders of killed runs. The caller must hold the folder's lock. Raises OSError."""
    with os.scandir(root) as entries:
        leftovers = [
            entry.path for entry in entries if entry.name.startswith(STAGING_PREFIX) and entry.is_dir(follow_symlinks=False)
        ]
    for folder in leftovers:
        remove_tree(disk, folder)


class Placer:
    """Places folders and single files below `root`. The staging folder is created when first needed.

    All methods but `close` raise OSError.
    """

    def __init__(self, disk: Disk, root: str) -> None:
        self.disk = disk
        self._root = root
        self._staging: str | None = None
        self._staged = 0
        self._parents: set[str] = {""}

    def journal(self, modules: Iterable[tuple[str, Mapping[str, str]]]) -> None:
        """Record files that are about to be written: by module path, SHA-256 by file name.

        The entry starts with a newline, so that an incomplete entry before it does not affect it.
        """
        entry = json.dumps([[path, dict(files)] for path, files in modules])
        self.disk.append(f"{self._root}/{JOURNAL_NAME}", f"\n{entry}\n".encode())

    def reserve(self, size: int) -> None:
        """Reserve bytes on the disk until `close`, so that the lock can be written to a full disk."""
        if hasattr(os, "posix_fallocate"):  # absent on macOS: there a full disk leaves the journal behind
            descriptor = os.open(self._stage(), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    error.filename = self._root
                    raise
            finally:
                os.close(descriptor)

    def stage(self, contents: Mapping[str, bytes], executables: Collection[str] = ()) -> tuple[str, dict[str, Stamp]]:
        """Write files into a new staging folder; returns the folder, and the stamp of each file by name.

        Names may contain folders (`terraform/main.tf`). Executables are executable by everyone who may read them.
        """
        folder = self.staging_folder()
        made = {""}
        stamps: dict[str, Stamp] = {}
        for name, content in contents.items():
            self._make_folders(folder, name.rpartition("/")[0], made)
            stamps[name] = self.disk.write_new(f"{folder}/{name}", content)
            if name in executables:
                mode = os.lstat(f"{folder}/{name}").st_mode
                self.disk.chmod(f"{folder}/{name}", mode | (mode & _READABLE) >> 2)
        return folder, stamps

    def staging_folder(self) -> str:
        """Create a folder that `close` removes, in the file system of `root`."""
        folder = self._stage()
        self.disk.mkdir(folder)
        return folder

    def place_new(self, path: str, contents: Mapping[str, bytes]) -> dict[str, Stamp]:
        """Write a folder that does not exist yet, atomically; returns the stamp of each file by name."""
        staged, stamps = self.stage(contents)
        self._make_folders(self._root, path.rpartition("/")[0], self._parents)
        self.disk.rename(staged, f"{self._root}/{path}")
        return stamps

    def place_into(self, path: str, contents: Mapping[str, bytes], delete: Sequence[str]) -> None:
        """Write and delete files of an existing folder; if one step fails, the previous files are restored."""
        if not contents and not delete:
            return
        stage, _ = self.stage(contents)
        before, folder = self.staging_folder(), f"{self._root}/{path}"
        undo: list[tuple[str, str | None]] = []
        try:
            for name in contents:
                undo.append((f"{folder}/{name}", self._back_up(f"{folder}/{name}", f"{before}/{name}")))
                self.disk.replace(f"{stage}/{name}", f"{folder}/{name}")
            for name in delete:
                undo.append((f"{folder}/{name}", f"{before}/{name}"))
                self.disk.replace(f"{folder}/{name}", f"{before}/{name}")
        except BaseException:
            self._undo(undo)
            raise

    def replace_folder(self, staged: str, path: str, archive: bytes, *, replaced: str) -> None:
        """Move a staged folder to `path` and write its archive to `path`.zip, replacing both.

        The previous folder is moved into the folder `replaced`, which is to be removed at the end of the run: ext4 creates
        files ten times slower for some seconds after many were deleted (measured November 2026).
        """
        target = f"{self._root}/{path}"
        zipped = self._stage()
        self.disk.write_new(zipped, archive)
        self._make_folders(self._root, path.rpartition("/")[0], self._parents)
        before = f"{replaced}/{path.replace('/', ' ')}" if os.path.lexists(target) else None
        if before is not None:
            self.disk.rename(target, before)
        try:
            self.disk.rename(staged, target)
            try:
                self.disk.replace(zipped, f"{target}.zip")
            except BaseException:
                with suppress(OSError):
                    self.disk.rename(target, staged)
                raise
        except BaseException:
            if before is not None:
                with suppress(OSError):
                    self.disk.rename(before, target)
            raise

    def place_file(self, name: str, content: bytes, *, mode: int | None = None) -> None:
        """Replace one file of `root` itself; `mode` is its permissions (default: 0o666 less the umask)."""
        stage = self._stage()
        self.disk.write_new(stage, content)
        if mode is not None:
            self.disk.chmod(stage, mode)
        self.disk.replace(stage, f"{self._root}/{name}")

    def close(self) -> None:
        """Remove the staging folder; the next run removes what cannot be removed now."""
        if self._staging is not None:
            with suppress(OSError):
                remove_tree(self.disk, self._staging)
            self._staging = None

    def _stage(self) -> str:
        if self._staging is None:
            self._staging = tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=self._root)
        self._staged += 1
        return f"{self._staging}/{self._staged}"

    def _make_folders(self, root: str, folder: str, made: set[str]) -> None:
        """Create a folder below `root` and its parents; `made` holds the folders that exist."""
        if folder in made:
            return
        self._make_folders(root, folder.rpartition("/")[0], made)
        with suppress(FileExistsError):
            self.disk.mkdir(f"{root}/{folder}")
        made.add(folder)

    def _back_up(self, target: str, backup: str) -> str | None:
        """Link or copy a file to `backup`; None if there is no file."""
        if regular_stamp(target) is None:
            return None
        try:
            self.disk.link(target, backup)
        except OSError:  # a file system without hard links, or a file of another owner
            self.disk.write_new(backup, read_regular(target))
        return backup

    def _undo(self, moves: Sequence[tuple[str, str | None]]) -> None:
        for target, backup in reversed(moves):
            with suppress(OSError):  # the last move may not have happened
                if backup is None:
                    self.disk.unlink(target)
                else:
                    self.disk.replace(backup, target)
