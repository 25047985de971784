"""Which play a command line means: a file's, or that of an earlier run; and the fleet and the record that it is run with."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from rolecall_runner.choice import EVERYBODY
from rolecall_runner.credentials import utc_now
from rolecall_runner.fleet import Fleet, Ways
from rolecall_runner.play.choosing import Wish
from rolecall_runner.play.errors import PlayError
from rolecall_runner.play.record import TASK, Played, RunFolder, check_unchanged, digest_of, recalled
from rolecall_runner.results.journal import find_run, keys_to_retry, new_run_id


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command line says of a play. `retry`, `resume`: runs, as people name them."""

    file: Path | None = None
    limit: str = EVERYBODY
    wish: Wish = field(default_factory=Wish)
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
    asked: Asked,
    runs: Path,
    clock: Callable[[], datetime] = utc_now,
    token: Callable[[int], str] = secrets.token_hex,
) -> tuple[Played, PlayRun]:
    """What is to be played, in which run. Raises PlayError for too little or too much, JournalError, NoSuchRunError."""
    fresh = PlayRun(new_run_id(clock(), token))
    if asked.resume is not None:
        _check_alone(asked, "--resume", asked.resume, alone=asked.limit == EVERYBODY and asked.retry is None)
        record = find_run(runs, asked.resume, task=TASK)
        before = recalled(record)
        check_unchanged(before, record.run_id)
        return before, PlayRun(record.run_id, resumed=True)
    if asked.retry is not None:
        _check_alone(asked, "--retry", asked.retry, alone=True)
        record = find_run(runs, asked.retry, task=TASK)
        before = recalled(record)
        limit = before.limit if asked.limit == EVERYBODY else asked.limit
        return replace(before, digest=digest_of(before.file), limit=limit, retry=record.run_id), fresh
    if asked.file is None:
        raise PlayError("no play is named", where="FILE", mend="runner play audit.yaml")
    return Played(asked.file, digest_of(asked.file), asked.limit, asked.wish, asked.check), fresh


def fleet_of(played: Played, manifest: Path, out: Path, profile: str | None, ways: Ways) -> Fleet:
    """The accounts that may be asked. Raises what `Fleet.chosen` raises for a run's failed ones, JournalError."""
    fleet = Fleet(manifest, limit=played.limit, out=out, profile=profile, ways=ways)
    if played.retry is not None:
        fleet.narrow(keys_to_retry(ways.runs, played.retry), played.retry)
    return fleet


def run_folder(played: Played, run: PlayRun, fleet: Fleet) -> RunFolder:
    """The run's folder, not made yet. Raises what `Fleet.chosen` raises."""
    fingerprint = fleet.chosen.inventory.fingerprint
    return RunFolder(
        fleet.ways.runs, run.run_id, fleet.manifest, fingerprint, played, run.resumed, rehearsal=lambda: fleet.rehearsal
    )


def _check_alone(asked: Asked, option: str, name: str, *, alone: bool) -> None:
    if not alone or asked.file is not None or asked.wish != Wish() or asked.check:
        raise PlayError(
            f"{option} plays what run {name} played; nothing else can be played with it",
            where=option,
            mend=f"runner play {option} {name}, or leave out {option}",
        )
