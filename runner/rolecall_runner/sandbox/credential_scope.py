"""Who signed a request, for which Region and service: the credential scope of Signature Version 4.

Source: "Elements of an AWS API request signature" (IAM User Guide), November 2026.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from rolecall_runner.sandbox.wire import HttpRequest

_CREDENTIAL = re.compile(r"^([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request$")
# The credential first and once, as all SDKs write it: moto looks at the first alone.
_HEADER = re.compile(r"^AWS4-HMAC-SHA256 +Credential=([^, ]+)(?!.*Credential=)")


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
    header = _HEADER.match(request.headers.get("authorization", ""))
    query = {name.lower(): values[0] for name, values in parse_qs(request.query).items()}
    credential = header.group(1) if header else query.get("x-amz-credential", "")
    scope = _CREDENTIAL.match(credential)
    if scope is None:
        return None
    token = request.headers.get("x-amz-security-token") or query.get("x-amz-security-token")
    return CredentialScope(scope.group(1), scope.group(2), scope.group(3), token, presigned=header is None)
