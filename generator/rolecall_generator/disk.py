"""The file-system operations that change an output folder, as one replaceable value, and their errors in words."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
_MENDS = {
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
    mend = _MENDS.get(error.errno or 0, f"see to what the system says, {_AGAIN}")
    return OutputError(f"cannot be written: {reason}", where=where, mend=mend)
