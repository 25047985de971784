"""Signature version 4 of a POST without a query, over plain headers; byte for byte what botocore's signer makes of it.

botocore 1.44.5 signs any request, with header objects that know about repetition and case, and derives the day's key anew
each time; of a first attempt it was the second dearest part after the connection. Source: "Create a signed AWS API request",
IAM User Guide, November 2026.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Protocol
from urllib.parse import quote, urlsplit

from botocore.auth import SIGNED_HEADERS_BLACKLIST
from botocore.utils import normalize_url_path

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = frozenset(SIGNED_HEADERS_BLACKLIST)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class FrozenCredentials(Protocol):
    """What a signature is made of."""

    @property
    def access_key(self) -> str: ...  # noqa: D102 - as it says
    @property
    def secret_key(self) -> str: ...  # noqa: D102
    @property
    def token(self) -> str | None: ...  # noqa: D102


SigningKey = Callable[[str, str, str, str], bytes]
"""`signing_key`, or the same with a memory: a key holds for a day."""


def signing_key(secret_key: str, day: str, region: str, service: str) -> bytes:
    """The key that a day's requests to a service of a Region are signed with (signature version 4; `day`: YYYYMMDD)."""
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def sign_post(
    url: str,
    headers: dict[str, str],
    body: bytes,
    credentials: FrozenCredentials,
    scope: tuple[str, str],
    key: SigningKey = signing_key,
    moment: datetime | None = None,
) -> None:
    """Add `X-Amz-Date`, `X-Amz-Security-Token` and `Authorization` to the headers, which must not hold them.

    `scope`: signing name of the service and Region. `moment` has a time zone; now when left out.
    """
    service, region = scope
    time = (moment or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers["X-Amz-Date"] = time
    if credentials.token:
        headers["X-Amz-Security-Token"] = credentials.token
    host, path = _place(url)
    signed = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    signed["host"] = host
    names = sorted(signed.keys() - _UNSIGNED)
    lines = "\n".join([f"{name}:{signed[name]}" for name in names])
    listed = ";".join(names)
    canonical = f"POST\n{path}\n\n{lines}\n\n{listed}\n{sha256(body).hexdigest()}"
    day = time[:8]
    within = f"{day}/{region}/{service}/aws4_request"
    text = f"{_ALGORITHM}\n{time}\n{within}\n{sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(key(credentials.secret_key, day, region, service), text.encode(), "sha256").hex()
    headers["Authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{within}, SignedHeaders={listed}, Signature={signature}"
    )


@lru_cache(maxsize=256)
def _place(url: str) -> tuple[str, str]:
    """The header `Host` that the connection sends for a URL, and its path as it is signed."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if parts.port not in (None, _DEFAULT_PORTS.get(parts.scheme)):
        host = f"{host}:{parts.port}"
    return host, quote(normalize_url_path(parts.path), safe="/~")
