"""Edited files put in place: each replaced at once, all of them or none."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.disk import Disk, alone
from rolecall_generator.errors import OutputError
from rolecall_generator.manifest.edit import Edited

_ANYBODY_WRITES = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_CHANGED = "look at the file, then run again"


def write_edited(edited: Edited, disk: Disk | None = None) -> None:
    """Put the edited files in place of the old ones. Symbolic links and modes stay.

    All new content is complete on the disk before the first file changes; a crash between two leaves each file whole.
    Raises OutputError when a file cannot be written, or has changed since it was read; then every file is as before.
    """
    disk = disk or Disk()
    ready: list[_Ready] = []
    try:
        with alone(edited.manifest.parent):
            for path, content in edited.files.items():
                _unchanged(path, content.before)
                target = Path(os.path.realpath(path))  # a link stays a link
                _sweep(target, disk)
                ready.append(_Ready(_prepared(path, target, content.after, disk), path, target, content.before))
            _replace(ready, disk)
    except OSError as error:
        where = os.fsdecode(error.filename) if error.filename else str(edited.manifest)
        mend = "give yourself permission to write there, or free some space; nothing has changed"
        raise OutputError(f"cannot be written: {error.strerror}", where=where, mend=mend) from error
    finally:
        for item in ready:
            with suppress(OSError):
                disk.unlink(str(item.temporary))


@dataclass(frozen=True, slots=True)
class _Ready:
    """New content beside its target, and what the target held: None where it is new. `path` names it in messages."""

    temporary: Path
    path: Path
    target: Path
    before: bytes | None


def _unchanged(path: Path, before: bytes | None) -> None:
    gone = before is not None and not path.is_file()  # reading a pipe would wait
    if gone or (path.read_bytes() if path.exists() else None) != before:
        raise OutputError("the file has changed since it was read; nothing was written", where=str(path), mend=_CHANGED)
    # Replacing asks the folder's permission alone, and root's write permission is never missing.
    if before is not None and not (os.access(path, os.W_OK) and path.stat().st_mode & _ANYBODY_WRITES):
        raise OutputError("the file is read-only", where=str(path), mend="give yourself permission to write to it")


def _sweep(target: Path, disk: Disk) -> None:
    """Remove what edits of the file left behind that were killed; the folder's lock says that none is under way."""
    for piece in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        with suppress(FileNotFoundError):
            disk.unlink(str(piece))


def _prepared(path: Path, target: Path, content: bytes, disk: Disk) -> Path:
    """The content in a file beside the target, with its mode, complete on the disk. An OSError names `path`."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        disk.write_new(str(temporary), content)
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        with suppress(OSError):
            disk.unlink(str(temporary))
        error.filename = os.fspath(path)
        raise
    return temporary


def _replace(ready: Sequence[_Ready], disk: Disk) -> None:
    done: list[_Ready] = []
    try:
        for item in ready:
            disk.replace(str(item.temporary), str(item.target))
            done.append(item)
    except OSError:
        for item in done:
            if item.before is None:
                disk.unlink(str(item.target))
            else:
                disk.replace(str(_prepared(item.path, item.target, item.before, disk)), str(item.target))
        raise
