"""The state of each target, since when, and why, for `runner status`; and the hand-overs that users record."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal

from rolecall_generator.check import read_access
from rolecall_generator.errors import SelectionError
from rolecall_generator.records import external_id_digest, status_path
from rolecall_generator.text import DEFAULT_MANIFEST, DEFAULT_OUT, command_line
from rolecall_runner.inventory import Target, read_inventory, select
from rolecall_runner.status.status_file import LastProblem, Pending, StatusEntry, StatusFile, read_status
from rolecall_runner.status.update import read_output_digests, store_confirmation, store_form, store_handover
from rolecall_runner.verify import Step, access_by_role


class CustomerState(StrEnum):
    """The state of a target, the most urgent first."""

    FAILED = "failed"
    DRIFTING = "drifting"
    OUTDATED = "outdated"
    STALE = "stale"
    APPLIED = "applied"
    HANDED_OVER = "handed-over"
    NOT_HANDED_OVER = "not-handed-over"
    VERIFIED = "verified"


_STATES = tuple(CustomerState)
_MAX_CAUSES = 3


@dataclass(frozen=True, slots=True)
class CurrentDigests:
    """The current content of the output folder for a target: digests of module and bundle, empty if there is none.

    `bundle_is_old`: whether the bundle was built from an older module.
    """

    module: str = ""
    bundle: str = ""
    bundle_is_old: bool = False


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One target: its state, since when (None if nothing is known), and a sentence with the details.

    `bundled`: whether there is a bundle of the current module; `bundle_is_old`: whether there is an older one.
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
    present: Callable[[Target], CurrentDigests],
    *,
    now: datetime,
    stale_after: timedelta,
) -> list[StatusRow]:
    """One row per target, in their order. `present` is called once per target."""
    return [_row(target, status.entry(target), present(target), now, stale_after) for target in targets]


def counts(rows: Iterable[StatusRow]) -> dict[CustomerState, int]:
    """Number of rows in each state that occurs, the most urgent first."""
    found = Counter(row.state for row in rows)
    return {state: found[state] for state in CustomerState if found[state]}


def by_urgency(rows: Sequence[StatusRow]) -> list[StatusRow]:
    """Sort by state, most urgent first; within a state by date, oldest first."""
    last = datetime.max.replace(tzinfo=UTC)
    return sorted(rows, key=lambda row: (_STATES.index(row.state), row.since or last))


def by_name(rows: Sequence[StatusRow]) -> list[StatusRow]:
    """Sort by name; a customer before a switch role of the same name."""
    return sorted(rows, key=lambda row: (row.target.name, row.target.kind))


def by_age(rows: Sequence[StatusRow]) -> list[StatusRow]:
    """Sort by the date of the last verification, oldest first; targets that were never verified come first."""
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(rows, key=lambda row: parse_date(row.entry.last_run.date) if row.entry.last_run else never)


def parse_date(date: str) -> datetime:
    """Parse a date of the status file; the default time zone is UTC. Raises ValueError."""
    found = datetime.fromisoformat(date)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _row(target: Target, entry: StatusEntry, present: CurrentDigests, now: datetime, stale_after: timedelta) -> StatusRow:
    found = (
        _with_problem(entry)
        or _verified(target, entry, present, now - stale_after)
        or _handed_over(entry, present)
        or _confirmed(entry, present)
        or _outdated(entry, present)
        or _not_verified(entry, present)
    )
    state, since, what = found
    refused = f"; refused so far: {_describe(entry.failed)}" if entry.failed is not None and _never_assumed(entry) else ""
    bundled = bool(present.bundle) and not present.bundle_is_old
    return StatusRow(target, entry, state, since, f"{what}{refused}", bundled, present.bundle_is_old)


_Finding = tuple[CustomerState, datetime | None, str]


def _with_problem(entry: StatusEntry) -> _Finding | None:
    if _never_assumed(entry):
        return None
    for state, problem in ((CustomerState.FAILED, entry.failed), (CustomerState.DRIFTING, entry.drifting)):
        if problem is not None:
            return state, parse_date(problem.since), _describe(problem)
    return None


def _verified(target: Target, entry: StatusEntry, present: CurrentDigests, limit: datetime) -> _Finding | None:
    """Verified with the current module, and no other module was handed over or found since."""
    verified = entry.verified
    if verified is None or (present.module and verified.module != present.module) or _pending(entry, present):
        return None
    if any(not each.gone and each.date > verified.date and each.module != present.module for each in entry.versions):
        return None
    when = parse_date(verified.date)
    return CustomerState.STALE if when < limit else CustomerState.VERIFIED, when, _id_note(target, entry) or "as agreed"


def _handed_over(entry: StatusEntry, present: CurrentDigests) -> _Finding | None:
    """The current module was handed over, and was not verified since."""
    handed = entry.handed_over
    if handed is None or not _may_be_same(handed.module, present.module):
        return None
    pending = _pending(entry, present)
    if pending is not None and pending.date >= handed.date:
        what = pending.what if pending.unseen else f"waiting for its apply; {pending.what}"
        return CustomerState.HANDED_OVER, parse_date(handed.date), what
    if entry.verified is not None:
        return CustomerState.HANDED_OVER, parse_date(handed.date), "waiting for the newer module to be applied"
    if entry.applied is not None:
        return CustomerState.APPLIED, parse_date(entry.applied), "the role can be assumed; not verified yet"
    same = _may_be_same(handed.bundle, present.bundle) or present.bundle_is_old
    rewritten = "" if same else "; the bundle was rebuilt since, with the same module"
    return CustomerState.HANDED_OVER, parse_date(handed.date), f"waiting for its apply{rewritten}"


def _never_assumed(entry: StatusEntry) -> bool:
    """Whether the role has never been assumed: not a failure, since the customer has yet to apply the module."""
    return entry.applied is None and entry.failed is not None and set(entry.failed.steps) == {str(Step.ASSUME)}


def _pending(entry: StatusEntry, present: CurrentDigests) -> Pending | None:
    """The pending state of the newest module, if it is still the newest."""
    pending = entry.pending
    return pending if pending is not None and pending.module in {"", present.module} else None


def _confirmed(entry: StatusEntry, present: CurrentDigests) -> _Finding | None:
    """A user confirmed that the current module is applied; not verified since."""
    confirmed = entry.confirmed
    if confirmed is None or not confirmed.module or confirmed.module != present.module or _pending(entry, present):
        return None
    return (
        CustomerState.APPLIED,
        parse_date(confirmed.date),
        "the newest module is applied according to --applied; not verified since",
    )


def _outdated(entry: StatusEntry, present: CurrentDigests) -> _Finding | None:
    """The customer had a module, and the current one is not confirmed to be applied."""
    if (pending := _pending(entry, present)) is not None:
        ahead = "" if pending.module else " (the manifest is newer than the generated module)"
        return CustomerState.OUTDATED, parse_date(pending.since), f"{pending.what}{ahead}"
    events = [
        (known.date, how) for known, how in ((entry.verified, "verified"), (entry.handed_over, "handed over")) if known
    ]
    if not events:
        return None
    date, how = max(events)
    what = f"the module was generated again after it was {how}; the newer one has not been applied yet"
    return CustomerState.OUTDATED, parse_date(date), what


def _not_verified(entry: StatusEntry, present: CurrentDigests) -> _Finding:
    if entry.applied is not None:
        return CustomerState.APPLIED, parse_date(entry.applied), "the role can be assumed; not verified yet"
    what = "module generated" if present.module else "no module generated"
    if present.bundle:
        what = "the bundle is older than the module" if present.bundle_is_old else "bundle generated"
    return CustomerState.NOT_HANDED_OVER, None, what


def _may_be_same(recorded: str, current: str) -> bool:
    """Whether two digests are equal or one of them is not known."""
    return not recorded or not current or recorded == current


def _describe(problem: LastProblem) -> str:
    more = f" and {len(problem.causes) - _MAX_CAUSES} more" if len(problem.causes) > _MAX_CAUSES else ""
    causes = ", ".join(problem.causes[:_MAX_CAUSES])
    return f"{problem.what} [{causes}{more}]" if causes else problem.what


def _id_note(target: Target, entry: StatusEntry) -> str:
    """A note during a rotation, or if the accepted external ID is not that of the manifest; otherwise empty."""
    if target.external_id is None:
        return ""
    seen = entry.external_id_seen is not None and entry.external_id_seen.sha256 == external_id_digest(target.external_id)
    if target.previous_external_id is not None:
        return (
            "as agreed; the new external ID is accepted: the rotation can be finished"
            if seen
            else "as agreed; the new external ID is not accepted yet"
        )
    if entry.external_id_seen is not None and not seen:
        return "as agreed, with an external ID other than that of the manifest"
    return ""


STALE_AFTER = timedelta(days=7)
Sort = Literal["state", "name", "age", "manifest"]
_SORT_FUNCTIONS: Mapping[Sort, Callable[[Sequence[StatusRow]], Sequence[StatusRow]]] = {
    "state": by_urgency,
    "name": by_name,
    "age": by_age,
    "manifest": tuple,
}


@dataclass(frozen=True, slots=True)
class StatusPlace:
    """Manifest and output folder. `rehearsal`: use the status file of sandboxes. `own_sandbox`: --sandbox was given."""

    manifest: Path = DEFAULT_MANIFEST
    out: Path = DEFAULT_OUT
    rehearsal: bool = False
    own_sandbox: bool = False

    @property
    def status(self) -> Path:
        """Path of the status file."""
        return status_path(self.out, rehearsal=self.rehearsal)

    def command(self, command: str) -> str:
        """Add the options that differ from their defaults to a command, for hints."""
        line = command_line(command, self.manifest, self.out)
        return f"{line} --sandbox" if self.own_sandbox and command.startswith("runner ") else line


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The sorted and filtered rows, and the number of all selected targets per state."""

    place: StatusPlace
    rows: Sequence[StatusRow]
    counts: Mapping[CustomerState, int]
    now: datetime


def select_targets(place: StatusPlace, names: Sequence[str], labels: Sequence[str]) -> tuple[Target, ...]:
    """The targets with one of the names (or patterns) and all the labels (`key=value`); all targets if both are empty.

    Raises ManifestError, PlanError, OutputError and SelectionError.
    """
    if wrong := [text for text in labels if "=" not in text]:
        raise SelectionError(f"{wrong[0]} is not a label", where="--label", hint="use key=value, for example tier=gold")
    targets = read_inventory(place.manifest, out=place.out).targets
    pattern = ":".join([*(names or ("all",)), *(f"&{text}" for text in labels)])
    try:
        return select(targets, pattern)
    except SelectionError as error:  # replaces `--limit`, which is an option of runner verify
        error.where = "NAME" if names else "--label"
        raise


def record_handover(place: StatusPlace, targets: Sequence[Target], now: datetime, form: str = "") -> None:
    """Record that the content of the output folder was handed over to the targets, and how they apply it, if known.

    Raises SelectionError if nothing is written for a target, or if its bundle is older than its module.
    """
    found = read_output_digests(place.out)
    missing = [target.name for target in targets if not (found.bundle(target) or found.module(target))]
    if missing:
        rest = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        what = f"no module or bundle has been generated for {missing[0]}{rest}"
        raise SelectionError(what, where=str(place.out), hint=f"run gen terraform, then gen bundle {missing[0]}")
    if old := [target.name for target in targets if found.bundle_is_old(target)]:
        rest = f" and {len(old) - 1:,} more" if len(old) > 1 else ""
        what = f"the bundle of {old[0]}{rest} is older than the module"
        raise SelectionError(what, where=str(place.out), hint=place.command(f"gen bundle {shlex.quote(old[0])}"))
    by_role = access_by_role(read_access(place.manifest, place.out))
    store_handover(
        place.out,
        targets,
        now=now,
        rehearsal=place.rehearsal,
        access=lambda target: by_role.get(target.role_arn),
        form=form,
    )


def confirm_applied(place: StatusPlace, targets: Sequence[Target], now: datetime) -> None:
    """Record that the targets' modules are applied. Raises SelectionError if one has no written module."""
    found = read_output_digests(place.out)
    if missing := [target.name for target in targets if not found.module(target)]:
        what = f"no module has been generated for {missing[0]}"
        raise SelectionError(what, where=str(place.out), hint=place.command("gen terraform"))
    store_confirmation(place.out, targets, now=now, rehearsal=place.rehearsal)


def set_form(place: StatusPlace, targets: Sequence[Target], form: str) -> None:
    """Record how the targets apply modules. Raises StatusError."""
    store_form(place.out, targets, form, rehearsal=place.rehearsal)


def make_status_report(
    place: StatusPlace,
    targets: Sequence[Target],
    *,
    now: datetime,
    stale_after: timedelta = STALE_AFTER,
    states: Collection[str] = (),
    sort: Sort = "state",
) -> StatusReport:
    """Report the state of the targets. Raises StatusError, or OutputError for an invalid lock file."""
    status = read_status(place.status)
    found = read_output_digests(place.out)

    def present(target: Target) -> CurrentDigests:
        return CurrentDigests(found.module(target), found.bundle(target), found.bundle_is_old(target))

    rows = overview(targets, status, present, now=now, stale_after=stale_after)
    wanted = [row for row in rows if not states or row.state in states]
    return StatusReport(place, _SORT_FUNCTIONS[sort](wanted), counts(rows), now)
