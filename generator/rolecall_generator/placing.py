"""Putting files into their place: staged beside it, moved in one step, undone when a step fails.

The staging folder lies in the output folder, so that every move stays in one file system and is a rename.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress

from rolecall_generator.disk import Disk, read_regular, regular_stamp, remove_tree

STAGING_PREFIX = ".rolecall-staging-"


def remove_leftovers(disk: Disk, root: str) -> None:
    """Remove the staging folders of runs that were killed. The caller holds the folder's lock."""
    with os.scandir(root) as entries:
        leftovers = [
            entry.path for entry in entries if entry.name.startswith(STAGING_PREFIX) and entry.is_dir(follow_symlinks=False)
        ]
    for folder in leftovers:
        remove_tree(disk, folder)


class Placer:
    """Places modules and single files below `root`; the staging folder is made when first needed."""

    def __init__(self, disk: Disk, root: str) -> None:
        self._disk = disk
        self._root = root
        self._staging: str | None = None
        self._staged = 0
        self._parents: set[str] = set()

    def reserve(self, size: int) -> None:
        """Take room on the disk until `close`: when it runs full, the lock can still be written. Raises OSError if full."""
        if hasattr(os, "posix_fallocate"):  # not on macOS, where the journal alone has to remember
            descriptor = os.open(self._stage(), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    error.filename = self._root
                    raise
            finally:
                os.close(descriptor)

    def place_new(self, path: str, contents: Mapping[str, bytes]) -> list[int]:
        """Write a module whose folder does not exist, whole or not at all; hands back its files' stamps, flat."""
        stage = self._stage()
        stamps: list[int] = []
        self._disk.mkdir(stage)
        for name, content in contents.items():
            stamps += self._disk.write_new(f"{stage}/{name}", content)
        self._make_parents(path)
        self._disk.rename(stage, f"{self._root}/{path}")
        return stamps

    def place_into(self, path: str, contents: Mapping[str, bytes], delete: Sequence[str]) -> None:
        """Change a folder that is there: all files staged first, and every move undone when one of them fails."""
        if not contents and not delete:
            return
        stage, before, folder = self._stage(), self._stage(), f"{self._root}/{path}"
        self._disk.mkdir(stage)
        self._disk.mkdir(before)
        for name, content in contents.items():
            self._disk.write_new(f"{stage}/{name}", content)
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

    def place_file(self, name: str, content: bytes) -> None:
        """Replace one file of the output folder itself."""
        stage = self._stage()
        self._disk.write_new(stage, content)
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

    def _make_parents(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        if not parent or parent in self._parents:
            return
        self._make_parents(parent)
        with suppress(FileExistsError):
            self._disk.mkdir(f"{self._root}/{parent}")
        self._parents.add(parent)

    def _back_up(self, target: str, backup: str) -> str | None:
        """A second name for a file's present content; None when there is no file."""
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
