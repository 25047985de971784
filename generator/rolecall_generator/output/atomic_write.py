"""The file-system operations that change an output folder, as one replaceable value, and their errors in words.

Atomic placement of files: staged in the output folder, moved into place by renames, undone when a step fails. The
staging folder is in the output folder, so that every move stays in one file system and is a rename.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.errors import OutputError

Stamp = tuple[int, int, int]
"""Size in bytes, modification and change time in nanoseconds. The change time cannot be set back by a program."""

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


def stamp_of(status: os.stat_result) -> Stamp:
    """What tells whether a file changed since it was looked at."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, waiting for it: reading, changing and writing are one step for other processes of rolecall."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_new(path: str, content: bytes) -> Stamp:
    """Write a file that does not exist yet, hand back its stamp. Raises OSError that names the file."""
    return _write(path, _NEW_FILE, content)


def append(path: str, content: bytes) -> Stamp:
    """Add to a file, made when absent. Raises OSError that names the file."""
    return _write(path, _APPEND, content)


def _write(path: str, flags: int, content: bytes) -> Stamp:
    descriptor = os.open(path, flags, 0o666)
    try:
        written = os.write(descriptor, content)
        while written < len(content):  # a nearly full disk takes a part first and refuses the rest
            written += os.write(descriptor, content[written:])
        return stamp_of(os.fstat(descriptor))
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Disk:
    """All operations that change something. Tests hand in one that fails at a chosen step."""

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
    """Remove a folder of rolecall's own and all in it; symbolic links are removed, never followed."""
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                remove_tree(disk, entry.path)
            else:
                disk.unlink(entry.path)
    disk.rmdir(folder)


def regular_stamp(path: str) -> Stamp | None:
    """Stamp of a regular file; None when there is none, or something else, a symbolic link included."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stamp_of(status) if stat.S_ISREG(status.st_mode) else None


def read_regular(path: str) -> bytes:
    """Content of a file; a symbolic link is an error."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


_AGAIN = "then run again: modules that were complete stay and are not written twice"
_HINTS = {
    errno.ENOSPC: f"free some space, {_AGAIN}",
    errno.EDQUOT: f"free some space or raise the quota, {_AGAIN}",
    errno.EFBIG: f"raise the limit on file sizes (ulimit -f), {_AGAIN}",
    errno.EROFS: "choose a folder that can be written with --out",
    errno.EACCES: "make the folder writable for this user, or choose another with --out",
    errno.EPERM: "make the folder writable for this user, or choose another with --out",
    errno.ENAMETOOLONG: "choose a shorter name, or a shorter folder with --out",
    errno.ENOTDIR: "something that is no folder stands in the way: move it away, or choose another folder with --out",
    errno.EEXIST: "move away what stands there, or choose another folder with --out",
    errno.ELOOP: "replace the symbolic link by what it stands for",
}


def output_error(error: OSError, fallback: str) -> OutputError:
    """An operating-system error in the project's words; `fallback` is the place when the error names none."""
    reason = error.strerror or type(error).__name__
    where = os.fsdecode(error.filename) if error.filename else fallback
    hint = _HINTS.get(error.errno or 0, f"see to what the system says, {_AGAIN}")
    return OutputError(f"cannot be written: {reason}", where=where, hint=hint)


STAGING_PREFIX = ".rolecall-staging-"
_READABLE = 0o444


def remove_leftovers(disk: Disk, root: str) -> None:
    """Remove the staging folders of runs that were killed. The caller holds the folder's lock."""
    with os.scandir(root) as entries:
        leftovers = [
            entry.path for entry in entries if entry.name.startswith(STAGING_PREFIX) and entry.is_dir(follow_symlinks=False)
        ]
    for folder in leftovers:
        remove_tree(disk, folder)


class Placer:
    """Places folders and single files below `root`. The staging folder is made when first needed."""

    def __init__(self, disk: Disk, root: str) -> None:
        self._disk = disk
        self._root = root
        self._staging: str | None = None
        self._staged = 0
        self._parents: set[str] = {""}

    def reserve(self, size: int) -> None:
        """Reserve bytes on the disk until `close`, so that the lock can be written to a full disk. Raises OSError."""
        if hasattr(os, "posix_fallocate"):  # not on macOS, where the journal has to remember
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

        Names may hold folders (`terraform/main.tf`). Whoever may read an executable may run it, as the umask allows.
        """
        folder = self._stage()
        made = {""}
        stamps: dict[str, Stamp] = {}
        self._disk.mkdir(folder)
        for name, content in contents.items():
            self._make_folders(folder, name.rpartition("/")[0], made)
            stamps[name] = self._disk.write_new(f"{folder}/{name}", content)
            if name in executables:
                mode = os.lstat(f"{folder}/{name}").st_mode
                self._disk.chmod(f"{folder}/{name}", mode | (mode & _READABLE) >> 2)
        return folder, stamps

    def place_new(self, path: str, contents: Mapping[str, bytes]) -> dict[str, Stamp]:
        """Write a folder that does not exist, completely or not at all; returns the stamp of each file by name."""
        staged, stamps = self.stage(contents)
        self._make_folders(self._root, path.rpartition("/")[0], self._parents)
        self._disk.rename(staged, f"{self._root}/{path}")
        return stamps

    def place_into(self, path: str, contents: Mapping[str, bytes], delete: Sequence[str]) -> None:
        """Change files of an existing folder: all are staged first, and all moves undone if one of them fails."""
        if not contents and not delete:
            return
        stage, _ = self.stage(contents)
        before, folder = self._stage(), f"{self._root}/{path}"
        self._disk.mkdir(before)
        undo: list[tuple[str, str | None]] = []
        try:
            for name in contents:
                undo.append((f"{folder}/{name}", self._back_up(f"{folder}/{name}", f"{before}/{name}")))
                self._disk.replace(f"{stage}/{name}", f"{folder}/{name}")
            for name in delete:
                undo.append((f"{folder}/{name}", f"{before}/{name}"))
                self._disk.replace(f"{folder}/{name}", f"{before}/{name}")
        except BaseException:
            self._undo(undo)
            raise

    def replace_folder(self, staged: str, path: str, archive: bytes, *, replaced: str) -> None:
        """Move a staged folder to `path` and write its archive to `path`.zip, in place of what is there.

        The previous folder is moved into the folder `replaced`. The caller removes that at the end of the run: ext4 creates
        files ten times slower for some seconds after many were deleted (measured November 2026).
        """
        target = f"{self._root}/{path}"
        zipped = self._stage()
        self._disk.write_new(zipped, archive)
        self._make_folders(self._root, path.rpartition("/")[0], self._parents)
        before = f"{replaced}/{path.replace('/', ' ')}" if os.path.lexists(target) else None
        if before is not None:
            self._disk.rename(target, before)
        try:
            self._disk.rename(staged, target)
            try:
                self._disk.replace(zipped, f"{target}.zip")
            except BaseException:
                with suppress(OSError):
                    self._disk.rename(target, staged)
                raise
        except BaseException:
            if before is not None:
                with suppress(OSError):
                    self._disk.rename(before, target)
            raise

    def place_file(self, name: str, content: bytes, *, mode: int | None = None) -> None:
        """Replace one file of `root` itself; `mode` are its permissions, else those that the umask leaves."""
        stage = self._stage()
        self._disk.write_new(stage, content)
        if mode is not None:
            self._disk.chmod(stage, mode)
        self._disk.replace(stage, f"{self._root}/{name}")

    def close(self) -> None:
        """Remove the staging folder. What cannot be removed now is removed by the next run."""
        if self._staging is not None:
            with suppress(OSError):
                remove_tree(self._disk, self._staging)
            self._staging = None

    def _stage(self) -> str:
        if self._staging is None:
            self._staging = tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=self._root)
        self._staged += 1
        return f"{self._staging}/{self._staged}"

    def _make_folders(self, root: str, folder: str, made: set[str]) -> None:
        """Make a folder below `root` and those above it; `made` holds the ones that exist."""
        if folder in made:
            return
        self._make_folders(root, folder.rpartition("/")[0], made)
        with suppress(FileExistsError):
            self._disk.mkdir(f"{root}/{folder}")
        made.add(folder)

    def _back_up(self, target: str, backup: str) -> str | None:
        """Give a file's present content a second name; None if there is no file."""
        if regular_stamp(target) is None:
            return None
        try:
            self._disk.link(target, backup)
        except OSError:  # a file system without hard links, or a file of another owner
            self._disk.write_new(backup, read_regular(target))
        return backup

    def _undo(self, moves: Sequence[tuple[str, str | None]]) -> None:
        for target, backup in reversed(moves):
            with suppress(OSError):  # the last move may not have happened
                if backup is None:
                    self._disk.unlink(target)
                else:
                    self._disk.replace(backup, target)
