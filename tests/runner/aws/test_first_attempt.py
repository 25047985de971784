"""First attempts that bypass botocore's request pipeline have the same result as with botocore, for any reply."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import botocore.session
import pytest
from botocore.auth import AUTH_TYPE_MAPS, SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ConnectionClosedError, ConnectTimeoutError, ReadTimeoutError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from urllib3 import HTTPResponse

from rolecall_runner.aws.first_attempt import FirstAttempt, ReplyParserFactory, _Outcome, _Request
from rolecall_runner.aws.retry import DeadlineExceededError

KEYS = Credentials("ASIA222222222222AAAA", "secret-key", "token-" + "t" * 50)
Says = Callable[[Any], AWSResponse]
"""Outcome of one request."""

STS = "https://sts.amazonaws.com/doc/2011-06-15/"


@dataclass(frozen=True)
class Answer:
    """AWS's reply to one request."""

    status: int
    body: str

    def __call__(self, request: Any) -> AWSResponse:
        raw = HTTPResponse(BytesIO(self.body.encode()), preload_content=False)
        return AWSResponse(request.url, self.status, {"Content-Type": "text/xml", "x-amzn-RequestId": "1"}, raw)


def said(status: int, code: str) -> Answer:
    """An error in the format of STS and IAM."""
    return Answer(
        status,
        f'<ErrorResponse xmlns="{STS}"><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error>'
        "<RequestId>1</RequestId></ErrorResponse>",
    )


def said_by_ec2(status: int, code: str) -> Answer:
    """An error in the format of EC2."""
    error = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    return Answer(status, f"<Response><Errors>{error}</Errors><RequestID>1</RequestID></Response>")


def broken(make: Callable[[str], Exception]) -> Says:
    """A connection that breaks."""

    def answer(request: Any) -> AWSResponse:
        raise make(request.url)

    return answer


IDENTITY = Answer(
    200,
    f'<GetCallerIdentityResponse xmlns="{STS}"><GetCallerIdentityResult><Arn>arn:x</Arn><Account>222222222222</Account>'
    "</GetCallerIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
)
ASSUMED = Answer(
    200,
    f'<AssumeRoleResponse xmlns="{STS}"><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>B'
    "</SecretAccessKey><SessionToken>C</SessionToken><Expiration>2026-11-24T12:00:00Z</Expiration></Credentials>"
    "</AssumeRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>",
)
INSTANCES = Answer(
    200,
    '<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><reservationSet>'
    "<item><ownerId>222222222222</ownerId></item></reservationSet></DescribeInstancesResponse>",
)
ROLE = Answer(
    200,
    "<GetRoleResponse><GetRoleResult><Role><RoleName>r</RoleName><AssumeRolePolicyDocument>%7B%7D</AssumeRolePolicyDocument>"
    "</Role></GetRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetRoleResponse>",
)
CUT = broken(lambda url: ConnectionClosedError(endpoint_url=url))
TIMED_OUT = broken(lambda url: ReadTimeoutError(endpoint_url=url))
NOT_REACHED = broken(lambda url: ConnectTimeoutError(endpoint_url=url))
UNFORESEEN = broken(lambda _: ValueError("unforeseen"))

GONE_WRONG: list[Says] = [
    said(403, "AccessDenied"),
    said(400, "Throttling"),
    said(400, "ThrottlingException"),
    said(500, "InternalFailure"),
    said(503, "ServiceUnavailable"),
    said(403, "ExpiredToken"),
    said(400, "ExpiredTokenException"),
    said(403, "SignatureDoesNotMatch"),
    said(403, "RegionDisabledException"),
    said(403, "InvalidClientTokenId"),
    said(400, "MalformedPolicyDocument"),
    said(400, "IDPCommunicationError"),
    said(404, "NoSuchEntity"),
    said(429, "AccessDenied"),
    said(500, "AccessDenied"),
    said_by_ec2(403, "UnauthorizedOperation"),
    said_by_ec2(412, "DryRunOperation"),
    said_by_ec2(503, "RequestLimitExceeded"),
    Answer(200, "<half"),
    Answer(200, "<GetCallerIdentityResponse/>"),
    Answer(200, ""),
    Answer(204, ""),
    Answer(301, ""),
    Answer(403, "<html>a proxy's own page</html>"),
    Answer(403, "<ErrorResponse/>"),
    Answer(400, "not XML"),
    Answer(502, ""),
    CUT,
    TIMED_OUT,
    NOT_REACHED,
    UNFORESEEN,
]


@dataclass
class Script:
    """AWS as a list of replies, the last one repeated; records the requests."""

    answers: Sequence[Says]
    sent: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, request: Any, **_event: object) -> AWSResponse:
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        self.sent.append({**headers, "url": request.url, "body": _text(request.body or "")})
        return self.answers[min(len(self.sent), len(self.answers)) - 1](request)

    def traffic(self) -> list[dict[str, str]]:
        """The requests without the parts that differ on each run: time and signature (not its scope), random ID."""
        return [_comparable(each, self.sent[0].get("amz-sdk-invocation-id")) for each in self.sent]


def _comparable(sent: dict[str, str], invocation: str | None) -> dict[str, str]:
    authorization = sent.get("authorization", "").partition(", Signature=")[0]
    same = str(sent.get("amz-sdk-invocation-id") == invocation)
    return {
        **sent,
        "authorization": authorization,
        "amz-sdk-invocation-id": same,
        "x-amz-date": sent.get("x-amz-date", "")[:8],
    }


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def client_of(service: str, script: Script, *, lean: bool, region: str = "us-east-1", attempts: int = 4) -> Any:
    """A botocore client that talks to the script, with or without our first attempt."""
    session = SESSIONS[lean]
    config = Config(retries={"mode": "standard", "total_max_attempts": attempts}, user_agent="rolecall")
    client = session.create_client(
        service,
        region,
        aws_access_key_id=KEYS.access_key,
        aws_secret_access_key=KEYS.secret_key,
        aws_session_token=KEYS.token,
        config=config,
    )
    if lean:
        parsers = session.get_component("response_parser_factory")
        first = FirstAttempt(script, KEYS.get_frozen_credentials, parsers, max_attempts=attempts)
        client.meta.events.register_last("before-call", first.call)
        client.meta.events.register("before-send", first.send)
    else:
        client.meta.events.register("before-send", script)
    return client


SESSIONS = {lean: botocore.session.Session() for lean in (False, True)}
SESSIONS[True].register_component("response_parser_factory", ReplyParserFactory())


@dataclass(frozen=True)
class Call:
    """An operation and AWS's successful reply to it."""

    service: str
    operation: str
    parameters: dict[str, Any] = field(default_factory=dict)
    well: Answer = IDENTITY

    def outcomes(self, *runs: Sequence[Says], lean: bool, attempts: int = 4) -> list[tuple[Any, ...]]:
        """Reply or error, and the requests sent, for each sequence of replies."""
        script = Script(())
        client = client_of(self.service, script, lean=lean, attempts=attempts)
        found = []
        for answers in runs:
            script.answers, script.sent = answers, []
            found.append((*self._ask(client), script.traffic()))
        client.close()
        return found

    def _ask(self, client: Any) -> tuple[Any, ...]:
        try:
            return "well", getattr(client, self.operation)(**self.parameters)
        except Exception as error:  # any error: both clients must raise the same one
            return type(error).__name__, str(error), getattr(error, "response", None)


ROLE_ARN = "arn:aws:iam::222222222222:role/r"
ASSUME = Call(
    "sts",
    "assume_role",
    {
        "RoleArn": ROLE_ARN,
        "RoleSessionName": "rolecall",
        "ExternalId": "a+b/c:=ü",
        "DurationSeconds": 900,
        "Tags": [{"Key": "k", "Value": "v w"}],
    },
    ASSUMED,
)
WHO = Call("sts", "get_caller_identity")
INSTANCES_OF = Call("ec2", "describe_instances", {"Filters": [{"Name": "owner-id", "Values": ["1", "2"]}]}, INSTANCES)
GET_ROLE = Call("iam", "get_role", {"RoleName": "r"}, ROLE)


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
