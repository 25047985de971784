"""Requests, calls, callers and replies: HTTP types, the check of Signature Version 4, and error replies of each AWS service.

Signatures are recomputed with botocore's signer. Sources, November 2026: "Elements of an AWS API request signature" and "AWS
Signature Version 4 for API requests" (IAM User Guide), Smithy's AWS protocol pages (awsQuery, ec2Query, awsJson1_0,
restJson1, restXml, rpcv2Cbor), "Error responses" of the S3 API reference, "Common errors" of the IAM, STS, DynamoDB and
Lambda API references, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from http.client import HTTPMessage
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode
from xml.sax.saxutils import escape

from botocore.auth import UNSIGNED_PAYLOAD, S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from rolecall_generator.errors import ExitCode, RolecallError
from rolecall_generator.iam import PolicyDocument


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """An HTTP request as received. `path` and `query` are percent-encoded as sent; header names are lower-case.

    `body` is left out of the repr: it may contain a password.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    host: str


ContextValues = Mapping[str, tuple[str, ...]]
"""Values of condition keys, by lower-case key."""

QueryParameters = Mapping[str, str]
"""Parameters of a call in the query protocol; lists are written as `Tags.member.1.Key`."""


def query_parameters(request: HttpRequest) -> dict[str, str]:
    """The parameters of a request in the query protocol, from query string and body."""
    pairs = parse_qsl(request.query, keep_blank_values=True)
    return dict(pairs + parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class HttpReply:
    """An HTTP reply. `body` is left out of the repr: it may contain credentials."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiCall:
    """The AWS operation of a request.

    `service` is the signing name (`ec2`), `action` the IAM action (`ec2:DescribeInstances`), `resources` the ARNs that it
    applies to or `("*",)`, `protocol` one of query, ec2, json, rest-json, rest-xml. `access_key` is None for an unsigned
    request. `parameters` are named and typed as in botocore's model. `context` holds the condition keys (lower-case names)
    whose values follow from the request.
    """

    service: str
    operation: str
    action: str
    resources: tuple[str, ...]
    protocol: str
    region: str
    access_key: str | None
    session_token: str | None = field(repr=False)
    parameters: Mapping[str, object] = field(default_factory=dict, repr=False)
    context: ContextValues = field(default_factory=dict)


OPERATOR_KEY = "AKIAROLECALLOPERATOR"
OPERATOR_ROLE = "OrganizationAccountAccessRole"
"""Access key of the operator, and the role that it assumes in every account."""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """The caller behind an access key: a user's long-term key (no token, no expiry) or a temporary session.

    `arn` and `user_id` are those of GetCallerIdentity (`AROA...:session` for a role session). `role_arn` is the role of a
    role session, with its path. `tags` are the session tags, `transitive` the keys that role chaining passes on.
    `session_policies`, inline and managed: if there are any, one must allow the action. `chained`: assumed by another role
    session. `operator`: the administrator of every account, used for provisioning. `mfa_at`: the time of the MFA
    authentication, or None.
    """

    access_key: str
    secret: str = field(repr=False)
    session_token: str | None = field(repr=False)
    account_id: str
    arn: str
    user_id: str = ""
    role_arn: str | None = None
    issued: datetime | None = None
    expires: datetime | None = None
    mfa: bool = False
    mfa_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: frozenset[str] = frozenset()
    source_identity: str | None = None
    session_policies: tuple[PolicyDocument, ...] = ()
    chained: bool = False
    operator: bool = False


_CREDENTIAL = re.compile(r"^([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request$")
# Credential first and once, as SDKs write it: moto reads only the first.
_SCOPE_HEADER = re.compile(r"^AWS4-HMAC-SHA256 +Credential=([^, ]+)(?!.*Credential=)")


@dataclass(frozen=True, slots=True)
class CredentialScope:
    """Access key, Region and signing name of a signature; `presigned`: the signature is in the query string."""

    access_key: str
    region: str
    service: str
    session_token: str | None = field(default=None, repr=False)
    presigned: bool = False


def credential_scope(request: HttpRequest) -> CredentialScope | None:
    """The credential scope from the Authorization header or a presigned query; None without a Signature Version 4."""
    header = _SCOPE_HEADER.match(request.headers.get("authorization", ""))
    query = {name.lower(): values[0] for name, values in parse_qs(request.query).items()}
    credential = header.group(1) if header else query.get("x-amz-credential", "")
    scope = _CREDENTIAL.match(credential)
    if scope is None:
        return None
    token = request.headers.get("x-amz-security-token") or query.get("x-amz-security-token")
    return CredentialScope(scope.group(1), scope.group(2), scope.group(3), token, presigned=header is None)


_AUTHORIZATION_HEADER = re.compile(
    r"Credential=(?P<scope>[^, ]+).*SignedHeaders=(?P<signed>[^, ]+).*Signature=(?P<signature>[0-9a-f]+)"
)
_PLAIN_PATHS = {"s3", "s3-outposts", "s3-object-lambda"}


def signature_matches(request: HttpRequest, secret: str) -> bool:
    """Whether the request and its body were signed with the secret; False for a malformed signature.

    The age of the time stamp is not checked: the sandbox has a clock of its own.
    """
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    if "X-Amz-Signature" in query:
        scope, signed, signature = (query.get(f"X-Amz-{name}", "") for name in ("Credential", "SignedHeaders", "Signature"))
        stamp = query.get("X-Amz-Date", "")
    else:
        found = _AUTHORIZATION_HEADER.search(request.headers.get("authorization", ""))
        if found is None:
            return False
        scope, signed, signature = found["scope"], found["signed"], found["signature"]
        stamp = request.headers.get("x-amz-date", "")
    parts = scope.split("/")
    if len(parts) != 5 or not stamp or not _body_is_signed(request):  # noqa: PLR2004 - key, date, Region, service, aws4_request
        return False
    signer = _signer(parts[3], parts[2], secret, signed)
    rebuilt = _rebuild(request, signed, stamp)
    canonical = signer.canonical_request(rebuilt)
    expected = str(signer.signature(signer.string_to_sign(rebuilt, canonical), rebuilt))
    return hmac.compare_digest(expected, str(signature))


class _SignedHeaders:
    """Signs the headers that the caller signed instead of botocore's choice."""

    signed: tuple[str, ...] = ()

    def headers_to_sign(self, request: Any) -> HTTPMessage:
        """The headers that the caller signed."""
        chosen = HTTPMessage()
        for name in self.signed:
            if name in request.headers:
                chosen[name] = request.headers[name]
        return chosen


class _Signer(_SignedHeaders, SigV4Auth):  # type: ignore[misc]
    """Signer for all services except S3."""


class _S3Signer(_SignedHeaders, S3SigV4Auth):  # type: ignore[misc]
    """Signer for S3, which signs paths without normalizing them."""


def _signer(service: str, region: str, secret: str, signed: str) -> Any:
    signer: Any = (_S3Signer if service in _PLAIN_PATHS else _Signer)(Credentials("unused", secret), service, region)
    signer.signed = tuple(signed.split(";"))
    return signer


def _rebuild(request: HttpRequest, signed: str, stamp: str) -> Any:
    headers = {name: request.headers[name] for name in signed.split(";") if name in request.headers}
    query = request.query
    if "X-Amz-Signature=" in query:
        kept = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "X-Amz-Signature"]
        query = urlencode(kept)
        headers.setdefault("x-amz-content-sha256", UNSIGNED_PAYLOAD)
    elif "x-amz-content-sha256" in request.headers:
        headers["x-amz-content-sha256"] = request.headers["x-amz-content-sha256"]
    url = f"http://{request.host}{request.path}" + (f"?{query}" if query else "")
    rebuilt = AWSRequest(method=request.method, url=url, data=request.body, headers=headers)
    rebuilt.context["timestamp"] = stamp
    return rebuilt


def _body_is_signed(request: HttpRequest) -> bool:
    """Whether the body matches the x-amz-content-sha256 header, if there is one."""
    declared: str = request.headers.get("x-amz-content-sha256", UNSIGNED_PAYLOAD)
    return declared.startswith(("UNSIGNED", "STREAMING")) or declared == hashlib.sha256(request.body).hexdigest()


class SandboxError(RolecallError):
    """The sandbox cannot start or cannot carry out a request."""

    exit_code = ExitCode.TOOL


BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT, NOT_OFFERED = 400, 403, 404, 409, 501


class AwsRefusalError(Exception):
    """AWS would refuse the call; the request pipeline turns this into an error reply."""

    def __init__(self, code: str, message: str, status: int = BAD_REQUEST) -> None:
        self.code = code
        self.message = message
        self.status = status
        super().__init__(f"{code}: {message}")


def validation_error(message: str) -> AwsRefusalError:
    """ValidationError, HTTP 400: a parameter is invalid."""
    return AwsRefusalError("ValidationError", message)


def constraint_error(name: str, value: object, constraint: str) -> AwsRefusalError:
    """ValidationError for a constraint of the service model; `constraint` continues `Member must `."""
    return validation_error(
        f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: Member must {constraint}"
    )


def access_denied(message: str) -> AwsRefusalError:
    """AccessDenied, HTTP 403."""
    return AwsRefusalError("AccessDenied", message, FORBIDDEN)


QUERY, EC2, JSON, REST_JSON, REST_XML, CBOR, S3 = "query", "ec2", "json", "rest-json", "rest-xml", "cbor", "s3"

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SERVER_SIDE = 500
_SHORT, _BYTE, _TWO_BYTES = 24, 1 << 8, 1 << 16
# JSON protocol since 2023, with the error codes of the former query protocol (`awsQueryCompatible` in the model).
_QUERY_COMPATIBLE = {"sqs", "monitoring"}


def dialect(call: ApiCall) -> str:
    """The error format of a service: the call's protocol, or S3, which differs from the other rest-xml services."""
    return S3 if call.service == "s3" and call.protocol == REST_XML else call.protocol


_XML_BODIES: Mapping[str, tuple[str, str]] = {
    QUERY: (
        "text/xml",
        (
            "<ErrorResponse><Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            "<RequestId>{request_id}</RequestId></ErrorResponse>"
        ),
    ),
    EC2: (
        "text/xml;charset=UTF-8",
        (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            "<RequestID>{request_id}</RequestID></Response>"
        ),
    ),
    S3: (
        "application/xml",
        (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            "<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId></Error>"
        ),
    ),
}
"""Content type and body by dialect; those of `rest-xml` are those of `query`."""


def error_reply(call: ApiCall | str, code: str, message: str, status: int, request_id: str) -> HttpReply:
    """An error reply for a call, or for a dialect: query, ec2, json, rest-json, rest-xml, cbor or s3.

    `status` is the HTTP status. Raises ValueError for an unknown dialect.
    """
    form = call if isinstance(call, str) else dialect(call)
    fault = "Receiver" if status >= _SERVER_SIDE else "Sender"
    headers = {"x-amz-request-id" if form == S3 else "x-amzn-RequestId": request_id}
    if form in {QUERY, EC2, REST_XML, S3}:
        headers["Content-Type"], xml = _XML_BODIES[QUERY if form == REST_XML else form]
        body = xml.format(fault=fault, code=_xml(code), message=_xml(message), request_id=request_id).encode()
    elif form == CBOR:
        headers |= {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        body = bytes([0xA2]) + b"".join(map(_cbor_text, ("__type", code, "message", message)))
    elif form in {JSON, REST_JSON}:
        content_type = "application/json" if form == REST_JSON else "application/x-amz-json-1.0"
        headers |= {"Content-Type": content_type, "x-amzn-ErrorType": code}
        body = json.dumps(({"__type": code} if form == JSON else {}) | {"message": message}).encode()
    else:
        raise ValueError(f"unknown dialect {form!r}")
    if not isinstance(call, str):
        if form == S3 and call.operation.startswith("Head"):
            body = b""  # a reply to HEAD has no body
        if call.service in _QUERY_COMPATIBLE and form in {JSON, CBOR}:
            plain = code.removesuffix("Exception") if code.startswith("AccessDenied") else code
            headers["x-amzn-query-error"] = f"{plain};{fault}"
    return HttpReply(status, (*headers.items(), ("Content-Length", str(len(body)))), body)


def _cbor_text(text: str) -> bytes:
    """A text string of RFC 8949, section 3: major type 3 with its length."""
    raw = text.encode()[: _TWO_BYTES - 1]
    if len(raw) < _SHORT:
        return bytes([0x60 | len(raw)]) + raw
    if len(raw) < _BYTE:
        return bytes([0x78, len(raw)]) + raw
    return bytes([0x79]) + len(raw).to_bytes(2, "big") + raw


def _xml(text: str) -> str:
    """Escaped for XML 1.0; characters that it does not allow are replaced."""
    return escape(_NOT_XML.sub("\ufffd", text))


_Error = tuple[str, int, str]
"""Code, HTTP status, default message."""


class ErrorCategory(StrEnum):
    """Errors that every service has, each with a code of its own dialect."""

    UNKNOWN_KEY = "unknown-key"
    EXPIRED_TOKEN = "expired-token"  # noqa: S105 - not a token
    BAD_SIGNATURE = "bad-signature"
    UNSIGNED = "unsigned"
    SKEWED_CLOCK = "skewed-clock"
    DENIED = "denied"
    THROTTLED = "throttled"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    REGION_DISABLED = "region-disabled"
    UNSUPPORTED = "unsupported"


_TABLE: Any = tomllib.loads(files(__package__ or "").joinpath("data", "errors.toml").read_text(encoding="utf-8"))


def _errors_of(section: str) -> dict[ErrorCategory, _Error]:
    errors = _TABLE[QUERY] | _TABLE[section]
    return {ErrorCategory(name): (code, status, text) for name, (code, status, text) in errors.items()}


_ERRORS: Mapping[str, Mapping[ErrorCategory, _Error]] = {
    QUERY: _errors_of(QUERY),
    REST_XML: _errors_of(QUERY),
    EC2: _errors_of(EC2),
    JSON: _errors_of(JSON),
    CBOR: _errors_of(JSON),
    S3: _errors_of(S3),
    REST_JSON: {
        category: (code, FORBIDDEN if status == BAD_REQUEST else status, text)
        for category, (code, status, text) in _errors_of(JSON).items()
    }
    | {ErrorCategory.THROTTLED: ("ThrottlingException", 429, "Rate exceeded")},
}


def default_error(call: ApiCall | str, category: ErrorCategory) -> _Error:
    """Code, HTTP status and default message of an error to a call, or in a dialect."""
    if isinstance(call, str):
        return _ERRORS[call][category]
    code, status, text = _ERRORS[dialect(call)][category]
    code, status = _TABLE["services"].get(call.service, {}).get(category, (code, status))
    return code, status, text


def category_reply(call: ApiCall | str, category: ErrorCategory, request_id: str, message: str | None = None) -> HttpReply:
    """The error reply to a call, or for an unreadable one in its probable dialect; `message` replaces the default one."""
    code, status, text = default_error(call, category)
    return error_reply(call, code, message or text, status, request_id)
