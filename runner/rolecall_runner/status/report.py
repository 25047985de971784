"""`runner status` as one call: whom, from which file, in which order."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from rolecall_generator.checking import module_access
from rolecall_generator.command_line import DEFAULT_MANIFEST, DEFAULT_OUT, command_line
from rolecall_generator.errors import SelectionError
from rolecall_generator.status_file import status_path
from rolecall_runner.inventory import read_inventory
from rolecall_runner.selection import select
from rolecall_runner.status.digests import written
from rolecall_runner.status.file import read_status
from rolecall_runner.status.handing import note_applied, note_form, note_hand_over
from rolecall_runner.status.overview import Present, Row, by_age, by_name, by_urgency, counts, overview
from rolecall_runner.status.states import State
from rolecall_runner.targets import Target
from rolecall_runner.tasks.verify.by_role import access_by_role

STALE_AFTER = timedelta(days=7)
Sort = Literal["state", "name", "age", "manifest"]
_SORTS: Mapping[Sort, Callable[[Sequence[Row]], Sequence[Row]]] = {
    "state": by_urgency,
    "name": by_name,
    "age": by_age,
    "manifest": tuple,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Manifest and output folder. `rehearsal`: what sandboxes said instead of AWS; `own_sandbox`: by --sandbox."""

    manifest: Path = DEFAULT_MANIFEST
    out: Path = DEFAULT_OUT
    rehearsal: bool = False
    own_sandbox: bool = False

    @property
    def status(self) -> Path:
        """The status file."""
        return status_path(self.out, rehearsal=self.rehearsal)

    def command(self, words: str) -> str:
        """A command line that leads on from here: with the options that are not the usual ones."""
        line = command_line(words, self.manifest, self.out)
        return f"{line} --sandbox" if self.own_sandbox and words.startswith("runner ") else line


@dataclass(frozen=True, slots=True)
class Report:
    """The rows that are wanted, in their order, and how many of all that were selected are in each state."""

    place: Place
    rows: Sequence[Row]
    counts: Mapping[State, int]
    now: datetime


def chosen(place: Place, names: Sequence[str], labels: Sequence[str]) -> tuple[Target, ...]:
    """The targets of names (or patterns) that have all the labels (`key=value`); everybody where both are empty.

    Raises ManifestError, PlanError, OutputError and SelectionError.
    """
    if wrong := [text for text in labels if "=" not in text]:
        raise SelectionError(f"{wrong[0]} is no label", where="--label", mend="write key=value, as in tier=gold")
    targets = read_inventory(place.manifest, out=place.out).targets
    pattern = ":".join([*(names or ("all",)), *(f"&{text}" for text in labels)])
    try:
        return select(targets, pattern)
    except SelectionError as error:  # it speaks of runner verify's option
        error.where = "NAME" if names else "--label"
        raise


def hand_over(place: Place, targets: Sequence[Target], now: datetime, form: str = "") -> None:
    """Note that the targets were handed what is in the output folder, and by which way they apply it, where that is known.

    Raises SelectionError where nothing is written for one, or where its bundle is older than its module.
    """
    found = written(place.out)
    missing = [target.name for target in targets if not (found.bundle(target) or found.module(target))]
    if missing:
        rest = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        what = f"nothing is written for {missing[0]}{rest} that could have been handed over"
        raise SelectionError(what, where=str(place.out), mend=f"gen terraform, then gen bundle {missing[0]}")
    if old := [target.name for target in targets if found.bundle_is_old(target)]:
        rest = f" and {len(old) - 1:,} more" if len(old) > 1 else ""
        what = f"the bundle of {old[0]}{rest} is older than the module: it is not what is written now"
        raise SelectionError(what, where=str(place.out), mend=place.command(f"gen bundle {shlex.quote(old[0])}"))
    by_role = access_by_role(module_access(place.manifest, place.out))
    note_hand_over(
        place.out,
        targets,
        now=now,
        rehearsal=place.rehearsal,
        access=lambda target: by_role.get(target.role_arn),
        form=form,
    )


def note_as_applied(place: Place, targets: Sequence[Target], now: datetime) -> None:
    """Note that a person says that the targets have applied their modules. Raises SelectionError where none is written."""
    found = written(place.out)
    if missing := [target.name for target in targets if not found.module(target)]:
        what = f"no module is written for {missing[0]}"
        raise SelectionError(what, where=str(place.out), mend=place.command("gen terraform"))
    note_applied(place.out, targets, now=now, rehearsal=place.rehearsal)


def set_form(place: Place, targets: Sequence[Target], form: str) -> None:
    """Note by which way the targets apply modules. Raises StatusError."""
    note_form(place.out, targets, form, rehearsal=place.rehearsal)


def report(
    place: Place,
    targets: Sequence[Target],
    *,
    now: datetime,
    stale_after: timedelta = STALE_AFTER,
    states: Collection[str] = (),
    sort: Sort = "state",
) -> Report:
    """Where the targets stand. Raises StatusError and OutputError (a broken lock)."""
    status = read_status(place.status)
    found = written(place.out)

    def present(target: Target) -> Present:
        return Present(found.module(target), found.bundle(target), found.bundle_is_old(target))

    rows = overview(targets, status, present, now=now, stale_after=stale_after)
    wanted = [row for row in rows if not states or row.state in states]
    return Report(place, _SORTS[sort](wanted), counts(rows), now)
