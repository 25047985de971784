"""Which play a command line means: a file's, or that of an earlier run; and the fleet and the record that it is run with."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from rolecall_runner.credentials import utc_now
from rolecall_runner.fleet import Fleet
from rolecall_runner.play.choosing import TaskFilter
from rolecall_runner.play.errors import PlayError
from rolecall_runner.play.record import TASK, Played, RunFolder, check_unchanged, digest_of, recalled
from rolecall_runner.results.journal import find_run, keys_to_retry, new_run_id
from rolecall_runner.selection import EVERYBODY


@dataclass(frozen=True, slots=True)
class PlayOptions:
    """What a command line says of a play. `retry`, `resume`: runs, as people name them."""

    file: Path | None = None
    limit: str = EVERYBODY
    wish: TaskFilter = field(default_factory=TaskFilter)
    check: bool = False
    retry: str | None = None
    resume: str | None = None


@dataclass(frozen=True, slots=True)
class PlayRun:
    """A run of a play by its id; `resumed` when it has begun before."""

    run_id: str
    resumed: bool = False

    @property
    def short_id(self) -> str:
        """The random part: what session names carry."""
        return self.run_id.rpartition("-")[2]


def played_of(
    options: PlayOptions,
    runs: Path,
    clock: Callable[[], datetime] = utc_now,
    token: Callable[[int], str] = secrets.token_hex,
) -> tuple[Played, PlayRun]:
    """What is to be played, in which run. Raises PlayError for too little or too much, JournalError, NoSuchRunError."""
    fresh = PlayRun(new_run_id(clock(), token))
    if options.resume is not None:
        _check_alone(options, "--resume", options.resume, alone=options.limit == EVERYBODY and options.retry is None)
        record = find_run(runs, options.resume, task=TASK)
        before = recalled(record)
        check_unchanged(before, record.run_id)
        return before, PlayRun(record.run_id, resumed=True)
    if options.retry is not None:
        _check_alone(options, "--retry", options.retry, alone=True)
        record = find_run(runs, options.retry, task=TASK)
        before = recalled(record)
        limit = before.limit if options.limit == EVERYBODY else options.limit
        return replace(before, digest=digest_of(before.file), limit=limit, retry=record.run_id), fresh
    if options.file is None:
        raise PlayError("no play is named", where="FILE", mend="runner play audit.yaml")
    return Played(options.file, digest_of(options.file), options.limit, options.wish, options.check), fresh


def narrowed(fleet: Fleet, played: Played) -> Fleet:
    """The fleet, only with accounts that the run may process. Raises what `Fleet.chosen` raises, JournalError."""
    if played.retry is not None:
        fleet.narrow(keys_to_retry(fleet.execution.runs, played.retry), played.retry)
    return fleet


def run_folder(played: Played, run: PlayRun, fleet: Fleet) -> RunFolder:
    """The run's folder, not made yet. Raises what `Fleet.chosen` raises."""
    fingerprint = fleet.chosen.inventory.fingerprint
    return RunFolder(
        fleet.execution.runs, run.run_id, fleet.manifest, fingerprint, played, run.resumed, rehearsal=lambda: fleet.rehearsal
    )


def _check_alone(options: PlayOptions, option: str, name: str, *, alone: bool) -> None:
    if not alone or options.file is not None or options.wish != TaskFilter() or options.check:
        raise PlayError(
            f"{option} plays what run {name} played; nothing else can be played with it",
            where=option,
            mend=f"runner play {option} {name}, or leave out {option}",
        )
