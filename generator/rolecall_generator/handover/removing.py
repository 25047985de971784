"""Removing the bundle of somebody who left the manifest: what rolecall wrote, and nothing else."""

from __future__ import annotations

import os

from rolecall_generator.disk import Disk
from rolecall_generator.handover.layout import SUMS
from rolecall_generator.handover.standing import Owned, look, zip_name


def remove_bundle(disk: Disk, root: str, path: str, owned: Owned) -> list[str]:
    """Remove a bundle's folder and zip; hands back what was left, by path: others' files, and files edited by hand."""
    standing = look(root, path, owned)
    if standing.blocked is not None:
        return [standing.blocked]
    kept = []
    # SHA256SUMS goes last: until then a killed run's rest is still known as the bundle's own.
    for name, sha in sorted(standing.found.items(), key=lambda item: item[0] == SUMS):
        if sha and (standing.listed.get(name) == sha or sha in owned.get(name, ())):
            disk.unlink(f"{root}/{path}/{name}")
        else:
            kept.append(f"{path}/{name}")
    if standing.packed is not None:
        if standing.packed and standing.packed in owned.get(zip_name(path), ()):
            disk.unlink(f"{root}/{path}.zip")
        else:
            kept.append(f"{path}.zip")
    _remove_empty(disk, f"{root}/{path}")
    _remove_empty_parents(disk, root, path.rpartition("/")[0])
    return sorted(kept)


def _remove_empty(disk: Disk, folder: str) -> None:
    """Remove a folder and those below it that hold nothing."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            _remove_empty(disk, entry.path)
    if _is_empty(folder):
        disk.rmdir(folder)


def _remove_empty_parents(disk: Disk, root: str, path: str) -> None:
    while path and _is_empty(f"{root}/{path}"):
        disk.rmdir(f"{root}/{path}")
        path = path.rpartition("/")[0]


def _is_empty(folder: str) -> bool:
    with os.scandir(folder) as entries:
        return next(entries, None) is None
