"""Jobs for the processes of a pool: importable, since a spawned process imports the function that it calls."""

from __future__ import annotations

import os
import signal
from typing import Any


def add(number: int, items: list[int]) -> list[int]:
    return [number + item for item in items]


def prepared(number: int) -> int:
    return number


def unprepared(_number: int) -> int:
    raise LookupError("no preparation")


def killed(_state: Any, _chunk: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def fails(_state: Any, _chunk: Any) -> Any:
    raise LookupError("no work")


def interrupts_are_blocked(_state: Any, _chunk: Any) -> list[int]:
    return [int(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, set()))]
