"""What runs in a worker process of a Dask cluster: a chunk of targets, asked by threads as in every other process.

A task is unpickled once in a process and run, so that its clients and sessions are made once there (see `per_process`).
Tasks, targets and results travel as bytes: the scheduler passes them on and never opens them.
"""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from rolecall_generator.errors import InterruptedRunError
from rolecall_runner.engine.interface import Outside, Settings, Task
from rolecall_runner.engine.threads import run_threads
from rolecall_runner.results.result import Result
from rolecall_runner.targets import Target

_RUNS_KEPT = 4
"""Runs whose clients a worker process keeps: a cluster outlives many runs, their connections should not."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The results of a chunk; `whole` is False when the run was stopped before all its targets were asked."""

    results: tuple[Result, ...]
    whole: bool


@dataclass(slots=True)
class _Run:
    stop: threading.Event = field(default_factory=threading.Event)
    task: list[Task] = field(default_factory=list)


class _Runs:
    """The runs that this process takes part in, the latest few. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, _Run] = OrderedDict()

    def stop_of(self, run_id: str) -> threading.Event:
        with self._lock:
            return self._of(run_id).stop

    def task_of(self, run_id: str, task: bytes) -> Task:
        with self._lock:
            run = self._of(run_id)
            if not run.task:
                run.task.append(pickle.loads(task))  # noqa: S301 - from the client, who may run anything in this cluster
            return run.task[0]

    def _of(self, run_id: str) -> _Run:
        run = self._runs.setdefault(run_id, _Run())
        self._runs.move_to_end(run_id)
        while len(self._runs) > _RUNS_KEPT:
            self._runs.popitem(last=False)
        return run


_RUNS = _Runs()


def packed(targets: Iterable[Target], settings: Settings) -> bytes:
    """A chunk of targets as `ask_chunk` takes it."""
    return pickle.dumps((tuple(targets), settings))


def unpacked(answers: bytes) -> Answers:
    """What `ask_chunk` returned."""
    found: Answers = pickle.loads(answers)  # noqa: S301 - from a worker, which the client trusts with its accounts
    return found


def ask_chunk(run_id: str, task: bytes, chunk: bytes) -> bytes:
    """Ask all targets of a chunk, in a worker process of Dask; packed `Answers`.

    The process's threads together are the settings' workers: where Dask runs several chunks at once in a process, each
    gets its share.
    """
    targets, settings = pickle.loads(chunk)  # noqa: S301 - as the task
    share = replace(settings, workers=max(1, settings.workers // _chunks_at_once()))
    outside = Outside(stop=_RUNS.stop_of(run_id))
    return pickle.dumps(ask_targets(_RUNS.task_of(run_id, task), targets, share, outside))


def ask_targets(task: Task, targets: Iterable[Target], settings: Settings, outside: Outside) -> Answers:
    """Ask in threads until all are done or the run is stopped; never raises what a task raises."""
    results: list[Result] = []
    try:
        results.extend(run_threads(task, targets, settings, outside))
    except InterruptedRunError:
        return Answers(tuple(results), whole=False)
    return Answers(tuple(results), whole=True)


def stop_run(run_id: str) -> None:
    """Stop a run in this process: what is being asked may end, nothing more is begun."""
    _RUNS.stop_of(run_id).set()


def _chunks_at_once() -> int:
    from distributed import get_worker  # noqa: PLC0415 - an extra; it is there where this is called

    return max(1, int(get_worker().state.nthreads))
