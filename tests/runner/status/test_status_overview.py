"""Where a customer stands, told from its entry and from what is in the output folder."""

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
    """An entry of a customer that got a module."""

    return replace(entry or StatusEntry(target().role_arn), handed_over=HandoverRecord(date, bundle, module))


def test_nothing_is_known() -> None:
    """What is written is said: nothing, the module, or the bundle too."""
    said = [row(None, present).what for present in (CurrentDigests(), CurrentDigests(NEW), CurrentDigests(NEW, "b"))]

    assert ["no module generated", "module generated", "bundle generated"] == said
    assert (CustomerState.NOT_HANDED_OVER, None) == (row(None).state, row(None).since)


def test_handed_over_waits_for_the_apply() -> None:
    """Since the day of the hand-over."""
    found = row(handed())

    assert (CustomerState.HANDED_OVER, datetime.fromisoformat(MONDAY), "waiting for its apply") == (
        found.state,
        found.since,
        found.what,
    )


def test_a_role_that_was_never_there_is_no_failure() -> None:
    """Roll calls in vain before the apply leave it handed over, and say so."""
    found = row(after((TUESDAY, not_there()), entry=handed()))

    assert CustomerState.HANDED_OVER == found.state
    assert (
        "waiting for its apply; refused so far: The role could not be assumed. "
        "[role-missing, external-id-differs, other-principal and 1 more]"
    ) == found.what
    assert CustomerState.NOT_HANDED_OVER == row(after((TUESDAY, not_there()))).state


def test_a_role_that_is_gone_is_a_failure() -> None:
    """What let us in once and refuses now has failed since the first refusal."""
    found = row(after((MONDAY, verdict()), (TUESDAY, not_there()), (WEDNESDAY, not_there())))

    assert (CustomerState.FAILED, datetime.fromisoformat(TUESDAY)) == (found.state, found.since)


def test_verified_grows_stale() -> None:
    """A verdict counts for as long as is asked for."""
    entry = after((WEDNESDAY, verdict()))

    assert CustomerState.VERIFIED == row(entry).state
    assert CustomerState.STALE == row(entry, stale_after=timedelta(days=5)).state
    assert "as agreed" == row(entry).what


def test_drift_is_more_urgent_than_an_old_module() -> None:
    """And a failure more than drift."""
    drifting = after((MONDAY, verdict()), (TUESDAY, drifted()), module=OLD)
    failing = after((WEDNESDAY, not_there()), entry=drifting)

    assert [CustomerState.DRIFTING, CustomerState.FAILED] == [row(drifting).state, row(failing).state]


@pytest.mark.parametrize(
    ("entry", "how"),
    [(after((MONDAY, verdict()), module=OLD), "verified"), (handed(OLD), "handed over")],
    ids=["verified", "handed over"],
)
def test_a_module_written_anew_is_noticed(entry: StatusEntry, how: str) -> None:
    """The customer has the older one; nothing is claimed where no module is written here."""
    found = row(entry)

    assert (CustomerState.OUTDATED, True) == (found.state, f"generated again after it was {how}" in found.what)
    assert CustomerState.OUTDATED != row(entry, CurrentDigests()).state


def test_the_newer_module_that_went_out_is_waited_for() -> None:
    """Verified with the older, handed the newer: the apply is what is missing."""
    found = row(handed(NEW, date=TUESDAY, entry=after((MONDAY, verdict()), module=OLD)))

    assert (CustomerState.HANDED_OVER, "waiting for the newer module to be applied") == (found.state, found.what)


def test_verified_with_the_newest_module_outweighs_an_older_hand_over() -> None:
    """The roll call was held against what is written now."""
    assert CustomerState.VERIFIED == row(handed(OLD, entry=after((WEDNESDAY, verdict())))).state


def test_a_bundle_written_anew_with_the_same_module_is_a_note() -> None:
    """The customer need not get it again."""
    found = row(handed(bundle="a"), CurrentDigests(NEW, "b"))

    assert (CustomerState.HANDED_OVER, True) == (
        found.state,
        "the bundle was rebuilt since, with the same module" in found.what,
    )


def test_applied_but_not_verified() -> None:
    """The role let us in, and then nothing could be said."""

    found = row(replace(handed(), applied=TUESDAY))

    assert (CustomerState.APPLIED, datetime.fromisoformat(TUESDAY)) == (found.state, found.since)
    assert CustomerState.APPLIED == row(StatusEntry(target().role_arn, applied=TUESDAY)).state


def test_rotations_are_said() -> None:
    """Which of the two ids was taken, and where the manifest's id was never seen."""
    entry = after((WEDNESDAY, verdict()))
    rotating = target(previous_external_id="older-id")
    not_yet = target(external_id="newer-id", previous_external_id="the-id-of-account1")
    changed = target(external_id="newer-id")

    assert [
        "as agreed; the new external ID is accepted: the rotation can be finished",
        "as agreed; the new external ID is not accepted yet",
        "as agreed, with an external ID other than that of the manifest",
    ] == [row(entry, who=who).what for who in (rotating, not_yet, changed)]


def test_another_role_of_the_same_name_starts_anew() -> None:
    """The history of another account's role is not this one's."""
    moved = target(account_id="333333333333", role_arn="arn:aws:iam::333333333333:role/role1")

    assert CustomerState.NOT_HANDED_OVER == row(after((WEDNESDAY, verdict())), who=moved).state


def test_orders_and_counts() -> None:
    """By urgency (the oldest first), by name, by how long nothing was heard; counts in the order of urgency."""
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


def test_a_switch_role_has_a_row_of_its_own() -> None:
    """A customer of the same name does not hide it."""
    both = [target("same"), switch_role("same")]
    status = StatusFile({("customer", "same"): after((WEDNESDAY, verdict()))})
    rows = overview(both, status, lambda _target: CurrentDigests(NEW), now=NOW, stale_after=WEEK)

    assert [CustomerState.VERIFIED, CustomerState.NOT_HANDED_OVER] == [each.state for each in rows]
