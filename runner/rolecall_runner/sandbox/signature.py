"""Signature Version 4, recomputed with botocore's own signer from the request as it came in.

Source: "AWS Signature Version 4 for API requests" (IAM User Guide), November 2026. The time stamp's age is not checked: the
sandbox's clock is its own.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from http.client import HTTPMessage
from typing import Any
from urllib.parse import parse_qsl, urlencode

from botocore.auth import UNSIGNED_PAYLOAD, S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from rolecall_runner.sandbox.wire import HttpRequest

_HEADER = re.compile(r"Credential=(?P<scope>[^, ]+).*SignedHeaders=(?P<signed>[^, ]+).*Signature=(?P<signature>[0-9a-f]+)")
_PLAIN_PATHS = {"s3", "s3-outposts", "s3-object-lambda"}


def signature_matches(request: HttpRequest, secret: str) -> bool:
    """Whether the request was signed with the secret and its body is the signed one; False for what cannot be read."""
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    if "X-Amz-Signature" in query:
        scope, signed, signature = (query.get(f"X-Amz-{name}", "") for name in ("Credential", "SignedHeaders", "Signature"))
        stamp = query.get("X-Amz-Date", "")
    else:
        found = _HEADER.search(request.headers.get("authorization", ""))
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
