"""Possible AWS replies to one request, and clients that receive them: botocore's own, and one with our first attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ConnectionClosedError, ConnectTimeoutError, ReadTimeoutError
from urllib3 import HTTPResponse

from rolecall_runner.aws.first_attempt import FirstAttempt, ReplyParserFactory

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
