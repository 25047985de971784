"""What a task says of one target; what fails there is said here too, never raised.

What engines and tasks agree on.

What each process makes for itself, once: clients, connections, sessions.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

from rolecall_runner.aws import RetryPolicy, Status
from rolecall_runner.inventory import Target

DEFAULT_WORKERS = 16
"""Number of accounts processed concurrently, per process. More were slower (November 2026): threads share a lock."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task returns: `data` in JSON's types; `code` is AWS's error code, `error` a text without secrets."""

    status: Status = Status.OK
    data: Any = None
    error: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One target's outcome. `started` has a time zone; `seconds` is the time of all `attempts`, waits included."""

    target: str
    task: str
    status: Status
    started: datetime
    seconds: float = 0.0
    attempts: int = 1
    data: Any = None
    error: str = ""
    code: str = ""
    kind: str = "customer"

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name of the target: a customer and a switch role may share a name."""
        return self.kind, self.target

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values; what is empty is left out."""
        body: dict[str, Any] = {
            "target": self.target,
            "kind": self.kind,
            "task": self.task,
            "status": str(self.status),
            "started": self.started.isoformat(),
            "seconds": round(self.seconds, 3),
            "attempts": self.attempts,
        }
        optional = {"data": self.data, "error": self.error, "code": self.code}
        return body | {key: value for key, value in optional.items() if value not in (None, "")}


def result_from_json(body: Mapping[str, Any]) -> Result:
    """Read `Result.to_json` back. Raises KeyError, TypeError or ValueError for anything else."""
    return Result(
        body["target"],
        body["task"],
        Status(body["status"]),
        datetime.fromisoformat(body["started"]),
        float(body["seconds"]),
        int(body["attempts"]),
        body.get("data"),
        body.get("error", ""),
        body.get("code", ""),
        body["kind"],
    )


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
class EngineSettings:
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

    def __call__(
        self, task: Task, targets: Iterable[Target], settings: EngineSettings, outside: Outside
    ) -> Iterator[Result]:
        """One result a target, as they come; targets are taken only as fast as results are.

        Raises InterruptedRunError after the results that were there when the run was stopped.
        """


T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value that is made when first asked for, once in a process. Pickled, only its maker travels: never its secrets.

    `make` must be picklable where the value is to travel: a function of a module, or `functools.partial` of one.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []

    @property
    def made(self) -> bool:
        """Whether the value is there already."""
        return bool(self._made)

    def get(self) -> T:
        """The value. Raises what its maker raises; the next call tries again."""
        if not self._made:
            with self._lock:
                if not self._made:
                    self._made.append(self._make())
        return self._made[0]

    def __reduce__(self) -> tuple[type[PerProcess[T]], tuple[Callable[[], T]]]:
        return type(self), (self._make,)
