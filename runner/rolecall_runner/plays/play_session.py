"""A run of plays: the plays to run, the choice of tasks by tags, and the journal.

The end of each task in each account is one line of the journal. Its data contain the position in the plays (`at`), the
ending, and the registered values without secrets. A resumed run reads these lines and does not repeat the tasks; a task
that was in progress when the run was interrupted has no line and is run again.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rolecall_generator._version import __version__
from rolecall_generator.text import suggest
from rolecall_runner.api import Fleet
from rolecall_runner.aws import Status, utc_now
from rolecall_runner.execution import (
    Journal,
    JournalError,
    Result,
    RunRecord,
    find_run,
    new_run_id,
    read_results,
)
from rolecall_runner.inventory import ALL_TARGETS, Selection
from rolecall_runner.plays.play_model import Play, PlayError, PlayTask, TaskEnded, TaskEnding
from rolecall_runner.redact import redact_json, to_json_values

ALL, TAGGED, UNTAGGED, ALWAYS, NEVER = "all", "tagged", "untagged", "always", "never"
_SPECIAL = frozenset({ALL, TAGGED, UNTAGGED, ALWAYS, NEVER})


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """What the command line says of tasks. No tags: all but those tagged `never`."""

    tags: frozenset[str] = frozenset()
    skip_tags: frozenset[str] = frozenset()
    start_at: str | None = None


def tags_of(texts: Iterable[str]) -> frozenset[str]:
    """Tags of options, with commas."""
    return frozenset(part.strip() for text in texts for part in text.split(",") if part.strip())


def wanted(own: Collection[str], wish: TaskFilter) -> bool:
    """Whether a task with these tags is run, by Ansible's rules.

    `--tags`: one of them is the task's, or the task is `always`; `all`, `tagged` and `untagged` mean what they say. A task
    that is `never` needs one of its tags to be named. `--skip-tags` wins; `--skip-tags all` leaves what is `always`.
    """
    mine = set(own) or {UNTAGGED}
    asked = wish.tags or {ALL}
    run = (
        ALWAYS in mine
        or (ALL in asked and NEVER not in mine)
        or bool(mine & asked)
        or (TAGGED in asked and UNTAGGED not in mine and NEVER not in mine)
    )
    skip = wish.skip_tags
    if ALL in skip:
        return run and ALWAYS in mine and ALWAYS not in skip
    return run and not mine & skip and not (TAGGED in skip and UNTAGGED not in mine)


def choose_tasks(plays: Sequence[Play], wish: TaskFilter) -> tuple[Play, ...]:
    """The plays with the tasks that are to run. Raises PlayError for a tag or a task's name that is nowhere."""
    every = [task for play in plays for task in (*play.tasks, *play.handlers)]
    known = {tag for task in every for tag in task.tags}
    for option, tags in (("--tags", wish.tags), ("--skip-tags", wish.skip_tags)):
        for tag in sorted(tags - known - _SPECIAL):
            raise PlayError(f"no task has the tag {tag}", where=option, hint=suggest(tag, sorted(known), "tags are"))
    chosen = plays if wish.start_at is None else _from(plays, wish.start_at)
    return tuple(replace(play, tasks=tuple(task for task in play.tasks if wanted(task.tags, wish))) for play in chosen)


def _from(plays: Sequence[Play], start: str) -> tuple[Play, ...]:
    for number, play in enumerate(plays):
        for index, task in enumerate(play.tasks):
            if task.name == start or fnmatchcase(task.name, start):
                return (replace(play, tasks=play.tasks[index:]), *plays[number + 1 :])
    names: list[PlayTask] = [task for play in plays for task in play.tasks]
    hint = suggest(start, [task.name for task in names], "tasks are")
    raise PlayError(f"no task is called {start}", where="--start-at-task", hint=hint)


TASK = "play"
Key = tuple[str, str]
"""Kind and name of an account."""


@dataclass(frozen=True, slots=True)
class Played:
    """The play file of a run with its digest, the accounts, the selected tasks, and whether `--check` is set.

    `retry`: ID of an earlier run; only accounts that failed in it are included.
    """

    file: Path
    digest: str
    limit: str = ALL_TARGETS
    wish: TaskFilter = field(default_factory=TaskFilter)
    check: bool = False
    retry: str | None = None


def digest_of(file: Path) -> str:
    """SHA-256 of a file's content, "" for one that cannot be read: whoever reads the play says so."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


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
            f"run {record.run_id} does not say what it played", where=record.manifest, hint="start a new run"
        ) from error


@dataclass(slots=True)
class RunFolder:
    """The record of a run: each task that ended in an account. `resumed`: the run has begun before. Close it."""

    played: Played
    run_id: str
    resumed: bool = False
    clock: Callable[[], datetime] = utc_now
    _journal: Journal | None = None
    _done: dict[tuple[str, Key], Result] = field(default_factory=dict)

    @property
    def short_id(self) -> str:
        """The random part of the id, for session names."""
        return self.run_id.rpartition("-")[2]

    def begin(self, fleet: Fleet, accounts: int) -> None:
        """Create the folder in the fleet's folder of runs, or open it and read what was done. Raises JournalError."""
        runs, fingerprint = fleet.execution.runs, fleet.chosen.inventory.fingerprint
        if self.resumed:
            rehearsal = fleet.rehearsal if accounts else None  # without accounts, no caller was looked up
            self._journal = Journal.resume(runs, self.run_id, fingerprint=fingerprint, rehearsal=rehearsal)
            self._done = {(_body(each)["at"], each.key): each for each in read_results(runs, self.run_id)}
            return
        record = RunRecord(
            self.run_id,
            TASK,
            str(fleet.manifest),
            fingerprint,
            Selection(self.played.limit, retry=self.played.retry).summary,
            accounts,
            self.clock().isoformat(),
            kept(self.played),
            __version__,
            rehearsal=fleet.rehearsal,
        )
        self._journal = Journal.start(runs, record)

    def done(self, at: str, key: Key) -> Result | None:
        """The result of a task in the run's earlier part, returned once. Raises JournalError for a secret left out of it."""
        found = self._done.pop((at, key), None)
        if found is None:
            return None
        body = _body(found)
        if body.get("hidden"):
            raise JournalError(
                f"{found.target} registered a secret in {found.task!r}, which run {self.run_id} has not kept",
                where=str(self.played.file),
                hint="start a new run: later tasks may need it",
            )
        return replace(found, status=Status(body["status"]), data=body["registered"])

    def add(self, at: str, result: Result, event: TaskEnded) -> None:
        """Write a line. Its status is the account's: what a play ignores is no failure of it. Raises JournalError."""
        if self._journal is None:
            return
        safe = _without_secrets(event)
        body: dict[str, Any] = {
            "at": at,
            "account_id": event.account_id,
            "ending": str(event.ending),
            "status": str(result.status),
            "registered": safe,
        }
        if event.task.register and safe != to_json_values(event.data, reveal=True):
            body["hidden"] = True
        status = Status.OK if event.ending is TaskEnding.IGNORED else result.status
        self._journal.add(replace(result, task=event.task.name, status=status, data=body, error=event.error))

    def end(self) -> None:
        """Record the end of the run. Raises JournalError."""
        if self._journal is not None:
            self._journal.end(self.clock())

    def close(self) -> None:
        """Close the journal, so that another process may continue the run."""
        if self._journal is not None:
            self._journal.close()


def _without_secrets(event: TaskEnded) -> dict[str, Any]:
    """What was registered, as it may be kept: rows of a query as `runner query` keeps them, all other texts redacted."""
    rows = {"rows", "results"} if event.task.action.kind == "query" else set()
    safe: dict[str, Any] = to_json_values(event.data)
    return {key: value if key in rows else redact_json(value, key) for key, value in safe.items()}


def _body(result: Result) -> Mapping[str, Any]:
    if isinstance(result.data, Mapping) and {"at", "status", "registered"} <= result.data.keys():
        return result.data
    raise JournalError(f"a result of {result.target} is none of a play", where="results.jsonl", hint="start a new run")


@dataclass(frozen=True, slots=True)
class PlayOptions:
    """The options of a command line. `retry`, `resume`: runs, as users name them."""

    file: Path | None = None
    limit: str = ALL_TARGETS
    wish: TaskFilter = field(default_factory=TaskFilter)
    check: bool = False
    retry: str | None = None
    resume: str | None = None


def played_of(
    options: PlayOptions,
    runs: Path,
    clock: Callable[[], datetime] = utc_now,
    token: Callable[[int], str] = secrets.token_hex,
) -> RunFolder:
    """The run to start or to resume. Raises PlayError for missing and conflicting options, JournalError, NoSuchRunError."""
    fresh = new_run_id(clock(), token)
    if options.resume is not None:
        _check_alone(options, "--resume", options.resume, alone=options.limit == ALL_TARGETS and options.retry is None)
        record = find_run(runs, options.resume, task=TASK)
        before = recalled(record)
        if digest_of(before.file) != before.digest:
            raise JournalError(
                f"the play has changed since run {record.run_id}: what was done belongs to another play",
                where=str(before.file),
                hint=f"start a new run, or `runner play --retry {record.run_id}` for those who did not end well",
            )
        return RunFolder(before, record.run_id, resumed=True)
    if options.retry is not None:
        _check_alone(options, "--retry", options.retry, alone=True)
        record = find_run(runs, options.retry, task=TASK)
        before = recalled(record)
        limit = before.limit if options.limit == ALL_TARGETS else options.limit
        return RunFolder(replace(before, digest=digest_of(before.file), limit=limit, retry=record.run_id), fresh)
    if options.file is None:
        raise PlayError("no play is named", where="FILE", hint="runner play audit.yaml")
    return RunFolder(Played(options.file, digest_of(options.file), options.limit, options.wish, options.check), fresh)


def _check_alone(options: PlayOptions, option: str, name: str, *, alone: bool) -> None:
    if not alone or options.file is not None or options.wish != TaskFilter() or options.check:
        raise PlayError(
            f"{option} plays what run {name} played; nothing else can be played with it",
            where=option,
            hint=f"runner play {option} {name}, or leave out {option}",
        )
