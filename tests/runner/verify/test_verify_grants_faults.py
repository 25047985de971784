"""Throttles, 5xx, disabled Regions and services that are not enabled are neither grants nor refusals."""

from __future__ import annotations

import pytest

from rolecall_runner.aws.failures import Failure, Status
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
    """Fail every call except those of STS with one fault, `at_most` times in a row."""
    return FaultPlan(faults=(kind(actions="sqs:*|iam:List*|ec2:*|kms:*", at_most=at_most),))


@pytest.mark.parametrize("kind", [Throttle, ServerError, CutConnection, ExpiredToken, RegionDisabled])
def test_persistent_error_is_inconclusive(kind: type[Fault]) -> None:
    """It is neither a grant nor a refusal."""
    with running(plan(kind)) as rig, staged(rig) as stage:
        target = stage.role("busy", "sqs:ListQueues")
        (check,) = try_grants(target, stage.credentials(target), stage.agreed(target, "sqs:ListQueues"))

    assert Mark.INCONCLUSIVE == check.mark


@pytest.mark.parametrize("kind", [Throttle, ServerError, CutConnection])
def test_transient_error_is_retried(kind: type[Fault]) -> None:
    """After two faults in a row the third attempt succeeds, for grants and for refusals."""
    with running(plan(kind, at_most=2)) as rig, staged(rig) as stage:
        target = stage.role("busy", "sqs:ListQueues")
        context = stage.agreed(target, "sqs:ListQueues")
        (granted,) = try_grants(target, stage.credentials(target), context)
        refused = list(try_outside(target, stage.credentials(target), context))

    assert (Mark.OK, 3) == (granted.mark, granted.attempts)
    assert {Mark.REFUSED} == {check.mark for check in refused}


def test_expired_session_is_renewed_and_call_repeated() -> None:
    """The role is assumed again where the session of the run is available."""
    with running(plan(ExpiredToken, at_most=1)) as rig, staged(rig) as stage:
        target = stage.role("busy", "sqs:ListQueues")
        session = stage.context.sessions.session(target)
        (check,) = try_grants(target, session, stage.agreed(target, "sqs:ListQueues"))

    assert Mark.OK == check.mark
    assert 2 == [call.operation for call in stage.sent].count("AssumeRole")


def test_refused_assume_is_not_a_refused_action() -> None:
    """A refused AssumeRole in the middle of the checks does not count against the granted action."""
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
def test_error_code_decides_the_result(code: str, status: Status, message: str, answer: ProbeVerdict) -> None:
    """Errors after authorization mean allowed, access-denied codes mean refused, and all others are inconclusive."""
    assert answer == verdict_of_failure(Failure(status, code, message))
