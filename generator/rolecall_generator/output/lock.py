"""The output folder's memory: the lock file, and the journal of a run that has not ended yet.

`rolecall.lock.json` is meant to be committed: it holds content hashes and no times, one entry a line. The journal is
written ahead of the files, module by module, and goes when the lock is written: what a killed run left is found in it, so
that it is not taken for someone else's. (A journal instead of a key in the lock: the lock would have to be written twice,
and every module rendered and held in memory, before the first file.)
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

_ASK_VERSION_CONTROL = (
    "restore it from version control; or delete it: generated files that are still as they would be written are adopted "
    "again, and any others are named before anything is changed"
)


@dataclass(frozen=True, slots=True)
class LockedModule:
    """What was written for one module: SHA-256 (hex) by file name. `stale` files are no longer planned but were kept."""

    fingerprint: str
    files: Mapping[str, str]
    stale: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lock:
    """What rolecall wrote into an output folder.

    `assignment` belongs to the planner. `pending` is the journal: by module path and file name, the hashes that a run
    which did not end may have written. `digest` is the SHA-256 of the lock file's bytes, empty when there is no file.
    """

    generator: str = ""
    modules: Mapping[str, LockedModule] = field(default_factory=dict)
    assignment: Mapping[str, Any] = field(default_factory=dict)
    pending: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    digest: str = ""


def read_lock(out: Path, *, known: Lock | None = None) -> Lock:
    """The lock of an output folder, empty when there is none; `known` is handed back if the files still say the same.

    Raises OutputError when the lock is broken or was written by a newer rolecall.
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
        raise OutputError("the lock file is not JSON", where=str(path), hint=_ASK_VERSION_CONTROL) from error
    try:
        return _lock_from_json(body, pending, digest)
    except _NewerVersionError as error:
        raise OutputError(
            f"the lock file has version {error}; this rolecall knows {LOCK_VERSION}",
            where=str(path),
            hint="install the newer rolecall",
        ) from error
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise OutputError(f"the lock file is damaged ({error})", where=str(path), hint=_ASK_VERSION_CONTROL) from error


def encode_lock(lock: Lock) -> bytes:
    """The lock file's bytes: sorted, an entry a line, so that a diff shows what changed; newline at the end."""
    body = {
        "version": LOCK_VERSION,
        "generator": lock.generator,
        "assignment": lock.assignment,
        "modules": {path: _module_to_json(module) for path, module in lock.modules.items()},
    }
    return (json.dumps(body, sort_keys=True, separators=(",\n", ": ")) + "\n").encode()


def encode_journal(modules: Iterable[tuple[str, Mapping[str, str]]]) -> bytes:
    """A journal entry; it starts with a newline, so that an entry torn before it spoils only itself."""
    return b"\n" + json.dumps([[path, dict(files)] for path, files in modules]).encode() + b"\n"


def is_module_path(path: str) -> bool:
    """True for relative paths that stay below the output folder."""
    return _MODULE_PATH.fullmatch(path) is not None


def is_file_name(name: str) -> bool:
    """True for the name of a file directly in a module's folder."""
    return _NAME.fullmatch(name) is not None


class _NewerVersionError(Exception):
    pass


def _read(path: Path) -> bytes | None:
    """Content of one of rolecall's own files; None when absent. A symbolic link is refused, it would lead elsewhere."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        what = "is a symbolic link" if path.is_symlink() else f"cannot be read ({error.strerror})"
        raise OutputError(what, where=str(path), hint="put a file that can be read in its place") from error
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
            continue  # torn by the kill that this journal is for; its files had not been written yet
    return pending


def _lock_from_json(body: Any, pending: Mapping[str, Mapping[str, frozenset[str]]], digest: str) -> Lock:
    version = body["version"]
    if not isinstance(version, int) or version < 1:
        raise ValueError("its version is not a number")
    if version > LOCK_VERSION:
        raise _NewerVersionError(version)
    modules = {
        path: LockedModule(entry["fingerprint"], entry["files"], entry.get("stale", {}))
        for path, entry in body["modules"].items()
    }
    _validate(modules)
    if not isinstance(body["assignment"], dict) or not isinstance(body["generator"], str):
        raise ValueError("assignment or generator is of the wrong type")
    return Lock(body["generator"], modules, body["assignment"], pending, digest)


def _validate(modules: Mapping[str, LockedModule]) -> None:
    """A lock is edited and merged by people: nothing in it may lead outside the folder, since its files get deleted."""
    names: set[str] = set()
    for path, module in modules.items():
        if not is_module_path(path):
            raise ValueError(f"{path!r} is no module path")
        names.update(module.files, module.stale)
        hashes = (*module.files.values(), *module.stale.values())
        if not isinstance(module.fingerprint, str) or not all(
            type(sha) is str and len(sha) == _SHA256_DIGITS for sha in hashes
        ):
            raise ValueError(f"{path}: a fingerprint or hash is of the wrong form")
    if wrong := [name for name in names if not is_file_name(name)]:
        raise ValueError(f"{wrong[0]!r} is no file name")


def _module_to_json(module: LockedModule) -> dict[str, Any]:
    body: dict[str, Any] = {"fingerprint": module.fingerprint, "files": module.files}
    return {**body, "stale": module.stale} if module.stale else body
