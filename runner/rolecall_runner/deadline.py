"""How long one target may take: set by the engine, asked before every call.

A thread cannot be ended from outside. So the time runs out twice: for the engine, which gives the target its verdict and
goes on with another thread, and for the thread that is late, whose next call is refused here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Clock = Callable[[], float]
"""Seconds that only grow, as `time.monotonic`."""

_ends: ContextVar[tuple[float, Clock] | None] = ContextVar("rolecall_deadline", default=None)


class TimeIsUpError(Exception):
    """The target's time is up; what the task still wanted to ask was not asked."""


@contextmanager
def deadline(end: float, clock: Clock = time.monotonic) -> Iterator[None]:
    """Inside, calls are refused once `clock` reaches `end` (seconds of that clock)."""
    token = _ends.set((end, clock))
    try:
        yield
    finally:
        _ends.reset(token)


def seconds_left() -> float | None:
    """Seconds until the deadline, None without one. Raises TimeIsUpError when it has passed."""
    current = _ends.get()
    if current is None:
        return None
    end, clock = current
    left = end - clock()
    if left <= 0:
        raise TimeIsUpError("the target's time is up")
    return left
