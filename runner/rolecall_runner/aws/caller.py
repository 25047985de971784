"""The caller's credentials and identity, and how a process connects to AWS.

botocore decides where credentials come from, so that rolecall acts as the same principal as boto3 and the AWS CLI with the
same environment: environment variables before AWS_PROFILE, but only `--profile` before environment variables.
"""

from __future__ import annotations

import getpass
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from rolecall_generator.errors import CallerError, SelectionError
from rolecall_generator.iam import PARTITIONS
from rolecall_runner.aws.clients import DEFAULT_CONNECTIONS, Clients, ClientSettings, SigningCredentials, account
from rolecall_runner.aws.configuration import CREDENTIALS_HINT, configuration_errors, new_session, profile_place
from rolecall_runner.aws.credentials import Assumer, CallerIdentity, SessionOptions, Sessions
from rolecall_runner.aws.failures import EXPIRED_CODES, failure_of
from rolecall_runner.aws.retry import DeadlineExceededError, deadline
from rolecall_runner.redact import redact

IDENTITY_SECONDS = 20.0
DEFAULT_REGION = "us-east-1"
_NETWORK = "check your network connection, or set --region"
_PROXY_AUTHENTICATION = "407"

_assumed: dict[str, Any] = {}
"""Sessions of profiles that assume a role, so that a process asks for an MFA code once (botocore's `cache`)."""


def find_caller(
    clients: Clients,
    *,
    profile: str | None = None,
    region: str | None = None,
    default_region: str = DEFAULT_REGION,
    environ: Mapping[str, str] | None = None,
) -> CallerIdentity:
    """Find the caller's credentials as boto3 does and identify them with GetCallerIdentity.

    `profile` is a profile of the AWS CLI's files. `region` is the Region of the STS endpoint; defaults to AWS_REGION, the
    profile's Region, or `default_region`. Raises CallerError.
    """
    variables = os.environ if environ is None else environ
    with configuration_errors(profile):
        session = new_session(profile)
        hops: list[str] = []
        session.register("provide-client-params.sts.AssumeRole", lambda params, **_event: hops.append(params["RoleArn"]))
        provider = session.get_component("credential_provider").get_provider("assume-role")
        provider.cache = _assumed
        provider._prompter = _prompt  # botocore 1.44 has no public way
        try:
            credentials = session.get_credentials()
            if credentials is None:
                raise CallerError("no AWS credentials found", where=profile_place(profile), hint=CREDENTIALS_HINT)
            # Before the time limit of `identify`: a person may have to type an MFA code.
            credentials.get_frozen_credentials()
        except aws.ClientError as error:
            role = hops[-1] if hops else "the role of the profile"
            raise CallerError(
                f"{role} could not be assumed: {redact(str(error))}",
                where=profile_place(profile),
                hint="check role_arn, source_profile, external_id and mfa_serial of the profile",
            ) from error
        sts_region = region or variables.get("AWS_REGION") or session.get_config_variable("region") or default_region
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
        return CallerIdentity(credentials, who["Arn"], who["Account"], region, clients.rehearsal)
    except (ResponseParserError, KeyError) as error:
        raise CallerError(
            "the reply to GetCallerIdentity is not from AWS",
            where=where,
            hint="a proxy or captive portal may have replied; check HTTPS_PROXY, AWS_ENDPOINT_URL and endpoint_url",
        ) from error
    except (aws.ClientError, aws.BotoCoreError, DeadlineExceededError) as error:
        raise _identity_error(error, where) from error


def _identity_error(error: Exception, where: str) -> CallerError:
    failure = failure_of(error)
    if failure.code in EXPIRED_CODES:
        return CallerError("the AWS credentials have expired", where=where, hint="renew them, then try again")
    if failure.code and failure.status.is_transient:
        return CallerError(f"GetCallerIdentity failed: {failure.code}", where=where, hint="try again later")
    if failure.code:
        return CallerError(f"AWS rejected the credentials: {failure.code}", where=where, hint=CREDENTIALS_HINT)
    hint = _NETWORK
    if isinstance(error, aws.ProxyConnectionError):
        hint = "check HTTPS_PROXY, and NO_PROXY for hosts to reach directly"
        if _PROXY_AUTHENTICATION in failure.message:
            hint = "the proxy requires authentication: add user name and password to the URL in HTTPS_PROXY"
    elif isinstance(error, aws.SSLError):
        hint = "if a proxy inspects TLS, set AWS_CA_BUNDLE, or ca_bundle in the profile, to its CA certificates"
    return CallerError(f"GetCallerIdentity failed: {failure.message}", where=where, hint=hint)


def _prompt(text: str) -> str:
    """Ask for an MFA code on the terminal. Raises CallerError without one."""
    if not sys.stdin.isatty():
        raise CallerError(
            "the profile requires an MFA code, and there is no terminal to ask for it",
            where=text.removeprefix("Enter MFA code for ").rstrip(": "),
            hint="run it in a terminal, or set AWS_SESSION_TOKEN and keys from aws sts get-session-token",
        )
    return getpass.getpass(text, stream=sys.stderr)


@dataclass(frozen=True, slots=True)
class AwsConfig:
    """How a process connects to AWS. Picklable and without secrets: each process loads the caller's credentials itself.

    `profile`: of the AWS CLI, with all its settings; None: as boto3 does. `region`: of the STS endpoint. `endpoint_url`: of
    all services, such as a sandbox; None: AWS. `workers`: connections kept open per host. `default_region`: of the STS
    endpoint if neither `region` nor the AWS configuration sets one. `session`: names and limits of the roles' sessions.
    """

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    workers: int = DEFAULT_CONNECTIONS
    default_region: str = DEFAULT_REGION
    session: SessionOptions = field(default_factory=SessionOptions)

    def for_partition(self, partition: str) -> AwsConfig:
        """The same with the default Region of the manifest's partition."""
        return replace(self, default_region=PARTITIONS[partition].default_region)

    def clients(self) -> Clients:
        """New clients. Raises CallerError if the AWS configuration is not valid."""
        return Clients(ClientSettings(endpoint_url=self.endpoint_url, profile=self.profile, connections=self.workers))

    def find_caller(self, clients: Clients) -> CallerIdentity:
        """The identity of the caller's credentials. Raises CallerError."""
        return find_caller(clients, profile=self.profile, region=self.region, default_region=self.default_region)

    def connect(self, short_id: str) -> tuple[Clients, Sessions]:
        """Clients and sessions for one process; `short_id` is the random part of the run's id. Raises CallerError."""
        clients = self.clients()
        return clients, Sessions(Assumer(clients, self.find_caller(clients), short_id, options=self.session))


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
