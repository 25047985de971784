"""What the stages of the sandbox hand to one another: the HTTP request, the AWS call in it, who calls, the reply.

Who signed a request, for which Region and service: the credential scope of Signature Version 4. Source: "Elements of an
AWS API request signature" (IAM User Guide), November 2026.

Signature Version 4, recomputed with botocore's own signer from the request as it came in. Source: "AWS Signature
Version 4 for API requests" (IAM User Guide), November 2026. The time stamp's age is not checked: the sandbox's clock is
its own.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPMessage
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

from botocore.auth import UNSIGNED_PAYLOAD, S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from rolecall_generator.iam import PolicyDocument


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request as it came in. `path` and `query` are as they were sent (still percent-encoded); names of `headers` are
    lower-case; `body` is not printed, since a password may be in it.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    host: str


@dataclass(frozen=True, slots=True)
class HttpReply:
    """One reply; `body` is not printed, since credentials may be in it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiCall:
    """The AWS operation that a request asks for.

    `service` is the name that requests are signed with (`ec2`), `action` the IAM action (`ec2:DescribeInstances`),
    `resources` the ARNs that it concerns or `("*",)`, `protocol` one of query, ec2, json, rest-json, rest-xml. `access_key`
    is None for an unsigned request. `parameters` are there where they are cheap to read. `context` holds the condition keys
    (lower-case names) that the request itself says.
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
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """Who calls: the holder of an access key, long-term (a user's: no token, no expiry) or temporary.

    `arn` is what GetCallerIdentity shows: the assumed-role, user or root ARN. `role_arn` is the role of a role session, with
    its path. `user_id` is the unique id that GetCallerIdentity shows (`AROA...:session` for a role session). `tags` are the
    session's tags, `transitive` the keys of those that are handed on in a chain. `session_policies` are all that narrow the
    session (inline and managed): an action must be allowed by one of them, when there are any. `chained`: the session was
    assumed by another role session. `operator`: the administrator of every account that provisioning uses. `mfa_at`: when
    the second factor was given, None for never.
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
# The credential first and once, as all SDKs write it: moto looks at the first alone.
_SCOPE_HEADER = re.compile(r"^AWS4-HMAC-SHA256 +Credential=([^, ]+)(?!.*Credential=)")


@dataclass(frozen=True, slots=True)
class CredentialScope:
    """Access key, Region and signing name; `presigned` when the signature stands in the query."""

    access_key: str
    region: str
    service: str
    session_token: str | None = field(default=None, repr=False)
    presigned: bool = False


def credential_scope(request: HttpRequest) -> CredentialScope | None:
    """The scope that the Authorization header or a presigned query names; None for other signatures and for none."""
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
    """Whether the request was signed with the secret and its body is the signed one; False for what cannot be read."""
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
    if len(parts) != 5 or not stamp or not _body_is_signed(request):  # noqa: PLR2004 - key, day, Region, service, word
        return False
    signer = _signer(parts[3], parts[2], secret, signed)
    rebuilt = _rebuild(request, signed, stamp)
    canonical = signer.canonical_request(rebuilt)
    expected = str(signer.signature(signer.string_to_sign(rebuilt, canonical), rebuilt))
    return hmac.compare_digest(expected, str(signature))


class _AsSigned:
    """Signs the headers that the caller signed, not those that botocore itself would choose."""

    signed: tuple[str, ...] = ()

    def headers_to_sign(self, request: Any) -> HTTPMessage:
        """The caller's choice, from the request as it came."""
        chosen = HTTPMessage()
        for name in self.signed:
            if name in request.headers:
                chosen[name] = request.headers[name]
        return chosen


class _Signer(_AsSigned, SigV4Auth):  # type: ignore[misc]
    """For all services but S3."""


class _S3Signer(_AsSigned, S3SigV4Auth):  # type: ignore[misc]
    """For S3, whose paths are signed as they are."""


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
    """Whether the body has the hash that was signed, where the caller names one."""
    said: str = request.headers.get("x-amz-content-sha256", UNSIGNED_PAYLOAD)
    return said.startswith(("UNSIGNED", "STREAMING")) or said == hashlib.sha256(request.body).hexdigest()
