"""Putting a bundle into its place: folder and zip staged beside it, moved in by renames, undone when one of them fails."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress

from rolecall_generator.disk import Disk, remove_tree
from rolecall_generator.handover.model import Files
from rolecall_generator.handover.packing import is_program
from rolecall_generator.placing import STAGING_PREFIX

_READABLE = 0o444


class BundlePlacer:
    """Places bundles below `root`; what they replace is moved into the folder `replaced`.

    It is for the caller to remove that folder when nothing more is to be made: ext4 makes new files ten times slower for
    some seconds after many were deleted (measured November 2026). A killed run's staging folders go with the next run.
    """

    def __init__(self, disk: Disk, root: str, replaced: str) -> None:
        self._disk = disk
        self._root = root
        self._replaced = replaced
        self._staging: str | None = None
        self._staged = 0
        self._parents: set[str] = {""}

    def stage(self, files: Files) -> str:
        """Write a bundle's files into a new folder of the staging area; hands back the folder."""
        folder = self._next()
        made = {""}
        self._disk.mkdir(folder)
        for name, content in files.items():
            parent = name.rpartition("/")[0]
            if parent not in made:
                self._make(folder, parent, made)
            self._disk.write_new(f"{folder}/{name}", content)
            if is_program(name):
                mode = os.lstat(f"{folder}/{name}").st_mode
                self._disk.chmod(f"{folder}/{name}", mode | (mode & _READABLE) >> 2)  # who may read may run, as umask has it
        return folder

    def place(self, staged: str, path: str, packed: bytes) -> None:
        """Move a staged folder to `path` and its zip beside it, in place of those that are there."""
        target = f"{self._root}/{path}"
        zipped = self._next()
        self._disk.write_new(zipped, packed)
        self._make(self._root, path.rpartition("/")[0], self._parents)
        before = f"{self._replaced}/{path.replace('/', ' ')}" if os.path.lexists(target) else None
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

    def close(self) -> None:
        """Remove the staging folder. What cannot be removed now is removed by the next run."""
        if self._staging is not None:
            with suppress(OSError):
                remove_tree(self._disk, self._staging)
            self._staging = None

    def _next(self) -> str:
        if self._staging is None:
            self._staging = tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=self._root)
        self._staged += 1
        return f"{self._staging}/{self._staged}"

    def _make(self, root: str, folder: str, made: set[str]) -> None:
        if folder in made:
            return
        self._make(root, folder.rpartition("/")[0], made)
        with suppress(FileExistsError):
            self._disk.mkdir(f"{root}/{folder}")
        made.add(folder)
