"""A task over targets, by the engine of one's choice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from rolecall_runner.engine.dask_cluster import DaskCluster
from rolecall_runner.engine.dask_engine import DaskEngine
from rolecall_runner.engine.interface import Engine, Outside, Settings, Task
from rolecall_runner.engine.processes import DEFAULT_PROCESSES, ProcessEngine
from rolecall_runner.engine.serial import run_serial
from rolecall_runner.engine.threads import run_threads
from rolecall_runner.results.result import Result
from rolecall_runner.targets import Target

EngineName = Literal["serial", "threads", "processes", "dask"]


def run(
    task: Task,
    targets: Iterable[Target],
    *,
    engine: EngineName | Engine = "threads",
    settings: Settings | None = None,
    outside: Outside | None = None,
    processes: int = DEFAULT_PROCESSES,
    cluster: DaskCluster | None = None,
) -> Iterator[Result]:
    """One result a target, as they come. What fails for one target is its result.

    `cluster`: which one, for the engine `dask`; an embedded one of `processes` workers when left out.
    `targets` may be endless: memory does not grow with them. Set `outside.stop` (or press Ctrl-C) to stop: those being asked
    get a few seconds, then InterruptedRunError is raised after the last result. No two targets may share kind and name.
    """
    chosen = _engine(engine, processes, cluster) if isinstance(engine, str) else engine
    return chosen(task, targets, settings or Settings(), outside or Outside())


def _engine(name: EngineName, processes: int, cluster: DaskCluster | None) -> Engine:
    if name == "dask":
        return DaskEngine(cluster or DaskCluster(workers=processes))
    if name == "serial":
        return run_serial
    return ProcessEngine(processes) if name == "processes" else run_threads
