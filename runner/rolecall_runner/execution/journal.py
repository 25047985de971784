"""A run's folder: what was asked of whom, and each result as it comes, so that nothing is lost or asked twice.

    .rolecall/runs/RUNID/run.json        what, when, selection, versions; written once, and again when the run ends
    .rolecall/runs/RUNID/results.jsonl   a line a result, written in one go and flushed; done is what has a whole line

A kill can tear the last line; it is cut off when the run is resumed. Run ids sort by time.

Folders have mode 0700 and files 0600, since results hold what accounts answered. A run that belongs to another user or
that others may write is refused: it decides what is asked again, and its text is shown.

How a run's results came out, counted.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rolecall_generator.errors import ExitCode, InterruptedRunError, RolecallError
from rolecall_runner.aws import Status
from rolecall_runner.execution.interface import Result, result_from_json
from rolecall_runner.private_files import (
    UnsafeFileError,
    check_private_folder,
    create_private_file,
    create_private_folder,
    make_private_folder,
    open_private_file,
    private_reader,
    read_private_file,
)

RUNS = Path(".rolecall") / "runs"
_RECORD, _RESULTS = "run.json", "results.jsonl"
JOURNAL_VERSION = 1
_RUN_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_APPEND = os.O_RDWR | os.O_APPEND
_TO_RETRY = frozenset({Status.FAILED, Status.INCONCLUSIVE, Status.UNREACHABLE, Status.REFUSED})


class JournalError(RolecallError):
    """A run's folder cannot be written, read or resumed."""

    exit_code = ExitCode.OUTPUT


class UnsafeRunError(JournalError):
    """A run's folder or one of its files belongs to another user, or others may write it."""


class NoSuchRunError(JournalError):
    """A name on the command line means no run, or several."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a run is. Times are ISO 8601 with a time zone; `ended` is "" while it runs, or when it was killed.

    `fingerprint`: of the manifest (`inventory.fingerprint`); `what`: what results depend on besides, as command and
    options; `selection`: the pattern; `total`: how many targets were selected; `rehearsal`: a sandbox answered, not AWS.
    """

    run_id: str
    task: str
    manifest: str
    fingerprint: str
    selection: str
    total: int
    started: str
    what: str = ""
    rolecall: str = ""
    ended: str = ""
    rehearsal: bool = False
    version: int = JOURNAL_VERSION

    @property
    def short_id(self) -> str:
        """The random part: what session names carry."""
        return self.run_id.rpartition("-")[2]


def new_run_id(now: datetime, token: Callable[[int], str]) -> str:
    """A run id, `20261124-191500-0a1b2c`: UTC and three random bytes (`secrets.token_hex`), so that runs do not meet."""
    return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{token(3)}"


class Journal:
    """An open run. Only one process writes it: a second one is refused. Close it, or use it as a context manager."""

    def __init__(self, folder: Path, record: RunRecord, descriptor: int, done: frozenset[tuple[str, str]]) -> None:
        self.folder = folder
        self.record = record
        self.done = done
        self._descriptor = descriptor
        self._added = False
        self._new = False

    @classmethod
    def start(cls, runs: Path, record: RunRecord) -> Self:
        """Begin a run's folder below `runs`. Raises JournalError."""
        folder = runs / record.run_id
        try:
            make_private_folder(runs)
            create_private_folder(folder)
            _write_record(folder, record)
            descriptor = _locked(create_private_file(folder / _RESULTS, _APPEND), folder)
        except OSError as error:
            raise _cannot("written", folder, error) from error
        made = cls(folder, record, descriptor, frozenset())
        made._new = True
        return made

    @classmethod
    def resume(
        cls, runs: Path, run_id: str, *, fingerprint: str, what: str | None = None, rehearsal: bool | None = None
    ) -> Self:
        """Open a run that did not end; `done` holds the keys (kind and name) of what has its result.

        Raises JournalError when the manifest or what is asked is another one now, when AWS answers now and a sandbox did
        then (or the other way round), or when the run is still going on.
        """
        record = read_record(runs, run_id)
        folder = runs / run_id
        if rehearsal is not None and record.rehearsal != rehearsal:
            before, now = ("a sandbox", "AWS") if record.rehearsal else ("AWS", "a sandbox")
            raise JournalError(
                f"run {run_id} was answered by {before}, and {now} would answer now: a run is one or the other",
                where=str(folder),
                hint="start a new run, or resume it where it was started",
            )
        if record.fingerprint != fingerprint:
            raise JournalError(
                f"the manifest has changed since run {run_id}: its results would belong to two manifests",
                where=record.manifest,
                hint="start a new run, or restore the manifest of that run",
            )
        if what is not None and record.what != what:
            raise JournalError(
                f"run {run_id} asked something else: {record.what}",
                where=str(folder),
                hint="repeat its options, or start anew",
            )
        try:
            descriptor = _open(folder)
            with contextlib.ExitStack() as stack:
                stack.callback(os.close, descriptor)
                os.ftruncate(descriptor, _whole(folder))
                done = frozenset(result.key for result in read_results(runs, run_id))
                stack.pop_all()
        except OSError as error:
            raise _cannot("resumed", folder, error) from error
        return cls(folder, record, descriptor, done)

    def add(self, result: Result) -> None:
        """Write a result; when this returns, a kill of this process does not lose it. Raises JournalError."""
        # ASCII: half a surrogate pair in what AWS sent could not be encoded otherwise.
        line = json.dumps(result.to_json(), separators=(",", ":")).encode() + b"\n"
        self._added = True
        try:
            written = os.write(self._descriptor, line)
            while written < len(line):  # a nearly full disk takes a part first
                written += os.write(self._descriptor, line[written:])
        except OSError as error:
            raise _cannot("written", self.folder, error) from error

    def end(self, now: datetime) -> None:
        """Note that the run is complete; one that was complete before and heard nothing new keeps its end.

        Raises JournalError.
        """
        if self.record.ended and not self._added:
            return
        self.record = replace(self.record, ended=now.isoformat())
        try:
            _write_record(self.folder, self.record)
        except OSError as error:
            raise _cannot("written", self.folder, error) from error

    def close(self) -> None:
        """Close the files and let others resume. Closing twice does nothing."""
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
        """Leave nothing of a run that could not begin (a cluster that is refused): there is nothing to go on with."""
        with contextlib.suppress(OSError):
            for name in (_RESULTS, _RECORD):
                (self.folder / name).unlink()
            self.folder.rmdir()


def recorded(results: Iterable[Result], journal: Journal) -> Iterator[Result]:
    """Each result, after it was written to the journal."""
    for result in results:
        journal.add(result)
        yield result


def list_runs(runs: Path, *, task: str | None = None) -> list[RunRecord]:
    """The runs below a folder, the latest first; folders that are no runs are passed over. Raises UnsafeRunError."""
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
        # Ids tell seconds apart; runs that began within one are told apart by their own record.
        records.sort(key=lambda record: (record.started, record.run_id), reverse=True)
        return [record for record in records if task is None or record.task == task]
    return []


def find_run(runs: Path, name: str, *, task: str | None = None) -> RunRecord:
    """The run that a person means: `last`, `previous`, an id, its random part, or the start of either.

    Raises NoSuchRunError when there is none or more than one.
    """
    known = list_runs(runs, task=task)
    if not known:
        of = f" of {task}" if task else ""
        raise NoSuchRunError(
            f"there are no runs{of} yet", where=str(runs), hint="start one, or name their folder with --runs"
        )
    places = {"last": 0, "latest": 0, "previous": 1}
    if name in places:
        found = known[places[name] : places[name] + 1]
    else:
        exact = [record for record in known if name in (record.run_id, record.short_id)]
        found = exact or [record for record in known if record.run_id.startswith(name) or record.short_id.startswith(name)]
    if len(found) != 1 or not name:
        what = f"there is no run {name}" if not found else f"{name} means {len(found)} runs"
        raise NoSuchRunError(what, where=str(runs), hint="`runner history` lists the runs; `last` is the latest")
    return found[0]


def read_record(runs: Path, run_id: str) -> RunRecord:
    """A run's record. Raises JournalError."""
    path = runs / run_id / _RECORD
    if not _RUN_ID.fullmatch(run_id):
        raise JournalError(f"{run_id} is no run id", where=str(runs), hint="`runner history` lists the runs")
    try:
        with _checked():
            check_private_folder(path.parent)
            body: dict[str, Any] = read_json(read_private_file(path))
        newer = body["version"] > JOURNAL_VERSION
        record = RunRecord(**body) if not newer else None
    except FileNotFoundError as error:
        raise JournalError(f"there is no run {run_id}", where=str(runs), hint="`runner history` lists the runs") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise JournalError("the run's record cannot be read", where=str(path), hint="start a new run") from error
    if record is None:
        raise JournalError("the run was written by a newer rolecall", where=str(path), hint="install the newer rolecall")
    return record


def read_results(runs: Path, run_id: str) -> Iterator[Result]:
    """A run's results, one at a time, in the order in which they came; a torn last line is passed over.

    Raises JournalError for a line that is whole but no result.
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
        raise _cannot("read", path, error) from error


def keys_to_retry(runs: Path, run_id: str) -> frozenset[tuple[str, str]]:
    """Kind and name of what did not end well in a run; a target's last result counts."""
    last = {result.key: result.status for result in read_results(runs, run_id)}
    return frozenset(key for key, status in last.items() if status in _TO_RETRY)


def read_json(data: bytes) -> Any:
    """JSON whose strings are text: half a surrogate pair, which an account can send, has no place in SQL or Parquet.

    Raises ValueError.
    """
    value = json.loads(data)
    if b"\\ud" not in data and b"\\uD" not in data:
        return value
    return json.loads(_HALF_PAIR.sub("\N{REPLACEMENT CHARACTER}", json.dumps(value, ensure_ascii=False)))


def _result(line: bytes, path: Path, number: int) -> Result:
    try:
        return result_from_json(read_json(line))
    except (ValueError, TypeError, KeyError) as error:
        raise JournalError(
            "the line is not a result", where=f"{path}:{number}", hint="restore the file, or delete the line"
        ) from error


@contextlib.contextmanager
def _checked() -> Iterator[None]:
    """What is unsafe as an error of the journal."""
    try:
        yield
    except UnsafeFileError as error:
        raise UnsafeRunError(error.what, where=error.where, hint=error.hint) from error


def _open(folder: Path) -> int:
    """The results of a run that exists, for more of them. Raises JournalError, OSError."""
    path = folder / _RESULTS
    with _checked():
        try:
            return _locked(open_private_file(path, flags=_APPEND), folder)
        except FileNotFoundError:  # killed before its first result
            return _locked(create_private_file(path, _APPEND), folder)


def _locked(descriptor: int, folder: Path) -> int:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise JournalError(
            "the run is still going on in another process", where=str(folder), hint="wait for its end"
        ) from error
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _whole(folder: Path) -> int:
    """Bytes of the results file up to the end of its last whole line."""
    size = 0
    with (folder / _RESULTS).open("rb") as file:
        for line in file:
            size += len(line) if line.endswith(b"\n") else 0
    return size


def _write_record(folder: Path, record: RunRecord) -> None:
    temporary = folder / f"{_RECORD}.new"
    temporary.unlink(missing_ok=True)  # left by a kill
    with os.fdopen(create_private_file(temporary), "w", encoding="utf-8") as file:
        file.write(json.dumps(asdict(record), indent=2) + "\n")
    temporary.replace(folder / _RECORD)


def _cannot(what: str, path: Path, error: OSError) -> JournalError:
    return JournalError(
        f"the run's folder cannot be {what}: {error.strerror or error}", where=str(path), hint="see to space and permissions"
    )


def counts_of(runs: Path, run_id: str) -> dict[str, int]:
    """How many targets ended in each status, those that occur; a target's last result counts. Raises JournalError."""
    last = {result.key: result.status for result in read_results(runs, run_id)}
    statuses = list(last.values())
    return {str(status): statuses.count(status) for status in Status if status in statuses}
