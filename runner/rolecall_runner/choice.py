"""Whom a run asks and how, as the command line and the Python API say it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rolecall_runner.engine.dask_cluster import DaskCluster
from rolecall_runner.engine.interface import Outside, Settings, Task
from rolecall_runner.engine.run import EngineName, run
from rolecall_runner.results.journal import RUNS
from rolecall_runner.results.result import Result
from rolecall_runner.targets import Target

EVERYBODY = "all"


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom to ask: a pattern, a sample of what it means, what did not end well in the run `retry`."""

    limit: str = EVERYBODY
    sample: int | None = None
    seed: int = 0
    retry: str | None = None

    @property
    def words(self) -> str:
        """The choice as a person would say it."""
        parts = [self.limit]
        if self.retry is not None:
            parts.append(f"failed in {self.retry}")
        if self.sample is not None:
            parts.append(f"sample of {self.sample} (seed {self.seed})")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class How:
    """How to ask: engine, workers a process, processes, seconds for one target, where runs are kept, which Dask cluster."""

    engine: EngineName = "threads"
    processes: int = 2
    settings: Settings = field(default_factory=Settings)
    runs: Path = RUNS
    cluster: DaskCluster | None = None

    def ask(self, task: Task, targets: Iterable[Target], outside: Outside) -> Iterator[Result]:
        """Run a task over targets this way; see `engine.run.run`."""
        return run(
            task,
            targets,
            engine=self.engine,
            settings=self.settings,
            outside=outside,
            processes=self.processes,
            cluster=self.cluster,
        )
