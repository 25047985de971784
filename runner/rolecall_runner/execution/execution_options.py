"""Execution options of a run, and the registry of engines."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Literal

from rolecall_generator.errors import SelectionError
from rolecall_runner.execution.interface import Engine, EngineSettings, Result, Runtime, Task
from rolecall_runner.execution.journal import RUNS
from rolecall_runner.inventory import Target

DEFAULT_PROCESSES = 2
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
        """Run a task over targets; see `run`."""
        return find_engine(self.engine).make(self)(task, targets, self.settings, runtime or Runtime())


@dataclass(frozen=True, slots=True)
class RegisteredEngine:
    """A named engine. `make` creates it from the options of a run."""

    name: str
    make: Callable[[ExecutionOptions], Engine]
    reach: Reach


_ENGINES: dict[str, RegisteredEngine] = {}


def register(name: str, make: Callable[[ExecutionOptions], Engine], *, reach: Reach = "process") -> None:
    """Register an engine under a name. Modules of this package register their engine on import."""
    _ENGINES[name] = RegisteredEngine(name, make, reach)


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


def run(
    task: Task,
    targets: Iterable[Target],
    *,
    engine: str | Engine = "threads",
    settings: EngineSettings | None = None,
    runtime: Runtime | None = None,
) -> Iterator[Result]:
    """Run a task over targets; yields one result per target, as they complete. An error of one target is in its result.

    `targets` is consumed lazily and may be infinite; memory use does not grow with it. Kind and name of a target must be
    unique. To stop, set `runtime.stop` or press Ctrl-C: targets in progress have `settings.grace_seconds` to complete, and
    InterruptedRunError is raised after the last result.
    """
    if isinstance(engine, str):
        return ExecutionOptions(engine, settings=settings or EngineSettings()).run(task, targets, runtime)
    return engine(task, targets, settings or EngineSettings(), runtime or Runtime())
