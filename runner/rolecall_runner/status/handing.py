"""A hand-over, into the status file. Loads nothing of AWS: `runner status` uses it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rolecall_generator.status_file import status_path
from rolecall_runner.status.digests import Written, written
from rolecall_runner.status.entry import Entry, HandedOver
from rolecall_runner.status.file import Key, Status, change_status, key_of, stamp
from rolecall_runner.targets import Target


def note_hand_over(out: Path, targets: Iterable[Target], *, now: datetime, rehearsal: bool) -> Status:
    """Note that these have what stands in the output folder now; where nothing is written nothing is noted.

    Raises StatusError and OutputError (a broken lock).
    """
    found = written(out)
    chosen = tuple(targets)

    def change(before: Status) -> Mapping[Key, Entry]:
        return {key_of(target): _handed_over(before.of(target), target, found, stamp(now)) for target in chosen}

    return change_status(status_path(out, rehearsal=rehearsal), change)


def _handed_over(entry: Entry, target: Target, found: Written, date: str) -> Entry:
    """The entry after the hand-over; what a customer had already keeps its first date."""
    bundle, module = found.bundle(target), found.module(target)
    known = entry.handed_over
    if not (bundle or module) or (known is not None and (known.bundle, known.module) == (bundle, module)):
        return entry
    return replace(entry, handed_over=HandedOver(date, bundle, module))
