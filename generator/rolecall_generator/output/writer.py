"""The only writer of the output folder: modules placed whole, foreign files never touched, nothing written twice.

A run looks at everything first, refuses before the first change, and then goes forward in batches: render, journal
what is about to be written, stage it in a folder of the same file system, move it into place. Killed at any moment, the
next run finds its way from the lock and the journal.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from rolecall_generator._version import __version__
from rolecall_generator.errors import OutputError
from rolecall_generator.output.atomic_write import Disk, Placer, output_error, read_regular, regular_stamp, remove_leftovers
from rolecall_generator.output.lock import (
    JOURNAL_NAME,
    LOCK_NAME,
    Lock,
    LockedModule,
    encode_journal,
    encode_lock,
    read_lock,
)
from rolecall_generator.output.output_state import (
    FolderStamp,
    ModuleSource,
    OutputState,
    PendingModule,
    Survey,
    check_sources,
    load_state,
    sha256,
    stamp_folder,
    stamp_written,
)


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What a run did, by module path. `kept` are files left where modules or files of rolecall's went: others' or edited."""

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
        """True when every module stood as planned."""
        return not (self.files_written or self.files_removed)


@dataclass(slots=True)
class WriteCounts:
    """A report in the making."""

    created: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    files_written: int = 0
    files_removed: int = 0

    def report(self) -> WriteReport:
        """The report of what was counted so far."""
        return WriteReport(
            tuple(self.created),
            tuple(self.changed),
            tuple(self.restored),
            tuple(self.unchanged),
            tuple(self.removed),
            tuple(sorted(self.kept)),
            self.files_written,
            self.files_removed,
        )


_LOCK_CHARACTERS = 1_024  # room for a module in the lock: eight files of a hundred characters each
_BATCH = 128  # modules rendered, journalled and held in memory at a time


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
    """Bring the output folder to the plan; `only` names the module paths to be touched, all others stay as they are.

    `progress` hears how many modules are done. `known` is a lock read before; it saves reading it again. Raises
    OutputError; what was complete by then stays and is in the lock.
    """
    check_sources(sources)
    disk = disk or Disk()
    try:
        with one_run_at_a_time(out) as root:
            lock = read_lock(out, known=known)
            remove_leftovers(disk, root)
            state = load_state(root)
            state.bind(lock.digest)
            return _Run(Survey(root, lock, state), disk, assignment, prune).run(sources, only, progress)
    except OSError as error:
        raise output_error(error, str(out)) from error


@contextmanager
def one_run_at_a_time(out: Path) -> Iterator[str]:
    """Lock the folder itself, so that no lock file is left behind; hands back its real path."""
    out.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(
                "another run is writing this folder", where=str(out), hint="wait until it has ended, then run again"
            ) from error
        except OSError:
            pass  # file systems without locks, NFS on some servers: runs are then not kept apart
        yield os.path.realpath(out)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A task with its files known: names to be written, names to be deleted, what the lock will say."""

    task: PendingModule
    contents: Mapping[str, bytes]
    entry: LockedModule
    write: Sequence[str]
    delete: Sequence[str]


class _Run:
    """One run over a surveyed folder; `_entries` become the next lock."""

    def __init__(self, survey: Survey, disk: Disk, assignment: Mapping[str, object], prune: bool) -> None:
        self._survey = survey
        self._root = survey.root
        self._lock = survey.lock
        self._disk = disk
        self._assignment = assignment
        self._prune = prune
        self._entries = dict(survey.lock.modules)
        self._state: OutputState = survey.state
        self._tally = WriteCounts()
        self._placer = Placer(disk, survey.root)

    def run(
        self, sources: Sequence[ModuleSource], only: Collection[str] | None, progress: Callable[[int], None]
    ) -> WriteReport:
        chosen = sources if only is None else [source for source in sources if source.path in only]
        tasks = self._survey_all(chosen)
        planned = {source.path for source in sources}
        gone = sorted(self._lock.modules.keys() | self._lock.pending.keys() - planned) if self._prune else []
        gone = [path for path in gone if path not in planned and (only is None or path in only)]
        for path in gone:
            self._survey.folder_exists(path)
        self._survey.refuse_conflicts()
        try:
            self._write_all(tasks, len(chosen) - len(tasks), progress)
            for path in gone:
                self._remove_module(path)
        except BaseException:
            self._placer.close()  # first: on a full disk it makes the room that the lock needs
            with suppress(OSError):
                self._save()
            raise
        else:
            self._save()
            self._forget_journal({source.path for source in chosen} | set(gone))
        finally:
            self._placer.close()
        return self._tally.report()

    def _survey_all(self, sources: Sequence[ModuleSource]) -> list[PendingModule]:
        tasks = []
        for source in sources:
            if self._survey.is_as_planned(source, prune=self._prune):
                self._tally.unchanged.append(source.path)
            else:
                tasks.append(self._survey.task(source))
        return tasks

    def _write_all(self, tasks: Sequence[PendingModule], done: int, progress: Callable[[int], None]) -> None:
        if done:
            progress(done)
        if tasks:
            self._placer.reserve(
                _LOCK_CHARACTERS * (len(tasks) + len(self._entries)) + len(json.dumps(self._assignment)) * 2
            )
        for start in range(0, len(tasks), _BATCH):
            batch = [self._prepare(task) for task in tasks[start : start + _BATCH]]
            written = [
                (item.task.source.path, {name: item.entry.files[name] for name in item.write})
                for item in batch
                if item.write
            ]
            if written:
                self._disk.append(f"{self._root}/{JOURNAL_NAME}", encode_journal(written))
            for item in batch:
                try:
                    self._place(item)
                except OSError as error:
                    error.filename = f"{self._root}/{item.task.source.path}"  # the staging folder would tell no one anything
                    raise
                done += 1
                progress(done)

    def _prepare(self, task: PendingModule) -> _Prepared:
        contents = task.contents or task.source.contents()
        hashes = {name: sha256(content) for name, content in contents.items()}
        if not task.exists:
            return _Prepared(task, contents, LockedModule(task.source.fingerprint, hashes), list(contents), [])
        path = task.source.path
        write = [name for name, sha in hashes.items() if self._hash_on_disk(path, name) != sha]
        delete, stale = [], {}
        for name, own in self._survey.owned(path).items():
            if name in hashes or (found := self._hash_on_disk(path, name)) is None:
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
            tally.created.append(path)
        elif not item.write and not item.delete:
            tally.unchanged.append(path)
        elif before.files == item.entry.files and not item.delete:
            tally.restored.append(path)
        else:
            tally.changed.append(path)

    def _remove_module(self, path: str) -> None:
        folder = f"{self._root}/{path}"
        if self._survey.folder_exists(path):
            for name, own in self._survey.owned(path).items():
                if self._hash_on_disk(path, name) in own:
                    self._disk.unlink(f"{folder}/{name}")
                    self._tally.files_removed += 1
            self._tally.kept += [f"{path}/{name}" for name in _names_in(folder)]
            self._remove_empty(path)
        self._entries.pop(path, None)
        self._state.forget(path)
        self._tally.removed.append(path)

    def _remove_empty(self, path: str) -> None:
        while path and not _names_in(f"{self._root}/{path}"):
            self._disk.rmdir(f"{self._root}/{path}")
            path = path.rpartition("/")[0]

    def _hash_on_disk(self, path: str, name: str) -> str | None:
        """SHA-256 of a regular file; "" for anything else that stands there, None when nothing does."""
        file = f"{self._root}/{path}/{name}"
        if regular_stamp(file) is None:
            return "" if os.path.lexists(file) else None
        return sha256(read_regular(file))

    def _save(self) -> None:
        """Write the lock and the cache, each if it would differ."""
        lock = replace(self._lock, generator=f"rolecall {__version__}", modules=self._entries, assignment=self._assignment)
        digest = self._lock.digest
        if not digest or not _says_the_same(lock, self._lock):
            content = encode_lock(lock)
            digest = sha256(content)
            self._placer.place_file(LOCK_NAME, content)
        self._state.save(self._placer, lock_digest=digest)

    def _forget_journal(self, handled: set[str]) -> None:
        journal = f"{self._root}/{JOURNAL_NAME}"
        if self._lock.pending.keys() <= handled and os.path.lexists(journal):
            self._disk.unlink(journal)


def _names_in(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _says_the_same(one: Lock, other: Lock) -> bool:
    return (
        one.generator == other.generator
        and one.modules == other.modules
        and json.dumps(one.assignment, sort_keys=True) == json.dumps(other.assignment, sort_keys=True)
    )
