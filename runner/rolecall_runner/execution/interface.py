"""The interface of tasks and engines: outcomes, results, settings, per-process values, and the registry of engines."""

from __future__ import annotations

import pkgutil
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

from rolecall_generator.errors import SelectionError
from rolecall_runner.aws import RetryPolicy, Status
from rolecall_runner.inventory import Target


@dataclass(frozen=True, slots=True)
class Outcome:
    """The return value of a task. `data`: JSON values. `code`: AWS error code. `error`: a message without secrets.

    `final`: the engine must not retry the target, because the task has retried what was worth it.
    """

    status: Status = Status.OK
    data: Any = None
    error: str = ""
    code: str = ""
    final: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a task for one target. `started` has a time zone; `seconds` includes all `attempts` and pauses."""

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
        """Kind and name of the target, since a customer and a switch role can have the same name."""
        return self.kind, self.target

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values, without empty fields."""
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


def inconclusive(task: Task, target: Target, started: datetime, error: str, seconds: float = 0.0) -> Result:
    """The result of a task that an engine could not complete for a target."""
    return Result(target.name, task.name, Status.INCONCLUSIVE, started, seconds, error=error, kind=target.kind)


def result_from_json(body: Mapping[str, Any]) -> Result:
    """Parse the result of `Result.to_json`. Raises KeyError, TypeError or ValueError for invalid input."""
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
    """Work for each target. Called from many threads. Must be picklable for engines with several processes."""

    @property
    def name(self) -> str:
        """The task's name in results."""

    def __call__(self, target: Target) -> Outcome:
        """Process one target. Exceptions become failed results."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """External inputs of an engine: clocks, random numbers, sleep, and the event that stops the run (Ctrl-C)."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    random: Callable[[], float] = random.random
    stop: threading.Event = field(default_factory=threading.Event)
    sleep: Callable[[float], object] | None = None

    def wait(self, seconds: float) -> None:
        """Sleep for this time, or until the run is stopped."""
        if self.sleep is not None:
            self.sleep(seconds)
        else:
            self.stop.wait(seconds)


DEFAULT_WORKERS = 16
"""Threads per process. More are slower because of the global interpreter lock (measured in November 2026)."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Settings of an engine. `timeout_seconds` None: no limit.

    After Ctrl-C, targets in progress have `grace_seconds` to complete.
    """

    workers: int = field(
        default=DEFAULT_WORKERS,
        metadata={"description": "Number of accounts processed concurrently, per process.", "ge": 1, "le": 256},
    )
    timeout_seconds: float | None = field(
        default=300.0, metadata={"description": "Time limit for one account, including retries.", "ge": 1}
    )
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    grace_seconds: float = 5.0


class Engine(Protocol):
    """Runs a task over targets."""

    def __call__(
        self, task: Task, targets: Iterable[Target], settings: EngineSettings, runtime: Runtime
    ) -> Iterator[Result]:
        """Yield one result per target, as they complete. Targets are consumed only as fast as results.

        Raises InterruptedRunError after the last result if the run was stopped.
        """


T = TypeVar("T")


class ProcessLocal(Generic[T]):
    """A value that is created lazily, once per process. Pickling includes only `make`, never the value and its secrets.

    To be pickled, `make` must be a module-level function, or a `functools.partial` of one.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._values: list[T] = []

    @property
    def is_created(self) -> bool:
        """Whether the value has been created."""
        return bool(self._values)

    def get(self) -> T:
        """Return the value. Raises the errors of `make`; then the next call tries again."""
        if not self._values:
            with self._lock:
                if not self._values:
                    self._values.append(self._make())
        return self._values[0]

    def __reduce__(self) -> tuple[type[ProcessLocal[T]], tuple[Callable[[], T]]]:
        return type(self), (self._make,)


DEFAULT_PROCESSES = 2
RUNS = Path(".rolecall") / "runs"
Reach = Literal["process", "machine", "cluster"]
"""Where an engine runs tasks: in this process, in several processes of this machine, or on several machines."""


@dataclass(frozen=True, slots=True)
class ExecutionOptions:
    """How a run is executed. Raises SelectionError for an unknown engine, or a scheduler with an engine that has none."""

    engine: str = field(
        default="threads",
        metadata={"description": "threads, processes, serial, or dask (on a cluster, see docs/dask.md)."},
    )
    processes: int = field(default=DEFAULT_PROCESSES, metadata={"description": "Number of worker processes.", "ge": 1})
    settings: EngineSettings = field(default_factory=EngineSettings)
    runs: Path = field(default=RUNS, metadata={"description": "Folder for run records."})
    scheduler: str | None = field(
        default=None, metadata={"description": "Address of the Dask scheduler; by default a cluster on this machine."}
    )
    scheduler_tls: tuple[Path, Path, Path] | None = field(
        default=None, metadata={"description": "PEM files for TLS to the cluster."}
    )

    def __post_init__(self) -> None:
        if self.reach != "cluster" and (self.scheduler is not None or self.scheduler_tls is not None):
            raise SelectionError(
                f"the engine {self.engine} does not use a scheduler", where="--scheduler", hint="add --engine dask"
            )

    @property
    def reach(self) -> Reach:
        """Where the engine runs tasks. A cluster may process a target twice, if a worker is lost."""
        return find_engine(self.engine).reach

    def run(self, task: Task, targets: Iterable[Target], runtime: Runtime | None = None) -> Iterator[Result]:
        """Run a task over targets; yields one result per target, as they complete. An error of one target is in its result.

        `targets` is consumed lazily and may be infinite; memory use does not grow with it. Kind and name of a target must be
        unique. To stop, set `runtime.stop` or press Ctrl-C: targets in progress have `settings.grace_seconds` to complete,
        and InterruptedRunError is raised after the last result.
        """
        return find_engine(self.engine).make(self)(task, targets, self.settings, runtime or Runtime())


@dataclass(frozen=True, slots=True)
class RegisteredEngine:
    """`make` creates the engine from the options of a run."""

    make: Callable[[ExecutionOptions], Engine]
    reach: Reach


_ENGINES: dict[str, RegisteredEngine] = {}


def register(name: str, make: Callable[[ExecutionOptions], Engine], *, reach: Reach = "process") -> None:
    """Register an engine under a name. Modules of this package register their engine on import."""
    _ENGINES[name] = RegisteredEngine(make, reach)


def engine_names() -> tuple[str, ...]:
    """The names of all engines, sorted."""
    package = import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__, f"{__package__}."):
        import_module(module.name)
    return tuple(sorted(_ENGINES))


def find_engine(name: str) -> RegisteredEngine:
    """The engine of this name. Raises SelectionError."""
    if name not in _ENGINES and name not in (known := engine_names()):
        raise SelectionError(f"unknown engine {name!r}", where="--engine", hint=f"available engines: {', '.join(known)}")
    return _ENGINES[name]
