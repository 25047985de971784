"""Reads a live account from IAM.

The calls only read: iam:GetAccountAuthorizationDetails and iam:ListRoles. Source: botocore 1.44.5, service model iam;
November 2026.
"""

from __future__ import annotations

from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from rolecall_generator.audit.account import AccountBuilder, AccountData
from rolecall_generator.audit.sources import Progress
from rolecall_generator.errors import CallerError, SelectionError


def read_live(profile: str | None, *, progress: Progress = lambda _read: None) -> tuple[AccountData, ...]:
    """Read the account of an AWS CLI profile; None for the default credential chain.

    The calls only read: iam:GetAccountAuthorizationDetails and iam:ListRoles. Raises CallerError.
    """
    return read_client(make_client(profile), profile, progress=progress)


_CREDENTIALS_HINT = "set AWS_PROFILE or --profile to a profile of the account"
_HINTS = {
    "AccessDenied": (
        "AWS denies this caller to read the account",
        "allow iam:GetAccountAuthorizationDetails and iam:ListRoles, for example with the managed policy SecurityAudit",
    ),
    "Throttling": ("IAM throttles the calls", "try again later"),
}


def make_client(profile: str | None) -> Any:
    """Create an IAM client with the profile, or with the default credential chain. Raises CallerError."""
    try:
        session = botocore.session.Session(profile=profile)
        region = session.get_config_variable("region") or "us-east-1"
        config = Config(retries={"mode": "standard", "total_max_attempts": 10})
        return session.create_client("iam", region_name=region, config=config)
    except (BotoCoreError, ValueError) as error:
        raise CallerError(
            f"the AWS credentials could not be loaded: {error}", where=_place(profile), hint=_CREDENTIALS_HINT
        ) from error


def read_client(
    client: Any, profile: str | None = None, *, progress: Progress = lambda _read: None
) -> tuple[AccountData, ...]:
    """Read the account of an IAM client, with all pages. Raises CallerError if a call fails."""
    source = f"profile {profile}" if profile else "live account"
    builder = AccountBuilder(source)
    read = 0
    try:
        for operation in ("get_account_authorization_details", "list_roles"):
            for page in client.get_paginator(operation).paginate():
                read += 1
                builder.add_page(page, f"{source}, page {read} of {operation}")
                progress(read)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        message, hint = _HINTS.get(code, (f"IAM returned an error: {code}", _CREDENTIALS_HINT))
        raise CallerError(message, where=_place(profile), hint=hint) from error
    except BotoCoreError as error:
        raise CallerError(f"the call of IAM failed: {error}", where=_place(profile), hint=_CREDENTIALS_HINT) from error
    accounts = builder.build()
    if not accounts:
        raise SelectionError("the account has neither roles nor users", where=source, hint=_CREDENTIALS_HINT)
    return accounts


def _place(profile: str | None) -> str | None:
    return f"profile {profile}" if profile else None
