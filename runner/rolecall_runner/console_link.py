"""Links into the AWS console: the switch-role page for people, and a federated sign-in with an assumed role's session.

Source: IAM User Guide, "Enable custom identity broker access to the AWS console" (getSigninToken by GET; no SessionDuration
for sessions that were assumed from a role's session), November 2026.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote, urlencode

from rolecall_generator.errors import CallerError
from rolecall_generator.iam.arn import PARTITIONS
from rolecall_runner.credentials import Credentials

Fetch = Callable[[str], tuple[int, bytes]]
"""GETs an address over TLS; gives status and body. Raises OSError. The address holds credentials: never log it."""

_MAXIMUM_REPLY = 65_536


def console_url(credentials: Credentials, *, partition: str, fetch: Fetch, destination: str | None = None) -> str:
    """A link that opens the console as the session; good for 15 minutes, and for whoever holds it.

    Raises CallerError where the partition has no federation page, or it refuses the session.
    """
    host = PARTITIONS[partition].console_host
    if host is None:
        raise CallerError(f"partition {partition} has no sign-in page for sessions", mend="use runner shell instead")
    endpoint = f"https://{host}/federation"
    session = json.dumps(
        {"sessionId": credentials.access_key, "sessionKey": credentials.secret_key, "sessionToken": credentials.token}
    )
    asking = urlencode({"Action": "getSigninToken", "Session": session}, quote_via=quote)
    try:
        status, body = fetch(f"{endpoint}?{asking}")
        token = json.loads(body[:_MAXIMUM_REPLY])["SigninToken"] if status == 200 else None  # noqa: PLR2004 - OK
    except (OSError, ValueError, KeyError, TypeError) as error:
        # Not chained: the address, and so the credentials, could be in the cause's text.
        raise CallerError(f"no sign-in token was to be had: {type(error).__name__}", where=endpoint, mend=_MEND) from None
    if token is None:
        raise CallerError(f"the sign-in page refused the session (HTTP {status})", where=endpoint, mend=_MEND)
    there = destination or f"https://{_console_home(host)}/"
    query = urlencode({"Action": "login", "Issuer": "rolecall", "Destination": there, "SigninToken": token}, quote_via=quote)
    return f"{endpoint}?{query}"


_MEND = "try again; sessions of the sandbox have no console"


def _console_home(host: str) -> str:
    return host.replace("signin.", "console.", 1)


def fetch(address: str) -> tuple[int, bytes]:
    """GET over TLS with the machine's certificates; no redirect is followed, since the address holds credentials."""
    import urllib3  # noqa: PLC0415 - `runner --help` must not pay for it

    try:
        reply = urllib3.request("GET", address, redirect=False, retries=urllib3.Retry(2, redirect=0), timeout=10.0)
    except urllib3.exceptions.HTTPError as error:
        raise OSError(type(error).__name__) from None
    return reply.status, reply.data
