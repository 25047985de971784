"""The cache folder of the user, and checks that other users cannot write to it."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_ROOT = 0
_ANY_PERMISSION_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def user_cache_folder() -> Path | None:
    """`$XDG_CACHE_HOME/rolecall` (default: `~/.cache/rolecall`), created with mode 0700; None if it is not safe to use.

    It is safe if the current user owns it, other users have no permissions on it, and only root and the current user can
    replace it or one of its parent folders. Source of the location: XDG Base Directory Specification 0.8.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        parent = Path(base if base.startswith("/") else "~/.cache").expanduser()
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = parent.resolve(strict=True) / "rolecall"
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        safe = _is_private(os.lstat(folder)) and all(_is_protected(os.lstat(above)) for above in folder.parents)
    except (OSError, RuntimeError, ValueError):
        return None
    return folder if safe else None


def is_own_file(path: Path) -> bool:
    """True if `path` is a regular file of the current user, or does not exist yet."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return True
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()


def _is_private(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & _ANY_PERMISSION_OF_OTHERS


def _is_protected(status: os.stat_result) -> bool:
    """True if only the current user and root can rename its entries: others cannot write, or the sticky bit is set."""
    if status.st_uid not in (_ROOT, os.geteuid()):
        return False
    return not status.st_mode & _WRITABLE_BY_OTHERS or bool(status.st_mode & stat.S_ISVTX)
