"""What an exception of a task means for its account.

The AWS error code decides; the message is only for people. Only an access-denied code is a refusal: a time-out, a throttle,
or a 5xx status proves nothing about a trust. Codes: "Common errors" of the STS, EC2, and IAM API references and botocore
1.44.5's standard retry mode, November 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import botocore.exceptions
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ProxyConnectionError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from rolecall_generator.errors import RolecallError
from rolecall_runner.aws.retry import DeadlineExceededError
from rolecall_runner.redact import redact

ACCESS_DENIED = "AccessDenied"
"""The only code with which STS refuses a call (STS API reference, "Common errors", November 2026)."""


class CallerRejectedError(BaseException):
    """AWS does not accept the caller's own credentials, so that no further role can be assumed.

    Not an Exception, so that it ends a task and is not recorded as a result of its account.
    """

    code = "CallerRejected"
    """The code of an outcome that such an error has ended."""


EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
"""Codes for expired credentials ("Common errors" of the STS and EC2 API references, November 2026)."""

_REFUSAL_CODES = frozenset(
    {
        ACCESS_DENIED, "AccessDeniedException", "UnauthorizedOperation", "Client.UnauthorizedOperation",
        "AuthorizationError", "AuthorizationErrorException", "NotAuthorized", "UnauthorizedException", "Forbidden", "403",
    }
)  # fmt: skip
# Throttles, server errors, and sessions that ended during the run.
_TRANSIENT_CODES = frozenset(
    {
        "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException", "RequestThrottled",
        "TooManyRequestsException", "RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException",
        "ProvisionedThroughputExceededException", "PriorRequestNotComplete", "TransactionInProgressException", "SlowDown",
        "EC2ThrottledException", "RequestTimeout", "RequestTimeoutException", "InternalError", "InternalFailure",
        "InternalServerError", "InternalServiceException", "ServiceUnavailable", "ServiceUnavailableException",
        "ExpiredToken", "ExpiredTokenException", "IDPCommunicationError",
    }
)  # fmt: skip
_SANDBOX_UNSUPPORTED = "SandboxUnsupported"
_SERVER_ERRORS = 500
_MESSAGE_CHARACTERS = 2000


class Status(StrEnum):
    """Result of a task for one target.

    REFUSED: AWS denied access. INCONCLUSIVE: throttled, timed out, 5xx, or cut off after all retries; proves nothing.
    UNREACHABLE: no connection. SKIPPED: the sandbox does not simulate the call. FAILED: any other error, those of the task
    itself included.
    """

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    UNREACHABLE = "unreachable"
    SKIPPED = "skipped"

    @classmethod
    def from_code(cls, code: str, http_status: int = 0) -> Status:
        """The status of an error reply; `code` is the AWS error code, `http_status` 0 if it is not known."""
        if code in _REFUSAL_CODES:
            return cls.REFUSED
        if code == _SANDBOX_UNSUPPORTED:
            return cls.SKIPPED
        if code in _TRANSIENT_CODES or http_status >= _SERVER_ERRORS:
            return cls.INCONCLUSIVE
        return cls.FAILED

    @property
    def is_transient(self) -> bool:
        """Whether a retry may give another result."""
        return self in {Status.INCONCLUSIVE, Status.UNREACHABLE}


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception of a task: status, AWS error code ("" if AWS sent no error), and message without secrets."""

    status: Status
    code: str
    message: str


_UNREACHABLE = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError, SSLError)
_CUT_OFF = (
    HTTPClientError, botocore.exceptions.ConnectionError, IncompleteReadError, ResponseParserError, TimeoutError,
    ConnectionError,
)  # fmt: skip


def failure_of(error: BaseException) -> Failure:
    """Classify an exception of a task. Never raises."""
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        http = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return Failure(Status.from_code(code, http), code, _message(str(error)))
    if isinstance(error, DeadlineExceededError):
        return Failure(Status.INCONCLUSIVE, "", "the time limit for this account was exceeded")
    if isinstance(error, RolecallError):
        return Failure(Status.FAILED, "", _message(str(error)))
    status = Status.INCONCLUSIVE if isinstance(error, _CUT_OFF) else Status.FAILED
    if isinstance(error, _UNREACHABLE):
        status = Status.UNREACHABLE
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, ProxyConnectionError):  # its message names only the address of the proxy, not a reply such as 407
        text += f": {error.kwargs.get('error', '')}"
    return Failure(status, "", _message(text))


def _message(text: str) -> str:
    return redact(text[:_MESSAGE_CHARACTERS])
