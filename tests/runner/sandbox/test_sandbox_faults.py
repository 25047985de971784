"""Fault plans: parsing, selection by seed, account, action and call number, and errors as boto3 receives them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Self

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from rolecall_generator.errors import ExitCode
from rolecall_runner.sandbox.protocol.aws_protocol import ApiCall, HttpReply, HttpRequest, error_reply
from rolecall_runner.sandbox.protocol.faults import (
    FAULTS,
    ClockSkew,
    CutConnection,
    ExpiredToken,
    Fault,
    FaultCall,
    FaultEffect,
    FaultInjector,
    FaultPlan,
    FaultTextError,
    RegionDisabled,
    ServerError,
    ServiceDenied,
    SlowReply,
    Throttle,
    parse_faults,
    register_fault,
)
from rolecall_runner.sandbox.server.server import read_call
from rolecall_runner.sandbox.sts.sts import SandboxCredentials
from sandbox_requests import caught, error_of
from sandbox_rig import Rig, running

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ONE, TWO = "111111111111", "222222222222"
ARN = f"arn:aws:iam::{TWO}:user/ann"
Call = tuple[str, str, dict[str, Any]]
EC2: Call = ("ec2", "describe_instances", {})
STS: Call = ("sts", "get_caller_identity", {})
S3: Call = ("s3", "list_buckets", {})
DYNAMODB: Call = ("dynamodb", "list_tables", {})
LAMBDA: Call = ("lambda", "list_functions", {})
DESCRIBE = "ec2:DescribeInstances"


def struck(
    faults: FaultInjector, calls: int, account: str = ONE, action: str = DESCRIBE, region: str = "eu-west-1"
) -> list[bool]:
    return [faults.draw(account, action, region) is not None for _ in range(calls)]


def plan(*rules: Fault, seed: int = 7) -> FaultInjector:
    return FaultInjector(FaultPlan(seed, rules))


HALF = Throttle(0.5)


def test_same_plan_fails_the_same_calls() -> None:
    """Two runs with one seed agree for every call; another seed, account or action gives other faults."""
    first, second = struck(plan(HALF), 200), struck(plan(HALF), 200)
    others = [struck(plan(HALF, seed=8), 200), struck(plan(HALF), 200, TWO), struck(plan(HALF), 200, ONE, "sts:AssumeRole")]

    assert first == second
    assert all(first != other for other in others)


def test_thread_order_does_not_change_faults() -> None:
    accounts = [f"{number:012d}" for number in range(1, 9)]
    faults, seen = plan(HALF), dict[str, list[bool]]()
    threads = [threading.Thread(target=lambda a=a: seen.update({a: struck(faults, 100, a)})) for a in accounts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {account: struck(plan(HALF), 100, account) for account in accounts} == seen


def test_fault_rate_matches_probability() -> None:
    shares = [sum(struck(plan(Throttle(p)), 4_000)) / 4_000 for p in (0.0, 0.25, 1.0)]

    assert [0.0, 1.0] == [shares[0], shares[2]]
    assert 0.22 < shares[1] < 0.28


def test_consecutive_faults_are_limited() -> None:
    faults = plan(Throttle(at_most=2))

    assert [True, True, False, True, True, False] == struck(faults, 6)


@pytest.mark.parametrize(
    ("rule", "account", "action", "region", "expected"),
    [
        (ServiceDenied(accounts="1*"), ONE, DESCRIBE, "eu-west-1", True),
        (ServiceDenied(accounts="1*"), TWO, DESCRIBE, "eu-west-1", False),
        (ServiceDenied(accounts=f"{ONE}|{TWO}"), TWO, DESCRIBE, "eu-west-1", True),
        (ServiceDenied(actions="EC2:describe*"), ONE, DESCRIBE, "eu-west-1", True),
        (ServiceDenied(actions="rds:*"), ONE, DESCRIBE, "eu-west-1", False),
        (ServiceDenied(regions="ap-*"), ONE, DESCRIBE, "eu-west-1", False),
        (ServiceDenied(regions="ap-*"), ONE, DESCRIBE, "ap-east-1", True),
    ],
)
def test_rule_applies_to_matching_calls(rule: Fault, account: str, action: str, region: str, expected: bool) -> None:
    assert [expected] == struck(plan(rule), 1, account, action, region)


def test_first_matching_rule_applies() -> None:
    faults = plan(ExpiredToken(0.0), CutConnection(), Throttle())
    hit = faults.draw(ONE, DESCRIBE, "eu-west-1")

    assert hit is not None
    assert CutConnection is type(hit.fault)


def test_connections_are_cut_before_and_within_the_reply() -> None:
    faults = plan(CutConnection())
    drawn = [faults.draw(ONE, DESCRIBE, "eu-west-1") for _ in range(40)]
    effects = [effect_of(EC2, hit.fault, hit.variant) for hit in drawn if hit is not None]

    assert {0.0, 0.5} == {effect.cut_after for effect in effects}


def effect_of(call: Call, fault: Fault, variant: int = 0, request: HttpRequest | None = None) -> FaultEffect:
    read = read_call(request or caught(*call))
    assert isinstance(read, ApiCall)
    return fault.effect(FaultCall(read, "id", TWO, ARN, NOW, variant))


def answered(call: Call, fault: Fault, variant: int) -> tuple[str, str, int]:
    def reply(request: HttpRequest) -> HttpReply:
        made = effect_of(call, fault, variant, request).reply
        assert made is not None
        return made

    return error_of(*call, reply)


REGION, DENIED = RegionDisabled(), ServiceDenied()
SKEW, SKEW_BACK = ClockSkew(seconds=3_600), ClockSkew(seconds=-3_600)
SERVER_500, SERVER_503 = (ServerError(), 2), (ServerError(), 3)
THROTTLE, EXPIRED = Throttle(), ExpiredToken()


@pytest.mark.parametrize(
    ("call", "fault", "code", "status", "text"),
    [
        (STS, THROTTLE, "Throttling", 400, "Rate exceeded"),
        (EC2, THROTTLE, "RequestLimitExceeded", 503, "Request limit exceeded."),
        (DYNAMODB, THROTTLE, "ThrottlingException", 400, "Rate exceeded"),
        (LAMBDA, THROTTLE, "TooManyRequestsException", 429, "Rate exceeded"),
        (S3, THROTTLE, "SlowDown", 503, "Please reduce your request rate."),
        (STS, SERVER_500, "InternalFailure", 500, "unknown error"),
        (EC2, SERVER_500, "InternalError", 500, "internal error"),
        (STS, SERVER_503, "ServiceUnavailable", 503, "unable to handle"),
        (STS, EXPIRED, "ExpiredToken", 403, "The security token included in the request is expired"),
        (EC2, EXPIRED, "RequestExpired", 400, "Request has expired."),
        (DYNAMODB, EXPIRED, "ExpiredTokenException", 400, "expired"),
        (S3, EXPIRED, "ExpiredToken", 400, "The provided token has expired."),
        (STS, REGION, "RegionDisabledException", 403, f"STS is not activated in this region for account:{TWO}"),
        (EC2, REGION, "AuthFailure", 401, "AWS was not able to validate"),
        (DYNAMODB, REGION, "UnrecognizedClientException", 400, "security token included in the request is invalid"),
        (EC2, DENIED, "UnauthorizedOperation", 403, "with an explicit deny in a service control policy"),
        (S3, DENIED, "AccessDenied", 403, f"User: {ARN} is not authorized to perform: s3:ListAllMyBuckets"),
        (STS, SKEW, "SignatureDoesNotMatch", 403,
         "Signature expired: 20261124T120000Z is now earlier than 20261124T125500Z (20261124T130000Z - 5 min.)"),
        (STS, SKEW_BACK, "SignatureDoesNotMatch", 403,
         "Signature not yet current: 20261124T120000Z is still later than 20261124T110500Z (20261124T110000Z + 5 min.)"),
        (S3, SKEW, "RequestTimeTooSkewed", 403, "The difference between the request time"),
    ],
)  # fmt: skip
def test_fault_has_error_format_of_each_service(
    call: Call, fault: Fault | tuple[Fault, int], code: str, status: int, text: str
) -> None:
    found = answered(call, *(fault if isinstance(fault, tuple) else (fault, 0)))

    assert (code, status) == (found[0], found[2])
    assert text in found[1]


@pytest.mark.parametrize(
    ("call", "fault", "expected"),
    [
        (EC2, SlowReply(seconds=2), FaultEffect(delay_seconds=2)),
        (EC2, CutConnection(), FaultEffect(cut_after=0.0)),
        (EC2, ClockSkew(seconds=299), FaultEffect()),
        (S3, ClockSkew(seconds=-899), FaultEffect()),
    ],
)
def test_some_faults_send_no_error(call: Call, fault: Fault, expected: FaultEffect) -> None:
    """Delays and cuts affect the connection; a small clock skew is tolerated, by S3 up to fifteen minutes."""
    assert expected == effect_of(call, fault)


@pytest.fixture
def suspended(monkeypatch: pytest.MonkeyPatch) -> type[Fault]:
    """A kind of fault that rolecall does not define, registered for one test."""
    monkeypatch.setattr("rolecall_runner.sandbox.protocol.faults.FAULTS", dict(FAULTS))

    @register_fault
    class AccountSuspended(Fault):
        name = "account-suspended"
        usage = "Region"
        transient = False

        @classmethod
        def parse(cls, value: str) -> Self:
            return cls(actions="s3:*", regions=value)

        def effect(self, hit: FaultCall, /) -> FaultEffect:
            return FaultEffect(
                error_reply(hit.call, "AccountProblem", f"suspended in {hit.call.region}", 403, hit.request_id)
            )

    return AccountSuspended


def test_registered_fault_is_used(suspended: type[Fault]) -> None:
    """A registered subclass is parsed from a plan, listed in the hint, selected, and sends its own error."""
    (fault,) = parse_faults("account-suspended=eu-*,at-most=2").faults
    hit = plan(fault).draw(ONE, "s3:ListAllMyBuckets", "eu-west-1")

    assert suspended(actions="s3:*", regions="eu-*") == fault
    assert hit is not None
    assert ("AccountProblem", "suspended in eu-west-1", 403) == answered(S3, hit.fault, hit.variant)
    with pytest.raises(FaultTextError, match="region-disabled, account-suspended = Region"):
        parse_faults("account-suspend=eu-*")


def test_plan_is_parsed_from_string() -> None:
    """Every form of the command line is parsed; common options apply, `at-most` to transient faults."""
    kinds = "throttle=0.3, 5xx=0.1,cut=0.05,slow=0.2:1.5,denied=rds,region-disabled=ap-*,clock-skew=-900"
    text = f"{kinds},at-most=2,seed=7,accounts=1*"

    assert FaultPlan(
        7,
        (
            Throttle(0.3, accounts="1*", at_most=2),
            ServerError(0.1, accounts="1*", at_most=2),
            CutConnection(0.05, accounts="1*", at_most=2),
            SlowReply(0.2, accounts="1*", at_most=2, seconds=1.5),
            ServiceDenied(accounts="1*", actions="rds:*"),
            RegionDisabled(accounts="1*", regions="ap-*"),
            ClockSkew(accounts="1*", seconds=-900.0),
        ),
    ) == parse_faults(text)


def test_denied_service_keeps_its_own_actions() -> None:
    found = parse_faults("throttle=1,denied=rds,denied=s3:Get*,actions=ec2:*")

    assert ["ec2:*", "rds:*", "s3:Get*"] == [rule.actions for rule in found.faults]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "is not NAME=VALUE"),
        ("throttle", "'throttle' is not NAME=VALUE"),
        ("throttle=2", "'2' is not a valid value"),
        ("throttle=often", "'often' is not a valid value"),
        ("throttle=nan", "'nan' is not a valid value"),
        ("slow=0.5", "'0.5' is not a valid value"),
        ("slow=0.5:-1", "'0.5:-1' is not a valid value"),
        ("earthquake=1", "unknown fault 'earthquake'"),
        ("seed=7", "contains no fault"),
        ("throttle=1,seed=x", "'x' is not a valid value"),
        ("throttle=1,at-most=0", "'0' is not a valid value"),
        ("throttle=1,seed=1,seed=2", "seed is specified twice"),
        ("clock-skew=inf", "'inf' is not a valid value"),
    ],
)
def test_invalid_plan_is_error_with_part_and_hint(text: str, part: str) -> None:
    with pytest.raises(FaultTextError) as caught_error:
        parse_faults(text)

    assert part in str(caught_error.value)
    assert "hint: use comma-separated NAME=VALUE" in str(caught_error.value)
    assert ExitCode.USAGE is caught_error.value.exit_code


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
