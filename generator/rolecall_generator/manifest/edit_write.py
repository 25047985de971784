"""Edited files put in place: each replaced at once, all of them or none."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from rolecall_generator.disk import Disk
from rolecall_generator.errors import OutputError
from rolecall_generator.manifest.edit import Edited

_CHANGED = "look at the file, then run again"


def write_edited(edited: Edited, disk: Disk | None = None) -> None:
    """Put the edited files in place of the old ones. Symbolic links and modes stay.

    All new files are complete on the disk before the first takes its place; a crash between two leaves each file whole.
    Raises OutputError when a file cannot be written, or has changed since it was read; then every file is as before.
    """
    disk = disk or Disk()
    ready: list[tuple[Path, Path]] = []
    try:
        for path, content in edited.files.items():
            target = Path(os.path.realpath(path))  # a link stays a link
            _unchanged(path, content.before)
            ready.append((_prepared(target, content.after, disk), target))
        _replace(ready, [content.before for content in edited.files.values()], disk)
    except OSError as error:
        where = os.fsdecode(error.filename) if error.filename else str(edited.manifest)
        mend = "give yourself permission to write there, or free some space; nothing has changed"
        raise OutputError(f"cannot be written: {error.strerror}", where=where, mend=mend) from error
    finally:
        for temporary, _ in ready:
            with suppress(OSError):
                disk.unlink(str(temporary))


def _unchanged(path: Path, before: bytes) -> None:
    if path.read_bytes() != before:
        raise OutputError("the file has changed since it was read; nothing was written", where=str(path), mend=_CHANGED)
    if not os.access(path, os.W_OK):
        raise OutputError("the file is read-only", where=str(path), mend="give yourself permission to write to it")


def _prepared(target: Path, content: bytes, disk: Disk) -> Path:
    """The new file beside the old one, with its mode, complete on the disk."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with suppress(FileNotFoundError):
        disk.unlink(str(temporary))  # of a process that had this number and was killed
    disk.write_new(str(temporary), content)
    try:
        temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        disk.unlink(str(temporary))
        raise
    return temporary


def _replace(ready: list[tuple[Path, Path]], before: list[bytes], disk: Disk) -> None:
    done: list[tuple[Path, bytes]] = []
    try:
        for (temporary, target), content in zip(ready, before, strict=True):
            disk.replace(str(temporary), str(target))
            done.append((target, content))
    except OSError:
        for target, content in done:
            disk.replace(str(_prepared(target, content, disk)), str(target))
        raise
