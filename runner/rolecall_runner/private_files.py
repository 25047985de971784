"""Files and folders that only their owner may use: runs, session caches, and the sandbox's state.

They are created with their final mode regardless of the umask, so others can never read them. Owner and mode are checked
before reading: a file that another user could have written is refused. Not for `output/` and bundles, which are shared.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from rolecall_generator.errors import ExitCode, RolecallError

FOLDER_MODE = 0o700
FILE_MODE = 0o600
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_HINT = "check where it comes from; if it is yours: chown it to yourself and chmod go-w it, else delete it"


class UnsafeFileError(RolecallError):
    """A private file or folder belongs to another user, can be written by others, or is a link."""

    exit_code = ExitCode.OUTPUT


def make_private_folder(folder: Path) -> None:
    """Create a folder and the missing ones above it, each with mode 0700. One that exists stays as it is.

    Raises OSError.
    """
    missing = [folder]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):
            create_private_folder(each)
    if not folder.is_dir():
        raise NotADirectoryError(20, "not a directory", str(folder))


def create_private_folder(folder: Path) -> None:
    """Create one folder with mode 0700. Raises FileExistsError when it exists, and OSError."""
    folder.mkdir(mode=FOLDER_MODE)
    if stat.S_IMODE(folder.lstat().st_mode) != FOLDER_MODE:  # a umask that takes rights from the owner
        folder.chmod(FOLDER_MODE)


def create_private_file(path: Path, flags: int = 0) -> int:
    """Create a new file with mode 0600 for writing, and return its descriptor. Raises FileExistsError, and OSError."""
    mode = 0 if flags & os.O_RDWR else os.O_WRONLY
    descriptor = os.open(path, flags | mode | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    os.fchmod(descriptor, FILE_MODE)  # a umask can only have taken rights away: no one had more than this before
    return descriptor


def write_private_file(path: Path, content: bytes) -> None:
    """Replace a file in one step by one with mode 0600: readers see the old content or the new. Raises OSError."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    try:
        with os.fdopen(create_private_file(fresh), "wb") as file:
            file.write(content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def open_private_file(path: Path, *, flags: int = os.O_RDONLY, user_id: Callable[[], int] = os.geteuid) -> int:
    """Open an existing file without following a link, check it, and return its descriptor.

    Raises UnsafeFileError for a file of another user and for one that others may write, and OSError.
    """
    if path.is_symlink():
        raise UnsafeFileError("refusing to use a link in place of a private file", where=str(path), hint=_HINT)
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _check(os.fstat(descriptor), path, stat.S_ISREG, user_id())
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_or_create_private_file(path: Path, flags: int) -> int:
    """Open a file as `open_private_file` does; one that does not exist is created with mode 0600."""
    try:
        return create_private_file(path, flags)
    except FileExistsError:
        return open_private_file(path, flags=flags)


def read_private_file(path: Path, *, user_id: Callable[[], int] = os.geteuid) -> bytes:
    """The content of a file, checked as `open_private_file` does. Raises UnsafeFileError, OSError."""
    with private_reader(path, user_id=user_id) as file:
        return file.read()


def private_reader(path: Path, *, user_id: Callable[[], int] = os.geteuid) -> IO[bytes]:
    """A file to read, checked as `open_private_file` does. Raises UnsafeFileError, OSError."""
    return os.fdopen(open_private_file(path, user_id=user_id), "rb")


def check_private_folder(folder: Path, *, user_id: Callable[[], int] = os.geteuid) -> None:
    """Raise UnsafeFileError for a folder of another user, one that others may write, and a link. Raises OSError too."""
    _check(os.lstat(folder), folder, stat.S_ISDIR, user_id())


def _check(status: os.stat_result, path: Path, is_right_kind: Callable[[int], Any], user_id: int) -> None:
    if not is_right_kind(status.st_mode):
        what = "a link, or not the kind of file that it should be"
    elif status.st_uid != user_id:
        what = f"it belongs to another user (uid {status.st_uid})"
    elif status.st_mode & _WRITABLE_BY_OTHERS:
        what = f"others may write it (mode {stat.S_IMODE(status.st_mode):04o})"
    else:
        return
    raise UnsafeFileError(f"refusing to read what may not be yours: {what}", where=str(path), hint=_HINT)
