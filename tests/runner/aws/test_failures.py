"""What an exception means for its account, by AWS error code and never by message, and the retry loop."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import exceptions
from botocore.parsers import ResponseParserError

from rolecall_generator.errors import SelectionError
from rolecall_runner.aws.failures import Status, failure_of
from rolecall_runner.aws.retry import (
    DeadlineExceededError,
    RetryPolicy,
    deadline,
    makes_single_attempts,
    note_success,
    with_retries,
)
from rolecall_runner.execution import Outcome

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


POLICY = RetryPolicy(attempts=5, base_seconds=1.0, cap_seconds=3.0)


AGAIN = Outcome(Status.INCONCLUSIVE)
DONE = Outcome()


def retried(
    outcomes: list[Outcome],
    policy: RetryPolicy = POLICY,
    *,
    chance: float = 1.0,
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[Outcome, int, list[float]]:
    """The last outcome, the number of attempts and the pauses."""
    pauses: list[float] = []
    outcome, attempts = with_retries(
        iter(outcomes).__next__,
        policy,
        inconclusive=lambda outcome: outcome is AGAIN,
        random=lambda: chance,
        sleep=pauses.append,
        stopped=stopped,
    )
    return outcome, attempts, pauses


@pytest.mark.parametrize(
    ("outcomes", "options", "expected"),
    [
        ([DONE], {}, (DONE, 1, [])),
        ([AGAIN, AGAIN, DONE], {}, (DONE, 3, [1.0, 2.0])),
        ([AGAIN] * 5, {}, (AGAIN, 5, [1.0, 2.0, 3.0, 3.0])),
        ([AGAIN, AGAIN, DONE], {"chance": 0.25}, (DONE, 3, [0.25, 0.5])),
        ([AGAIN], {"policy": RetryPolicy(attempts=1)}, (AGAIN, 1, [])),
        ([AGAIN], {"stopped": iter([True]).__next__}, (AGAIN, 1, [])),
        ([AGAIN], {"stopped": iter([False, True]).__next__}, (AGAIN, 1, [1.0])),
    ],
    ids=["done", "retried", "doubled up to the cap", "full jitter", "single attempt", "stopped before", "stopped during"],
)
def test_inconclusive_outcome_is_retried(
    outcomes: list[Outcome], options: dict[str, Any], expected: tuple[Outcome, int, list[float]]
) -> None:
    """Pauses double up to a cap, with full jitter; a stop before or during a pause ends the retries."""
    assert expected == retried(outcomes, **options)


@pytest.mark.parametrize(("seconds", "now", "attempts"), [(0.5, 0.0, 1), (1.5, 0.0, 2), (10.0, 0.0, 5), (1.0, 2.0, 1)])
def test_pause_past_the_deadline_ends_the_retries(seconds: float, now: float, attempts: int) -> None:
    """The outcome is kept, also if the deadline has passed."""
    with deadline(seconds, lambda: now):
        assert (AGAIN, attempts) == retried([AGAIN] * 5)[:2]


def test_errors_of_the_call_are_raised() -> None:
    with pytest.raises(StopIteration):
        retried([])


def test_later_attempt_retries_calls_after_a_success() -> None:
    """What throttles everything is called once more; what throttles some calls is retried as in the first attempt."""
    single: list[bool] = []

    def attempt() -> str:
        single.append(makes_single_attempts())
        note_success(SimpleNamespace(status_code=400))
        single.append(makes_single_attempts())
        note_success(SimpleNamespace(status_code=200))
        single.append(makes_single_attempts())
        return "again"

    found = with_retries(
        attempt, RetryPolicy(3), inconclusive=lambda _found: True, random=lambda: 0.0, sleep=lambda _seconds: None
    )

    assert ("again", 3) == found
    assert [False, False, False, *[True, True, False] * 2] == single
    assert not makes_single_attempts()
