"""Faults over HTTP, as boto3 sees them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from rolecall_runner.sandbox.protocol.faults import (
    CutConnection,
    ExpiredToken,
    FaultPlan,
    RegionDisabled,
    ServiceDenied,
    Throttle,
)
from rolecall_runner.sandbox.sts.sts import SandboxCredentials
from sandbox_rig import Rig, running

ACCOUNT = "222222222222"
RULES = (
    Throttle(actions="ec2:DescribeVpcs", at_most=1),
    CutConnection(actions="ec2:DescribeSubnets", at_most=3),
    ServiceDenied(actions="rds:*"),
    RegionDisabled(regions="ap-east-1"),
    ExpiredToken(actions="sqs:ListQueues", at_most=1),
)


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with running(FaultPlan(3, RULES)) as rig:
        yield rig


@pytest.fixture(scope="module")
def user(rig: Rig) -> SandboxCredentials:
    return rig.user(ACCOUNT, "ann", "*")[1]


def outcome(client: Any, method: str) -> str:
    """The error code, the type of a connection error, or an empty string on success."""
    try:
        getattr(client, method)()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    except BotoCoreError as error:
        return type(error).__name__
    return ""


def test_throttled_call_succeeds_at_next_attempt(rig: Rig, user: SandboxCredentials) -> None:
    """With at most one fault in a row every second call succeeds."""
    client = rig.client("ec2", user)

    assert ["RequestLimitExceeded", ""] * 2 == [outcome(client, "describe_vpcs") for _ in range(4)]


def test_cut_connection_is_connection_error(rig: Rig, user: SandboxCredentials) -> None:
    """The client sees a broken connection, not a refusal, and the next call succeeds. The log names the fault."""
    client = rig.client("ec2", user)
    outcomes = [outcome(client, "describe_subnets") for _ in range(3)]

    assert rig.lines[-1].endswith("fault=cut")
    outcomes.append(outcome(client, "describe_subnets"))

    assert set(outcomes[:3]) <= {"ConnectionClosedError", "ResponseStreamingError", "IncompleteReadError"}
    assert outcomes[3] == ""


@pytest.mark.parametrize(
    ("service", "method", "region", "code"),
    [
        ("rds", "describe_db_instances", "us-east-1", "AccessDenied"),
        ("sts", "get_caller_identity", "ap-east-1", "RegionDisabledException"),
        ("ec2", "describe_instances", "ap-east-1", "AuthFailure"),
        ("sqs", "list_queues", "us-east-1", "ExpiredTokenException"),
        ("ec2", "describe_instances", "us-east-1", ""),
    ],
)
def test_persistent_faults_have_error_of_each_service(
    rig: Rig, user: SandboxCredentials, service: str, method: str, region: str, code: str
) -> None:
    """Denied services, disabled Regions and expired sessions have the code of each service; other calls succeed."""
    assert code == outcome(rig.client(service, user, region), method)
