"""How a verify run updates a customer's entry."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from rolecall_runner.status.status_file import HandoverRecord, RunOutcome, SeenId, StatusEntry, VerifiedEntry
from rolecall_runner.status.update import HISTORY_KEPT, apply_verdict
from rolecall_runner.verify.verdict import (
    OLDER_MODULE,
    ROTATION,
    WHICH,
    Check,
    Diagnosis,
    Mark,
    RotationState,
    Step,
    Verdict,
)
from status_rig import MONDAY, NEW, OLD, TUESDAY, WEDNESDAY, after, drifted, not_there, target
from verdict_worlds import verdict, without_external_id

ID = hashlib.sha256(b"the-id-of-account1").hexdigest()


ROTATING = target(external_id="another-id", previous_external_id="the-id-of-account1")


def waiting() -> Verdict:
    """A verify run during a rotation whose customer has not applied the new module."""
    found = verdict()
    opening = replace(found.checks[0], evidence={WHICH: "previous", ROTATION: RotationState.WAITING.value})
    refused = Check(Step.ASSUME, Mark.SKIPPED, "The new external id is refused so far.", evidence={WHICH: "current"})
    return replace(found, checks=(opening, *found.checks[1:], refused))


def test_passing_run_sets_applied_verified_and_accepted_id() -> None:
    """The first one sets all three dates; only the digest of the external ID is stored."""
    found = after((MONDAY, verdict()))

    assert (MONDAY, VerifiedEntry(MONDAY, "run-of-2026-11-16", NEW)) == (found.applied, found.verified)
    assert SeenId(ID, MONDAY) == found.external_id_seen
    assert "the-id-of-account1" not in str(found)


def test_later_passing_runs_update_only_the_verdict() -> None:
    """The dates of the apply and of the first acceptance of the ID stay."""
    found = after((MONDAY, verdict()), (TUESDAY, verdict()))

    assert (MONDAY, TUESDAY) == (found.applied, found.verified and found.verified.date)
    assert SeenId(ID, MONDAY) == found.external_id_seen


def test_newly_accepted_id_has_its_own_date() -> None:
    """After a rotation digest and date are those of the new ID."""
    rotated = target(external_id="another-id")
    found = after((TUESDAY, verdict()), entry=after((MONDAY, verdict())), of=rotated)

    assert SeenId(hashlib.sha256(b"another-id").hexdigest(), TUESDAY) == found.external_id_seen


def test_previous_id_does_not_count_as_new_one() -> None:
    """During a rotation a role that accepts only the previous ID has an older module, and is not failing."""
    before = after((MONDAY, verdict()), module=OLD)
    found = after((TUESDAY, waiting()), entry=before, of=ROTATING)

    assert SeenId(ID, MONDAY) == found.external_id_seen
    assert VerifiedEntry(TUESDAY, "run-of-2026-11-17", OLD) == found.verified
    assert None is found.failed


def test_rotation_before_gen_terraform_keeps_the_module() -> None:
    """Once gen terraform writes the new module, the customer is outdated."""
    before = after((MONDAY, verdict()), module=OLD)
    found = after((TUESDAY, waiting()), entry=before, of=ROTATING, module=OLD)

    assert VerifiedEntry(TUESDAY, "run-of-2026-11-17", OLD) == found.verified


def test_rotation_of_unverified_role_has_unknown_module() -> None:
    found = after((TUESDAY, waiting()))

    assert ("", TUESDAY, None) == (found.verified and found.verified.module, found.applied, found.external_id_seen)


def test_failed_since_keeps_first_date() -> None:
    """A second failure updates only the last date; the earlier verification stays recorded."""
    found = after((MONDAY, verdict()), (TUESDAY, not_there()), (WEDNESDAY, not_there()))

    assert found.failed is not None
    assert (TUESDAY, WEDNESDAY) == (found.failed.since, found.failed.date)
    assert "The role could not be assumed." == found.failed.what
    assert ("role-missing", "external-id-differs") == found.failed.causes[:2]
    assert MONDAY == (found.verified and found.verified.date)


def test_passing_run_ends_the_failure() -> None:
    """The next failure starts with a new date."""
    good = after((MONDAY, not_there()), (TUESDAY, verdict()))
    again = after((WEDNESDAY, not_there()), entry=good)

    assert None is good.failed
    assert WEDNESDAY == (again.failed and again.failed.since)


def test_drift_is_not_a_failure() -> None:
    """It is stored separately, with its finding."""
    found = after((MONDAY, verdict()), (TUESDAY, drifted()))

    assert None is found.failed
    assert found.drifting is not None
    assert (TUESDAY, ("drift",), ("drift",)) == (found.drifting.since, found.drifting.causes, found.drifting.steps)


def test_run_without_drift_check_keeps_drift() -> None:
    """A run that includes the drift check can end it."""
    short = replace(verdict(), checks=tuple(check for check in verdict().checks if check.step is not Step.DRIFT))
    still = after((MONDAY, drifted()), (TUESDAY, short))
    ended = after((WEDNESDAY, verdict(drift="ok")), entry=still)

    assert MONDAY == (still.drifting and still.drifting.since)
    assert None is ended.drifting


def test_failure_and_drift_are_both_recorded() -> None:
    """Each has its own first date."""
    both = replace(without_external_id("account1"), checks=verdict(no_external_id="failed", drift="failed").checks)
    found = after((MONDAY, drifted()), (TUESDAY, both))

    assert (TUESDAY, MONDAY) == (found.failed and found.failed.since, found.drifting and found.drifting.since)


def test_inconclusive_run_changes_only_the_date() -> None:
    """A throttled or unreachable account is neither verified nor failed."""
    before = after((MONDAY, verdict()), (TUESDAY, not_there()))
    for mark in ("inconclusive", "unreachable"):
        found = after((WEDNESDAY, verdict(assume=mark)), entry=before)

        assert replace(before, last_run=found.last_run, history=found.history) == found
        assert (WEDNESDAY, mark) == (found.last_run and found.last_run.date, found.last_run and found.last_run.mark)


def test_run_with_other_credentials_changes_no_state() -> None:
    """A manual run with administrator credentials fails for every customer and must not affect the fleet's status."""
    stranger = replace(not_there(), diagnoses=(Diagnosis("wrong-caller", "Run it there.", ""),))
    before = after((MONDAY, verdict()))
    found = after((TUESDAY, stranger), entry=before)

    assert replace(before, last_run=found.last_run, history=found.history) == found
    assert (TUESDAY, "failed") == (found.last_run and found.last_run.date, found.last_run and found.last_run.mark)


def test_skipped_account_is_not_updated() -> None:
    """Another backend role is responsible for it."""
    check = Check(Step.ASSUME, Mark.SKIPPED, "It trusts another backend role.")
    before = after((MONDAY, verdict()))

    assert before == after((TUESDAY, replace(verdict(), checks=(check,))), entry=before)


def test_stored_message_contains_no_secret() -> None:
    """It is redacted, truncated, and on one line."""
    check = Check(Step.ASSUME, Mark.FAILED, f"It said\nAKIAIOSFODNN7EXAMPLE {'x ' * 500}")
    found = after((MONDAY, replace(verdict(), checks=(check,))))

    assert found.failed is not None
    assert "It said AKIA...MPLE x" == found.failed.what[:21]
    assert 300 == len(found.failed.what)


def test_verify_runs_keep_the_handover() -> None:
    handed = HandoverRecord(MONDAY, "b", NEW)
    found = after((TUESDAY, not_there()), entry=StatusEntry(target().role_arn, handed_over=handed))

    assert handed == found.handed_over


def older_module() -> Verdict:
    """A verify run whose only failed checks show that an earlier module is still applied."""
    works = Check(Step.OUTSIDE, Mark.FAILED, "s3:ListAllMyBuckets still works", evidence={OLDER_MODULE: True})
    return replace(verdict(), checks=(*verdict().checks, works, Check(Step.MODULE, Mark.FAILED, "not applied")))


def outcomes(entry: StatusEntry) -> list[RunOutcome]:
    return [run.outcome for run in entry.runs]


def test_history_has_the_outcome_of_each_run() -> None:
    """The newest last; a refusal by the vendor's own side is inconclusive, since it shows nothing about the customer."""
    own_side = replace(not_there(), diagnoses=(Diagnosis("wrong-caller", "Run it there.", ""),))
    runs = [
        not_there(), verdict(), drifted(), not_there(), older_module(), verdict(assume="inconclusive"),
        verdict(assume="unreachable"), own_side,
    ]  # fmt: skip
    found = after(*((f"2026-11-{day:02}T12:00:00+00:00", run) for day, run in enumerate(runs, 1)))

    assert [
        "not-applied", "ok", "drifting", "failed", "outdated", "inconclusive", "unreachable", "inconclusive",
    ] == outcomes(found)  # fmt: skip
    assert "2026-11-01T12:00:00+00:00" == found.runs[0].date


def test_history_is_bounded() -> None:
    """The oldest runs are removed."""
    found = after(*((f"2026-10-{day:02}T12:00:00+00:00", verdict()) for day in range(1, HISTORY_KEPT + 2)))

    assert HISTORY_KEPT == len(found.history)
    assert "2026-10-02T12:00:00+00:00" == found.runs[0].date


def test_resumed_run_is_in_the_history_once() -> None:
    """A run that was interrupted records its verdicts again when it is resumed."""
    first = after((MONDAY, verdict()), (TUESDAY, not_there()))
    resumed = apply_verdict(first, target(), drifted(), date=WEDNESDAY, run="run-of-2026-11-17", module=NEW)

    assert [RunOutcome.OK, RunOutcome.DRIFTING] == outcomes(resumed)


def test_skipped_account_has_no_history() -> None:
    check = Check(Step.ASSUME, Mark.SKIPPED, "It trusts another backend role.")

    assert () == after((MONDAY, replace(verdict(), checks=(check,)))).history
