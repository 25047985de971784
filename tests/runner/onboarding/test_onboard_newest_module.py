"""Onboarding ends as verified only if the newest module is known to be applied."""

from __future__ import annotations

import json
from dataclasses import replace

from rolecall_runner.onboarding import OnboardingResult, PollAttempt
from rolecall_runner.reports.onboarding_output import headline, next_step, onboarding_json
from rolecall_runner.status.overview import StatusPlace
from rolecall_runner.status.status_file import Pending, StatusEntry
from status_rig import MONDAY, NEW, target
from verdict_worlds import verdict


def ended(*unseen: str, rehearsal: bool = False) -> OnboardingResult:
    pending = Pending(MONDAY, MONDAY, "r", "cannot be seen", NEW, unseen) if unseen else None
    found = replace(verdict(), rehearsal=rehearsal)
    entry = StatusEntry(target().role_arn, pending=pending)
    return OnboardingResult(target(), PollAttempt(found, 1, 0.0), found, "20261124-120000-0a1b2c", "", entry)


def test_undetectable_change_does_not_end_as_verified() -> None:
    """The change is named, and the next step is to confirm that the customer has applied it."""
    unseen = ended("s3:PutObject (withdrawn)")

    assert (True, False) == (ended().verified, unseen.verified)
    assert headline(unseen).startswith("? ")
    assert "s3:PutObject (withdrawn)" in headline(unseen)
    assert next_step(unseen, StatusPlace()).startswith("runner status account1 --applied")
    assert (False, ["s3:PutObject (withdrawn)"]) == (
        (body := json.loads(onboarding_json(unseen)))["verified"],
        body["unseen"],
    )


def test_changes_are_unseen_only_after_a_full_run() -> None:
    """During a rotation the previous ID can pass without a full run; an earlier run's record then says nothing about it."""
    found = ended("s3:PutObject (withdrawn)")

    assert (("s3:PutObject (withdrawn)",), ()) == (found.unseen, replace(found, run="").unseen)


def test_rehearsal_is_marked_in_headline_and_json() -> None:
    """A live onboarding is not."""
    assert [True, False] == [headline(ended(rehearsal=each)).startswith("rehearsal (sandbox): ") for each in (True, False)]
    assert [True, False] == [json.loads(onboarding_json(ended(rehearsal=each)))["rehearsal"] for each in (True, False)]
