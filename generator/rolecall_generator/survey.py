"""What an output folder holds before a run changes it: which modules are as planned, and which files block the plan.

Reads only. Everything that would be refused is found here, so that a refusal comes before the first change.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from rolecall_generator.disk import read_regular, regular_stamp
from rolecall_generator.errors import OutputError
from rolecall_generator.lock import Lock, is_file_name, is_module_path
from rolecall_generator.output_state import OutputState, stamp_folder

_NAMED = 10  # conflicts told by name; the rest are counted


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """A module to be written. `render` gives text by file name and is called only when the files are needed.

    Equal fingerprints must mean equal files. `path` is relative to the output folder, `/` between its parts.
    """

    path: str
    fingerprint: str
    render: Callable[[], Mapping[str, str]]

    def __post_init__(self) -> None:
        if not is_module_path(self.path):
            raise ValueError(f"{self.path!r} is not a relative path below the output folder")

    def contents(self) -> dict[str, bytes]:
        """The module's files as bytes, sorted by name. Raises ValueError for a name that is no plain file name."""
        rendered = self.render()
        if wrong := [name for name in rendered if not is_file_name(name)]:
            raise ValueError(f"{self.path}: {wrong[0]!r} is no file name")
        return {name: rendered[name].encode() for name in sorted(rendered)}


@dataclass(frozen=True, slots=True)
class Task:
    """A module that does not stand as planned. `contents` is there already when the survey had to render it."""

    source: ModuleSource
    exists: bool
    contents: Mapping[str, bytes] | None = None


def sha256(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


@dataclass(slots=True)
class Survey:
    """Looks at an output folder (`root`, a real path) with what its lock and its cache know about it."""

    root: str
    lock: Lock
    state: OutputState
    conflicts: list[str] = field(default_factory=list)
    _folders: dict[str, bool] = field(default_factory=dict)

    def owned(self, path: str) -> dict[str, frozenset[str]]:
        """By file name, the hashes that rolecall itself wrote into a module's folder."""
        owned = dict(self.lock.pending.get(path, {}))
        if (module := self.lock.modules.get(path)) is not None:
            for name, sha in (*module.files.items(), *module.stale.items()):
                owned[name] = owned.get(name, frozenset()) | {sha}
        return owned

    def is_as_planned(self, source: ModuleSource, *, prune: bool) -> bool:
        """Whether the module's files have the content that the lock names for this plan, and nothing is to be pruned."""
        module = self.lock.modules.get(source.path)
        if module is None or module.fingerprint != source.fingerprint or (prune and module.stale):
            return False
        if (pending := self.lock.pending.get(source.path)) and not pending.keys() <= module.files.keys():
            return False
        if self.state.is_written(source.path):
            return True
        folder = f"{self.root}/{source.path}"
        stamp = stamp_folder(folder)  # before the reading, so that a change meanwhile is seen
        for name, sha in module.files.items():
            if regular_stamp(f"{folder}/{name}") is None or sha256(read_regular(f"{folder}/{name}")) != sha:
                return False
        if stamp is not None:
            self.state.record_written(source.path, stamp)
        return True

    def task(self, source: ModuleSource) -> Task:
        """The work on a module; what stands in its way is added to `conflicts`."""
        if not self.folder_exists(source.path):
            return Task(source, exists=False)
        module = self.lock.modules.get(source.path)
        locked = {*module.files, *module.stale} if module is not None else set()
        with os.scandir(f"{self.root}/{source.path}") as entries:
            suspects = [entry for entry in entries if not self._is_ours(source.path, entry, locked)]
        if not suspects:
            return Task(source, exists=True)
        contents = source.contents()
        for entry in suspects:
            if entry.name in contents:
                self._judge(f"{source.path}/{entry.name}", entry, contents[entry.name])
        return Task(source, exists=True, contents=contents)

    def folder_exists(self, path: str) -> bool:
        """True for a real folder. Anything else there, a symbolic link included, is a conflict."""
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

    def refuse_conflicts(self) -> None:
        """Raise OutputError when anything stands in the way of the plan."""
        if not self.conflicts:
            return
        conflicts = sorted(self.conflicts)
        named = ", ".join(conflicts[:_NAMED]) + (f" and {len(conflicts) - _NAMED} more" if len(conflicts) > _NAMED else "")
        raise OutputError(
            f"in the way, and not written by rolecall: {named}; nothing was changed",
            where=self.root,
            mend="move away what is named, or choose another folder with --out",
        )

    def _is_ours(self, path: str, entry: os.DirEntry[str], locked: Collection[str]) -> bool:
        """A file that rolecall wrote: the lock names it, or a killed run was about to write just this content."""
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


def check_sources(sources: Sequence[ModuleSource]) -> None:
    """Raise ValueError when two modules have the same path."""
    if len({source.path for source in sources}) != len(sources):
        raise ValueError("two modules have the same path")
