"""A customer's state, computed from its entry and the output folder."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rolecall_runner.inventory.targets import Target
from rolecall_runner.status.overview import (
    CurrentDigests,
    CustomerState,
    StatusRow,
    by_age,
    by_name,
    by_urgency,
    counts,
    overview,
)
from rolecall_runner.status.status_file import HandoverRecord, StatusEntry, StatusFile
from status_rig import MONDAY, NEW, NOW, OLD, TUESDAY, WEDNESDAY, after, drifted, not_there, switch_role, target
from verdict_worlds import verdict

WEEK = timedelta(days=7)


def row(
    entry: StatusEntry | None,
    present: CurrentDigests | None = None,
    who: Target | None = None,
    stale_after: timedelta = WEEK,
) -> StatusRow:
    """The row of one target whose current module is NEW."""
    one = who or target()
    status = StatusFile({} if entry is None else {one.key: entry})
    here = present or CurrentDigests(NEW)
    (found,) = overview([one], status, lambda _target: here, now=NOW, stale_after=stale_after)
    return found


def handed(module: str = NEW, bundle: str = "", date: str = MONDAY, entry: StatusEntry | None = None) -> StatusEntry:
    """An entry of a customer that received a module."""

    return replace(entry or StatusEntry(target().role_arn), handed_over=HandoverRecord(date, bundle, module))


def test_without_entry_shows_what_is_written() -> None:
    """Nothing, the module, or also the bundle."""
    said = [row(None, present).what for present in (CurrentDigests(), CurrentDigests(NEW), CurrentDigests(NEW, "b"))]

    assert ["no module generated", "module generated", "bundle generated"] == said
    assert (CustomerState.NOT_HANDED_OVER, None) == (row(None).state, row(None).since)


def test_handed_over_waits_for_the_apply() -> None:
    """Since the date of the handover."""
    found = row(handed())

    assert (CustomerState.HANDED_OVER, datetime.fromisoformat(MONDAY), "waiting for its apply") == (
        found.state,
        found.since,
        found.what,
    )


def test_role_never_seen_is_handed_over_not_failing() -> None:
    """Failed verify runs before the apply are mentioned in the row."""
    found = row(after((TUESDAY, not_there()), entry=handed()))

    assert CustomerState.HANDED_OVER == found.state
    assert (
        "waiting for its apply; refused so far: The role could not be assumed. "
        "[role-missing, external-id-differs, other-principal and 1 more]"
    ) == found.what
    assert CustomerState.NOT_HANDED_OVER == row(after((TUESDAY, not_there()))).state


def test_role_refusing_after_success_is_failing() -> None:
    """Since the first refusal."""
    found = row(after((MONDAY, verdict()), (TUESDAY, not_there()), (WEDNESDAY, not_there())))

    assert (CustomerState.FAILED, datetime.fromisoformat(TUESDAY)) == (found.state, found.since)


def test_verified_becomes_stale() -> None:
    """After the given number of days."""
    entry = after((WEDNESDAY, verdict()))

    assert CustomerState.VERIFIED == row(entry).state
    assert CustomerState.STALE == row(entry, stale_after=timedelta(days=5)).state
    assert "as agreed" == row(entry).what


def test_drift_is_more_urgent_than_outdated_module() -> None:
    """A failure is more urgent than drift."""
    drifting = after((MONDAY, verdict()), (TUESDAY, drifted()), module=OLD)
    failing = after((WEDNESDAY, not_there()), entry=drifting)

    assert [CustomerState.DRIFTING, CustomerState.FAILED] == [row(drifting).state, row(failing).state]


@pytest.mark.parametrize(
    ("entry", "how"),
    [(after((MONDAY, verdict()), module=OLD), "verified"), (handed(OLD), "handed over")],
    ids=["verified", "handed over"],
)
def test_rewritten_module_makes_customer_outdated(entry: StatusEntry, how: str) -> None:
    """Not if the output folder has no module."""
    found = row(entry)

    assert (CustomerState.OUTDATED, True) == (found.state, f"generated again after it was {how}" in found.what)
    assert CustomerState.OUTDATED != row(entry, CurrentDigests()).state


def test_newer_handed_over_module_awaits_apply() -> None:
    """The older one was verified and the newer one handed over."""
    found = row(handed(NEW, date=TUESDAY, entry=after((MONDAY, verdict()), module=OLD)))

    assert (CustomerState.HANDED_OVER, "waiting for the newer module to be applied") == (found.state, found.what)


def test_verified_newest_module_takes_precedence_over_older_handover() -> None:
    """The verify run compared the role with the current module."""
    assert CustomerState.VERIFIED == row(handed(OLD, entry=after((WEDNESDAY, verdict())))).state


def test_rebuilt_bundle_with_same_module_is_a_note() -> None:
    """The customer does not need it again."""
    found = row(handed(bundle="a"), CurrentDigests(NEW, "b"))

    assert (CustomerState.HANDED_OVER, True) == (
        found.state,
        "the bundle was rebuilt since, with the same module" in found.what,
    )


def test_applied_but_not_verified() -> None:
    """The role could be assumed, and the rest was inconclusive."""

    found = row(replace(handed(), applied=TUESDAY))

    assert (CustomerState.APPLIED, datetime.fromisoformat(TUESDAY)) == (found.state, found.since)
    assert CustomerState.APPLIED == row(StatusEntry(target().role_arn, applied=TUESDAY)).state


def test_rotation_is_reported() -> None:
    """With the accepted external ID, and whether the one of the manifest was ever accepted."""
    entry = after((WEDNESDAY, verdict()))
    rotating = target(previous_external_id="older-id")
    not_yet = target(external_id="newer-id", previous_external_id="the-id-of-account1")
    changed = target(external_id="newer-id")

    assert [
        "as agreed; the new external ID is accepted: the rotation can be finished",
        "as agreed; the new external ID is not accepted yet",
        "as agreed, with an external ID other than that of the manifest",
    ] == [row(entry, who=who).what for who in (rotating, not_yet, changed)]


def test_another_role_of_same_name_has_no_history() -> None:
    moved = target(account_id="333333333333", role_arn="arn:aws:iam::333333333333:role/role1")

    assert CustomerState.NOT_HANDED_OVER == row(after((WEDNESDAY, verdict())), who=moved).state


def test_orders_and_counts() -> None:
    """Sorted by urgency (oldest first), by name or by age; counts are in the order of urgency."""
    entries = {
        "d": after((MONDAY, verdict())),
        "b": after((MONDAY, verdict()), (WEDNESDAY, not_there())),
        "c": after((MONDAY, verdict()), (TUESDAY, not_there())),
        "a": None,
    }
    targets = [target(name) for name in entries]
    status = StatusFile({("customer", name): entry for name, entry in entries.items() if entry is not None})
    rows = overview(targets, status, lambda _target: CurrentDigests(NEW), now=NOW, stale_after=timedelta(days=30))

    assert ["c", "b", "a", "d"] == [each.target.name for each in by_urgency(rows)]
    assert ["a", "b", "c", "d"] == [each.target.name for each in by_name(rows)]
    assert ["a", "d", "c", "b"] == [each.target.name for each in by_age(rows)]
    assert {CustomerState.FAILED: 2, CustomerState.NOT_HANDED_OVER: 1, CustomerState.VERIFIED: 1} == counts(rows)
    assert [CustomerState.FAILED, CustomerState.NOT_HANDED_OVER, CustomerState.VERIFIED] == list(counts(rows))


def test_switch_role_has_its_own_row() -> None:
    """Even if a customer has the same name."""
    both = [target("same"), switch_role("same")]
    status = StatusFile({("customer", "same"): after((WEDNESDAY, verdict()))})
    rows = overview(both, status, lambda _target: CurrentDigests(NEW), now=NOW, stale_after=WEEK)

    assert [CustomerState.VERIFIED, CustomerState.NOT_HANDED_OVER] == [each.state for each in rows]
