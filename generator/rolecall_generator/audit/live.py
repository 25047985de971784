"""Reads a live account from IAM.

The calls only read: iam:GetAccountAuthorizationDetails and iam:ListRoles. Source: botocore 1.44.5, service model iam;
November 2026.
"""

from __future__ import annotations

from typing import Any

from rolecall_generator.audit.account import AccountBuilder, AccountData
from rolecall_generator.audit.sources import Progress
from rolecall_generator.aws_client import AwsService
from rolecall_generator.errors import SelectionError


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


_SERVICE = AwsService("iam", "IAM", _CREDENTIALS_HINT, _HINTS)


def make_client(profile: str | None) -> Any:
    """Create an IAM client with the profile, or with the default credential chain. Raises CallerError."""
    return _SERVICE.client(profile)


def read_client(
    client: Any, profile: str | None = None, *, progress: Progress = lambda _read: None
) -> tuple[AccountData, ...]:
    """Read the account of an IAM client, with all pages. Raises CallerError if a call fails."""
    source = f"profile {profile}" if profile else "live account"
    builder = AccountBuilder(source)
    read = 0
    with _SERVICE.calls(profile):
        for operation in ("get_account_authorization_details", "list_roles"):
            for page in client.get_paginator(operation).paginate():
                read += 1
                builder.add_page(page, f"{source}, page {read} of {operation}")
                progress(read)
    accounts = builder.build()
    if not accounts:
        raise SelectionError("the account has neither roles nor users", where=source, hint=_CREDENTIALS_HINT)
    return accounts
