"""Atomic placement of files: staged in the output folder, moved into place by renames, undone when a step fails.

The staging folder is in the output folder, so that every move stays in one file system and is a rename.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from rolecall_generator.disk import Disk, Stamp, read_regular, regular_stamp, remove_tree

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
