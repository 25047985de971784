"""Assume checks under faults: errors other than AccessDenied are retried, and never count as a refusal or a pass."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from rolecall_runner.aws import CallerRejectedError
from rolecall_runner.aws.clients import Clients, ClientSettings
from rolecall_runner.aws.credentials import Sessions
from rolecall_runner.sandbox.protocol.faults import (
    ClockSkew,
    CutConnection,
    ExpiredToken,
    Fault,
    FaultPlan,
    RegionDisabled,
    ServerError,
    ServiceDenied,
    Throttle,
)
from rolecall_runner.verify.verdict import Mark, Step
from sandbox_rig import allow, trust
from verify_worlds import BACKEND, causes, check_of, marks, world_of, worlds

WHERE: dict[str, Any] = {"probability": 1.0, "accounts": BACKEND, "actions": "sts:AssumeRole"}
TROUBLES = (
    (Throttle(**WHERE), "throttled", ""),
    (ServerError(**WHERE), "service-trouble", ""),
    (CutConnection(**WHERE), "network", ""),
    (ExpiredToken(**WHERE), "own-credentials-expired", ""),
    (RegionDisabled(**WHERE), "region-disabled", ""),
    (RegionDisabled(**WHERE, regions="us-east-1"), "region-disabled", "us-west-2 does"),
    (ClockSkew(**WHERE), "clock-off", "3600 s behind AWS's"),
)
REFUSALS = (Step.NO_EXTERNAL_ID, Step.OTHER_EXTERNAL_ID, Step.MADE_UP_EXTERNAL_ID)


@pytest.mark.parametrize(("fault", "cause", "words"), TROUBLES)
def test_persistent_error_is_inconclusive_and_diagnosed(fault: Fault, cause: str, words: str) -> None:
    """The first assume uses all attempts, and the error is diagnosed.

    The vendor sees a Region that works, and the clock offset.
    """
    with worlds(FaultPlan(0, (fault,))) as both:
        world = world_of(*both)
        world.make()
        verdict = world.verdict()
    first = check_of(verdict, Step.ASSUME)

    assert (Mark.INCONCLUSIVE, 3) == (first.mark, first.attempts)
    assert {Mark.SKIPPED} == {marks(verdict)[step] for step in REFUSALS}
    assert (Mark.INCONCLUSIVE, [cause]) == (verdict.mark, causes(verdict))
    assert words in verdict.diagnoses[0].vendor


def test_expired_credentials_of_the_vendor_end_the_verification() -> None:
    """They say nothing about the account, and no further role can be assumed."""
    with worlds(FaultPlan(0, (ExpiredToken(**{**WHERE, "actions": "sts:*"}),))) as both:
        world = world_of(*both)
        world.make()
        with pytest.raises(CallerRejectedError):
            world.verdict()


def test_error_instead_of_refusal_is_inconclusive() -> None:
    """A throttle where a refusal is expected is not a refusal; if it persists, the check is inconclusive."""
    plan = FaultPlan(0, (Throttle(0.6, BACKEND, "sts:AssumeRole"),))
    with worlds(plan) as (rig, clients):
        world = world_of(rig, clients)
        world.make()
        found = [world.verdict() for _ in range(8)]
    middle = [
        check for verdict in found for check in verdict.checks if check.step in REFUSALS and check.mark is not Mark.SKIPPED
    ]

    assert {Mark.REFUSED, Mark.INCONCLUSIVE} == {check.mark for check in middle}
    assert all("AccessDenied" == check.code for check in middle if check.mark is Mark.REFUSED)
    assert Mark.FAILED not in {verdict.mark for verdict in found}


def test_transient_errors_do_not_change_verdicts() -> None:
    """With 30 % throttles, 10 % 5xx and cut connections, a correct role passes and an open one fails."""
    calls = {"accounts": "1*|2*|3*", "actions": "sts:*", "at_most": 2}
    rules = tuple(
        kind(chance, **calls)  # type: ignore[arg-type]
        for kind, chance in (
            (Throttle, 0.3), (ServerError, 0.1), (CutConnection, 0.05),
        )
    )  # fmt: skip
    with worlds(FaultPlan(7, rules)) as (rig, clients):
        found = []
        for number in range(12):
            world = world_of(rig, clients, attempts=20)
            world.make(trust(world.backend) if number % 3 == 0 else None)
            found.append(world.verdict())

    assert [Mark.FAILED, Mark.OK, Mark.OK] * 4 == [verdict.mark for verdict in found]
    assert any(check.attempts > 1 for verdict in found for check in verdict.checks)
    assert ["no-external-id-condition"] * 4 == [cause for verdict in found for cause in causes(verdict)]


def test_service_control_policy_is_diagnosed() -> None:
    """One that denies STS to the backend fails the assume, and is attributed to the vendor's organization."""
    with worlds(FaultPlan(0, (ServiceDenied(1.0, BACKEND, "sts:AssumeRole"),))) as both:
        world = world_of(*both)
        world.make()
        verdict = world.verdict()

    assert (Mark.FAILED, ["own-organization-policy"]) == (verdict.mark, causes(verdict))


def test_permissions_boundary_of_backend_role_is_diagnosed() -> None:
    """A permissions boundary without STS is the vendor's error, not the customer's."""
    with worlds() as (rig, clients):
        world = world_of(rig, clients)
        world.make()
        arn = rig.administrator(BACKEND).create_policy(
            PolicyName="narrow", PolicyDocument=json.dumps(allow("s3:ListAllMyBuckets"))
        )["Policy"]["Arn"]
        name = world.backend.rpartition("/")[2]
        rig.administrator(BACKEND).put_role_permissions_boundary(RoleName=name, PermissionsBoundary=arn)
        verdict = world.verdict()

    assert (Mark.FAILED, "backend-policy-not-applied") == (verdict.mark, causes(verdict)[0])


def test_endpoint_without_listener_is_unreachable() -> None:
    """A failed connection is not an error of the customer."""
    with worlds() as (rig, clients):
        world = world_of(rig, clients)
        dead = Clients(ClientSettings(endpoint_url="http://127.0.0.1:9", max_attempts=1, connect_seconds=1))
        assumer = replace(world.context.assumer, clients=dead)
        world.give(assumer=assumer, clients=dead, sessions=Sessions(assumer, clock=rig.clock))
        verdict = world.verdict()

    assert (Mark.UNREACHABLE, ["network"]) == (verdict.mark, causes(verdict))
