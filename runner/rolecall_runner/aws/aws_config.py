"""How a process connects to AWS: endpoint, caller, clients, and sessions.

The caller's credentials come from the usual AWS chain: environment variables, profile, container, instance profile.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from rolecall_generator.errors import CallerError, SelectionError
from rolecall_runner.aws.aws_errors import EXPIRED_CODES, failure_of
from rolecall_runner.aws.clients import DEFAULT_CONNECTIONS, Clients, ClientSettings, SigningCredentials, account
from rolecall_runner.aws.credentials import Assumer, CallerIdentity, Sessions
from rolecall_runner.aws.retry import DeadlineExceededError, deadline

DEFAULT_REGION = "us-east-1"
IDENTITY_SECONDS = 20.0
_HINT = (
    "run on an instance with the backend role, or set AWS_PROFILE or --profile; to try it without AWS: --sandbox, or "
    'eval "$(runner sandbox env)"'
)


def find_caller(
    clients: Clients,
    *,
    profile: str | None = None,
    region: str | None = None,
    mfa_code: Callable[[str], str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> CallerIdentity:
    """Find the caller's credentials in the usual chain and identify them with GetCallerIdentity.

    `profile` is a profile of the AWS CLI's files. `mfa_code` gets the prompt and returns the code, for profiles that
    require one. `region` is the Region of the STS endpoint; defaults to AWS_REGION, the profile's Region, or us-east-1.
    Raises CallerError.
    """
    variables = os.environ if environ is None else environ
    session = Session(profile=profile or variables.get("AWS_PROFILE") or None)
    try:
        _prompt_with(session, mfa_code)
        credentials = session.get_credentials()
        sts_region = region or variables.get("AWS_REGION") or session.get_config_variable("region") or DEFAULT_REGION
    except (BotoCoreError, ClientError) as error:
        raise CallerError(f"the AWS credentials could not be loaded: {error}", where=_place(profile), hint=_HINT) from error
    if credentials is None:
        raise CallerError("no AWS credentials found", where=_place(profile), hint=_HINT)
    return identify(clients, credentials, sts_region)


def identify(
    clients: Clients, credentials: SigningCredentials, region: str, *, seconds: float = IDENTITY_SECONDS
) -> CallerIdentity:
    """Identify credentials with GetCallerIdentity; `seconds` limits the call and its retries. Raises CallerError."""
    where = f"STS in {region}"
    try:
        # An endpoint that accepts connections and never replies must not block the command for minutes.
        with deadline(time.monotonic() + seconds), account(credentials):
            who = clients.client("sts", region).get_caller_identity()
    except (ClientError, BotoCoreError, DeadlineExceededError) as error:
        failure = failure_of(error)
        if not failure.code:
            raise CallerError(
                f"GetCallerIdentity failed: {failure.message}",
                where=where,
                hint="check your network connection, or set --region",
            ) from error
        if failure.code in EXPIRED_CODES:
            raise CallerError("the AWS credentials have expired", where=where, hint="renew them, then try again") from error
        if failure.status.is_transient:
            raise CallerError(f"GetCallerIdentity failed: {failure.code}", where=where, hint="try again later") from error
        raise CallerError(f"AWS rejected the credentials: {failure.code}", where=where, hint=_HINT) from error
    return CallerIdentity(credentials, who["Arn"], who["Account"], region, clients.rehearsal)


def _prompt_with(session: Any, mfa_code: Callable[[str], str] | None) -> None:
    """Make the assume-role provider of profiles prompt for the MFA code with `mfa_code`."""
    if mfa_code is not None:
        provider = session.get_component("credential_provider").get_provider("assume-role")
        provider._prompter = mfa_code  # botocore 1.44 has no public way


def _place(profile: str | None) -> str | None:
    return f"profile {profile}" if profile else None


@dataclass(frozen=True, slots=True)
class AwsConfig:
    """How a process connects to AWS. Picklable and without secrets: each process loads the caller's credentials itself.

    `profile`: of the AWS CLI; None: the usual chain. `region`: of the STS endpoint. `endpoint_url`: of all services, such as
    a sandbox; None: AWS. `workers`: connections kept open per host.
    """

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    workers: int = DEFAULT_CONNECTIONS


def connect(config: AwsConfig, short_id: str) -> tuple[Clients, Sessions]:
    """Clients and sessions for one process; `short_id` is the random part of the run's id. Raises CallerError."""
    clients = Clients(ClientSettings(endpoint_url=config.endpoint_url, connections=config.workers))
    caller = find_caller(clients, profile=config.profile, region=config.region)
    return clients, Sessions(Assumer(clients, caller, short_id))


def endpoint_from_environment(environ: Mapping[str, str] | None = None) -> str | None:
    """AWS_ENDPOINT_URL, the endpoint of all services; None if it is not set. Raises SelectionError if it is not a URL."""
    address = (os.environ if environ is None else environ).get("AWS_ENDPOINT_URL") or None
    if address is not None and not (address.startswith(("http://", "https://")) and urlsplit(address).hostname):
        raise SelectionError(
            f"{address} is not a valid endpoint URL",
            where="AWS_ENDPOINT_URL",
            hint="unset it, or use a URL like http://127.0.0.1:4000",
        )
    return address
