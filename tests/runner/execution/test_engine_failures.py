"""How an exception maps to a verdict: by AWS error code, never by message."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions
from botocore.parsers import ResponseParserError

from rolecall_generator.errors import SelectionError
from rolecall_runner.aws.failures import DeadlineExceededError, Status, failure_of

URL = {"endpoint_url": "https://sts.us-east-1.amazonaws.com"}


def client_error(code: str, status: int = 400, message: str = "said AWS") -> exceptions.ClientError:
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return exceptions.ClientError(response, "AssumeRole")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (client_error("AccessDenied", 403), Status.REFUSED),
        (client_error("UnauthorizedOperation", 403), Status.REFUSED),
        (client_error("AccessDeniedException", 400), Status.REFUSED),
        (client_error("Throttling"), Status.INCONCLUSIVE),
        (client_error("RequestLimitExceeded", 503), Status.INCONCLUSIVE),
        (client_error("InternalFailure", 500), Status.INCONCLUSIVE),
        (client_error("NeverHeardOf", 503), Status.INCONCLUSIVE),
        (client_error("ExpiredToken", 403), Status.INCONCLUSIVE),
        (client_error("ValidationError"), Status.FAILED),
        (client_error("InvalidClientTokenId", 403), Status.FAILED),
        (client_error("SignatureDoesNotMatch", 403), Status.FAILED),
        (client_error("RegionDisabledException", 403), Status.FAILED),
        (client_error("Forbidding", 403, "AccessDenied"), Status.FAILED),
        (exceptions.EndpointConnectionError(**URL, error="x"), Status.UNREACHABLE),
        (exceptions.ConnectTimeoutError(**URL, error="x"), Status.UNREACHABLE),
        (exceptions.SSLError(**URL, error="x"), Status.UNREACHABLE),
        (exceptions.ReadTimeoutError(**URL, error="x"), Status.INCONCLUSIVE),
        (exceptions.ConnectionClosedError(**URL, error="x"), Status.INCONCLUSIVE),
        (exceptions.HTTPClientError(error="x"), Status.INCONCLUSIVE),
        (ResponseParserError("not XML"), Status.INCONCLUSIVE),
        (exceptions.ParamValidationError(report="x"), Status.FAILED),
        (exceptions.NoRegionError(), Status.FAILED),
        (DeadlineExceededError("late"), Status.INCONCLUSIVE),
        (TimeoutError(), Status.INCONCLUSIVE),
        (SelectionError("x"), Status.FAILED),
        (KeyError("x"), Status.FAILED),
    ],
    ids=str,
)
def test_exception_maps_to_outcome(error: Exception, status: Status) -> None:
    """Only an access-denied code is a refusal; transient errors are inconclusive; all others are failed."""
    assert status == failure_of(error).status


@pytest.mark.parametrize(
    "error",
    [
        client_error("AccessDenied", 403, "key ASIAIOSFODNN7EXAMPLE, SessionToken: abc123"),
        ValueError("SecretAccessKey=abc123 of ASIAIOSFODNN7EXAMPLE"),
        SelectionError("x-amz-security-token: abc123", where="ASIAIOSFODNN7EXAMPLE"),
    ],
)
def test_failure_message_contains_no_secret(error: Any) -> None:
    message = failure_of(error).message

    assert [] == [secret for secret in ("abc123", "ASIAIOSFODNN7EXAMPLE") if secret in message]
