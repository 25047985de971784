"""Actions of services that the sandbox lacks are skipped and counted separately, and never pass."""

from __future__ import annotations

import pytest

from rolecall_runner.aws.failures import Failure, Status
from rolecall_runner.query.execute import Count, QueryResult, Reason, RegionResult, outcome_of
from rolecall_runner.reports.summary import not_rehearsed_line
from rolecall_runner.verify.grants import check_of_probe
from rolecall_runner.verify.probe_call import ProbeResult, ProbeVerdict, SafeCall, verdict_of_failure
from rolecall_runner.verify.verdict import Mark, Step, Verdict

SAID = "An error occurred (SandboxUnsupported) when calling the DescribeReportDefinitions operation: The sandbox has no cur."
CALL = SafeCall("cur:DescribeReportDefinitions", "cur", "DescribeReportDefinitions")


def test_granted_action_is_skipped_with_reason() -> None:
    """The reason is what the sandbox lacks, and the verdict counts the action separately."""
    failure = Failure(Status.SKIPPED, "SandboxUnsupported", SAID)
    assert ProbeVerdict.NOT_OFFERED is verdict_of_failure(failure)
    for step in (Step.GRANTED, Step.OUTSIDE):
        check = check_of_probe(step, ProbeResult(CALL, "us-east-1", ProbeVerdict.NOT_OFFERED, failure.code, failure.message))
        assert Mark.SKIPPED is check.mark
        assert "not rehearsed: the sandbox has no cur" in check.what
        verdict = Verdict("acme", "customer", "222222222222", "arn", (check,))
        assert ("cur:DescribeReportDefinitions",) == verdict.not_rehearsed
        assert verdict == Verdict.from_json(verdict.to_json())
        assert Mark.OK is not verdict.mark


@pytest.mark.parametrize(("count", "more"), [(1, False), (7, True)])
def test_recap_names_actions_and_accounts(count: int, more: bool) -> None:
    """The first few actions are listed, the others are counted."""
    line = not_rehearsed_line({f"cur:Action{number}": 2 for number in range(count)})
    assert "cur:Action0 (2 accounts)" in line
    assert more is (" more" in line)


def test_query_of_missing_service_is_skipped() -> None:
    """It has its own reason, and worse results of other Regions take precedence."""
    missing = RegionResult(
        "us-east-1", Reason.NOT_REHEARSED, "2026-11-30T00:00:00+00:00", code="SandboxUnsupported", error="none"
    )
    fine = RegionResult("eu-west-1", Reason.OK, "2026-11-30T00:00:00+00:00")
    denied = RegionResult("eu-west-1", Reason.DENIED, "2026-11-30T00:00:00+00:00")
    assert Status.SKIPPED is outcome_of("222222222222", [missing]).status
    assert Status.SKIPPED is outcome_of("222222222222", [fine, missing]).status
    assert Status.REFUSED is outcome_of("222222222222", [missing, denied]).status
    count = Count()
    count.add(QueryResult("acme", "222222222222", (missing,)))
    assert {Reason.NOT_REHEARSED: 1} == count.reasons
