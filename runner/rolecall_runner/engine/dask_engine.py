"""Past one machine: the same tasks on a Dask cluster.

Targets go out in chunks, results come back chunk by chunk; so many chunks are under way as keep every worker busy, and no
more. Credentials never travel: each worker process finds its caller and assumes by itself. A chunk whose worker is lost is
asked again on another (Dask's `allowed-failures`, three times unless the scheduler is set otherwise), then target by
target while all else waits; a target that ends every worker which asks it is inconclusive. So a target may be asked twice,
but has one result.
"""

from __future__ import annotations

import pickle
import queue
import secrets
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from rolecall_generator.errors import InterruptedRunError
from rolecall_runner.engine.dask_cluster import ClusterError, DaskCluster, connected, no_workers
from rolecall_runner.engine.dask_worker import ask_chunk, packed, stop_run, unpacked
from rolecall_runner.engine.execution_options import ExecutionOptions, register
from rolecall_runner.engine.interface import Outside, Settings, Task
from rolecall_runner.engine.threads import AHEAD
from rolecall_runner.redact import redact
from rolecall_runner.results.result import Result, Status
from rolecall_runner.targets import Target

_POLL_SECONDS = 0.25
_ENDING_SECONDS = 10.0
_CENSUS_SECONDS = 2.0
"""How often the number of workers is looked at: clusters grow and shrink in mid-run."""
_LOST_IN_A_ROW = 5
"""So many targets one after the other that end their workers: it is not the targets."""


@dataclass(frozen=True, slots=True)
class DaskEngine:
    """An `Engine` on a Dask cluster; each of its worker processes has the settings' number of workers."""

    cluster: DaskCluster = field(default_factory=DaskCluster)

    def __call__(self, task: Task, targets: Iterable[Target], settings: Settings, outside: Outside) -> Iterator[Result]:
        """Run a picklable task; see `Engine`. Raises ToolError and ClusterError too."""
        with connected(self.cluster) as client:
            yield from Flight(client, self.cluster, task, settings, outside).results(targets)


@dataclass(slots=True)
class _Open:
    future: Any
    targets: tuple[Target, ...]


class Flight:
    """One run over a client of a cluster (`distributed.Client`, or what behaves like it). Used by one thread."""

    def __init__(self, client: Any, cluster: DaskCluster, task: Task, settings: Settings, outside: Outside) -> None:
        self._client = client
        self._cluster = cluster
        self._task = task
        self._packed_task = pickle.dumps(task)
        self._settings = settings
        self._outside = outside
        self._run_id = secrets.token_hex(8)
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._open: dict[str, _Open] = {}
        self._again: deque[Target] = deque()
        self._sent = 0
        self._lost = 0
        self._room = 0
        self._counted_at = float("-inf")
        self._seen_at = outside.clock()
        self._stop_by: float | None = None
        self._returned = False

    def results(self, targets: Iterable[Target]) -> Iterator[Result]:
        """One result a target, as chunks come back. Raises InterruptedRunError, ClusterError."""
        source = iter(targets)
        try:
            while True:
                if self._outside.stop.is_set():
                    if self._wound_up():
                        break
                else:
                    self._feed(source)
                if not self._open and (not self._again or self._outside.stop.is_set()):
                    break
                try:
                    yield from self._answers()
                except KeyboardInterrupt:
                    self._interrupted()
        finally:
            if self._open:
                self._client.cancel([each.future for each in self._open.values()])
        if self._outside.stop.is_set() and (self._open or self._again or self._returned or next(source, None) is not None):
            raise InterruptedRunError("interrupted; what was done stays")

    def _feed(self, source: Iterator[Target]) -> None:
        self._count_workers()
        if self._again:
            if not self._open:  # alone in the cluster, so that only the guilty one is judged
                self._send((self._again.popleft(),))
            return
        while len(self._open) < self._room or not self._open:
            chunk = tuple(islice(source, self._chunk_size()))
            if not chunk:
                return
            self._send(chunk)

    def _chunk_size(self) -> int:
        """Small ones until every worker has some, so that the first rows are soon there."""
        return self._settings.workers if self._sent < self._room else self._settings.workers * AHEAD

    def _send(self, chunk: tuple[Target, ...]) -> None:
        self._sent += 1
        key = f"rolecall-{self._run_id}-{self._sent}"
        future = self._client.submit(
            ask_chunk, self._run_id, self._packed_task, packed(chunk, self._settings), key=key, pure=False
        )
        self._open[key] = _Open(future, chunk)
        future.add_done_callback(self._done.put)

    def _count_workers(self) -> None:
        now = self._outside.clock()
        if now - self._counted_at < _CENSUS_SECONDS:
            return
        self._counted_at = now
        threads = sum(self._client.nthreads().values())
        if threads:
            self._room = threads * AHEAD
            self._seen_at = now
        elif now - self._seen_at > self._cluster.wait_seconds:
            raise no_workers(self._cluster)

    def _answers(self) -> Iterator[Result]:
        try:
            future = self._done.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            return
        chunk = self._open.pop(future.key).targets
        try:
            answers = unpacked(future.result())
        except (Exception, CancelledError) as error:  # whatever a worker or the way to it came to
            if self._outside.stop.is_set():
                self._returned = True
            else:
                yield from self._failed(error, chunk)
            return
        self._lost = 0
        self._returned = self._returned or not answers.whole
        yield from answers.results

    def _interrupted(self) -> None:
        if self._outside.stop.is_set():
            self._stop_by = self._outside.clock()  # the second Ctrl-C
        self._outside.stop.set()
        self._returned = True

    def _failed(self, error: BaseException, chunk: tuple[Target, ...]) -> Iterator[Result]:
        """A chunk came to nothing: its workers were lost, else something is wrong with the cluster as a whole."""
        if isinstance(error, CancelledError):
            raise ClusterError(
                "the connection to the scheduler was lost",
                where=self._cluster.place,
                mend="what was done stays; look at the scheduler's log, then resume the run",
            )
        if type(error).__name__ != "KilledWorker":
            raise ClusterError(
                f"a worker cannot run what was sent: {redact(f'{type(error).__name__}: {error}')}",
                where=self._cluster.place,
                mend="install the same rolecall, Dask and Python 3.x on this machine, the scheduler and all workers",
            )
        if len(chunk) > 1:  # find out whose fault it was: the others need not suffer
            self._again.extend(chunk)
            return
        self._lost += 1
        if self._lost >= _LOST_IN_A_ROW:
            raise ClusterError(
                "the workers end by themselves, whatever they ask",
                where=self._cluster.place,
                mend="look in their logs for memory limits or a preload that fails",
            )
        yield from (
            Result(
                target.name,
                self._task.name,
                Status.INCONCLUSIVE,
                self._outside.now(),
                error="every worker that asked it ended",
                kind=target.kind,
            )
            for target in chunk
        )

    def _wound_up(self) -> bool:
        """Tell the workers once; True when their time is up."""
        if self._stop_by is None:
            self._stop_by = self._outside.clock() + self._settings.grace_seconds + _ENDING_SECONDS
            # Aside, since a worker that hangs would let us wait for ever.
            threading.Thread(target=self._tell_workers_to_stop, daemon=True).start()
        return self._outside.clock() >= self._stop_by

    def _tell_workers_to_stop(self) -> None:
        with suppress(Exception):  # the connection may be gone before all have answered; nobody waits for this
            self._client.run(stop_run, self._run_id, on_error="ignore")


def _from_options(options: ExecutionOptions) -> DaskEngine:
    ca, certificate, key = options.scheduler_tls or (None, None, None)
    return DaskEngine(DaskCluster(options.scheduler, options.processes, ca, certificate, key))


register("dask", _from_options, reach="cluster")
