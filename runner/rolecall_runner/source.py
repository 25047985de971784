"""Who starts: the caller whose credentials the usual AWS chain finds (variables, profile, container, instance profile)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from rolecall_generator.errors import CallerError
from rolecall_runner.clients import Clients, SigningCredentials, account
from rolecall_runner.credentials import Caller
from rolecall_runner.deadline import TimeIsUpError, deadline
from rolecall_runner.failures import failure_of
from rolecall_runner.results.result import WORTH_RETRYING

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
) -> Caller:
    """The caller that the usual chain of credentials finds, and who that is as AWS says.

    `profile` names a profile of the AWS CLI's files. `mfa_code` is asked for a code where a profile wants one: it gets
    the question. `region` is where STS is asked; else AWS_REGION, the profile's, or us-east-1. Raises CallerError.
    """
    import botocore.session  # noqa: PLC0415 - `runner --help` must not pay for botocore
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

    variables = os.environ if environ is None else environ
    session = botocore.session.Session(profile=profile or variables.get("AWS_PROFILE") or None)
    try:
        _prompt_with(session, mfa_code)
        credentials = session.get_credentials()
        where = region or variables.get("AWS_REGION") or session.get_config_variable("region") or DEFAULT_REGION
    except (BotoCoreError, ClientError) as error:
        raise CallerError(f"the AWS credentials cannot be had: {error}", where=_place(profile), mend=_HOW) from error
    if credentials is None:
        raise CallerError("there are no AWS credentials to start from", where=_place(profile), mend=_HOW)
    return identify(clients, credentials, where)


def identify(clients: Clients, credentials: SigningCredentials, region: str, *, seconds: float = IDENTITY_SECONDS) -> Caller:
    """Who holds these credentials, as GetCallerIdentity says within so many seconds. Raises CallerError."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

    where = f"STS in {region}"
    try:
        # An address that takes connections and never answers must not hold the command for minutes.
        with deadline(time.monotonic() + seconds), account(credentials):
            who = clients.client("sts", region).get_caller_identity()
    except (ClientError, BotoCoreError, TimeIsUpError) as error:
        failure = failure_of(error)
        if not failure.code:
            raise CallerError(
                f"STS cannot be asked who calls: {failure.message}", where=where, mend="see to the network, or name --region"
            ) from error
        if failure.code.startswith("ExpiredToken"):
            raise CallerError("the AWS credentials have expired", where=where, mend="renew them, then try again") from error
        if failure.status in WORTH_RETRYING:
            raise CallerError(f"STS does not say who calls: {failure.code}", where=where, mend="try again later") from error
        raise CallerError(f"AWS does not take the credentials: {failure.code}", where=where, mend=_HOW) from error
    return Caller(credentials, who["Arn"], who["Account"], region, clients.rehearsal)


def _prompt_with(session: Any, mfa_code: Callable[[str], str] | None) -> None:
    """Let a profile's assume-role provider ask for the MFA code through `mfa_code`."""
    if mfa_code is not None:
        provider = session.get_component("credential_provider").get_provider("assume-role")
        provider._prompter = mfa_code  # botocore 1.44 has no other way


def _place(profile: str | None) -> str | None:
    return f"profile {profile}" if profile else None
