"""What is not an answer is never taken for one: throttles, 5xx, disabled Regions, services that no one switched on."""

from __future__ import annotations

import pytest

from rolecall_runner.aws.aws_errors import Failure, Status
from rolecall_runner.sandbox.protocol.faults import (
    CutConnection,
    ExpiredToken,
    Fault,
    FaultPlan,
    RegionDisabled,
    ServerError,
    Throttle,
)
from rolecall_runner.verify.grants import try_grants, try_outside
from rolecall_runner.verify.probe_call import ProbeVerdict, verdict_of_failure
from rolecall_runner.verify.verdict import Mark
from sandbox_rig import running
from verify_rig import staged


def plan(kind: type[Fault], at_most: int | None = None) -> FaultPlan:
    """Every call but those of STS fails in one way; `at_most` so often in a row."""
    return FaultPlan(faults=(kind(actions="sqs:*|iam:List*|ec2:*|kms:*", at_most=at_most),))


@pytest.mark.parametrize("kind", [Throttle, ServerError, CutConnection, ExpiredToken, RegionDisabled])
def test_trouble_that_stays_is_inconclusive(kind: type[Fault]) -> None:
    """Neither a grant nor a refusal is concluded from it."""
    with running(plan(kind)) as rig, staged(rig) as stage:
        target = stage.role("busy", "sqs:ListQueues")
        (check,) = try_grants(target, stage.credentials(target), stage.agreed(target, "sqs:ListQueues"))

    assert Mark.INCONCLUSIVE == check.mark


@pytest.mark.parametrize("kind", [Throttle, ServerError, CutConnection])
def test_trouble_that_passes_is_asked_again(kind: type[Fault]) -> None:
    """After two faults in a row the third attempt has the answer, for grants as for refusals."""
    with running(plan(kind, at_most=2)) as rig, staged(rig) as stage:
        target = stage.role("busy", "sqs:ListQueues")
        context = stage.agreed(target, "sqs:ListQueues")
        (granted,) = try_grants(target, stage.credentials(target), context)
        refused = list(try_outside(target, stage.credentials(target), context))

    assert (Mark.OK, 3) == (granted.mark, granted.attempts)
    assert {Mark.REFUSED} == {check.mark for check in refused}


def test_a_session_that_ended_is_renewed_and_the_call_repeated() -> None:
    """Expired credentials are assumed anew where the run's own session is at hand."""
    with running(plan(ExpiredToken, at_most=1)) as rig, staged(rig) as stage:
        target = stage.role("busy", "sqs:ListQueues")
        session = stage.context.sessions.session(target)
        (check,) = try_grants(target, session, stage.agreed(target, "sqs:ListQueues"))

    assert Mark.OK == check.mark
    assert 2 == [call.operation for call in stage.sent].count("AssumeRole")


def test_a_role_that_can_no_longer_be_assumed_has_refused_no_action() -> None:
    """A refused assume in the middle is no refusal of the granted action."""
    with running() as rig, staged(rig) as stage:
        target = stage.role("gone", "sqs:ListQueues")
        rig.administrator(target.account_id).delete_role_policy(RoleName="gone", PolicyName="main")
        rig.administrator(target.account_id).delete_role(RoleName="gone")
        (check,) = try_grants(target, stage.context.sessions.session(target), stage.agreed(target, "sqs:ListQueues"))

    assert Mark.INCONCLUSIVE == check.mark
    assert "no credentials for the call" in check.message


@pytest.mark.parametrize(
    ("code", "status", "message", "answer"),
    [
        ("DryRunOperation", Status.FAILED, "", ProbeVerdict.ALLOWED),
        ("NoSuchBucket", Status.FAILED, "", ProbeVerdict.ALLOWED),
        ("ResourceNotFoundException", Status.FAILED, "", ProbeVerdict.ALLOWED),
        ("AWSOrganizationsNotInUseException", Status.FAILED, "", ProbeVerdict.ALLOWED),
        ("ValidationException", Status.FAILED, "", ProbeVerdict.PROBABLY_ALLOWED),
        ("InvalidParameterValue", Status.FAILED, "", ProbeVerdict.PROBABLY_ALLOWED),
        ("AccessDenied", Status.REFUSED, "is not authorized to perform", ProbeVerdict.REFUSED),
        ("UnauthorizedOperation", Status.REFUSED, "You are not authorized", ProbeVerdict.REFUSED),
        ("AccessDeniedException", Status.REFUSED, "Macie is not enabled", ProbeVerdict.UNCLEAR),
        ("InvalidClientTokenId", Status.FAILED, "", ProbeVerdict.UNCLEAR),
        ("UnrecognizedClientException", Status.FAILED, "", ProbeVerdict.UNCLEAR),
        ("OptInRequired", Status.FAILED, "", ProbeVerdict.UNCLEAR),
        ("Throttling", Status.INCONCLUSIVE, "", ProbeVerdict.UNCLEAR),
        ("SomethingNew", Status.FAILED, "", ProbeVerdict.UNCLEAR),
        ("", Status.UNREACHABLE, "", ProbeVerdict.UNCLEAR),
    ],
)
def test_an_error_proves_only_what_its_code_says(code: str, status: Status, message: str, answer: ProbeVerdict) -> None:
    """Errors that come after authorization allow, refusals refuse, everything else claims nothing."""
    assert answer == verdict_of_failure(Failure(status, code, message))
