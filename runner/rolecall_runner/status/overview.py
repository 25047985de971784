"""Where a target can stand. Apart from the rest: help texts name the states.

The fleet at a glance: the state of each target, since when, and what to do. Pure: clock and digests come in.

`runner status` as one call: whom, from which file, in which order.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal

from rolecall_generator.check import module_access
from rolecall_generator.errors import SelectionError
from rolecall_generator.records import external_id_digest, status_path
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT, command_line
from rolecall_runner.inventory import Target, read_inventory, select
from rolecall_runner.status.status_file import LastProblem, Pending, StatusEntry, StatusFile, read_status
from rolecall_runner.status.update import note_applied, note_form, note_hand_over, written
from rolecall_runner.verify import Step, access_by_role


class CustomerState(StrEnum):
    """Where a target stands, what is most urgent first."""

    FAILED = "failed"
    DRIFTING = "drifting"
    OUTDATED = "outdated"
    STALE = "stale"
    APPLIED = "applied"
    HANDED_OVER = "handed-over"
    NOT_HANDED_OVER = "not-handed-over"
    VERIFIED = "verified"


URGENCY = {state: place for place, state in enumerate(CustomerState)}


_CAUSES = 3


@dataclass(frozen=True, slots=True)
class Present:
    """What is in the output folder for a target now: digests, "" for nothing (see `digests`).

    `bundle_is_old`: the bundle was made from another module than the one that is written now.
    """

    module: str = ""
    bundle: str = ""
    bundle_is_old: bool = False


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One target: its state, the moment since when (None: nothing is known), and in a sentence what is known of it.

    `bundled`: whether a bundle of the module as it is now is written; `bundle_is_old`: whether an older one is.
    """

    target: Target
    entry: StatusEntry
    state: CustomerState
    since: datetime | None
    what: str
    bundled: bool = False
    bundle_is_old: bool = False


def overview(
    targets: Iterable[Target],
    status: StatusFile,
    present: Callable[[Target], Present],
    *,
    now: datetime,
    stale_after: timedelta,
) -> list[StatusRow]:
    """A row for each target, in their order. `present` is asked once a target."""
    return [_row(target, status.of(target), present(target), now, stale_after) for target in targets]


def counts(rows: Iterable[StatusRow]) -> dict[CustomerState, int]:
    """How many are in each state that occurs, the most urgent first."""
    found = Counter(row.state for row in rows)
    return {state: found[state] for state in CustomerState if found[state]}


def by_urgency(rows: Sequence[StatusRow]) -> list[StatusRow]:
    """The most urgent first, in each state the one that has been in it longest; then in the order given."""
    last = datetime.max.replace(tzinfo=UTC)
    return sorted(rows, key=lambda row: (URGENCY[row.state], row.since or last))


def by_name(rows: Sequence[StatusRow]) -> list[StatusRow]:
    """By name; a customer before a switch role of its name."""
    return sorted(rows, key=lambda row: (row.target.name, row.target.kind))


def by_age(rows: Sequence[StatusRow]) -> list[StatusRow]:
    """Those of which nothing is known first, then the longest unheard of."""
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(rows, key=lambda row: moment(row.entry.asked.date) if row.entry.asked else never)


def moment(date: str) -> datetime:
    """A date of the status file; one without a time zone is UTC. Raises ValueError."""
    found = datetime.fromisoformat(date)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _row(target: Target, entry: StatusEntry, present: Present, now: datetime, stale_after: timedelta) -> StatusRow:
    found = (
        _in_trouble(entry)
        or _verified(target, entry, present, now - stale_after)
        or _handed_over(entry, present)
        or _confirmed(entry, present)
        or _outdated(entry, present)
        or _unheard(entry, present)
    )
    state, since, what = found
    asked = f"; asked in vain: {_said(entry.failed)}" if entry.failed is not None and _never_let_in(entry) else ""
    bundled = bool(present.bundle) and not present.bundle_is_old
    return StatusRow(target, entry, state, since, f"{what}{asked}", bundled, present.bundle_is_old)


_Found = tuple[CustomerState, datetime | None, str]


def _in_trouble(entry: StatusEntry) -> _Found | None:
    if _never_let_in(entry):
        return None
    for state, trouble in ((CustomerState.FAILED, entry.failed), (CustomerState.DRIFTING, entry.drifting)):
        if trouble is not None:
            return state, moment(trouble.since), _said(trouble)
    return None


def _verified(target: Target, entry: StatusEntry, present: Present, limit: datetime) -> _Found | None:
    """Verified with the module as it is written now, and nothing else was handed over or found since."""
    verified = entry.verified
    if verified is None or (present.module and verified.module != present.module) or _pending(entry, present):
        return None
    if any(not each.gone and each.date > verified.date and each.module != present.module for each in entry.versions):
        return None
    when = moment(verified.date)
    return CustomerState.STALE if when < limit else CustomerState.VERIFIED, when, _id_note(target, entry) or "as agreed"


def _handed_over(entry: StatusEntry, present: Present) -> _Found | None:
    """The module as it is written now went to the customer, and was not verified since."""
    handed = entry.handed_over
    if handed is None or not _same(handed.module, present.module):
        return None
    pending = _pending(entry, present)
    if pending is not None and pending.date >= handed.date:
        what = pending.what if pending.unseen else f"waiting for its apply; {pending.what}"
        return CustomerState.HANDED_OVER, moment(handed.date), what
    if entry.verified is not None:
        return CustomerState.HANDED_OVER, moment(handed.date), "waiting for the newer module to be applied"
    if entry.applied is not None:
        return CustomerState.APPLIED, moment(entry.applied), "the role lets us in; not verified yet"
    same = _same(handed.bundle, present.bundle) or present.bundle_is_old
    anew = "" if same else "; the bundle was written anew since, with the same module"
    return CustomerState.HANDED_OVER, moment(handed.date), f"waiting for its apply{anew}"


def _never_let_in(entry: StatusEntry) -> bool:
    """A role that refused from the start is not there yet: that is no failure, but what a hand-over waits for."""
    return entry.applied is None and entry.failed is not None and set(entry.failed.steps) == {str(Step.ASSUME)}


def _pending(entry: StatusEntry, present: Present) -> Pending | None:
    """What the last roll call said of the newest module, if it still is the newest."""
    pending = entry.pending
    return pending if pending is not None and pending.module in {"", present.module} else None


def _confirmed(entry: StatusEntry, present: Present) -> _Found | None:
    """A person said that the module as it is written now is applied; no roll call has ended well since."""
    confirmed = entry.confirmed
    if confirmed is None or not confirmed.module or confirmed.module != present.module or _pending(entry, present):
        return None
    return (
        CustomerState.APPLIED,
        moment(confirmed.date),
        "the newest module is applied, as noted by hand; not verified since",
    )


def _outdated(entry: StatusEntry, present: Present) -> _Found | None:
    """The customer had a module, and it is not known that the one that is written now was applied."""
    if (pending := _pending(entry, present)) is not None:
        ahead = "" if pending.module else " (the manifest is newer than the written module)"
        return CustomerState.OUTDATED, moment(pending.since), f"{pending.what}{ahead}"
    had = [(known.date, how) for known, how in ((entry.verified, "verified"), (entry.handed_over, "handed over")) if known]
    if not had:
        return None
    date, how = max(had)
    what = f"the module was written anew after it was {how}: the newer one has not been applied yet"
    return CustomerState.OUTDATED, moment(date), what


def _unheard(entry: StatusEntry, present: Present) -> _Found:
    if entry.applied is not None:
        return CustomerState.APPLIED, moment(entry.applied), "the role lets us in; not verified yet"
    what = "its module is written" if present.module else "nothing is written"
    if present.bundle:
        what = "its bundle is older than its module" if present.bundle_is_old else "its bundle is written"
    return CustomerState.NOT_HANDED_OVER, None, what


def _same(had: str, current: str) -> bool:
    """Whether a digest is the current one; one that is not known says nothing else."""
    return not had or not current or had == current


def _said(trouble: LastProblem) -> str:
    more = f" and {len(trouble.causes) - _CAUSES} more" if len(trouble.causes) > _CAUSES else ""
    causes = ", ".join(trouble.causes[:_CAUSES])
    return f"{trouble.what} [{causes}{more}]" if causes else trouble.what


def _id_note(target: Target, entry: StatusEntry) -> str:
    """What is to be said of external ids: only amid a rotation, or where another one let us in than the manifest has."""
    if target.external_id is None:
        return ""
    seen = entry.external_id_seen is not None and entry.external_id_seen.sha256 == external_id_digest(target.external_id)
    if target.previous_external_id is not None:
        said = "the new external id is taken: the rotation can end" if seen else "the new external id is not taken yet"
        return f"as agreed; {said}"
    if entry.external_id_seen is not None and not seen:
        return "as agreed, with another external id than the manifest has now"
    return ""


STALE_AFTER = timedelta(days=7)
Sort = Literal["state", "name", "age", "manifest"]
_SORTS: Mapping[Sort, Callable[[Sequence[StatusRow]], Sequence[StatusRow]]] = {
    "state": by_urgency,
    "name": by_name,
    "age": by_age,
    "manifest": tuple,
}


@dataclass(frozen=True, slots=True)
class StatusPlace:
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
class StatusReport:
    """The rows that are wanted, in their order, and how many of all that were selected are in each state."""

    place: StatusPlace
    rows: Sequence[StatusRow]
    counts: Mapping[CustomerState, int]
    now: datetime


def chosen(place: StatusPlace, names: Sequence[str], labels: Sequence[str]) -> tuple[Target, ...]:
    """The targets of names (or patterns) that have all the labels (`key=value`); everybody where both are empty.

    Raises ManifestError, PlanError, OutputError and SelectionError.
    """
    if wrong := [text for text in labels if "=" not in text]:
        raise SelectionError(f"{wrong[0]} is no label", where="--label", hint="write key=value, as in tier=gold")
    targets = read_inventory(place.manifest, out=place.out).targets
    pattern = ":".join([*(names or ("all",)), *(f"&{text}" for text in labels)])
    try:
        return select(targets, pattern)
    except SelectionError as error:  # it speaks of runner verify's option
        error.where = "NAME" if names else "--label"
        raise


def hand_over(place: StatusPlace, targets: Sequence[Target], now: datetime, form: str = "") -> None:
    """Note that the targets were handed what is in the output folder, and by which way they apply it, where that is known.

    Raises SelectionError where nothing is written for one, or where its bundle is older than its module.
    """
    found = written(place.out)
    missing = [target.name for target in targets if not (found.bundle(target) or found.module(target))]
    if missing:
        rest = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        what = f"nothing is written for {missing[0]}{rest} that could have been handed over"
        raise SelectionError(what, where=str(place.out), hint=f"gen terraform, then gen bundle {missing[0]}")
    if old := [target.name for target in targets if found.bundle_is_old(target)]:
        rest = f" and {len(old) - 1:,} more" if len(old) > 1 else ""
        what = f"the bundle of {old[0]}{rest} is older than the module: it is not what is written now"
        raise SelectionError(what, where=str(place.out), hint=place.command(f"gen bundle {shlex.quote(old[0])}"))
    by_role = access_by_role(module_access(place.manifest, place.out))
    note_hand_over(
        place.out,
        targets,
        now=now,
        rehearsal=place.rehearsal,
        access=lambda target: by_role.get(target.role_arn),
        form=form,
    )


def note_as_applied(place: StatusPlace, targets: Sequence[Target], now: datetime) -> None:
    """Note that a person says that the targets have applied their modules. Raises SelectionError where none is written."""
    found = written(place.out)
    if missing := [target.name for target in targets if not found.module(target)]:
        what = f"no module is written for {missing[0]}"
        raise SelectionError(what, where=str(place.out), hint=place.command("gen terraform"))
    note_applied(place.out, targets, now=now, rehearsal=place.rehearsal)


def set_form(place: StatusPlace, targets: Sequence[Target], form: str) -> None:
    """Note by which way the targets apply modules. Raises StatusError."""
    note_form(place.out, targets, form, rehearsal=place.rehearsal)


def report(
    place: StatusPlace,
    targets: Sequence[Target],
    *,
    now: datetime,
    stale_after: timedelta = STALE_AFTER,
    states: Collection[str] = (),
    sort: Sort = "state",
) -> StatusReport:
    """Where the targets stand. Raises StatusError and OutputError (a broken lock)."""
    status = read_status(place.status)
    found = written(place.out)

    def present(target: Target) -> Present:
        return Present(found.module(target), found.bundle(target), found.bundle_is_old(target))

    rows = overview(targets, status, present, now=now, stale_after=stale_after)
    wanted = [row for row in rows if not states or row.state in states]
    return StatusReport(place, _SORTS[sort](wanted), counts(rows), now)
