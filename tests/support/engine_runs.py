"""Runs a task with an engine, by its name or as an object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rolecall_runner.execution.interface import Engine, EngineSettings, ExecutionOptions, Result, Runtime, Task
from rolecall_runner.inventory import Target


def run(
    task: Task,
    targets: Iterable[Target],
    *,
    engine: str | Engine = "threads",
    settings: EngineSettings | None = None,
    runtime: Runtime | None = None,
) -> Iterator[Result]:
    """The results of a task; see `ExecutionOptions.run`."""
    if isinstance(engine, str):
        return ExecutionOptions(engine, settings=settings or EngineSettings()).run(task, targets, runtime)
    return engine(task, targets, settings or EngineSettings(), runtime or Runtime())
