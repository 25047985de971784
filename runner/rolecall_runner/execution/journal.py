"""The journal of a run: its record, and each result as soon as it arrives, so that an interrupted run can be resumed.

    .rolecall/runs/RUNID/run.json        task, start, selection, versions; written at the start and at the end of the run
    .rolecall/runs/RUNID/results.jsonl   one line per result, written with one system call; each complete line is a result

A killed process can leave an incomplete last line, which is removed when the run is resumed. Run ids sort by time.

Folders have mode 0700 and files 0600, since results contain data of the accounts. A run that belongs to another user, or is
writable by others, is rejected: its record determines which calls are repeated, and its content is displayed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rolecall_generator.errors import ExitCode, InterruptedRunError, RejectedCallerError, RolecallError
from rolecall_runner.aws import CallerRejectedError, Status
from rolecall_runner.execution.interface import Result, result_from_json
from rolecall_runner.inventory import Selection, Target, sample, select_keys
from rolecall_runner.private_files import (
    UnsafeFileError,
    check_private_folder,
    create_private_file,
    create_private_folder,
    make_private_folder,
    open_or_create_private_file,
    private_reader,
    read_private_file,
    write_private_file,
)

_RECORD, _RESULTS = "run.json", "results.jsonl"
JOURNAL_VERSION = 1
_RUN_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_APPEND = os.O_RDWR | os.O_APPEND
_TO_RETRY = frozenset({Status.FAILED, Status.INCONCLUSIVE, Status.UNREACHABLE, Status.REFUSED})


class JournalError(RolecallError):
    """The folder of a run cannot be written, read, or resumed."""

    exit_code = ExitCode.OUTPUT


class UnsafeRunError(JournalError):
    """The folder of a run or one of its files belongs to another user, or is writable by others."""


class RunNotFoundError(JournalError):
    """The name of a run matches no run, or several."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The record of a run. Times are ISO 8601 with a time zone; `ended` is "" if the run has not ended.

    `fingerprint`: of the manifest (`inventory.fingerprint`). `options`: all other inputs of the results, such as the query.
    `selection`: the pattern. `total`: number of selected targets. `rehearsal`: whether a sandbox was used instead of AWS.
    """

    run_id: str
    task: str
    manifest: str
    fingerprint: str
    selection: str
    total: int
    started: str
    options: str = ""
    rolecall: str = ""
    ended: str = ""
    rehearsal: bool = False
    version: int = JOURNAL_VERSION

    @property
    def short_id(self) -> str:
        """The random part of the id, which is also in session names."""
        return self.run_id.rpartition("-")[2]


def new_run_id(now: datetime, token: Callable[[int], str]) -> str:
    """Create a run ID such as `20261124-191500-0a1b2c`: UTC time and three random bytes (`token`: `secrets.token_hex`)."""
    return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{token(3)}"


class Journal:
    """An open run, locked against other processes. Close it, or use it as a context manager."""

    def __init__(self, folder: Path, record: RunRecord, descriptor: int, done: frozenset[tuple[str, str]]) -> None:
        self.folder = folder
        self.record = record
        self.done = done
        self._descriptor = descriptor
        self._added = False
        self._new = False

    @classmethod
    def start(cls, runs: Path, record: RunRecord) -> Self:
        """Create the folder of a new run below `runs`. Raises JournalError."""
        folder = runs / record.run_id
        try:
            make_private_folder(runs)
            create_private_folder(folder)
            write_private_file(folder / _RECORD, json.dumps(asdict(record), indent=2).encode() + b"\n")
            descriptor = _lock(create_private_file(folder / _RESULTS, _APPEND), folder)
        except OSError as error:
            raise _access_error("written", folder, error) from error
        journal = cls(folder, record, descriptor, frozenset())
        journal._new = True
        return journal

    @classmethod
    def resume(cls, runs: Path, run_id: str, *, fingerprint: str, rehearsal: bool | None = None) -> Self:
        """Open a run to continue it; `done` then has the keys (kind and name) of the targets with a result.

        Raises JournalError if the manifest or `rehearsal` differs from the record, and if the run is in progress in another
        process.
        """
        record = read_record(runs, run_id)
        folder = runs / run_id
        if rehearsal is not None and record.rehearsal != rehearsal:
            before, now = ("a sandbox", "AWS") if record.rehearsal else ("AWS", "a sandbox")
            raise JournalError(
                f"run {run_id} used {before} and cannot be resumed with {now}",
                where=str(folder),
                hint="start a new run, or resume it in the environment where it was started",
            )
        if record.fingerprint != fingerprint:
            raise JournalError(
                f"the manifest has changed since run {run_id}",
                where=record.manifest,
                hint="start a new run, or restore the manifest of that run",
            )
        try:
            descriptor = _open(folder)
            with contextlib.ExitStack() as stack:
                stack.callback(os.close, descriptor)
                os.ftruncate(descriptor, _complete_size(folder))
                done = frozenset(result.key for result in read_results(runs, run_id))
                stack.pop_all()
        except OSError as error:
            raise _access_error("resumed", folder, error) from error
        return cls(folder, record, descriptor, done)

    @classmethod
    def open(cls, runs: Path, record: RunRecord, *, resume: bool) -> Self:
        """Start the run of a record, or resume the run with its ID. Raises JournalError."""
        if resume:
            return cls.resume(runs, record.run_id, fingerprint=record.fingerprint, rehearsal=record.rehearsal)
        return cls.start(runs, record)

    def add(self, result: Result) -> None:
        """Append a result. After the return, it is kept even if this process is killed. Raises JournalError."""
        # ASCII, since a lone surrogate in an AWS reply cannot be encoded as UTF-8.
        line = json.dumps(result.to_json(), separators=(",", ":")).encode() + b"\n"
        self._added = True
        try:
            written = os.write(self._descriptor, line)
            while written < len(line):  # partial write, as on a nearly full disk
                written += os.write(self._descriptor, line[written:])
        except OSError as error:
            raise _access_error("written", self.folder, error) from error

    def end(self, now: datetime) -> None:
        """Record the end of the run, unless it had already ended and no result was added. Raises JournalError."""
        if self.record.ended and not self._added:
            return
        self.record = replace(self.record, ended=now.isoformat())
        try:
            write_private_file(self.folder / _RECORD, json.dumps(asdict(self.record), indent=2).encode() + b"\n")
        except OSError as error:
            raise _access_error("written", self.folder, error) from error

    def close(self) -> None:
        """Close the files and release the lock. Can be called repeatedly."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._new and not self._added and isinstance(error, RolecallError) and not isinstance(error, InterruptedRunError):
            self._remove()
        self.close()

    def _remove(self) -> None:
        """Delete the folder of a run that failed before its first result, for example without a cluster."""
        with contextlib.suppress(OSError):
            for name in (_RESULTS, _RECORD):
                (self.folder / name).unlink()
            self.folder.rmdir()


def record_results(results: Iterable[Result], journal: Journal, stop: threading.Event) -> Iterator[Result]:
    """Write each result to the journal, then yield it.

    If AWS rejects the caller's credentials, no further target is started (`stop`), and RejectedCallerError is raised after
    the results of the others; a resumed run processes the rest.
    """
    rejected: Result | None = None
    try:
        for result in results:
            if result.code == CallerRejectedError.code:
                rejected = result
                stop.set()
                continue
            journal.add(result)
            yield result
    except InterruptedRunError:
        if rejected is None:
            raise
    if rejected is not None:
        raise RejectedCallerError(f"{RejectedCallerError.cause}: {rejected.error}", hint="renew them, then try again")


def list_runs(runs: Path, *, task: str | None = None) -> list[RunRecord]:
    """List the runs in a folder, latest first; other folders are ignored. Raises UnsafeRunError."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        names = sorted((each.name for each in runs.iterdir() if _RUN_ID.fullmatch(each.name)), reverse=True)
        records = []
        for name in names:
            try:
                records.append(read_record(runs, name))
            except UnsafeRunError:
                raise
            except JournalError:
                continue
        # Run ids have a resolution of one second; the start time in the record is more precise.
        records.sort(key=lambda record: (record.started, record.run_id), reverse=True)
        return [record for record in records if task is None or record.task == task]
    return []


def find_run(runs: Path, name: str, *, task: str | None = None) -> RunRecord:
    """Find a run by `last`, `previous`, its id, the random part of its id, or a prefix of either.

    Raises RunNotFoundError if no run or several runs match.
    """
    known = list_runs(runs, task=task)
    if not known:
        of = f" of {task}" if task else ""
        raise RunNotFoundError(
            f"no runs{of} found", where=str(runs), hint="start a run, or specify the folder of runs with --runs"
        )
    positions = {"last": 0, "latest": 0, "previous": 1}
    if name in positions:
        found = known[positions[name] : positions[name] + 1]
    else:
        exact = [record for record in known if name in (record.run_id, record.short_id)]
        found = exact or [record for record in known if record.run_id.startswith(name) or record.short_id.startswith(name)]
    if len(found) != 1 or not name:
        what = f"no such run: {name}" if not found else f"{name} matches {len(found)} runs"
        raise RunNotFoundError(what, where=str(runs), hint="`runner history` lists the runs; `last` is the latest one")
    return found[0]


def read_record(runs: Path, run_id: str) -> RunRecord:
    """Read the record of a run. Raises JournalError."""
    path = runs / run_id / _RECORD
    if not _RUN_ID.fullmatch(run_id):
        raise JournalError(f"{run_id} is not a valid run ID", where=str(runs), hint="`runner history` lists the runs")
    try:
        with _checked():
            check_private_folder(path.parent)
            body: dict[str, Any] = read_json(read_private_file(path))
        newer = body["version"] > JOURNAL_VERSION
        record = RunRecord(**body) if not newer else None
    except FileNotFoundError as error:
        raise JournalError(f"no such run: {run_id}", where=str(runs), hint="`runner history` lists the runs") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise JournalError("the run's record cannot be read", where=str(path), hint="start a new run") from error
    if record is None:
        raise JournalError(
            "the run was recorded by a newer version of rolecall",
            where=str(path),
            hint="install a newer version of rolecall",
        )
    return record


def read_results(runs: Path, run_id: str) -> Iterator[Result]:
    """Yield the results of a run in order of arrival; an incomplete last line is ignored.

    Raises JournalError for a complete line that is not a result.
    """
    path = runs / run_id / _RESULTS
    try:
        with _checked():
            check_private_folder(path.parent)
            file = private_reader(path)
        with file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield _result(line, path, number)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _access_error("read", path, error) from error


def keys_to_retry(runs: Path, run_id: str) -> frozenset[tuple[str, str]]:
    """Kind and name of the targets whose last result in a run is not a success. Raises JournalError."""
    last = {result.key: result.status for result in read_results(runs, run_id)}
    return frozenset(key for key, status in last.items() if status in _TO_RETRY)


def narrow_targets(
    targets: tuple[Target, ...], selection: Selection, runs: Path, *, task: str
) -> tuple[tuple[Target, ...], Selection]:
    """Narrow targets to those that did not succeed in the run `selection.retry`, then to a sample.

    The returned selection has that run's ID instead of `last`, since `last` changes before the new run is resumed. Raises
    SelectionError if no target remains, JournalError.
    """
    if selection.retry is not None:
        run_id = find_run(runs, selection.retry, task=task).run_id
        selection = replace(selection, retry=run_id)
        targets = select_keys(targets, keys_to_retry(runs, run_id), run_id)
    if selection.sample is not None:
        targets = sample(targets, selection.sample, selection.seed)
    return targets, selection


def read_json(data: bytes) -> Any:
    """Parse JSON and replace lone surrogates, which can occur in replies but cannot be stored in SQL or Parquet.

    Raises ValueError.
    """
    value = json.loads(data)
    if b"\\ud" not in data and b"\\uD" not in data:
        return value
    return json.loads(_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", json.dumps(value, ensure_ascii=False)))


def _result(line: bytes, path: Path, number: int) -> Result:
    try:
        return result_from_json(read_json(line))
    except (ValueError, TypeError, KeyError) as error:
        raise JournalError(
            "the line is not a valid result", where=f"{path}:{number}", hint="restore the file, or delete the line"
        ) from error


@contextlib.contextmanager
def _checked() -> Iterator[None]:
    """Convert UnsafeFileError to UnsafeRunError."""
    try:
        yield
    except UnsafeFileError as error:
        raise UnsafeRunError(error.what, where=error.where, hint=error.hint) from error


def _open(folder: Path) -> int:
    """Open the results of an existing run for appending. Raises JournalError, OSError."""
    with _checked():  # the file is missing if the process was killed before it was created
        return _lock(open_or_create_private_file(folder / _RESULTS, _APPEND), folder)


def _lock(descriptor: int, folder: Path) -> int:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise JournalError(
            "the run is still in progress in another process", where=str(folder), hint="wait until it ends"
        ) from error
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _complete_size(folder: Path) -> int:
    """Size in bytes of the results file up to the end of its last complete line."""
    size = 0
    with (folder / _RESULTS).open("rb") as file:
        for line in file:
            size += len(line) if line.endswith(b"\n") else 0
    return size


def _access_error(what: str, path: Path, error: OSError) -> JournalError:
    return JournalError(
        f"the run's folder cannot be {what}: {error.strerror or error}",
        where=str(path),
        hint="check free space and permissions",
    )


def counts_of(runs: Path, run_id: str) -> dict[str, int]:
    """Number of targets by status, by their last result. Raises JournalError."""
    counts = Counter({result.key: result.status for result in read_results(runs, run_id)}.values())
    return {str(status): counts[status] for status in Status if status in counts}
