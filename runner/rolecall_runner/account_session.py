"""Working in one account: an assumed session, a program that runs with it, and links into the AWS console.

Source of the console links: IAM User Guide, "Enable custom identity broker access to the AWS console" (getSigninToken by
GET; no SessionDuration for sessions that were assumed from a role's session), November 2026.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlencode

import urllib3
from botocore.exceptions import BotoCoreError, ClientError

from rolecall_generator.errors import CallerError, ToolError
from rolecall_generator.iam import PARTITIONS
from rolecall_runner.aws import (
    Assumer,
    Clients,
    ClientSettings,
    Credentials,
    DiskSessionCache,
    Sessions,
    find_caller,
    utc_now,
)
from rolecall_runner.execution import new_run_id
from rolecall_runner.inventory import Target, TargetKind, find_target, read_inventory


@dataclass(frozen=True, slots=True)
class OpenSession:
    """An assumed session of one target, and the Region to work in."""

    target: Target
    region: str
    credentials: Credentials = field(repr=False)


def open_session(
    manifest: Path,
    out: Path,
    name: str,
    *,
    profile: str | None = None,
    region: str | None = None,
    endpoint_url: str | None = None,
    session_cache: Path | None = None,
) -> OpenSession:
    """Assume a customer's role with the usual chain of credentials, for one hour or the maximum of the role.

    `session_cache`: a private folder that keeps the session for the next command.

    Raises ManifestError, PlanError, OutputError, SelectionError, CallerError (also if the role refuses), and
    SessionCacheError for a folder that others can access.
    """
    target = find_target(read_inventory(manifest, out=out), name, TargetKind.CUSTOMER)
    clients = Clients(ClientSettings(endpoint_url=endpoint_url, connections=2))
    caller = find_caller(clients, profile=profile, region=region)
    run_id = new_run_id(datetime.now(UTC), secrets.token_hex).rpartition("-")[2]
    try:
        cache = DiskSessionCache(session_cache, utc_now) if session_cache is not None else None
        credentials = Sessions(Assumer(clients, caller, run_id), cache=cache).of(target).get_frozen_credentials()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise CallerError(
            f"{caller.arn} cannot assume it: {code}",
            where=target.role_arn,
            hint=f"runner verify --limit {name} shows why",
        ) from error
    except BotoCoreError as error:
        raise CallerError(
            f"STS cannot be reached: {error}", where=target.role_arn, hint="check your network connection"
        ) from error
    return OpenSession(target, region or (target.regions[0] if target.regions else caller.region), credentials)


_CALLERS_OWN = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "ROLECALL_SANDBOX_OPERATOR_SECRET",
)
"""Variables that would make a program act as the caller instead of the account."""


def environment_for(
    credentials: Credentials, region: str, *, name: str, endpoint_url: str | None = None, environ: Mapping[str, str]
) -> dict[str, str]:
    """The environment for AWS tools to use the session; `name` is available to prompts as ROLECALL_ACCOUNT."""
    kept = {key: value for key, value in environ.items() if key not in _CALLERS_OWN}
    session = {
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.token or "",
        "AWS_CREDENTIAL_EXPIRATION": credentials.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        # Otherwise a program with an expired session would fall back to the instance's own role.
        "AWS_EC2_METADATA_DISABLED": "true",
        "ROLECALL_ACCOUNT": name,
    }
    return kept | session | ({"AWS_ENDPOINT_URL": endpoint_url} if endpoint_url else {})


def run_as(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program in this terminal and environment; returns its exit code (128 + number for a signal).

    Raises ToolError when it cannot be started.
    """
    try:
        done = subprocess.run(list(command), env=dict(environment), check=False)  # noqa: S603 - what the user asked for
    except OSError as error:
        raise ToolError(
            f"{command[0]} cannot be started: {error.strerror}", hint="give a program that is on PATH"
        ) from error
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def login_shell(environ: Mapping[str, str] | None = None) -> str:
    """The user's shell: SHELL, or /bin/sh."""
    return (os.environ if environ is None else environ).get("SHELL") or "/bin/sh"


Fetch = Callable[[str], tuple[int, bytes]]
"""GET a URL over TLS; returns status and body. Raises OSError. The URL contains credentials: never log it."""

_MAXIMUM_REPLY = 65_536


def console_url(credentials: Credentials, *, partition: str, fetch: Fetch, destination: str | None = None) -> str:
    """A link that opens the console with the session, for anyone who has the link; valid for 15 minutes.

    Raises CallerError if the partition has no federation page, or the page refuses the session.
    """
    host = PARTITIONS[partition].console_host
    if host is None:
        raise CallerError(f"partition {partition} has no sign-in page for sessions", hint="use runner shell instead")
    endpoint = f"https://{host}/federation"
    session = json.dumps(
        {"sessionId": credentials.access_key, "sessionKey": credentials.secret_key, "sessionToken": credentials.token}
    )
    asking = urlencode({"Action": "getSigninToken", "Session": session}, quote_via=quote)
    try:
        status, body = fetch(f"{endpoint}?{asking}")
        token = json.loads(body[:_MAXIMUM_REPLY])["SigninToken"] if status == 200 else None  # noqa: PLR2004 - OK
    except (OSError, ValueError, KeyError, TypeError) as error:
        # Not chained: the cause could contain the URL with the credentials.
        raise CallerError(f"could not get a sign-in token: {type(error).__name__}", where=endpoint, hint=_HINT) from None
    if token is None:
        raise CallerError(f"the sign-in page refused the session (HTTP {status})", where=endpoint, hint=_HINT)
    there = destination or f"https://{_console_home(host)}/"
    query = urlencode({"Action": "login", "Issuer": "rolecall", "Destination": there, "SigninToken": token}, quote_via=quote)
    return f"{endpoint}?{query}"


_HINT = "try again; sessions of the sandbox have no console"


def _console_home(host: str) -> str:
    return host.replace("signin.", "console.", 1)


def fetch(address: str) -> tuple[int, bytes]:
    """GET over TLS without following redirects, since the URL contains credentials."""
    try:
        reply = urllib3.request("GET", address, redirect=False, retries=urllib3.Retry(2, redirect=0), timeout=10.0)
    except urllib3.exceptions.HTTPError as error:
        raise OSError(type(error).__name__) from None
    return reply.status, reply.data
