"""The run of a play: its options, the selection of tasks by tags, and its journal.

The journal has one line per completed task and account, with the position of the task in the plays (`at`), its result
(`status`), and the registered values without secrets. A resumed run reads these lines and skips the completed tasks. A task
that was in progress when the run was interrupted has no line and runs again.
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
from rolecall_runner.plays.play_model import Play, PlayError, TaskResult, TaskStatus
from rolecall_runner.redact import redact_json, to_json_values
from rolecall_runner.specification import build

ALL, TAGGED, UNTAGGED, ALWAYS, NEVER = "all", "tagged", "untagged", "always", "never"
_SPECIAL = frozenset({ALL, TAGGED, UNTAGGED, ALWAYS, NEVER})


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Selection of tasks on the command line. Without `tags`: all tasks except those tagged `never`.

    `start_at`: name of the first task to run, or a pattern.
    """

    tags: frozenset[str] = frozenset()
    skip_tags: frozenset[str] = frozenset()
    start_at: str | None = None


def tags_of(values: Iterable[str]) -> frozenset[str]:
    """Split the values of an option at commas into tags."""
    return frozenset(part.strip() for value in values for part in value.split(",") if part.strip())


def is_selected(own: Collection[str], task_filter: TaskFilter) -> bool:
    """Whether a task with the tags `own` runs, by Ansible's rules.

    `--tags` selects the tasks with one of these tags and those tagged `always`; `all`, `tagged`, and `untagged` are special
    tags. A task tagged `never` runs only if one of its tags is given. `--skip-tags` takes precedence; `--skip-tags all`
    keeps only tasks tagged `always`.
    """
    task_tags = set(own) or {UNTAGGED}
    selected = task_filter.tags or {ALL}
    run = (
        ALWAYS in task_tags
        or (ALL in selected and NEVER not in task_tags)
        or bool(task_tags & selected)
        or (TAGGED in selected and UNTAGGED not in task_tags and NEVER not in task_tags)
    )
    skip = task_filter.skip_tags
    if ALL in skip:
        return run and ALWAYS in task_tags and ALWAYS not in skip
    return run and not task_tags & skip and not (TAGGED in skip and UNTAGGED not in task_tags)


def select_tasks(plays: Sequence[Play], task_filter: TaskFilter) -> tuple[Play, ...]:
    """The plays with only the selected tasks, and with all handlers. Raises PlayError for an unknown tag or task name."""
    all_tasks = [task for play in plays for task in (*play.tasks, *play.handlers)]
    known = {tag for task in all_tasks for tag in task.tags}
    for option, tags in (("--tags", task_filter.tags), ("--skip-tags", task_filter.skip_tags)):
        for tag in sorted(tags - known - _SPECIAL):
            raise PlayError(f"no task has the tag {tag}", where=option, hint=suggest(tag, sorted(known), "available tags"))
    chosen = plays if task_filter.start_at is None else _starting_at(plays, task_filter.start_at)
    return tuple(
        replace(play, tasks=tuple(task for task in play.tasks if is_selected(task.tags, task_filter))) for play in chosen
    )


def _starting_at(plays: Sequence[Play], start: str) -> tuple[Play, ...]:
    for number, play in enumerate(plays):
        for index, task in enumerate(play.tasks):
            if task.name == start or fnmatchcase(task.name, start):
                return (replace(play, tasks=play.tasks[index:]), *plays[number + 1 :])
    names = [task.name for play in plays for task in play.tasks]
    hint = suggest(start, names, "available tasks")
    raise PlayError(f"no task is named {start}", where="--start-at-task", hint=hint)


TASK = "play"
Key = tuple[str, str]
"""Kind and name of a target."""


@dataclass(frozen=True, slots=True)
class PlaySpec:
    """Settings of a run: the play file and its digest, the host pattern, the selected tasks, and whether `--check` is set.

    `retry`: ID of an earlier run; only accounts that did not succeed in it are included.
    """

    file: Path
    digest: str
    limit: str = ALL_TARGETS
    task_filter: TaskFilter = field(default_factory=TaskFilter)
    check: bool = False
    retry: str | None = None


def digest_of(file: Path) -> str:
    """SHA-256 digest of a file; "" if it cannot be read, which `load_plays` reports."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def to_record(spec: PlaySpec) -> str:
    """The `options` of a run record: the settings as JSON."""
    return json.dumps(asdict(spec), default=lambda value: sorted(value) if isinstance(value, frozenset) else str(value))


def from_record(record: RunRecord) -> PlaySpec:
    """Read the settings of an earlier run. Raises JournalError if its record does not contain them."""
    try:
        return build(PlaySpec, json.loads(record.options))
    except (ValueError, TypeError) as error:
        raise JournalError(
            f"the record of run {record.run_id} has no valid play settings", where=record.manifest, hint="start a new run"
        ) from error


@dataclass(slots=True)
class RunFolder:
    """The record of a run, with one result per completed task and account. Must be closed.

    `resumed`: the run continues an interrupted one.
    """

    spec: PlaySpec
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
        """Create the record in the fleet's folder of runs, or open it and read the completed tasks. Raises JournalError."""
        runs, fingerprint = fleet.execution.runs, fleet.query_targets.inventory.fingerprint
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
            Selection(self.spec.limit, retry=self.spec.retry).summary,
            accounts,
            self.clock().isoformat(),
            to_record(self.spec),
            __version__,
            rehearsal=fleet.rehearsal,
        )
        self._journal = Journal.start(runs, record)

    def done(self, at: str, key: Key) -> Result | None:
        """The result of a task completed before the interruption, once; else None.

        Raises JournalError if the task registered a secret, which the journal does not contain.
        """
        found = self._done.pop((at, key), None)
        if found is None:
            return None
        body = _body(found)
        if body.get("hidden"):
            raise JournalError(
                f"task {found.task!r} registered a secret for {found.target}, which run {self.run_id} does not store",
                where=str(self.spec.file),
                hint="start a new run: later tasks may need it",
            )
        return replace(found, status=Status(body["status"]), data=body["registered"])

    def add(self, at: str, result: Result, event: TaskResult) -> None:
        """Write a result to the journal. An ignored failure has the status OK there. Raises JournalError."""
        if self._journal is None:
            return
        safe = _without_secrets(event)
        body: dict[str, Any] = {
            "at": at,
            "account_id": event.account_id,
            "task_status": str(event.status),
            "status": str(result.status),
            "registered": safe,
        }
        if event.task.register and safe != to_json_values(event.data, reveal=True):
            body["hidden"] = True
        status = Status.OK if event.status is TaskStatus.IGNORED else result.status
        self._journal.add(replace(result, task=event.task.name, status=status, data=body, error=event.error))

    def end(self) -> None:
        """Record the end of the run. Raises JournalError."""
        if self._journal is not None:
            self._journal.end(self.clock())

    def close(self) -> None:
        """Close the journal, so that another process may continue the run."""
        if self._journal is not None:
            self._journal.close()


def _without_secrets(event: TaskResult) -> dict[str, Any]:
    """The registered values for the journal: query rows as in the journal of `runner query`, other strings redacted."""
    rows = {"rows", "results"} if event.task.action.kind == "query" else set()
    safe: dict[str, Any] = to_json_values(event.data)
    return {key: value if key in rows else redact_json(value, key) for key, value in safe.items()}


def _body(result: Result) -> Mapping[str, Any]:
    if isinstance(result.data, Mapping) and {"at", "status", "registered"} <= result.data.keys():
        return result.data
    raise JournalError(f"the result of {result.target} is not from a play", where="results.jsonl", hint="start a new run")


@dataclass(frozen=True, slots=True)
class PlayOptions:
    """Options of `runner play`. `retry`, `resume`: an earlier run, in any form that `find_run` accepts."""

    file: Path | None = None
    limit: str = ALL_TARGETS
    task_filter: TaskFilter = field(default_factory=TaskFilter)
    check: bool = False
    retry: str | None = None
    resume: str | None = None


def prepare_play_run(
    options: PlayOptions,
    runs: Path,
    clock: Callable[[], datetime] = utc_now,
    token: Callable[[int], str] = secrets.token_hex,
) -> RunFolder:
    """Select the run to start or resume.

    Raises PlayError for missing and conflicting options, JournalError and RunNotFoundError.
    """
    new_id = new_run_id(clock(), token)
    if options.resume is not None:
        _check_exclusive(
            options, "--resume", options.resume, exclusive=options.limit == ALL_TARGETS and options.retry is None
        )
        record = find_run(runs, options.resume, task=TASK)
        earlier = from_record(record)
        if digest_of(earlier.file) != earlier.digest:
            raise JournalError(
                f"the play file has changed since run {record.run_id}",
                where=str(earlier.file),
                hint=f"start a new run, or `runner play --retry {record.run_id}` for the accounts that failed",
            )
        return RunFolder(earlier, record.run_id, resumed=True)
    if options.retry is not None:
        _check_exclusive(options, "--retry", options.retry, exclusive=True)
        record = find_run(runs, options.retry, task=TASK)
        earlier = from_record(record)
        limit = earlier.limit if options.limit == ALL_TARGETS else options.limit
        return RunFolder(replace(earlier, digest=digest_of(earlier.file), limit=limit, retry=record.run_id), new_id)
    if options.file is None:
        raise PlayError("no play file given", where="FILE", hint="runner play audit.yaml")
    return RunFolder(
        PlaySpec(options.file, digest_of(options.file), options.limit, options.task_filter, options.check), new_id
    )


def _check_exclusive(options: PlayOptions, option: str, name: str, *, exclusive: bool) -> None:
    if not exclusive or options.file is not None or options.task_filter != TaskFilter() or options.check:
        raise PlayError(
            f"{option} repeats the play of run {name} and cannot be combined with other options",
            where=option,
            hint=f"runner play {option} {name}, or omit {option}",
        )
