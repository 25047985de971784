"""A customer is outdated until a verify run detects the newest module, or a user confirms what no call can detect."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rolecall_generator.iam.model import Access, Role
from rolecall_generator.iam.policy import PolicyDocument, Statement
from rolecall_runner.status.overview import CurrentDigests, CustomerState, StatusRow, overview
from rolecall_runner.status.status_file import (
    Confirmation,
    HandoverRecord,
    ModuleVersion,
    StatusEntry,
    StatusFile,
    VerifiedEntry,
    change_status,
    read_module_history,
    read_status,
)
from rolecall_runner.status.update import apply_verdict
from rolecall_runner.verify.context import encode_access
from rolecall_runner.verify.verdict import OLDER_MODULE, Check, Diagnosis, Mark, Step, Verdict
from status_rig import MONDAY, NEW, NOW, OLD, TUESDAY, WEDNESDAY, not_there, target
from verdict_worlds import verdict

NEWEST = "2" * 64


def granting(*actions: str) -> dict[str, Any]:
    """A module's snapshot."""
    policy = PolicyDocument((Statement("Allow", actions, ("*",)),))
    return encode_access(Access.of(Role(target().role_arn, None, {"main": policy})))


GRANTS = {OLD: granting("s3:ListAllMyBuckets", "sqs:ListQueues"), NEW: granting("sqs:ListQueues"), NEWEST: granting()}


def called(entry: StatusEntry, found: Verdict, date: str, module: str) -> StatusEntry:
    return apply_verdict(entry, target(), found, date=date, run="r", module=module, access=lambda: GRANTS.get(module))


def verified_with(module: str, date: str = MONDAY) -> StatusEntry:
    return called(StatusEntry(target().role_arn), verdict(), date, module)


def saying(mark: Mark, **evidence: Any) -> Verdict:
    """A verify run with a result for the newest module; FAILED means that a withdrawn action still works."""
    checks = [*verdict().checks]
    if mark is Mark.FAILED:
        older = {"action": "s3:ListAllMyBuckets", OLDER_MODULE: True}
        checks.append(Check(Step.OUTSIDE, Mark.FAILED, "s3:ListAllMyBuckets still works", evidence=older))
    checks.append(Check(Step.MODULE, mark, "the newest module", evidence=evidence))
    diagnoses = (Diagnosis("newer-module-not-applied", "v", "c", update=True),) if mark is Mark.FAILED else ()
    return replace(verdict(), checks=tuple(checks), diagnoses=diagnoses)


def row(entry: StatusEntry, module: str = NEW, **present: Any) -> StatusRow:
    known = StatusFile({("customer", "account1"): entry})
    here = CurrentDigests(module, **present)
    return overview([target()], known, lambda _t: here, now=NOW, stale_after=timedelta(days=30))[0]


def test_working_withdrawn_action_is_outdated_not_failing() -> None:
    """In every run; the state dates from the first such verify run."""
    entry = verified_with(OLD)
    for date in (TUESDAY, WEDNESDAY):
        entry = called(entry, saying(Mark.FAILED), date, NEW)
    found = row(entry)

    assert (CustomerState.OUTDATED, datetime.fromisoformat(TUESDAY), None) == (found.state, found.since, entry.failed)
    assert OLD == (entry.verified and entry.verified.module)


def test_run_that_detects_the_change_ends_outdated() -> None:
    """The earlier module is marked as gone but kept, so that later runs try its actions too."""
    entry = called(called(verified_with(OLD), saying(Mark.FAILED), TUESDAY, NEW), saying(Mark.OK), WEDNESDAY, NEW)

    assert (CustomerState.VERIFIED, None) == (row(entry).state, entry.pending)
    assert [(OLD, WEDNESDAY), (NEW, "")] == [(each.module, each.gone) for each in entry.versions]


def test_undetectable_change_is_outdated_until_confirmed() -> None:
    """The confirmation holds only as long as later verify runs agree."""
    unseen = saying(Mark.SKIPPED, unseen=["s3:PutObject (withdrawn)"])
    entry = called(called(verified_with(OLD), unseen, TUESDAY, NEW), unseen, WEDNESDAY, NEW)
    confirmed = replace(entry, confirmed=Confirmation(WEDNESDAY, NEW), pending=None)
    again = called(confirmed, unseen, WEDNESDAY, NEW)
    refuted = called(confirmed, saying(Mark.FAILED), WEDNESDAY, NEW)

    assert (CustomerState.OUTDATED, ("s3:PutObject (withdrawn)",)) == (
        row(entry).state,
        entry.pending and entry.pending.unseen,
    )
    assert CustomerState.APPLIED == row(confirmed).state
    assert CustomerState.VERIFIED == row(again).state
    assert (CustomerState.OUTDATED, None) == (row(refuted).state, refuted.confirmed)


def test_confirmation_applies_to_one_module() -> None:
    """A newer module requires another one."""
    confirmed = replace(verified_with(OLD), confirmed=Confirmation(TUESDAY, NEW))

    assert CustomerState.OUTDATED == row(confirmed, NEWEST).state


def test_several_modules_in_a_row() -> None:
    """Modules were handed over but never detected: the customer may have any of them until the newest is detected."""
    entry = verified_with(OLD)
    version = ModuleVersion(NEW, TUESDAY, GRANTS[NEW])
    entry = replace(entry, handed_over=HandoverRecord(TUESDAY, "", NEW), versions=(*entry.versions, version))
    pending = called(entry, saying(Mark.FAILED), WEDNESDAY, NEWEST)
    seen = called(pending, saying(Mark.OK), WEDNESDAY, NEWEST)

    assert [OLD, NEW] == [each.module for each in pending.versions if not each.gone]
    assert CustomerState.OUTDATED == row(pending, NEWEST).state
    assert [NEWEST] == [each.module for each in seen.versions if not each.gone]
    assert CustomerState.VERIFIED == row(seen, NEWEST).state


def test_change_reverted_after_handover_is_not_verified() -> None:
    """The first module was verified, the second handed over, the first written again: the customer may have the second."""
    entry = verified_with(OLD)
    handed = replace(
        entry,
        handed_over=HandoverRecord(TUESDAY, "", NEW),
        versions=(*entry.versions, ModuleVersion(NEW, TUESDAY, GRANTS[NEW])),
    )

    assert CustomerState.VERIFIED == row(entry, OLD).state
    assert CustomerState.VERIFIED != row(handed, OLD).state


def test_entry_of_older_version_has_unknown_module() -> None:
    """It has only the digest of the earlier module, not its permissions, so no call can detect the change."""
    entry = StatusEntry(target().role_arn, applied=MONDAY, verified=VerifiedEntry(MONDAY, "r", OLD))
    found = called(entry, verdict(), TUESDAY, NEW)
    same = called(entry, verdict(), TUESDAY, OLD)
    read = called(entry, verdict(drift="ok"), TUESDAY, NEW)

    assert [CustomerState.OUTDATED, CustomerState.VERIFIED] == [row(found).state, row(same, OLD).state]
    assert CustomerState.VERIFIED == row(read).state


def test_manifest_newer_than_module_verifies_no_module() -> None:
    """The manifest changed and `gen terraform` has not been run."""
    entry = apply_verdict(
        verified_with(OLD), target(), verdict(), date=TUESDAY, run="r", module="", access=lambda: GRANTS[NEW]
    )

    assert CustomerState.VERIFIED != row(entry, OLD).state
    assert CustomerState.VERIFIED == row(called(entry, verdict(), WEDNESDAY, NEW), NEW).state


def test_other_failure_with_older_module_is_failing() -> None:
    """Only failures that the earlier module explains are ignored."""
    both = saying(Mark.FAILED)
    other = Check(Step.ASSUME_AGAIN, Mark.FAILED, "It was refused a moment later.")
    entry = called(verified_with(OLD), replace(both, checks=(*both.checks, other)), TUESDAY, NEW)

    assert (CustomerState.FAILED, "It was refused a moment later.") == (row(entry).state, entry.failed and entry.failed.what)


@pytest.mark.parametrize(
    "cause", ["own-policy-denies", "own-session-policy", "own-endpoint-policy", "own-organization-policy"]
)
def test_vendor_side_refusal_keeps_the_state(cause: str) -> None:
    ours = replace(not_there(), diagnoses=(Diagnosis(cause, "Ours.", ""),))
    entry = called(verified_with(NEW), ours, TUESDAY, NEW)

    assert (CustomerState.VERIFIED, None) == (row(entry).state, entry.failed)


def test_bundle_older_than_module_is_reported() -> None:
    """It does not count as written, and the next step is to build it again."""
    found = row(StatusEntry(target().role_arn), bundle="b", bundle_is_old=True)

    assert (CustomerState.NOT_HANDED_OVER, "the bundle is older than the module", False, True) == (
        found.state,
        found.what,
        found.bundled,
        found.bundle_is_old,
    )


def test_history_round_trips_through_the_file(tmp_path: Path) -> None:
    """Earlier modules as access, removed ones marked; another role of the same name has no history."""
    path = tmp_path / "status.json"
    entry = replace(called(verified_with(OLD), saying(Mark.OK), TUESDAY, NEW), form="cloudformation")
    change_status(path, lambda _before: {("customer", "account1"): entry})
    history = read_module_history(path, [target()])

    assert entry == read_status(path).entry(target())
    assert [True, False] == [each.gone for each in history.earlier["customer", "account1"]]
    assert "cloudformation" == history.forms["customer", "account1"]
    assert {} == read_module_history(path, [target(role_arn="arn:aws:iam::333333333333:role/role1")]).earlier
    assert json.loads(path.read_text())["customers"]["account1"]["versions"][0]["gone"] == TUESDAY
