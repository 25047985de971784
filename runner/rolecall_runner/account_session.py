"""One customer's session, for daily work: found by name, assumed as the roll call does.

A program run as an account: the assumed session in its environment, and nothing else of the caller's AWS.

Links into the AWS console: the switch-role page for people, and a federated sign-in with an assumed role's session.
Source: IAM User Guide, "Enable custom identity broker access to the AWS console" (getSigninToken by GET; no
SessionDuration for sessions that were assumed from a role's session), November 2026.
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
    """An assumed session of one target and the Region that its work is in."""

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
    """Assume a customer's role by the usual chain of credentials, for an hour where role and chaining allow as much.

    `session_cache`: a folder, for its owner's eyes alone, that keeps the session for the next command.

    Raises ManifestError, PlanError, OutputError, SelectionError and CallerError (also when the role refuses),
    SessionCacheError for a folder that others may read.
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
            f"{caller.arn} cannot assume it: {code}", where=target.role_arn, hint=f"runner verify --limit {name} says why"
        ) from error
    except BotoCoreError as error:
        raise CallerError(f"STS cannot be asked: {error}", where=target.role_arn, hint="see to the network") from error
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
"""Variables by which a program would act as the caller instead of the account."""


def environment_for(
    credentials: Credentials, region: str, *, name: str, endpoint_url: str | None = None, environ: Mapping[str, str]
) -> dict[str, str]:
    """The environment in which AWS's tools act as the session; `name` is for the person's prompt (ROLECALL_ACCOUNT)."""
    kept = {key: value for key, value in environ.items() if key not in _CALLERS_OWN}
    session = {
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.token or "",
        "AWS_CREDENTIAL_EXPIRATION": credentials.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        # Without it a program whose session has ended would fall back on the instance's own role.
        "AWS_EC2_METADATA_DISABLED": "true",
        "ROLECALL_ACCOUNT": name,
    }
    return kept | session | ({"AWS_ENDPOINT_URL": endpoint_url} if endpoint_url else {})


def run_as(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program in that environment, with this terminal; gives its exit code (128 + number for a signal).

    Raises ToolError when it cannot be started.
    """
    try:
        done = subprocess.run(list(command), env=dict(environment), check=False)  # noqa: S603 - what the user asked for
    except OSError as error:
        raise ToolError(
            f"{command[0]} cannot be started: {error.strerror}", hint="name a program that is on PATH"
        ) from error
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def login_shell(environ: Mapping[str, str] | None = None) -> str:
    """The person's shell."""
    return (os.environ if environ is None else environ).get("SHELL") or "/bin/sh"


Fetch = Callable[[str], tuple[int, bytes]]
"""GETs an address over TLS; gives status and body. Raises OSError. The address holds credentials: never log it."""

_MAXIMUM_REPLY = 65_536


def console_url(credentials: Credentials, *, partition: str, fetch: Fetch, destination: str | None = None) -> str:
    """A link that opens the console as the session; good for 15 minutes, and for whoever holds it.

    Raises CallerError where the partition has no federation page, or it refuses the session.
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
        # Not chained: the address, and so the credentials, could be in the cause's text.
        raise CallerError(f"no sign-in token was to be had: {type(error).__name__}", where=endpoint, hint=_HINT) from None
    if token is None:
        raise CallerError(f"the sign-in page refused the session (HTTP {status})", where=endpoint, hint=_HINT)
    there = destination or f"https://{_console_home(host)}/"
    query = urlencode({"Action": "login", "Issuer": "rolecall", "Destination": there, "SigninToken": token}, quote_via=quote)
    return f"{endpoint}?{query}"


_HINT = "try again; sessions of the sandbox have no console"


def _console_home(host: str) -> str:
    return host.replace("signin.", "console.", 1)


def fetch(address: str) -> tuple[int, bytes]:
    """GET over TLS with the machine's certificates; no redirect is followed, since the address holds credentials."""
    try:
        reply = urllib3.request("GET", address, redirect=False, retries=urllib3.Retry(2, redirect=0), timeout=10.0)
    except urllib3.exceptions.HTTPError as error:
        raise OSError(type(error).__name__) from None
    return reply.status, reply.data
