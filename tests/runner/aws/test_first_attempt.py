"""First attempts that bypass botocore's request pipeline have the same result as with botocore, for any reply."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.auth import AUTH_TYPE_MAPS, SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials
from botocore.exceptions import ConnectionClosedError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attempt_cases import (
    ASSUME,
    ASSUMED,
    CUT,
    GET_ROLE,
    GONE_WRONG,
    IDENTITY,
    INSTANCES_OF,
    KEYS,
    ROLE_ARN,
    SESSIONS,
    WHO,
    Answer,
    Call,
    Says,
    Script,
    client_of,
    said,
    said_by_ec2,
)
from rolecall_runner.aws.failures import DeadlineExceededError
from rolecall_runner.aws.first_attempt import FirstAttempt, _Outcome, _Request


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace the sleep between attempts: botocore has no other hook for it."""
    seconds: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time.sleep", seconds.append)
    return seconds


@pytest.mark.parametrize("call", [ASSUME, WHO, INSTANCES_OF, GET_ROLE], ids=lambda call: call.operation)
def test_reply_is_parsed_as_by_botocore(call: Call) -> None:
    """The reply is the same, and the request differs only in time and signature."""
    found = call.outcomes([call.well], lean=True)

    assert call.outcomes([call.well], lean=False) == found
    assert ("well", 1) == (found[0][0], len(found[0][-1]))


@pytest.mark.parametrize("number", range(len(GONE_WRONG)))
@pytest.mark.parametrize("attempts", [1, 4])
def test_error_has_same_result_as_with_botocore(number: int, attempts: int) -> None:
    """Once or always: same error or reply and same number of requests, for any number of attempts."""
    runs: list[list[Says]] = [[GONE_WRONG[number], IDENTITY], [GONE_WRONG[number]]]

    assert WHO.outcomes(*runs, lean=False, attempts=attempts) == WHO.outcomes(*runs, lean=True, attempts=attempts)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([ASSUME, WHO, GET_ROLE]), st.lists(st.sampled_from(GONE_WRONG), max_size=5))
def test_any_sequence_of_errors_ends_as_with_botocore(call: Call, troubles: list[Says]) -> None:
    """Throttles, server errors, refusals and broken connections in any order, then a reply."""
    answers: list[Says] = [*troubles, call.well]

    assert call.outcomes(answers, lean=False) == call.outcomes(answers, lean=True)


@pytest.mark.parametrize(
    "answer",
    [
        said_by_ec2(403, "UnauthorizedOperation"),
        said_by_ec2(412, "DryRunOperation"),
        said_by_ec2(503, "RequestLimitExceeded"),
    ],
)
def test_ec2_errors_are_parsed_as_by_botocore(answer: Answer) -> None:
    """They have a different format."""
    assert INSTANCES_OF.outcomes([answer], lean=False) == INSTANCES_OF.outcomes([answer], lean=True)


@pytest.mark.parametrize(
    "call",
    [
        Call("sts", "assume_role", {"RoleArn": "short"}),
        Call("sts", "assume_role", {"RoleArn": ROLE_ARN, "RoleSessionName": 7}),
        Call("sts", "assume_role", {"RoleArn": ROLE_ARN, "RoleSessionName": "x"}),
        Call("sts", "get_caller_identity", {"Unknown": "x"}),
    ],
)
def test_parameters_are_validated_as_by_botocore(call: Call) -> None:
    """Invalid parameters are not sent."""
    found = call.outcomes([IDENTITY], lean=True)

    assert call.outcomes([IDENTITY], lean=False) == found
    assert ("ParamValidationError", []) == (found[0][0], found[0][-1])


@pytest.mark.parametrize(
    "call",
    [
        Call(
            "sts",
            "assume_role_with_web_identity",
            {"RoleArn": ROLE_ARN, "RoleSessionName": "rc", "WebIdentityToken": "t" * 4},
        ),
        Call("dynamodb", "list_tables", well=Answer(200, "{}")),
        Call("s3", "list_buckets", well=Answer(200, "<ListAllMyBucketsResult/>")),
        Call("cloudwatch", "put_metric_data", {"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1.0}]}),
    ],
    ids=lambda call: call.operation,
)
def test_other_request_types_are_left_to_botocore(call: Call) -> None:
    """Unsigned calls, JSON, S3 and compressible bodies are unchanged."""
    assert call.outcomes([call.well], lean=False) == call.outcomes([call.well], lean=True)


@pytest.mark.parametrize(
    "region",
    ["us-east-1", "eu-central-2", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-iso-east-1", "us-isob-east-1"],
)
def test_every_partition_uses_its_own_endpoint(region: str) -> None:
    """botocore determines the Regional endpoint and the scope of the signature."""
    scripts = Script([IDENTITY]), Script([IDENTITY])
    for lean, script in enumerate(scripts):
        client_of("sts", script, lean=bool(lean), region=region).get_caller_identity()

    assert scripts[0].traffic() == scripts[1].traffic()
    assert f"/{region}/sts/aws4_request" in scripts[1].sent[0]["authorization"]


def test_second_attempt_is_made_by_botocore(waits: list[float]) -> None:
    """With one invocation ID per call, continuous attempt numbers, and a wait between attempts."""
    script = Script([CUT, said(400, "Throttling"), IDENTITY])

    reply = client_of("sts", script, lean=True).get_caller_identity()

    assert 2 == reply["ResponseMetadata"]["RetryAttempts"] == len(waits)
    assert ["attempt=1; max=4", "attempt=2; max=4", "attempt=3; max=4"] == [each["amz-sdk-request"] for each in script.sent]
    assert 1 == len({each["amz-sdk-invocation-id"] for each in script.sent})


def test_successful_calls_refill_retry_quota_of_botocore() -> None:
    """As without rolecall, so that a long run with some errors does not exhaust it."""
    faults_and_answers = [said(500, "InternalFailure")] * 4 + [IDENTITY] * 28
    script = Script(faults_and_answers * 20)
    client = client_of("sts", script, lean=True)

    for _ in range(20):
        with pytest.raises(client.exceptions.ClientError):
            client.get_caller_identity()
        for _ in range(28):
            client.get_caller_identity()

    assert len(faults_and_answers) * 20 == len(script.sent)


def test_nested_call_keeps_its_own_first_attempt() -> None:
    """For example AssumeRole for a credential refresh while botocore takes over."""
    script = Script([said(500, "InternalFailure"), said(503, "ServiceUnavailable"), ASSUMED, IDENTITY])
    client = client_of("sts", script, lean=True)
    nested: list[Any] = []

    def renew(**_event: object) -> None:
        if not nested:
            nested.append(None)
            nested[0] = client.assume_role(RoleArn=ROLE_ARN, RoleSessionName="rolecall")

    client.meta.events.register("before-sign", renew)
    reply = client.get_caller_identity()

    assert ("222222222222", "A") == (reply["Account"], nested[0]["Credentials"]["AccessKeyId"])
    actions = [each["body"].partition("&")[0].removeprefix("Action=") for each in script.sent]
    assert ["GetCallerIdentity", "AssumeRole", "AssumeRole", "GetCallerIdentity"] == actions


def test_request_through_proxy_is_left_to_botocore() -> None:
    """If the transport does not send, botocore makes the first attempt."""
    script = Script([IDENTITY])
    session = SESSIONS[True]
    client = session.create_client("sts", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    parsers = session.get_component("response_parser_factory")
    first = FirstAttempt(lambda _: None, KEYS.get_frozen_credentials, parsers, max_attempts=4)
    client.meta.events.register_last("before-call", first.call)
    client.meta.events.register("before-send", first.send)
    client.meta.events.register("before-send", script)

    assert "222222222222" == client.get_caller_identity()["Account"]
    assert 1 == len(script.sent)


def test_deadline_ends_the_call_without_retry(waits: list[float]) -> None:
    def late(_request: Any) -> AWSResponse:
        raise DeadlineExceededError("the time limit of the target was exceeded")

    script = Script([late])
    with pytest.raises(DeadlineExceededError):
        client_of("sts", script, lean=True).get_caller_identity()

    assert (1, []) == (len(script.sent), waits)


header_text = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)


@pytest.mark.parametrize("signer", sorted({SigV4Auth, AUTH_TYPE_MAPS["v4"]}, key=repr), ids=lambda signer: signer.__name__)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    url=st.sampled_from(
        ["https://sts.eu-west-1.amazonaws.com/", "https://127.0.0.1:8443/", "http://[::1]:80/a b/", "https://h:443"]
    ),
    secret=header_text,
    token=st.none() | header_text,
    form=st.dictionaries(st.text(min_size=1, max_size=9), st.text(max_size=40), max_size=4),
    agent=st.lists(header_text, min_size=1, max_size=3),
    service=st.sampled_from(["sts", "ec2"]),
)
def test_signature_equals_signature_of_botocore(
    monkeypatch: pytest.MonkeyPatch,
    signer: type,
    url: str,
    secret: str,
    token: str | None,
    form: dict[str, str],
    agent: list[str],
    service: str,
) -> None:
    """With and without awscrt, byte for byte, at the same time."""
    monkeypatch.setitem(AUTH_TYPE_MAPS, "v4", signer)
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "User-Agent": "a",
        "X-Own": "  ".join(agent),
    }
    keys = Credentials("ASIA2", secret, token)
    request = _Request(url, dict(headers), urlencode(form).encode())
    request.sign(keys, service, "eu-west-1")

    theirs = AWSRequest("POST", url, data=request.body, headers=headers)
    theirs.context["timestamp"] = theirs.headers["X-Amz-Date"] = request.headers["X-Amz-Date"]
    if token is not None:
        theirs.headers["X-Amz-Security-Token"] = token
    own = SigV4Auth(keys, service, "eu-west-1")
    text = own.string_to_sign(theirs, own.canonical_request(theirs))
    own._inject_signature_to_request(theirs, own.signature(text, theirs))

    assert theirs.headers["Authorization"] == request.headers["Authorization"]


def secrets_of(texts: Iterator[str]) -> list[str]:
    return [text for text in texts if KEYS.secret_key in text or KEYS.token in text]


def test_repr_contains_no_secret() -> None:
    """botocore's debug log prints contexts, and exceptions have their request."""
    request = _Request("https://h/", {"X-Amz-Security-Token": KEYS.token}, KEYS.secret_key.encode())
    error = ConnectionClosedError(endpoint_url="https://h/", request=request)

    assert [] == secrets_of(repr(each) for each in (request, error, _Outcome(ASSUMED(request)), _Outcome(error=error)))
