"""Access to one account: assume its role, run a program with the session, and create a console sign-in link.

Source for the sign-in link: IAM User Guide, "Enable custom identity broker access to the AWS console" (getSigninToken with
GET; SessionDuration is not allowed with role chaining), November 2026.
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
    AwsConfig,
    CallerRejectedError,
    Credentials,
    DiskSessionCache,
    SessionOptions,
    Sessions,
    utc_now,
)
from rolecall_runner.execution import new_run_id
from rolecall_runner.inventory import Target, TargetKind, find_target, read_inventory


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session of a target's role, and the default Region."""

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
    options: SessionOptions | None = None,
) -> OpenSession:
    """Assume a customer's role with credentials from the AWS credential chain. The session lasts at most one hour.

    `session_cache`: a private folder in which the session is cached for later commands. `options`: name and limits of it.

    Raises ManifestError, PlanError, OutputError, SelectionError, CallerError (also if AssumeRole is denied or STS cannot be
    reached), and SessionCacheError for a folder that other users can access.
    """
    target = find_target(read_inventory(manifest, out=out), name, TargetKind.CUSTOMER)
    config = AwsConfig(profile, region, endpoint_url, workers=2).for_partition(target.partition)
    clients = config.clients()
    caller = config.find_caller(clients)
    run_id = new_run_id(datetime.now(UTC), secrets.token_hex).rpartition("-")[2]
    try:
        cache = DiskSessionCache(session_cache, utc_now) if session_cache is not None else None
        assumer = Assumer(clients, caller, run_id, options=options or SessionOptions())
        credentials = Sessions(assumer, cache=cache).session(target).get_frozen_credentials()
    except CallerRejectedError as error:
        raise CallerError(f"AWS does not accept the credentials: {error}", where=caller.arn, hint="renew them") from error
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


_CALLER_VARIABLES = (
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
"""Environment variables that could make a program use the caller's credentials instead of the session."""


def environment_for(
    credentials: Credentials, region: str, *, name: str, endpoint_url: str | None = None, environ: Mapping[str, str]
) -> dict[str, str]:
    """Return `environ` with the session in place of the caller's credentials, and `name` as ROLECALL_ACCOUNT for prompts."""
    kept = {key: value for key, value in environ.items() if key not in _CALLER_VARIABLES}
    session = {
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.token or "",
        "AWS_CREDENTIAL_EXPIRATION": credentials.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        # Without this, a program would fall back to the instance profile once the session has expired.
        "AWS_EC2_METADATA_DISABLED": "true",
        "ROLECALL_ACCOUNT": name,
    }
    return kept | session | ({"AWS_ENDPOINT_URL": endpoint_url} if endpoint_url else {})


def run_as(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program in the foreground with this environment. Returns its exit code, or 128 plus the signal number.

    Raises ToolError if it cannot be started.
    """
    try:
        completed = subprocess.run(list(command), env=dict(environment), check=False)  # noqa: S603 - the user's command
    except OSError as error:
        raise ToolError(
            f"{command[0]} cannot be started: {error.strerror}", hint="specify a program that is on PATH"
        ) from error
    return completed.returncode if completed.returncode >= 0 else 128 - completed.returncode


def login_shell(environ: Mapping[str, str] | None = None) -> str:
    """The user's shell: SHELL, or /bin/sh."""
    return (os.environ if environ is None else environ).get("SHELL") or "/bin/sh"


Fetch = Callable[[str], tuple[int, bytes]]
"""GET a URL over TLS; returns status and body. Raises OSError. The URL contains credentials: never log it."""

_MAX_REPLY_BYTES = 65_536


def console_url(credentials: Credentials, *, partition: str, fetch: Fetch, destination: str | None = None) -> str:
    """Return a console sign-in URL, valid for 15 minutes. Anyone who has it can use the session.

    Raises CallerError if the partition has no federation endpoint, or if the endpoint cannot be reached or rejects the
    session.
    """
    host = PARTITIONS[partition].console_host
    if host is None:
        raise CallerError(f"partition {partition} has no sign-in page for sessions", hint="use runner shell instead")
    endpoint = f"https://{host}/federation"
    session = json.dumps(
        {"sessionId": credentials.access_key, "sessionKey": credentials.secret_key, "sessionToken": credentials.token}
    )
    token_query = urlencode({"Action": "getSigninToken", "Session": session}, quote_via=quote)
    try:
        status, body = fetch(f"{endpoint}?{token_query}")
        token = json.loads(body[:_MAX_REPLY_BYTES])["SigninToken"] if status == 200 else None  # noqa: PLR2004 - OK
    except (OSError, ValueError, KeyError, TypeError) as error:
        # `from None`, since the cause could contain the URL with the credentials.
        raise CallerError(f"could not get a sign-in token: {type(error).__name__}", where=endpoint, hint=_HINT) from None
    if token is None:
        raise CallerError(f"the sign-in page refused the session (HTTP {status})", where=endpoint, hint=_HINT)
    page_url = destination or f"https://{host.replace('signin.', 'console.', 1)}/"
    query = urlencode(
        {"Action": "login", "Issuer": "rolecall", "Destination": page_url, "SigninToken": token}, quote_via=quote
    )
    return f"{endpoint}?{query}"


_HINT = "try again; sandbox sessions have no console"


def fetch(address: str) -> tuple[int, bytes]:
    """GET over TLS without following redirects, since the URL contains credentials."""
    try:
        reply = urllib3.request("GET", address, redirect=False, retries=urllib3.Retry(2, redirect=0), timeout=10.0)
    except urllib3.exceptions.HTTPError as error:
        raise OSError(type(error).__name__) from None
    return reply.status, reply.data
