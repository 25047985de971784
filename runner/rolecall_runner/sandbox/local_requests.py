"""Which requests the sandbox reads at all: those that are addressed to it and do not come from a web page.

A page in a browser can send requests to 127.0.0.1, and by rebinding its own name to 127.0.0.1 it can also read the
replies (DNS rebinding). Such a request carries the page's name in `Host`, and browsers add `Origin` and
`Sec-Fetch-Site` (Fetch Metadata Request Headers, W3C). AWS's SDKs, the AWS CLI and Terraform send neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.message import Message
from urllib.parse import urlsplit

NAMES = ("127.0.0.1", "localhost")
"""Host names by which the sandbox may be addressed."""


def refusal_reason(target: str, headers: Message, port: int) -> str | None:
    """Why a request is refused before it is read any further, or None when it may go on.

    `target` is the request target as it was sent, `headers` all headers in order, `port` the one that is listened on.
    Exactly one `Host` header is required, in HTTP/1.0 too; an absolute target (`GET http://host/ HTTP/1.1`) must name
    the sandbox as well. Headers of proxies such as `X-Forwarded-Host` are not looked at.
    """
    allowed = {f"{name}:{port}" for name in NAMES} | (set(NAMES) if port == 80 else set())  # noqa: PLR2004 - HTTP's own
    hosts: Sequence[str] = headers.get_all("Host", [])
    if len(hosts) != 1:
        return f"{len(hosts)} Host headers"
    if hosts[0].strip().lower() not in allowed:
        return "another Host"
    if not target.startswith("/") and target != "*":
        try:
            named = urlsplit(target)
        except ValueError:
            return "a target that is no address"
        if named.scheme.lower() != "http" or named.netloc.lower() not in allowed:
            return "a target on another host"
    if "Origin" in headers or headers.get("Sec-Fetch-Site", "none").strip().lower() != "none":
        return "a request of a web page"
    return None
