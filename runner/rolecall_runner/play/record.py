"""A run of plays in the runs' folder: each task's end in each account as it comes, so that a run that was cut goes on.

A line of the journal is one task in one account; its data say where in the plays (`at`), how it ended, and what was
registered, without secrets. A run that goes on takes these lines for the tasks that they are of: what was done is not done
again. What was being done when the run was cut has no line, and is done anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from rolecall_runner import __version__
from rolecall_runner.credentials import utc_now
from rolecall_runner.play.as_json import redacted
from rolecall_runner.play.choosing import TaskFilter
from rolecall_runner.play.events import Ending, TaskEnded
from rolecall_runner.results.journal import Journal, JournalError, RunRecord, read_results
from rolecall_runner.results.result import Result, Status
from rolecall_runner.selection import EVERYBODY, Selection
from rolecall_runner.tasks.query.plain import plain

TASK = "play"
Key = tuple[str, str]
"""Kind and name of an account."""


@dataclass(frozen=True, slots=True)
class Played:
    """What a run plays: a file with the digest of its content, of whom, which tasks, whether under --check.

    `retry`: of those alone for whom that run (an id) did not end well.
    """

    file: Path
    digest: str
    limit: str = EVERYBODY
    wish: TaskFilter = field(default_factory=TaskFilter)
    check: bool = False
    retry: str | None = None

    @property
    def selection(self) -> Selection:
        """Whom it is played for."""
        return Selection(self.limit, retry=self.retry)


def digest_of(file: Path) -> str:
    """SHA-256 of a file's content, "" for one that cannot be read: whoever reads the play says so."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def check_unchanged(played: Played, run_id: str) -> None:
    """Raise JournalError when the file is another one now: what was done belongs to another play."""
    if digest_of(played.file) != played.digest:
        raise JournalError(
            f"the play has changed since run {run_id}: what was done belongs to another play",
            where=str(played.file),
            mend=f"start a new run, or `runner play --retry {run_id}` for those who did not end well",
        )


def kept(played: Played) -> str:
    """What a run's record says in `what`."""
    wish = {**asdict(played.wish), "tags": sorted(played.wish.tags), "skip_tags": sorted(played.wish.skip_tags)}
    return json.dumps({**asdict(played), "file": str(played.file), "wish": wish})


def recalled(record: RunRecord) -> Played:
    """What an earlier run played. Raises JournalError where its record does not say it."""
    try:
        body = json.loads(record.what)
        wish = body["wish"]
        chosen = TaskFilter(frozenset(wish["tags"]), frozenset(wish["skip_tags"]), wish["start_at"])
        return Played(**{**body, "file": Path(body["file"]), "wish": chosen})
    except (ValueError, TypeError, KeyError) as error:
        raise JournalError(
            f"run {record.run_id} does not say what it played", where=record.manifest, mend="start a new run"
        ) from error


class Record(Protocol):
    """Where a run of plays is written down, and what an earlier part of it did."""

    def begin(self, accounts: int) -> None:
        """The run is about to ask so many accounts. Raises JournalError."""

    def done(self, at: str, key: Key) -> Result | None:
        """What became of a task in an account in the run's earlier part; each is handed out once."""

    def add(self, at: str, result: Result, event: TaskEnded) -> None:
        """A task has ended in an account. Raises JournalError."""

    def end(self) -> None:
        """The run is complete. Raises JournalError."""


class NoRecord:
    """Nothing is written down."""

    def begin(self, accounts: int) -> None:
        """Do nothing."""

    def done(self, at: str, key: Key) -> Result | None:
        """Nothing was done before."""
        del at, key
        return None

    def add(self, at: str, result: Result, event: TaskEnded) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


@dataclass(slots=True)
class RunFolder:
    """A run's folder below `runs`; `resumed` when it is there already. Close it.

    `rehearsal` says, when the run begins, whether a sandbox answers instead of AWS.
    """

    runs: Path
    run_id: str
    manifest: Path
    fingerprint: str
    played: Played
    resumed: bool = False
    clock: Callable[[], datetime] = utc_now
    rehearsal: Callable[[], bool] = lambda: False
    _journal: Journal | None = None
    _done: dict[tuple[str, Key], Result] = field(default_factory=dict)

    def begin(self, accounts: int) -> None:
        """Make the folder, or open it and read what was done. Raises JournalError."""
        if self.resumed:
            rehearsal = self.rehearsal() if accounts else None  # a run of no accounts has not asked who calls
            self._journal = Journal.resume(self.runs, self.run_id, fingerprint=self.fingerprint, rehearsal=rehearsal)
            self._done = {(_body(each)["at"], each.key): each for each in read_results(self.runs, self.run_id)}
            return
        words, moment = self.played.selection.summary, self.clock().isoformat()
        what = kept(self.played)
        record = RunRecord(
            self.run_id,
            TASK,
            str(self.manifest),
            self.fingerprint,
            words,
            accounts,
            moment,
            what,
            __version__,
            rehearsal=self.rehearsal(),
        )
        self._journal = Journal.start(self.runs, record)

    def done(self, at: str, key: Key) -> Result | None:
        """What became of the task, as the engine gave it. Raises JournalError where a secret of it was not kept."""
        found = self._done.pop((at, key), None)
        if found is None:
            return None
        body = _body(found)
        if body.get("hidden"):
            raise JournalError(
                f"{found.target} registered a secret in {found.task!r}, which run {self.run_id} has not kept",
                where=str(self.played.file),
                mend="start a new run: later tasks may need it",
            )
        return replace(found, status=Status(body["status"]), data=body["registered"])

    def add(self, at: str, result: Result, event: TaskEnded) -> None:
        """Write a line. Its status is the account's: what a play ignores is no failure of it. Raises JournalError."""
        whole = plain(event.data, reveal=True)
        safe = _without_secrets(event)
        ignored = event.ending is Ending.IGNORED
        body: dict[str, Any] = {
            "at": at,
            "account_id": event.account_id,
            "ending": str(event.ending),
            "status": str(result.status),
            "registered": safe,
        }
        if event.task.register and safe != whole:
            body["hidden"] = True
        status = Status.OK if ignored else result.status
        if self._journal is not None:
            self._journal.add(replace(result, task=event.task.name, status=status, data=body, error=event.error))

    def end(self) -> None:
        """Note the end. Raises JournalError."""
        if self._journal is not None:
            self._journal.end(self.clock())

    def close(self) -> None:
        """Close the journal, so that others may go on with it."""
        if self._journal is not None:
            self._journal.close()


def _without_secrets(event: TaskEnded) -> dict[str, Any]:
    """What was registered, as it may be kept: rows of a query as `runner query` keeps them, all other texts redacted."""
    rows = {"rows", "results"} if event.task.action.kind == "query" else set()
    safe: dict[str, Any] = plain(event.data)
    return {key: value if key in rows else redacted(value, key) for key, value in safe.items()}


def _body(result: Result) -> Mapping[str, Any]:
    if isinstance(result.data, Mapping) and {"at", "status", "registered"} <= result.data.keys():
        return result.data
    raise JournalError(f"a result of {result.target} is none of a play", where="results.jsonl", mend="start a new run")
