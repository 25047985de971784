"""HTTP request and reply, the AWS call in a request, its caller, and the check of Signature Version 4.

Signatures are recomputed with botocore's signer. Sources: "Elements of an AWS API request signature" and "AWS Signature
Version 4 for API requests" (IAM User Guide), November 2026.
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
