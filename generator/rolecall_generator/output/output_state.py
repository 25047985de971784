"""The state of an output folder: lock file, journal, cache, unplanned folders, and its comparison with the plan.

The lock file, `rolecall.lock.json`, is meant to be committed: it holds content hashes and no times, one entry per line. The
journal records the hashes of files before they are written, and is deleted once the lock file is written. After a killed
run it identifies the files that the run wrote, so that the next run may replace them. (Recording them in the lock file
instead would require rendering all modules before writing the first file.)

The cache lists modules that need not be hashed, parsed or checked again. Like git's index, it trusts a file whose size,
modification and change time are those recorded. It is ignored if it was written with another version of this package,
Python or a library (`environment_digest`), by another user, or if its checksum is wrong. Without the cache a run gives the
same result.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

from rolecall_generator.errors import OutputError
from rolecall_generator.findings import UNPLANNED, Finding, Severity
from rolecall_generator.output.atomic_write import (
    JOURNAL_NAME,
    Disk,
    Placer,
    Stamp,
    hash_regular,
    output_error,
    read_regular,
    sha256,
)
from rolecall_generator.package_digest import environment_digest

LOCK_VERSION = 1
_SHA256_DIGITS = 64
LOCK_NAME = "rolecall.lock.json"
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


CACHE_NAME = ".rolecall.cache"
_OWNER_ONLY = 0o600
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class FolderStamp:
    """The state of a folder of regular files: any change of a file, or of the list of files, gives another stamp.

    `numbers`: inode of the folder, then the size of each file in bytes. `times`: modification and change time of the folder,
    then of each file, in nanoseconds. A program cannot set the change time.
    """

    names: list[str]
    numbers: list[int]
    times: list[int]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check in which all modules were as planned; `key` is a digest of its other inputs.

    `declared` are findings about the manifest, `judged` those of proof and rules, both before suppressions.
    """

    key: str
    cells: int
    failed_cells: int
    declared: tuple[Finding, ...]
    judged: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A module in the state `stamp`: whether it had the content recorded in the lock, and the plan that it matched.

    `checked` is the fingerprint of that plan, empty if the module was not checked.
    """

    stamp: FolderStamp
    written: bool = False
    checked: str = ""


def stamp_folder(folder: str, names: list[str] | None = None) -> FolderStamp | None:
    """The stamp of a folder; None if it is missing, unreadable or holds anything but regular files: it cannot be cached.

    `names` are its files as recorded (default: the folder is listed); the folder's own times change with the list.
    """
    try:
        status = os.lstat(folder)
        if not stat.S_ISDIR(status.st_mode):
            return None
        names = sorted(os.listdir(folder)) if names is None else names  # noqa: PTH208 - only names are needed
        numbers, times = [status.st_ino], [status.st_mtime_ns, status.st_ctime_ns]
        for name in names:
            status = os.lstat(f"{folder}/{name}")
            if not stat.S_ISREG(status.st_mode):
                return None
            numbers.append(status.st_size)
            times += (status.st_mtime_ns, status.st_ctime_ns)
    except OSError:
        return None
    return FolderStamp(names, numbers, times)


def stamp_written(folder: str, files: Mapping[str, Stamp]) -> FolderStamp:
    """The stamp of a folder that was just written, given the stamps of its files. Raises OSError."""
    status = os.lstat(folder)
    numbers, times = [status.st_ino], [status.st_mtime_ns, status.st_ctime_ns]
    for name in (names := sorted(files)):
        size, modified, changed = files[name]
        numbers.append(size)
        times += (modified, changed)
    return FolderStamp(names, numbers, times)


class OutputState:
    """The cache of the output folder `root`. Changes are kept in memory until `save`.

    It holds the modules whose files have the content recorded in the lock, the modules that were parsed and found to be as
    planned, and the result of the last check in which all modules were as planned.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._entries: dict[str, _Entry] = {}
        self._racy: dict[str, _Entry] = {}
        """Modules changed in the clock tick in which the cache was written: later changes in it leave equal stamps."""
        self._lock_digest = ""
        self._result: CheckResult | None = None
        self._changed = False

    def is_checked(self, path: str, fingerprint: str) -> bool:
        """True if the module was found to match the plan with this fingerprint and has not changed since."""
        entry = self._entries.get(path)
        return entry is not None and entry.checked == fingerprint and self._unchanged(path, entry)

    def is_written(self, path: str) -> bool:
        """True if the module's files still have the content recorded in the lock."""
        entry = self._entries.get(path)
        return entry is not None and entry.written and self._unchanged(path, entry)

    def record_checked(self, path: str, fingerprint: str, stamp: FolderStamp) -> None:
        """Record that the module matches the plan; `stamp` must be taken before its files are read."""
        self._record(path, replace(self._entry(path, stamp), checked=fingerprint))

    def record_written(self, path: str, stamp: FolderStamp) -> None:
        """Record that the files have the content recorded in the lock; `stamp` must be taken before they are read."""
        self._record(path, replace(self._entry(path, stamp), written=True))

    def forget(self, path: str) -> None:
        """Drop the entry of a module."""
        self._entries.pop(path, None)

    def keep_only(self, paths: Collection[str]) -> None:
        """Drop the entries of all other modules. This does not cause the cache to be written."""
        self._entries = {path: entry for path, entry in self._entries.items() if path in paths}

    def result(self, key: str) -> CheckResult | None:
        """The result of the last check if it has this key. Valid only if `is_checked` is true of every planned module."""
        return self._result if self._result is not None and self._result.key == key else None

    def record_result(self, result: CheckResult) -> None:
        """Record the result of a check in which every module was as planned."""
        if result != self._result:
            self._result, self._changed = result, True

    def bind(self, lock_digest: str) -> None:
        """Drop the entries of written files unless they were recorded for the lock with this SHA-256."""
        if lock_digest != self._lock_digest:
            self._entries = {path: replace(entry, written=False) for path, entry in self._entries.items()}
            self._racy = {}
            self._lock_digest = lock_digest

    def save(self, placer: Placer, *, lock_digest: str | None = None) -> None:
        """Write the cache if it changed. `lock_digest`: SHA-256 of the lock file, if this run wrote it."""
        if lock_digest is not None and lock_digest != self._lock_digest:
            self._lock_digest, self._changed = lock_digest, True
        if self._changed:
            with suppress(OSError):  # the next run only takes longer
                placer.place_file(CACHE_NAME, self._encode(), mode=_OWNER_ONLY)
                self._changed = False

    def save_now(self) -> None:
        """As `save`, for a run that writes no other file."""
        if self._changed:
            with closing(Placer(Disk(), self._root)) as placer:
                self.save(placer)

    def _unchanged(self, path: str, entry: _Entry) -> bool:
        return entry.stamp == stamp_folder(f"{self._root}/{path}", entry.stamp.names)

    def _entry(self, path: str, stamp: FolderStamp) -> _Entry:
        entry = self._entries.get(path)
        return entry if entry is not None and entry.stamp == stamp else _Entry(stamp)

    def _record(self, path: str, entry: _Entry) -> None:
        before = self._entries.get(path)
        if before == entry:
            return
        if before is None or before.stamp != entry.stamp:
            self._result = None  # its findings refer to lines of the previous files
        self._entries[path] = entry
        # Confirming a racy entry does not cause a write: a run that changes nothing writes nothing.
        self._changed = self._changed or entry != self._racy.get(path)

    def _encode(self) -> bytes:
        result = self._result
        body = {
            "lock": self._lock_digest,
            "modules": {
                path: [entry.stamp.names, entry.stamp.numbers, entry.stamp.times, entry.written, entry.checked]
                for path, entry in self._entries.items()
            },
            "result": None if result is None else astuple(result),
        }
        content = json.dumps(body, separators=(",", ":")).encode()
        return _header(content) + content

    def _decode(self, content: bytes, written_ns: int) -> None:
        """Raises KeyError, TypeError or ValueError."""
        body: dict[str, Any] = json.loads(content)
        for path, (names, numbers, times, written, checked) in body["modules"].items():
            entries = self._entries if max(times) < written_ns else self._racy
            entries[path] = _Entry(FolderStamp(names, numbers, times), written, checked)
        self._lock_digest = body["lock"]
        if (result := body["result"]) is not None:
            key, cells, failed, *findings = result
            self._result = CheckResult(key, cells, failed, *(tuple(map(_finding, each)) for each in findings))


def load_state(out: Path | str) -> OutputState:
    """Load the cache of an output folder; empty if absent, damaged, or written by another version or user."""
    root = os.path.realpath(out)
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        descriptor = os.open(f"{root}/{CACHE_NAME}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if status.st_uid == os.geteuid() and not status.st_mode & _WRITABLE_BY_OTHERS:
                header, content = file.readline(), file.read()
                if header == _header(content):
                    state = OutputState(root)
                    state._decode(content, status.st_mtime_ns)
                    return state
    return OutputState(root)


def _header(content: bytes) -> bytes:
    return f"{environment_digest()} {hashlib.sha256(content).hexdigest()}\n".encode()


def _finding(values: list[Any]) -> Finding:
    rule, severity, *rest = values
    return Finding(rule, Severity(severity), *rest)


_MAX_LISTED = 10
"""Conflicts listed in the error message; the others are counted."""


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """A module to be written. `render` returns content by file name and is called only when the files are needed.

    Equal fingerprints must mean equal files. `path` is relative to the output folder, with `/` as separator.
    """

    path: str
    fingerprint: str
    render: Callable[[], Mapping[str, str]]

    def __post_init__(self) -> None:
        if not is_module_path(self.path):
            raise ValueError(f"{self.path!r} is not a relative path below the output folder")

    def contents(self) -> dict[str, bytes]:
        """The module's files by name, sorted. Raises ValueError for a name that is not a file name."""
        rendered = self.render()
        if wrong := [name for name in rendered if not is_file_name(name)]:
            raise ValueError(f"{self.path}: {wrong[0]!r} is not a file name")
        return {name: rendered[name].encode() for name in sorted(rendered)}


@dataclass(frozen=True, slots=True)
class PendingModule:
    """A module that is not as planned. `contents` is set if the survey had to render it."""

    source: ModuleSource
    exists: bool
    contents: Mapping[str, bytes] | None = None


@dataclass(slots=True)
class OutputScan:
    """Compares an output folder with the plan, without changing it. `root` is its real path; methods raise OSError."""

    root: str
    lock: Lock
    state: OutputState
    conflicts: list[str] = field(default_factory=list)
    _folders: dict[str, bool] = field(default_factory=dict)

    def is_as_planned(self, source: ModuleSource, *, prune: bool) -> bool:
        """True if the lock holds this plan, the files have the recorded content, and no file is to be pruned."""
        module = self.lock.modules.get(source.path)
        if module is None or module.fingerprint != source.fingerprint or (prune and module.stale):
            return False
        if (pending := self.lock.pending.get(source.path)) and not pending.keys() <= module.files.keys():
            return False
        if self.state.is_written(source.path):
            return True
        folder = f"{self.root}/{source.path}"
        stamp = stamp_folder(folder)  # before reading, so that a concurrent change is detected
        for name, sha in module.files.items():
            if hash_regular(f"{folder}/{name}") != sha:
                return False
        if stamp is not None:
            self.state.record_written(source.path, stamp)
        return True

    def task(self, source: ModuleSource) -> PendingModule:
        """The module as pending; files of others in its place are added to `conflicts`."""
        if not self.folder_exists(source.path):
            return PendingModule(source, exists=False)
        module = self.lock.modules.get(source.path)
        locked = {*module.files, *module.stale} if module is not None else set()
        with os.scandir(f"{self.root}/{source.path}") as entries:
            suspects = [entry for entry in entries if not self._is_ours(source.path, entry, locked)]
        if not suspects:
            return PendingModule(source, exists=True)
        contents = source.contents()
        for entry in suspects:
            if entry.name in contents:
                self._judge(f"{source.path}/{entry.name}", entry, contents[entry.name])
        return PendingModule(source, exists=True, contents=contents)

    def folder_exists(self, path: str) -> bool:
        """True for a folder, False if there is nothing. Anything else, also a symbolic link, is added to `conflicts`."""
        parent = path.rpartition("/")[0]
        if parent:
            if parent not in self._folders:
                self._folders[parent] = self.folder_exists(parent)
            if not self._folders[parent]:
                return False
        try:
            mode = os.lstat(f"{self.root}/{path}").st_mode
        except FileNotFoundError:
            return False
        if stat.S_ISDIR(mode):
            return True
        self.conflicts.append(f"{path} (a symbolic link)" if stat.S_ISLNK(mode) else f"{path} (not a folder)")
        return False

    def check_conflicts(self) -> None:
        """Raise OutputError if there are conflicts."""
        if not self.conflicts:
            return
        conflicts = sorted(self.conflicts)
        listed = ", ".join(conflicts[:_MAX_LISTED])
        if len(conflicts) > _MAX_LISTED:
            listed += f" and {len(conflicts) - _MAX_LISTED} more"
        raise OutputError(
            f"refusing to overwrite files not created by rolecall: {listed}; nothing was changed",
            where=self.root,
            hint="move these files away, or choose another folder with --out",
        )

    def _is_ours(self, path: str, entry: os.DirEntry[str], locked: Collection[str]) -> bool:
        """True for a file that rolecall wrote: listed in the lock, or with content listed in the journal of a killed run."""
        if not entry.is_file(follow_symlinks=False):
            return False
        if entry.name in locked:
            return True
        hashes = self.lock.pending.get(path, {}).get(entry.name)
        return hashes is not None and sha256(read_regular(entry.path)) in hashes

    def _judge(self, name: str, entry: os.DirEntry[str], content: bytes) -> None:
        if entry.is_symlink():
            self.conflicts.append(f"{name} (a symbolic link)")
        elif not entry.is_file(follow_symlinks=False):
            self.conflicts.append(f"{name} (not a file)")
        elif read_regular(entry.path) != content:
            self.conflicts.append(name)


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
        return tuple(_unplanned_findings(out, planned, known))
    except OSError as error:
        raise output_error(error, str(out)) from error


def _unplanned_findings(out: Path, planned: Collection[str], known: Collection[str]) -> Iterator[Finding]:
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
                yield from _unplanned_finding(entry, path, known)


def _parents(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        while (path := path.rpartition("/")[0]) and path not in found:
            found.add(path)
    return found


def _path(folder: str, entry: os.DirEntry[str]) -> str:
    return f"{folder}/{entry.name}" if folder else entry.name


def _unplanned_finding(entry: os.DirEntry[str], path: str, known: Collection[str]) -> Iterator[Finding]:
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
