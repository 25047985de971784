"""Writes modules to the output folder; the only code that changes it.

A run first compares the whole folder with the plan and raises OutputError before the first change if a file that rolecall
did not write is in the way. Then it writes in batches: render, record in the journal, stage, move into place. Modules are
replaced as a whole, and unchanged ones are not written. After a kill at any point, the next run continues from the lock
and the journal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from rolecall_generator._version import __version__
from rolecall_generator.output.atomic_write import (
    JOURNAL_NAME,
    Disk,
    Placer,
    folder_lock,
    hash_regular,
    names_in,
    output_error,
    remove_empty,
    remove_leftovers,
    sha256,
)
from rolecall_generator.output.output_state import (
    LOCK_NAME,
    FolderStamp,
    Lock,
    LockedModule,
    ModuleSource,
    OutputScan,
    OutputState,
    PendingModule,
    encode_lock,
    load_state,
    read_lock,
    stamp_folder,
    stamp_written,
)


@dataclass(frozen=True, slots=True)
class WriteReport:
    """The result of a run, by module path.

    `restored` modules had missing or edited files. `kept` are the files, relative to the output folder, that were not
    removed from a removed or changed module because rolecall did not write them or they were edited.
    """

    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    files_written: int = 0
    files_removed: int = 0

    @property
    def wrote_nothing(self) -> bool:
        """True if every module was already as planned."""
        return not (self.files_written or self.files_removed)


class WriteCounts:
    """The counts of a run in progress: the state of each module by path (created, changed, ...), and kept files."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.kept: list[str] = []
        self.files_written = 0
        self.files_removed = 0

    def report(self) -> WriteReport:
        """The counts so far as a WriteReport."""
        created, changed, restored, unchanged, removed = (
            tuple(path for path, found in self.states.items() if found == state)
            for state in ("created", "changed", "restored", "unchanged", "removed")
        )
        kept, numbers = tuple(sorted(self.kept)), (self.files_written, self.files_removed)
        return WriteReport(created, changed, restored, unchanged, removed, kept, *numbers)


_LOCK_BYTES = 1_024
"""Reserved for each module in the lock file: eight files of about a hundred characters each."""
_BATCH = 128
"""Modules rendered and held in memory at a time."""


def write_output(
    out: Path,
    sources: Sequence[ModuleSource],
    *,
    assignment: Mapping[str, object],
    only: Collection[str] | None = None,
    prune: bool = True,
    progress: Callable[[int], None] = lambda _done: None,
    known: Lock | None = None,
    disk: Disk | None = None,
) -> WriteReport:
    """Write the planned modules to the output folder.

    Args:
        out: The output folder; created if absent.
        sources: All planned modules.
        assignment: The planner's assignment, recorded in the lock file.
        only: Paths of the modules to write or remove; None for all.
        prune: Remove files and modules that are no longer planned.
        progress: Called with the number of modules done so far.
        known: A lock read earlier, which is used again if the lock file has not changed.
        disk: The file-system operations.

    Raises:
        OutputError: The folder cannot be read or written, or holds files of others in the way. Modules completed by then
            are kept and recorded.
    """
    if len({source.path for source in sources}) != len(sources):
        raise ValueError("two modules have the same path")
    with open_output(out, known=known, disk=disk) as folder:
        state = load_state(folder.root)
        state.bind(folder.lock.digest)
        return _Run(folder, state, assignment, prune).run(sources, only, progress)


class OutputFolder:
    """A folder that this process holds for writing. `lock` is its lock as read at the beginning."""

    def __init__(self, root: str, lock: Lock, disk: Disk) -> None:
        self.root = root
        self.lock = lock
        self.disk = disk
        self.placer = Placer(disk, root)

    def save_lock(self, lock: Lock) -> str:
        """Write the lock if its content differs; returns the SHA-256 of the lock file. Raises OSError."""
        lock = replace(lock, generator=f"rolecall {__version__}")
        if self.lock.digest and _is_same_lock(lock, self.lock):
            return self.lock.digest
        content = encode_lock(lock)
        self.placer.place_file(LOCK_NAME, content)
        return sha256(content)

    def delete_journal(self, handled: Set[str]) -> None:
        """Delete the journal unless a path in it is not among the handled ones. Raises OSError."""
        journal = f"{self.root}/{JOURNAL_NAME}"
        if self.lock.pending.keys() <= handled and os.path.lexists(journal):
            self.disk.unlink(journal)


@contextmanager
def open_output(out: Path, *, known: Lock | None = None, disk: Disk | None = None) -> Iterator[OutputFolder]:
    """Hold a folder for writing: create it, lock it, read its lock file and remove what killed runs left in it.

    Raises OutputError if another run holds the folder or the lock file is damaged; an OSError in the `with` block is raised
    as OutputError.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with folder_lock(out, wait=False):
            root, disk = os.path.realpath(out), disk or Disk()
            folder = OutputFolder(root, read_lock(out, known=known), disk)
            remove_leftovers(disk, root)
            try:
                yield folder
            finally:
                folder.placer.close()
    except OSError as error:
        raise output_error(error, str(out)) from error


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A rendered module: the names of files to write and to delete, and its entry in the next lock."""

    task: PendingModule
    contents: Mapping[str, bytes]
    entry: LockedModule
    write: Sequence[str]
    delete: Sequence[str]


class _Run:
    """One run; `_entries` become the modules of the next lock."""

    def __init__(self, folder: OutputFolder, state: OutputState, assignment: Mapping[str, object], prune: bool) -> None:
        self._folder = folder
        self._root = folder.root
        self._lock = folder.lock
        self._disk = folder.disk
        self._placer = folder.placer
        self._survey = OutputScan(folder.root, folder.lock, state)
        self._state = state
        self._assignment = assignment
        self._prune = prune
        self._entries = dict(folder.lock.modules)
        self._tally = WriteCounts()

    def run(
        self, sources: Sequence[ModuleSource], only: Collection[str] | None, progress: Callable[[int], None]
    ) -> WriteReport:
        chosen = sources if only is None else [source for source in sources if source.path in only]
        tasks = self._survey_all(chosen)
        planned = {source.path for source in sources}
        removed = sorted(self._lock.modules.keys() | self._lock.pending.keys() - planned) if self._prune else []
        removed = [path for path in removed if path not in planned and (only is None or path in only)]
        for path in removed:
            self._survey.folder_exists(path)
        self._survey.check_conflicts()
        try:
            self._write_all(tasks, len(chosen) - len(tasks), progress)
            for path in removed:
                self._remove_module(path)
        except BaseException:
            self._placer.close()  # frees the reserved space, which the lock may need on a full disk
            with suppress(OSError):
                self._save()
            raise
        self._save()
        self._folder.delete_journal({source.path for source in chosen} | set(removed))
        return self._tally.report()

    def _survey_all(self, sources: Sequence[ModuleSource]) -> list[PendingModule]:
        tasks = []
        for source in sources:
            if self._survey.is_as_planned(source, prune=self._prune):
                self._tally.states[source.path] = "unchanged"
            else:
                tasks.append(self._survey.task(source))
        return tasks

    def _write_all(self, tasks: Sequence[PendingModule], done: int, progress: Callable[[int], None]) -> None:
        if done:
            progress(done)
        if tasks:
            self._placer.reserve(_LOCK_BYTES * (len(tasks) + len(self._entries)) + len(json.dumps(self._assignment)) * 2)
        for start in range(0, len(tasks), _BATCH):
            batch = [self._prepare(task) for task in tasks[start : start + _BATCH]]
            written = [
                (item.task.source.path, {name: item.entry.files[name] for name in item.write})
                for item in batch
                if item.write
            ]
            if written:
                self._placer.journal(written)
            for item in batch:
                try:
                    self._place(item)
                except OSError as error:
                    error.filename = f"{self._root}/{item.task.source.path}"  # not the staging folder
                    raise
                done += 1
                progress(done)

    def _prepare(self, task: PendingModule) -> _Prepared:
        contents = task.contents or task.source.contents()
        hashes = {name: sha256(content) for name, content in contents.items()}
        if not task.exists:
            return _Prepared(task, contents, LockedModule(task.source.fingerprint, hashes), list(contents), [])
        path = task.source.path
        write = [name for name, sha in hashes.items() if hash_regular(f"{self._root}/{path}/{name}") != sha]
        delete, stale = [], {}
        for name, own in self._lock.owned(path).items():
            if name in hashes or (found := hash_regular(f"{self._root}/{path}/{name}")) is None:
                continue
            if found not in own:
                self._tally.kept.append(f"{path}/{name}")
            elif self._prune:
                delete.append(name)
            else:
                stale[name] = found
        return _Prepared(task, contents, LockedModule(task.source.fingerprint, hashes, stale), write, delete)

    def _place(self, item: _Prepared) -> None:
        path = item.task.source.path
        folder = f"{self._root}/{path}"
        if not item.task.exists:
            stamp: FolderStamp | None = stamp_written(folder, self._placer.place_new(path, item.contents))
        else:
            self._placer.place_into(path, {name: item.contents[name] for name in item.write}, item.delete)
            stamp = stamp_folder(folder)
        if stamp is not None:
            self._state.record_written(path, stamp)
        self._count(path, item)
        self._entries[path] = item.entry

    def _count(self, path: str, item: _Prepared) -> None:
        tally, before = self._tally, self._lock.modules.get(path)
        tally.files_written += len(item.write)
        tally.files_removed += len(item.delete)
        if before is None:
            tally.states[path] = "created"
        elif not item.write and not item.delete:
            tally.states[path] = "unchanged"
        else:
            restored = before.files == item.entry.files and not item.delete
            tally.states[path] = "restored" if restored else "changed"

    def _remove_module(self, path: str) -> None:
        folder = f"{self._root}/{path}"
        if self._survey.folder_exists(path):
            for name, own in self._lock.owned(path).items():
                if hash_regular(f"{self._root}/{path}/{name}") in own:
                    self._disk.unlink(f"{folder}/{name}")
                    self._tally.files_removed += 1
            self._tally.kept += [f"{path}/{name}" for name in names_in(folder)]
            remove_empty(self._disk, self._root, path)
        self._entries.pop(path, None)
        self._state.forget(path)
        self._tally.states[path] = "removed"

    def _save(self) -> None:
        """Write the lock and the cache, each only if it changed."""
        digest = self._folder.save_lock(replace(self._lock, modules=self._entries, assignment=self._assignment))
        self._state.save(self._placer, lock_digest=digest)


def _is_same_lock(one: Lock, other: Lock) -> bool:
    return (
        one.generator == other.generator
        and one.modules == other.modules
        and json.dumps(one.assignment, sort_keys=True) == json.dumps(other.assignment, sort_keys=True)
    )
