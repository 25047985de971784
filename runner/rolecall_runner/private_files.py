"""Files and folders with access only for their owner: run records, session caches, and the state of the sandbox.

They are created with their final mode regardless of the umask, so other users can never read them. Owner and mode are
checked before reading: a file that another user could have written is rejected. Not used for `output/` and bundles, which
are shared.
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
_HINT = "check its origin; if it is yours, run chown and chmod go-w on it, otherwise delete it"


class UnsafeFileError(RolecallError):
    """A private file or folder belongs to another user, can be written by others, or is a link."""

    exit_code = ExitCode.OUTPUT


def make_private_folder(folder: Path) -> None:
    """Create a folder and its missing parents with mode 0700. Existing folders are not changed.

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
    """Create one folder with mode 0700. Raises FileExistsError if it exists, and OSError."""
    folder.mkdir(mode=FOLDER_MODE)
    if stat.S_IMODE(folder.lstat().st_mode) != FOLDER_MODE:  # the umask removed permissions of the owner
        folder.chmod(FOLDER_MODE)


def create_private_file(path: Path, flags: int = 0) -> int:
    """Create a new file with mode 0600 for writing, and return its descriptor. Raises FileExistsError, and OSError."""
    mode = 0 if flags & os.O_RDWR else os.O_WRONLY
    descriptor = os.open(path, flags | mode | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    os.fchmod(descriptor, FILE_MODE)  # the umask can only have removed permissions, so access was never wider
    return descriptor


def write_private_file(path: Path, content: bytes) -> None:
    """Replace a file atomically by one with mode 0600: readers see the old or the new content. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)
    try:
        with os.fdopen(create_private_file(temporary), "wb") as file:
            file.write(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def open_private_file(path: Path, *, flags: int = os.O_RDONLY) -> int:
    """Open an existing file, check owner and mode, and return its descriptor. Symbolic links are not followed.

    Raises UnsafeFileError if it belongs to another user, is writable by others, or is a link; and OSError.
    """
    if path.is_symlink():
        raise UnsafeFileError("refusing to use a symbolic link as a private file", where=str(path), hint=_HINT)
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _check(os.fstat(descriptor), path, stat.S_ISREG)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_or_create_private_file(path: Path, flags: int) -> int:
    """Open a file as `open_private_file` does, or create it with mode 0600 if it does not exist."""
    try:
        return create_private_file(path, flags)
    except FileExistsError:
        return open_private_file(path, flags=flags)


def read_private_file(path: Path) -> bytes:
    """Return the content of a file, with the checks of `open_private_file`. Raises UnsafeFileError, OSError."""
    with private_reader(path) as file:
        return file.read()


def private_reader(path: Path) -> IO[bytes]:
    """Open a file for reading, with the checks of `open_private_file`. Raises UnsafeFileError, OSError."""
    return os.fdopen(open_private_file(path), "rb")


def check_private_folder(folder: Path) -> None:
    """Raise UnsafeFileError if a folder belongs to another user, is writable by others, or is a link. Raises OSError."""
    _check(os.lstat(folder), folder, stat.S_ISDIR)


def _check(status: os.stat_result, path: Path, is_expected_type: Callable[[int], Any]) -> None:
    if not is_expected_type(status.st_mode):
        what = "it is a symbolic link or has the wrong file type"
    elif status.st_uid != os.geteuid():
        what = f"it belongs to another user (uid {status.st_uid})"
    elif status.st_mode & _WRITABLE_BY_OTHERS:
        what = f"other users can write to it (mode {stat.S_IMODE(status.st_mode):04o})"
    else:
        return
    raise UnsafeFileError(f"refusing to read files that may not be yours: {what}", where=str(path), hint=_HINT)
