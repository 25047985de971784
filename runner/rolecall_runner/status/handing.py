"""A hand-over, into the status file. Loads nothing of AWS: `runner status` uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rolecall_generator.iam.access import Access
from rolecall_generator.status_file import status_path
from rolecall_runner.status.digests import Written, written
from rolecall_runner.status.entry import Confirmed, Entry, HandedOver, Version
from rolecall_runner.status.file import Key, Status, change_status, key_of, stamp
from rolecall_runner.status.versions import with_version
from rolecall_runner.targets import Target
from rolecall_runner.tasks.verify.snapshot import encode_access


def note_hand_over(
    out: Path,
    targets: Iterable[Target],
    *,
    now: datetime,
    rehearsal: bool,
    access: Callable[[Target], Access | None],
    form: str = "",
) -> Status:
    """Note that these were handed what is in the output folder now. Nothing is noted where nothing is written, or where the
    bundle is older than the module: then the customer got something else than what is written.

    `access` gives what a target's module grants as it is written, None where it cannot be read. `form`: the way by which the
    customers apply it, "" when it is not known. Raises StatusError and OutputError (a broken lock).
    """
    found = written(out)
    chosen = tuple(targets)

    def change(before: Status) -> Mapping[Key, Entry]:
        return {
            key_of(target): _handed_over(_with_form(before.of(target), form), target, found, stamp(now), access)
            for target in chosen
        }

    return change_status(status_path(out, rehearsal=rehearsal), change)


def note_applied(out: Path, targets: Iterable[Target], *, now: datetime, rehearsal: bool) -> Status:
    """Note that a person says that these have applied their modules as they are written now. Raises as `note_hand_over`.

    It counts for changes that no roll call can see; what a roll call can see has to be seen all the same.
    """
    found = written(out)
    chosen = tuple(targets)

    def change(before: Status) -> Mapping[Key, Entry]:
        return {
            key_of(target): replace(
                entry := before.of(target),
                confirmed=Confirmed(stamp(now), found.module(target)),
                pending=None if entry.pending is not None and entry.pending.unseen else entry.pending,
            )
            for target in chosen
        }

    return change_status(status_path(out, rehearsal=rehearsal), change)


def note_form(out: Path, targets: Iterable[Target], form: str, *, rehearsal: bool) -> Status:
    """Note by which way these customers apply modules. Raises StatusError."""
    chosen = tuple(targets)
    return change_status(
        status_path(out, rehearsal=rehearsal),
        lambda before: {key_of(target): _with_form(before.of(target), form) for target in chosen},
    )


def _with_form(entry: Entry, form: str) -> Entry:
    return replace(entry, form=form) if form else entry


def _handed_over(
    entry: Entry, target: Target, found: Written, date: str, access: Callable[[Target], Access | None]
) -> Entry:
    """The entry after the hand-over; what a customer had already keeps its first date."""
    bundle, module = found.bundle(target), found.module(target)
    known = entry.handed_over
    if not (bundle or module) or found.bundle_is_old(target):
        return entry
    if known is not None and (known.bundle, known.module) == (bundle, module):
        return entry
    granted = access(target)
    versions = entry.versions
    if granted is not None and module:
        versions = with_version(versions, Version(module, date, encode_access(granted)))
    return replace(entry, handed_over=HandedOver(date, bundle, module), versions=versions)
