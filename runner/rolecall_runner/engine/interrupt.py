"""Ctrl-C as a sign to stop: what was asked is handed out, then the run ends. A second one ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stops_on_ctrl_c(stop: threading.Event) -> Iterator[None]:
    """Inside, the first SIGINT or SIGTERM sets `stop`; the second raises KeyboardInterrupt. For the main thread alone.

    Without it a Ctrl-C might come while a result is being written or shown, and that result would be torn or lost.
    """

    def sign(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, sign) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
