"""A run's verdicts into the status file: one write, however many accounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from rolecall_generator.status_file import status_path
from rolecall_runner.status.digests import written
from rolecall_runner.status.entry import Entry
from rolecall_runner.status.file import Key, Status, change_status, key_of, stamp
from rolecall_runner.status.noting import heard
from rolecall_runner.targets import Target
from rolecall_runner.tasks.verify.verdict import Verdict


def note_verdicts(
    out: Path, targets: Iterable[Target], verdicts: Iterable[Verdict], *, now: datetime, run: str, rehearsal: bool
) -> Status:
    """Note what a roll call found. `verdicts` are taken once. Raises StatusError and OutputError (a broken lock)."""
    modules = written(out)
    date = stamp(now)
    by_key = {key_of(target): target for target in targets}

    def change(before: Status) -> Mapping[Key, Entry]:
        found: dict[Key, Entry] = {}
        for verdict in verdicts:
            key = (verdict.kind, verdict.name)
            target = by_key[key]
            found[key] = heard(before.of(target), target, verdict, date=date, run=run, module=modules.module(target))
        return found

    return change_status(status_path(out, rehearsal=rehearsal), change)
