"""What a roll call changes in a customer's entry."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from rolecall_runner.status.status_file import HandoverRecord, SeenId, StatusEntry, VerifiedEntry
from rolecall_runner.verify.verdict import ROTATION, WHICH, Check, Diagnosis, Mark, RotationState, Step, Verdict
from status_rig import MONDAY, NEW, OLD, TUESDAY, WEDNESDAY, after, drifted, not_there, target
from verdict_worlds import verdict, without_external_id

ID = hashlib.sha256(b"the-id-of-account1").hexdigest()


ROTATING = target(external_id="another-id", previous_external_id="the-id-of-account1")


def waiting() -> Verdict:
    """A roll call amid a rotation whose customer has not applied the new module."""
    found = verdict()
    opening = replace(found.checks[0], evidence={WHICH: "previous", ROTATION: RotationState.WAITING.value})
    refused = Check(Step.ASSUME, Mark.SKIPPED, "The new external id is refused so far.", evidence={WHICH: "current"})
    return replace(found, checks=(opening, *found.checks[1:], refused))


def test_a_good_roll_call_is_applied_verified_and_names_the_id_that_was_taken() -> None:
    """The first one sets all three dates; the id is kept as its digest alone."""
    found = after((MONDAY, verdict()))

    assert (MONDAY, VerifiedEntry(MONDAY, "run-of-2026-11-16", NEW)) == (found.applied, found.verified)
    assert SeenId(ID, MONDAY) == found.external_id_seen
    assert "the-id-of-account1" not in str(found)


def test_later_good_roll_calls_move_the_verdict_alone() -> None:
    """When the role was applied, and when the id was first taken, stays."""
    found = after((MONDAY, verdict()), (TUESDAY, verdict()))

    assert (MONDAY, TUESDAY) == (found.applied, found.verified and found.verified.date)
    assert SeenId(ID, MONDAY) == found.external_id_seen


def test_another_id_that_is_taken_has_a_date_of_its_own() -> None:
    """After a rotation the digest and the date are the new id's."""
    rotated = target(external_id="another-id")
    found = after((TUESDAY, verdict()), entry=after((MONDAY, verdict())), of=rotated)

    assert SeenId(hashlib.sha256(b"another-id").hexdigest(), TUESDAY) == found.external_id_seen


def test_the_previous_id_does_not_count_as_the_new_one() -> None:
    """Amid a rotation a role that takes the previous id alone has applied an older module, and is not failing."""
    before = after((MONDAY, verdict()), module=OLD)
    found = after((TUESDAY, waiting()), entry=before, of=ROTATING)

    assert SeenId(ID, MONDAY) == found.external_id_seen
    assert VerifiedEntry(TUESDAY, "run-of-2026-11-17", OLD) == found.verified
    assert None is found.failed


def test_a_rotation_whose_module_is_yet_to_be_written_leaves_the_customer_with_what_it_had() -> None:
    """Once gen terraform writes the new module, the customer is seen to have the older one."""
    before = after((MONDAY, verdict()), module=OLD)
    found = after((TUESDAY, waiting()), entry=before, of=ROTATING, module=OLD)

    assert VerifiedEntry(TUESDAY, "run-of-2026-11-17", OLD) == found.verified


def test_a_rotation_of_a_role_never_seen_before_does_not_name_a_module() -> None:
    """Which module such a customer has is not known."""
    found = after((TUESDAY, waiting()))

    assert ("", TUESDAY, None) == (found.verified and found.verified.module, found.applied, found.external_id_seen)


def test_failed_since_keeps_the_first_day() -> None:
    """A second failure moves the last day alone; what was verified before stays on record."""
    found = after((MONDAY, verdict()), (TUESDAY, not_there()), (WEDNESDAY, not_there()))

    assert found.failed is not None
    assert (TUESDAY, WEDNESDAY) == (found.failed.since, found.failed.date)
    assert "The role could not be assumed." == found.failed.what
    assert ("role-missing", "external-id-differs") == found.failed.causes[:2]
    assert MONDAY == (found.verified and found.verified.date)


def test_a_good_roll_call_ends_the_failure() -> None:
    """Then the next failure begins anew."""
    good = after((MONDAY, not_there()), (TUESDAY, verdict()))
    again = after((WEDNESDAY, not_there()), entry=good)

    assert None is good.failed
    assert WEDNESDAY == (again.failed and again.failed.since)


def test_drift_alone_is_no_failure() -> None:
    """It is kept apart, with its finding."""
    found = after((MONDAY, verdict()), (TUESDAY, drifted()))

    assert None is found.failed
    assert found.drifting is not None
    assert (TUESDAY, ("drift",), ("drift",)) == (found.drifting.since, found.drifting.causes, found.drifting.steps)


def test_what_was_not_tried_again_is_not_taken_back() -> None:
    """A roll call without drift says nothing about drift; one with it ends it."""
    short = replace(verdict(), checks=tuple(check for check in verdict().checks if check.step is not Step.DRIFT))
    still = after((MONDAY, drifted()), (TUESDAY, short))
    ended = after((WEDNESDAY, verdict(drift="ok")), entry=still)

    assert MONDAY == (still.drifting and still.drifting.since)
    assert None is ended.drifting


def test_a_failure_beside_drift_is_both() -> None:
    """Each of the two has its own first day."""
    both = replace(without_external_id("account1"), checks=verdict(no_external_id="failed", drift="failed").checks)
    found = after((MONDAY, drifted()), (TUESDAY, both))

    assert (TUESDAY, MONDAY) == (found.failed and found.failed.since, found.drifting and found.drifting.since)


def test_what_could_not_be_asked_changes_nothing_but_the_date() -> None:
    """A throttled or unreachable account is neither verified nor failed by it."""
    before = after((MONDAY, verdict()), (TUESDAY, not_there()))
    for mark in ("inconclusive", "unreachable"):
        found = after((WEDNESDAY, verdict(assume=mark)), entry=before)

        assert replace(before, last_run=found.last_run) == found
        assert (WEDNESDAY, mark) == (found.last_run and found.last_run.date, found.last_run and found.last_run.mark)


def test_a_roll_call_of_somebody_else_says_nothing_of_a_customer() -> None:
    """Run by hand under an administrator's credentials it fails everywhere: the fleet's state stays as it was."""
    stranger = replace(not_there(), diagnoses=(Diagnosis("wrong-caller", "Run it there.", ""),))
    before = after((MONDAY, verdict()))
    found = after((TUESDAY, stranger), entry=before)

    assert replace(before, last_run=found.last_run) == found
    assert (TUESDAY, "failed") == (found.last_run and found.last_run.date, found.last_run and found.last_run.mark)


def test_a_skipped_account_is_not_even_asked() -> None:
    """Another backend role carries it: this run knows nothing of it."""
    check = Check(Step.ASSUME, Mark.SKIPPED, "It trusts another backend role.")
    before = after((MONDAY, verdict()))

    assert before == after((TUESDAY, replace(verdict(), checks=(check,))), entry=before)


def test_no_secret_of_an_answer_is_kept() -> None:
    """What a check says is redacted, on one line, and not endless."""
    check = Check(Step.ASSUME, Mark.FAILED, f"It said\nAKIAIOSFODNN7EXAMPLE {'x ' * 500}")
    found = after((MONDAY, replace(verdict(), checks=(check,))))

    assert found.failed is not None
    assert "It said AKIA...MPLE x" == found.failed.what[:21]
    assert 300 == len(found.failed.what)


def test_a_hand_over_stays_through_roll_calls() -> None:
    """What was handed over is not touched by what is heard."""
    handed = HandoverRecord(MONDAY, "b", NEW)
    found = after((TUESDAY, not_there()), entry=StatusEntry(target().role_arn, handed_over=handed))

    assert handed == found.handed_over
