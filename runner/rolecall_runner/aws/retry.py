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
from typing import TypeVar

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

    botocore retries each call within an attempt (AWS_MAX_ATTEMPTS); in the later attempts, it makes each call only once.
    Each pause is drawn evenly from 0 to min(cap_seconds, base_seconds * 2^n). This full jitter spreads out the retries of
    many accounts ("Exponential Backoff And Jitter", AWS Architecture Blog).
    """

    attempts: int = 2
    base_seconds: float = 4.0
    cap_seconds: float = 8.0


_single: ContextVar[bool] = ContextVar("rolecall_single_attempt", default=False)


def makes_single_attempts() -> bool:
    """Whether botocore is to make each call only once, because this is a later attempt of `with_retries`."""
    return _single.get()


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
        token = _single.set(True)
        try:
            result = call()
        finally:
            _single.reset(token)
    return result, attempt


def _is_time_for(pause: float) -> bool:
    try:
        left = seconds_left()
    except DeadlineExceededError:
        return False
    return left is None or left > pause
