"""AWS access: clients, caller, sessions, errors, and retries."""

from rolecall_runner.aws.caller import AwsConfig, endpoint_from_environment
from rolecall_runner.aws.clients import Clients, ClientSettings, SigningCredentials, account, model_loader
from rolecall_runner.aws.credentials import (
    AccountSession,
    Assumer,
    CallerIdentity,
    Credentials,
    DiskSessionCache,
    SessionOptions,
    Sessions,
    allowed_name,
    utc_now,
)
from rolecall_runner.aws.failures import ACCESS_DENIED, CallerRejectedError, Failure, Status, failure_of
from rolecall_runner.aws.retry import DeadlineExceededError, RetryPolicy, deadline, with_retries

__all__ = [
    "ACCESS_DENIED",
    "AccountSession",
    "Assumer",
    "AwsConfig",
    "CallerIdentity",
    "CallerRejectedError",
    "ClientSettings",
    "Clients",
    "Credentials",
    "DeadlineExceededError",
    "DiskSessionCache",
    "Failure",
    "RetryPolicy",
    "SessionOptions",
    "Sessions",
    "SigningCredentials",
    "Status",
    "account",
    "allowed_name",
    "deadline",
    "endpoint_from_environment",
    "failure_of",
    "model_loader",
    "utc_now",
    "with_retries",
]
