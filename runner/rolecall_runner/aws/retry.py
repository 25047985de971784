"""When calls and targets are retried, and the deadline of a target.

botocore retries a call; `with_retries` repeats a target, a Region or a check later, with one attempt of each call. A thread
cannot be stopped from outside. When a target exceeds its time limit, the engine records its result and continues with
another thread; the next call of the late thread raises DeadlineExceededError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

Clock = Callable[[], float]
"""Monotonic seconds, as `time.monotonic` returns them."""

_ends: ContextVar[tuple[float, Clock] | None] = ContextVar("rolecall_deadline", default=None)


class DeadlineExceededError(Exception):
    """The target's time limit is exceeded; the call was not made."""


@contextmanager
def deadline(end: float, clock: Clock = time.monotonic) -> Iterator[None]:
    """Inside, calls are refused once `clock` reaches `end` (seconds of that clock)."""
    token = _ends.set((end, clock))
    try:
        yield
    finally:
        _ends.reset(token)


def seconds_left() -> float | None:
    """Seconds until the deadline, None without one. Raises DeadlineExceededError when it has passed."""
    current = _ends.get()
    if current is None:
        return None
    end, clock = current
    left = end - clock()
    if left <= 0:
        raise DeadlineExceededError("the time limit of the target was exceeded")
    return left


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Number of attempts, the first one included, and the bounds of the pauses between them, in seconds.

    botocore retries each call within an attempt (AWS_MAX_ATTEMPTS). In the later attempts, it does so only after a call has
    succeeded: a service that throttles everything is called once more.
    Each pause is drawn evenly from 0 to min(cap_seconds, base_seconds * 2^n). This full jitter spreads out the retries of
    many accounts ("Exponential Backoff And Jitter", AWS Architecture Blog).
    """

    attempts: int = 2
    base_seconds: float = 4.0
    cap_seconds: float = 8.0


@dataclass(slots=True)
class _LaterAttempt:
    """A later attempt of `with_retries`, and whether a call in it has succeeded."""

    succeeded: bool = False


_later: ContextVar[_LaterAttempt | None] = ContextVar("rolecall_later_attempt", default=None)


def makes_single_attempts() -> bool:
    """Whether botocore is to make the call only once: this is a later attempt, and no call in it has succeeded."""
    later = _later.get()
    return later is not None and not later.succeeded


def note_success(http_response: Any, **_event: object) -> None:
    """Handle botocore's `after-call`: if the call succeeded, further calls of this later attempt are retried."""
    if (later := _later.get()) is not None and http_response.status_code < HTTPStatus.MULTIPLE_CHOICES:
        later.succeeded = True


def with_retries(
    call: Callable[[], T],
    policy: RetryPolicy,
    *,
    inconclusive: Callable[[T], bool],
    random: Callable[[], float],
    sleep: Callable[[float], object],
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[T, int]:
    """Call until the result is conclusive; return the last result and the number of attempts made.

    Gives up earlier when `stopped` returns true or the next pause would not end before the deadline. `random` draws evenly
    from 0 to 1, `sleep` takes seconds. Raises what `call` raises.
    """
    attempt = 1
    result = call()
    while inconclusive(result) and attempt < policy.attempts and not stopped():
        pause = random() * min(policy.cap_seconds, policy.base_seconds * 2 ** (attempt - 1))
        if not _is_time_for(pause):
            break
        sleep(pause)
        if stopped():
            break
        attempt += 1
        token = _later.set(_LaterAttempt())
        try:
            result = call()
        finally:
            _later.reset(token)
    return result, attempt


def _is_time_for(pause: float) -> bool:
    try:
        left = seconds_left()
    except DeadlineExceededError:
        return False
    return left is None or left > pause
