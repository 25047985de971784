"""The lock file of the output folder, and the journal of a run in progress.

The lock file, `rolecall.lock.json`, is meant to be committed: it holds content hashes and no times, one entry per line.

The journal records the hashes of files before they are written. It is deleted after the lock file is written. After a
killed run it identifies the files that the run wrote, so that the next run may replace them. (Recording them in the lock
file instead would require rendering all modules before writing the first file.)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rolecall_generator.errors import OutputError

LOCK_VERSION = 1
_SHA256_DIGITS = 64
LOCK_NAME = "rolecall.lock.json"
JOURNAL_NAME = ".rolecall.journal"
BUNDLES = "bundles"
"""Folder of the bundles, in the output folder."""

_NAME = re.compile(r"(?!\.{1,2}$)[^/\x00]+")
_MODULE_PATH = re.compile(r"(?!\.{1,2}(/|$))[^/\x00]+(/(?!\.{1,2}(/|$))[^/\x00]+)*")

_RESTORE_HINT = (
    "restore it from version control, or delete it: unmodified generated files are then adopted again, and files that "
    "differ are listed before anything is changed"
)


@dataclass(frozen=True, slots=True)
class LockedModule:
    """The files written for one module: SHA-256 (hex) by file name. `stale` files are no longer planned but were kept."""

    fingerprint: str
    files: Mapping[str, str]
    stale: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lock:
    """The content of the lock file and the journal.

    `assignment` is the planner's assignment of customers to policies, as JSON. `pending` is the journal: by module path and
    file name, the hashes that an unfinished run may have written. `digest` is the SHA-256 of the lock file, empty if there
    is no file.
    """

    generator: str = ""
    modules: Mapping[str, LockedModule] = field(default_factory=dict)
    assignment: Mapping[str, Any] = field(default_factory=dict)
    pending: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    digest: str = ""

    def owned(self, path: str) -> dict[str, frozenset[str]]:
        """The hashes of files that rolecall wrote into a module's folder, by file name."""
        owned = dict(self.pending.get(path, {}))
        if (module := self.modules.get(path)) is not None:
            for name, sha in (*module.files.items(), *module.stale.items()):
                owned[name] = owned.get(name, frozenset()) | {sha}
        return owned


def read_lock(out: Path, *, known: Lock | None = None) -> Lock:
    """Read the lock of an output folder; empty if there is none. `known` is returned if the files have not changed.

    Raises OutputError if the lock cannot be read, is damaged or was written by a newer rolecall.
    """
    path = out / LOCK_NAME
    content = _read(path)
    pending = _read_journal(out / JOURNAL_NAME)
    if content is None:
        return Lock(pending=pending)
    digest = hashlib.sha256(content).hexdigest()
    if known is not None and known.digest == digest and known.pending == pending:
        return known
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise OutputError("the lock file is not JSON", where=str(path), hint=_RESTORE_HINT) from error
    try:
        if isinstance(version := body["version"], int) and version > LOCK_VERSION:
            what = f"the lock file has version {version}; this rolecall supports {LOCK_VERSION}"
            raise OutputError(what, where=str(path), hint="install a newer rolecall")
        return _lock_from_json(body, pending, digest)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise OutputError(f"the lock file is damaged ({error})", where=str(path), hint=_RESTORE_HINT) from error


def encode_lock(lock: Lock) -> bytes:
    """Encode the lock file: sorted, one entry per line for readable diffs, newline at the end."""
    body = {
        "version": LOCK_VERSION,
        "generator": lock.generator,
        "assignment": lock.assignment,
        "modules": {path: _module_to_json(module) for path, module in lock.modules.items()},
    }
    return (json.dumps(body, sort_keys=True, separators=(",\n", ": ")) + "\n").encode()


def encode_journal(modules: Iterable[tuple[str, Mapping[str, str]]]) -> bytes:
    """Encode a journal entry. It starts with a newline, so that an incomplete entry before it does not affect it."""
    return b"\n" + json.dumps([[path, dict(files)] for path, files in modules]).encode() + b"\n"


def is_module_path(path: str) -> bool:
    """True for relative paths that stay below the output folder."""
    return _MODULE_PATH.fullmatch(path) is not None


def is_file_name(name: str) -> bool:
    """True for the name of a file directly in a module's folder."""
    return _NAME.fullmatch(name) is not None


def _read(path: Path) -> bytes | None:
    """Read one of rolecall's own files; None if absent. Raises OutputError, also for a symbolic link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        what = "is a symbolic link" if path.is_symlink() else f"cannot be read ({error.strerror})"
        raise OutputError(what, where=str(path), hint="replace it with a readable file") from error
    try:
        with os.fdopen(descriptor, "rb") as file:
            return file.read()
    except OSError as error:
        raise OutputError(f"cannot be read ({error.strerror})", where=str(path), hint="move it away") from error


def _read_journal(path: Path) -> Mapping[str, Mapping[str, frozenset[str]]]:
    pending: dict[str, dict[str, frozenset[str]]] = {}
    for line in (_read(path) or b"").splitlines():
        try:
            for module, files in json.loads(line):
                if is_module_path(module):
                    known = pending.setdefault(module, {})
                    known.update(
                        (name, known.get(name, frozenset()) | {sha}) for name, sha in files.items() if is_file_name(name)
                    )
        except (ValueError, TypeError, AttributeError):
            continue  # incomplete: the run was killed here, before it wrote these files
    return pending


def _lock_from_json(body: Any, pending: Mapping[str, Mapping[str, frozenset[str]]], digest: str) -> Lock:
    version = body["version"]
    if not isinstance(version, int) or version < 1:
        raise ValueError("the version is not a positive integer")
    modules = {
        path: LockedModule(entry["fingerprint"], entry["files"], entry.get("stale", {}))
        for path, entry in body["modules"].items()
    }
    _validate(modules)
    if not isinstance(body["assignment"], dict) or not isinstance(body["generator"], str):
        raise ValueError("assignment or generator has the wrong type")
    return Lock(body["generator"], modules, body["assignment"], pending, digest)


def _validate(modules: Mapping[str, LockedModule]) -> None:
    """Raise ValueError for paths outside the output folder: lock files are merged by hand, and listed files are deleted."""
    names: set[str] = set()
    for path, module in modules.items():
        if not is_module_path(path):
            raise ValueError(f"{path!r} is not a module path")
        names.update(module.files, module.stale)
        hashes = (*module.files.values(), *module.stale.values())
        if not isinstance(module.fingerprint, str) or not all(
            type(sha) is str and len(sha) == _SHA256_DIGITS for sha in hashes
        ):
            raise ValueError(f"{path}: invalid fingerprint or hash")
    if wrong := [name for name in names if not is_file_name(name)]:
        raise ValueError(f"{wrong[0]!r} is not a file name")


def _module_to_json(module: LockedModule) -> dict[str, Any]:
    body: dict[str, Any] = {"fingerprint": module.fingerprint, "files": module.files}
    return {**body, "stale": module.stale} if module.stale else body
