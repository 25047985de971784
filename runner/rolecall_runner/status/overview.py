"""The fleet at a glance: the state of each target, since when, and what to do. Pure: clock and digests come in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rolecall_generator.status_file import external_id_digest
from rolecall_runner.status.entry import Entry, Pending, Trouble
from rolecall_runner.status.file import Status
from rolecall_runner.status.states import URGENCY, State
from rolecall_runner.targets import Target
from rolecall_runner.tasks.verify.verdict import Step

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
class Row:
    """One target: its state, the moment since when (None: nothing is known), and in a sentence what is known of it.

    `bundled`: whether a bundle of the module as it is now is written; `bundle_is_old`: whether an older one is.
    """

    target: Target
    entry: Entry
    state: State
    since: datetime | None
    what: str
    bundled: bool = False
    bundle_is_old: bool = False


def overview(
    targets: Iterable[Target], status: Status, present: Callable[[Target], Present], *, now: datetime, stale_after: timedelta
) -> list[Row]:
    """A row for each target, in their order. `present` is asked once a target."""
    return [_row(target, status.of(target), present(target), now, stale_after) for target in targets]


def counts(rows: Iterable[Row]) -> dict[State, int]:
    """How many are in each state that occurs, the most urgent first."""
    found = Counter(row.state for row in rows)
    return {state: found[state] for state in State if found[state]}


def by_urgency(rows: Sequence[Row]) -> list[Row]:
    """The most urgent first, in each state the one that has been in it longest; then in the order given."""
    last = datetime.max.replace(tzinfo=UTC)
    return sorted(rows, key=lambda row: (URGENCY[row.state], row.since or last))


def by_name(rows: Sequence[Row]) -> list[Row]:
    """By name; a customer before a switch role of its name."""
    return sorted(rows, key=lambda row: (row.target.name, row.target.kind))


def by_age(rows: Sequence[Row]) -> list[Row]:
    """Those of which nothing is known first, then the longest unheard of."""
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(rows, key=lambda row: moment(row.entry.asked.date) if row.entry.asked else never)


def moment(date: str) -> datetime:
    """A date of the status file; one without a time zone is UTC. Raises ValueError."""
    found = datetime.fromisoformat(date)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _row(target: Target, entry: Entry, present: Present, now: datetime, stale_after: timedelta) -> Row:
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
    return Row(target, entry, state, since, f"{what}{asked}", bundled, present.bundle_is_old)


_Found = tuple[State, datetime | None, str]


def _in_trouble(entry: Entry) -> _Found | None:
    if _never_let_in(entry):
        return None
    for state, trouble in ((State.FAILED, entry.failed), (State.DRIFTING, entry.drifting)):
        if trouble is not None:
            return state, moment(trouble.since), _said(trouble)
    return None


def _verified(target: Target, entry: Entry, present: Present, limit: datetime) -> _Found | None:
    """Verified with the module as it is written now, and nothing else was handed over or found since."""
    verified = entry.verified
    if verified is None or (present.module and verified.module != present.module) or _pending(entry, present):
        return None
    if any(not each.gone and each.date > verified.date and each.module != present.module for each in entry.versions):
        return None
    when = moment(verified.date)
    return State.STALE if when < limit else State.VERIFIED, when, _id_note(target, entry) or "as agreed"


def _handed_over(entry: Entry, present: Present) -> _Found | None:
    """The module as it is written now went to the customer, and was not verified since."""
    handed = entry.handed_over
    if handed is None or not _same(handed.module, present.module):
        return None
    pending = _pending(entry, present)
    if pending is not None and pending.date >= handed.date:
        what = pending.what if pending.unseen else f"waiting for its apply; {pending.what}"
        return State.HANDED_OVER, moment(handed.date), what
    if entry.verified is not None:
        return State.HANDED_OVER, moment(handed.date), "waiting for the newer module to be applied"
    if entry.applied is not None:
        return State.APPLIED, moment(entry.applied), "the role lets us in; not verified yet"
    same = _same(handed.bundle, present.bundle) or present.bundle_is_old
    anew = "" if same else "; the bundle was written anew since, with the same module"
    return State.HANDED_OVER, moment(handed.date), f"waiting for its apply{anew}"


def _never_let_in(entry: Entry) -> bool:
    """A role that refused from the start is not there yet: that is no failure, but what a hand-over waits for."""
    return entry.applied is None and entry.failed is not None and set(entry.failed.steps) == {str(Step.ASSUME)}


def _pending(entry: Entry, present: Present) -> Pending | None:
    """What the last roll call said of the newest module, if it still is the newest."""
    pending = entry.pending
    return pending if pending is not None and pending.module in {"", present.module} else None


def _confirmed(entry: Entry, present: Present) -> _Found | None:
    """A person said that the module as it is written now is applied; no roll call has ended well since."""
    confirmed = entry.confirmed
    if confirmed is None or not confirmed.module or confirmed.module != present.module or _pending(entry, present):
        return None
    return State.APPLIED, moment(confirmed.date), "the newest module is applied, as noted by hand; not verified since"


def _outdated(entry: Entry, present: Present) -> _Found | None:
    """The customer had a module, and it is not known that the one that is written now was applied."""
    if (pending := _pending(entry, present)) is not None:
        ahead = "" if pending.module else " (the manifest is newer than the written module)"
        return State.OUTDATED, moment(pending.since), f"{pending.what}{ahead}"
    had = [(known.date, how) for known, how in ((entry.verified, "verified"), (entry.handed_over, "handed over")) if known]
    if not had:
        return None
    date, how = max(had)
    what = f"the module was written anew after it was {how}: the newer one has not been applied yet"
    return State.OUTDATED, moment(date), what


def _unheard(entry: Entry, present: Present) -> _Found:
    if entry.applied is not None:
        return State.APPLIED, moment(entry.applied), "the role lets us in; not verified yet"
    what = "its module is written" if present.module else "nothing is written"
    if present.bundle:
        what = "its bundle is older than its module" if present.bundle_is_old else "its bundle is written"
    return State.NOT_HANDED_OVER, None, what


def _same(had: str, current: str) -> bool:
    """Whether a digest is the current one; one that is not known says nothing else."""
    return not had or not current or had == current


def _said(trouble: Trouble) -> str:
    more = f" and {len(trouble.causes) - _CAUSES} more" if len(trouble.causes) > _CAUSES else ""
    causes = ", ".join(trouble.causes[:_CAUSES])
    return f"{trouble.what} [{causes}{more}]" if causes else trouble.what


def _id_note(target: Target, entry: Entry) -> str:
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
