"""What engines and tasks agree on.

Who starts: the caller whose credentials the usual AWS chain finds (variables, profile, container, instance profile).

How a process connects to AWS. Worker processes load this and their task, but nothing that reads a manifest.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import botocore.loaders
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from rolecall_generator.errors import CallerError, SelectionError
from rolecall_runner.aws.aws_errors import WORTH_RETRYING, failure_of
from rolecall_runner.aws.clients import Clients, ClientSettings, SigningCredentials, account
from rolecall_runner.aws.credentials import Assumer, CallerIdentity, Sessions
from rolecall_runner.aws.retry import TimeIsUpError, deadline

DEFAULT_CONNECTIONS = 16
"""Connections per endpoint and process: as many as there are workers by default."""


DEFAULT_REGION = "us-east-1"
IDENTITY_SECONDS = 20.0
_HOW = (
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
    """The caller that the usual chain of credentials finds, and who that is as AWS says.

    `profile` names a profile of the AWS CLI's files. `mfa_code` is asked for a code where a profile wants one: it gets
    the question. `region` is where STS is asked; else AWS_REGION, the profile's, or us-east-1. Raises CallerError.
    """
    variables = os.environ if environ is None else environ
    session = Session(profile=profile or variables.get("AWS_PROFILE") or None)
    try:
        _prompt_with(session, mfa_code)
        credentials = session.get_credentials()
        where = region or variables.get("AWS_REGION") or session.get_config_variable("region") or DEFAULT_REGION
    except (BotoCoreError, ClientError) as error:
        raise CallerError(f"the AWS credentials cannot be had: {error}", where=_place(profile), hint=_HOW) from error
    if credentials is None:
        raise CallerError("there are no AWS credentials to start from", where=_place(profile), hint=_HOW)
    return identify(clients, credentials, where)


def identify(
    clients: Clients, credentials: SigningCredentials, region: str, *, seconds: float = IDENTITY_SECONDS
) -> CallerIdentity:
    """Who holds these credentials, as GetCallerIdentity says within so many seconds. Raises CallerError."""
    where = f"STS in {region}"
    try:
        # An address that takes connections and never answers must not hold the command for minutes.
        with deadline(time.monotonic() + seconds), account(credentials):
            who = clients.client("sts", region).get_caller_identity()
    except (ClientError, BotoCoreError, TimeIsUpError) as error:
        failure = failure_of(error)
        if not failure.code:
            raise CallerError(
                f"STS cannot be asked who calls: {failure.message}", where=where, hint="see to the network, or name --region"
            ) from error
        if failure.code.startswith("ExpiredToken"):
            raise CallerError("the AWS credentials have expired", where=where, hint="renew them, then try again") from error
        if failure.status in WORTH_RETRYING:
            raise CallerError(f"STS does not say who calls: {failure.code}", where=where, hint="try again later") from error
        raise CallerError(f"AWS does not take the credentials: {failure.code}", where=where, hint=_HOW) from error
    return CallerIdentity(credentials, who["Arn"], who["Account"], region, clients.rehearsal)


def _prompt_with(session: Any, mfa_code: Callable[[str], str] | None) -> None:
    """Let a profile's assume-role provider ask for the MFA code through `mfa_code`."""
    if mfa_code is not None:
        provider = session.get_component("credential_provider").get_provider("assume-role")
        provider._prompter = mfa_code  # botocore 1.44 has no other way


def _place(profile: str | None) -> str | None:
    return f"profile {profile}" if profile else None


@dataclass(frozen=True, slots=True)
class AwsConfig:
    """How a process connects to AWS. Picklable and without secrets: each process finds the caller's credentials itself.

    `profile`: of the AWS CLI; None: the usual chain of AWS credentials. `region`: of the STS endpoint. `endpoint_url`: for
    all services, such as a sandbox; None for AWS. `workers`: connections per host.
    """

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    workers: int = DEFAULT_CONNECTIONS


class SharingClients(Clients):
    """`Clients` that read service models with `loader`, so that a process keeps each only once.

    EC2's model takes 35 MiB (botocore 1.44.5, resident).
    """

    def __init__(self, settings: ClientSettings | None = None) -> None:
        super().__init__(settings)
        self._session.register_component("data_loader", loader())


@lru_cache(maxsize=1)
def loader() -> Any:
    """botocore's loader of service models and endpoint data, one per process; it caches what it has read."""
    return botocore.loaders.create_loader()


def make_means(config: AwsConfig, short_id: str) -> tuple[Clients, Sessions]:
    """The clients and sessions of one process; `short_id` is the random part of the run's id. Raises CallerError."""
    clients = SharingClients(ClientSettings(endpoint_url=config.endpoint_url, connections=config.workers))
    caller = find_caller(clients, profile=config.profile, region=config.region)
    return clients, Sessions(Assumer(clients, caller, short_id))


def endpoint_of(environ: Mapping[str, str] | None = None) -> str | None:
    """The endpoint for all services that the environment sets, as AWS's tools read it. Raises SelectionError."""
    address = (os.environ if environ is None else environ).get("AWS_ENDPOINT_URL") or None
    if address is not None and not (address.startswith(("http://", "https://")) and urlsplit(address).hostname):
        raise SelectionError(
            f"{address} is not the URL of an AWS endpoint",
            where="AWS_ENDPOINT_URL",
            hint="unset it, or write http://127.0.0.1:4000",
        )
    return address
