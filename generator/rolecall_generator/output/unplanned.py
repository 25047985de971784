"""Finds folders and Terraform files in the output folder that the manifest does not plan."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from rolecall_generator.findings import UNPLANNED, Finding, Severity
from rolecall_generator.output.atomic_write import output_error
from rolecall_generator.output.lock import BUNDLES

_TERRAFORM = (".tf", ".tf.json", ".tofu", ".tofu.json", ".tfvars", ".tfvars.json", ".hcl")
_OWN = (".rolecall", ".terraform")
"""Prefixes of rolecall's caches and staging folders, and of Terraform's working files."""
_MAX_ENTRIES = 1_000
"""Entries examined in an unplanned folder; a larger folder is assumed to hold Terraform files."""
_TOP = ""


def find_unplanned(out: Path, planned: Collection[str], known: Collection[str]) -> tuple[Finding, ...]:
    """A finding for each entry of the output folder that belongs to no planned module. No file is read.

    `planned`: paths of the planned modules. `known`: paths of the modules in the lock, which an earlier run wrote; each gets
    its own finding. Hidden folders without Terraform files and the folder of bundles are skipped. Raises OutputError.
    """
    try:
        return tuple(_findings(out, planned, known))
    except OSError as error:
        raise output_error(error, str(out)) from error


def _findings(out: Path, planned: Collection[str], known: Collection[str]) -> Iterator[Finding]:
    above = {_TOP, *_parents(planned), *_parents(known)}
    modules = frozenset(planned)
    for folder in sorted(above):
        try:
            entries = os.scandir(f"{out}/{folder}")
        except (FileNotFoundError, NotADirectoryError):
            continue
        with entries:
            found = [entry for entry in entries if _path(folder, entry) not in modules]
        for entry in sorted(found, key=lambda entry: entry.name):
            path = _path(folder, entry)
            if path not in above and path != BUNDLES and not entry.name.startswith(_OWN):
                yield from _finding(entry, path, known)


def _parents(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        while (path := path.rpartition("/")[0]) and path not in found:
            found.add(path)
    return found


def _path(folder: str, entry: os.DirEntry[str]) -> str:
    return f"{folder}/{entry.name}" if folder else entry.name


def _finding(entry: os.DirEntry[str], path: str, known: Collection[str]) -> Iterator[Finding]:
    terraform = entry.name.casefold().endswith(_TERRAFORM)
    if entry.is_dir(follow_symlinks=False):
        if entry.name.startswith(".") and not _holds_terraform(entry.path):
            return
        severity = Severity.ERROR if _holds_terraform(entry.path) else Severity.WARNING
        what = "a folder that the manifest does not plan"
    elif entry.is_symlink():
        severity, what = Severity.ERROR if terraform or entry.is_dir() else Severity.WARNING, "a symbolic link, not followed"
    elif terraform:
        severity, what = Severity.ERROR, "a Terraform file outside the planned modules"
    else:
        return
    hint = "run gen terraform --prune to remove what the manifest no longer plans" if path in known else None
    yield UNPLANNED.finding(path, what, path, 1, severity=severity, hint=hint)


def _holds_terraform(path: str) -> bool:
    """True if there may be Terraform files at any depth. Symbolic links count, since they are not followed."""
    left = _MAX_ENTRIES
    pending = [path]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    left -= 1
                    if left < 0 or entry.is_symlink() or entry.name.casefold().endswith(_TERRAFORM):
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError:
            return True
    return False
