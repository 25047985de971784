"""AWS clients: sessions, credentials, configuration, errors and retries."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import exports

if TYPE_CHECKING:
    from rolecall_runner.aws.aws_config import AwsConfig, endpoint_of, find_caller, loader, make_means
    from rolecall_runner.aws.aws_errors import NOT_OFFERED, PASSING, REFUSALS, WORTH_RETRYING, Failure, Status, failure_of
    from rolecall_runner.aws.clients import Clients, ClientSettings, SigningCredentials, account
    from rolecall_runner.aws.credentials import (
        REFUSAL,
        AccountSession,
        Assumer,
        CallerIdentity,
        Clock,
        Credentials,
        Sessions,
        allowed_name,
        credentials_of,
        utc_now,
    )
    from rolecall_runner.aws.retry import RetryPolicy, TimeIsUpError, deadline, with_retries
    from rolecall_runner.aws.session_cache import DiskSessionCache

__all__ = [
    "NOT_OFFERED",
    "PASSING",
    "REFUSAL",
    "REFUSALS",
    "WORTH_RETRYING",
    "AccountSession",
    "Assumer",
    "AwsConfig",
    "CallerIdentity",
    "ClientSettings",
    "Clients",
    "Clock",
    "Credentials",
    "DiskSessionCache",
    "Failure",
    "RetryPolicy",
    "Sessions",
    "SigningCredentials",
    "Status",
    "TimeIsUpError",
    "account",
    "allowed_name",
    "credentials_of",
    "deadline",
    "endpoint_of",
    "failure_of",
    "find_caller",
    "loader",
    "make_means",
    "utc_now",
    "with_retries",
]

__getattr__ = exports(
    __name__,
    {
        "aws_config": (
            "AwsConfig",
            "endpoint_of",
            "find_caller",
            "loader",
            "make_means",
        ),
        "aws_errors": (
            "Failure",
            "NOT_OFFERED",
            "PASSING",
            "REFUSALS",
            "Status",
            "WORTH_RETRYING",
            "failure_of",
        ),
        "clients": (
            "ClientSettings",
            "Clients",
            "SigningCredentials",
            "account",
        ),
        "credentials": (
            "AccountSession",
            "Assumer",
            "CallerIdentity",
            "Clock",
            "Credentials",
            "REFUSAL",
            "Sessions",
            "allowed_name",
            "credentials_of",
            "utc_now",
        ),
        "retry": (
            "RetryPolicy",
            "TimeIsUpError",
            "deadline",
            "with_retries",
        ),
        "session_cache": ("DiskSessionCache",),
    },
)
