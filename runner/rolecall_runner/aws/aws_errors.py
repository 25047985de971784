"""What a task says of one target; what fails there is said here too, never raised.

What an exception means for the verdict on one account: refused, inconclusive, unreachable or failed. Decided by AWS's
error code; its text is for people alone. Only an access-denied code is a refusal: a time-out, a throttle or a 5xx says
nothing about the trust. Codes: "Common errors" of the STS, EC2 and IAM API references, botocore 1.44.5's standard retry
mode, November 2026. botocore is not imported here: where it is not loaded, the exception is not its.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rolecall_generator.errors import RolecallError
from rolecall_runner.aws.retry import TimeIsUpError
from rolecall_runner.redact import redact


class Status(StrEnum):
    """How a task ended for one target.

    REFUSED: AWS said AccessDenied. INCONCLUSIVE: throttled, timed out, 5xx, cut: nothing is known; it was retried.
    UNREACHABLE: no connection at all. FAILED: all else that went wrong, a fault of the task itself included.
    """

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    UNREACHABLE = "unreachable"
    SKIPPED = "skipped"


WORTH_RETRYING = frozenset({Status.INCONCLUSIVE, Status.UNREACHABLE})
"""What may come out otherwise a moment later."""


REFUSALS = frozenset(
    {
        "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Client.UnauthorizedOperation",
        "AuthorizationError", "AuthorizationErrorException", "NotAuthorized", "UnauthorizedException", "Forbidden", "403",
    }
)  # fmt: skip
"""Codes by which services say that the caller may not."""

PASSING = frozenset(
    {
        "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException", "RequestThrottled",
        "TooManyRequestsException", "RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException",
        "ProvisionedThroughputExceededException", "PriorRequestNotComplete", "TransactionInProgressException", "SlowDown",
        "EC2ThrottledException", "RequestTimeout", "RequestTimeoutException", "InternalError", "InternalFailure",
        "InternalServerError", "InternalServiceException", "ServiceUnavailable", "ServiceUnavailableException",
        "ExpiredToken", "ExpiredTokenException", "IDPCommunicationError",
    }
)  # fmt: skip
"""Codes that pass by themselves: throttles, faults of AWS, sessions that ended in mid-run."""

NOT_OFFERED = "SandboxUnsupported"
"""The sandbox's code for what it does not simulate: nothing that AWS would say, however often it is asked."""

_SERVER_FAULTS = 500
_MESSAGE_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Failure:
    """What an exception says of the account: a status, AWS's code ("" when AWS said nothing), a text without secrets."""

    status: Status
    code: str
    message: str


def failure_of(error: BaseException) -> Failure:
    """Judge an exception of a task. Never raises."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict) and isinstance(response.get("Error"), dict):
        code = str(response["Error"].get("Code", ""))
        http = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return Failure(_status_of(code, http), code, _text(str(error)))
    if isinstance(error, TimeIsUpError):
        return Failure(Status.INCONCLUSIVE, "", "its time was up before it was done")
    if isinstance(error, RolecallError):
        return Failure(Status.FAILED, "", _text(str(error)))
    return Failure(_status_of_exception(error), "", _text(f"{type(error).__name__}: {error}"))


def _status_of(code: str, http: int) -> Status:
    if code in REFUSALS:
        return Status.REFUSED
    if code == NOT_OFFERED:
        return Status.SKIPPED
    if code in PASSING or http >= _SERVER_FAULTS:
        return Status.INCONCLUSIVE
    return Status.FAILED


def _status_of_exception(error: BaseException) -> Status:
    known: Any = sys.modules.get("botocore.exceptions")
    if known is not None:
        if isinstance(error, known.EndpointConnectionError | known.ConnectTimeoutError | known.ProxyConnectionError):
            return Status.UNREACHABLE
        if isinstance(error, known.SSLError):
            return Status.UNREACHABLE
        if isinstance(error, known.HTTPClientError | known.ConnectionError | known.IncompleteReadError):
            return Status.INCONCLUSIVE
        parsers: Any = sys.modules.get("botocore.parsers")
        if parsers is not None and isinstance(error, parsers.ResponseParserError):
            return Status.INCONCLUSIVE
    if isinstance(error, TimeoutError | ConnectionError):
        return Status.INCONCLUSIVE
    return Status.FAILED


def _text(text: str) -> str:
    return redact(text[:_MESSAGE_CHARACTERS])
