"""What engines and tasks agree on."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from rolecall_runner.results.result import Outcome, Result
from rolecall_runner.retry import RetryPolicy
from rolecall_runner.targets import Target

DEFAULT_WORKERS = 16
"""Workers a process. Measured in November 2026: more of them make it slower, since one interpreter lock serves them all."""


class Task(Protocol):
    """What is asked of each target. Called from many threads; for the engine of processes it must be picklable."""

    @property
    def name(self) -> str:
        """The task's name in results."""

    def __call__(self, target: Target) -> Outcome:
        """Ask one target. May raise: the engine makes a failed result of it."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What an engine takes from the world: two clocks, chance, and the sign to stop (Ctrl-C)."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    chance: Callable[[], float] = random.random
    stop: threading.Event = field(default_factory=threading.Event)
    sleep: Callable[[float], object] | None = None

    def wait(self, seconds: float) -> None:
        """Sleep, but wake when the run is to stop."""
        if self.sleep is not None:
            self.sleep(seconds)
        else:
            self.stop.wait(seconds)


@dataclass(frozen=True, slots=True)
class Settings:
    """What an engine needs to know. None as `timeout_seconds` means no limit.

    After Ctrl-C, targets in progress get `grace_seconds` to end.
    """

    workers: int = field(
        default=DEFAULT_WORKERS,
        metadata={"description": "Number of accounts processed concurrently, per process.", "ge": 1, "le": 256},
    )
    timeout_seconds: float | None = field(
        default=300.0, metadata={"description": "Seconds for one account, with all retries.", "ge": 1}
    )
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    grace_seconds: float = 5.0


class Engine(Protocol):
    """Runs a task over targets."""

    def __call__(self, task: Task, targets: Iterable[Target], settings: Settings, outside: Outside) -> Iterator[Result]:
        """One result a target, as they come; targets are taken only as fast as results are.

        Raises InterruptedRunError after the results that were there when the run was stopped.
        """
