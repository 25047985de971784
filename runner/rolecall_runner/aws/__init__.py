"""AWS access: clients, caller, sessions, errors, and retries."""

from typing import TYPE_CHECKING

from rolecall_generator.lazy import exports

if TYPE_CHECKING:
    from rolecall_runner.aws.aws_config import AwsConfig, endpoint_of, find_caller, loader, make_means
    from rolecall_runner.aws.aws_errors import ACCESS_DENIED, Failure, Status, failure_of
    from rolecall_runner.aws.clients import Clients, ClientSettings, SigningCredentials, account
    from rolecall_runner.aws.credentials import (
        AccountSession,
        Assumer,
        CallerIdentity,
        Credentials,
        Sessions,
        allowed_name,
        utc_now,
    )
    from rolecall_runner.aws.retry import RetryPolicy, TimeIsUpError, deadline, with_retries
    from rolecall_runner.aws.session_cache import DiskSessionCache

__all__ = [
    "ACCESS_DENIED",
    "AccountSession",
    "Assumer",
    "AwsConfig",
    "CallerIdentity",
    "ClientSettings",
    "Clients",
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
        "aws_config": ("AwsConfig", "endpoint_of", "find_caller", "loader", "make_means"),
        "aws_errors": ("ACCESS_DENIED", "Failure", "Status", "failure_of"),
        "clients": ("ClientSettings", "Clients", "SigningCredentials", "account"),
        "credentials": ("AccountSession", "Assumer", "CallerIdentity", "Credentials", "Sessions", "allowed_name", "utc_now"),
        "retry": ("RetryPolicy", "TimeIsUpError", "deadline", "with_retries"),
        "session_cache": ("DiskSessionCache",),
    },
)
