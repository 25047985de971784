"""The Dask engine: runs on an existing cluster, or on an embedded cluster of processes on this machine.

The only module that connects to Dask. All workers and the scheduler need the same versions of rolecall, Dask, and Python
(3.x); the scheduler because it reads the name of the submitted function.

Targets are sent in chunks, as many as keep every worker busy, and results are returned per chunk. Credentials are never
sent: each worker process finds its caller and assumes roles itself. If a worker is lost, Dask retries its chunk on another
worker (`allowed-failures`, three times by default). Then its targets are retried one by one, with nothing else in progress.
A target that ends every worker is inconclusive. A target can therefore be processed more than once, but has one result.

A worker process runs the targets of a chunk in threads. It unpickles a task once per run, so that its clients and sessions
are created once (see `ProcessLocal`). Tasks, targets, and results are sent as bytes, which the scheduler never unpickles.
The worker processes of an embedded cluster load this module as a `preload`.
"""

from __future__ import annotations

import logging
import pickle
import queue
import secrets
import signal
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from rolecall_generator.errors import ExitCode, InterruptedRunError, RolecallError, ToolError
from rolecall_runner.execution.interface import (
    EngineSettings,
    Result,
    Runtime,
    Task,
    inconclusive,
    register,
)
from rolecall_runner.execution.threads import AHEAD, run_threads
from rolecall_runner.inventory import Target
from rolecall_runner.redact import redact

_EMBEDDED_CHUNKS_AT_ONCE = 2
"""Two, so that a process is not idle while the last targets of a chunk are slow."""
_MAX_MISMATCHES = 3
_PACKAGES = ("rolecall", "dask", "distributed")
_VERSIONS_HINT = "install the same rolecall, Dask and Python 3.x on this machine, the scheduler and all workers"


class ClusterError(RolecallError):
    """The Dask cluster cannot be used, or was lost during the run."""

    exit_code = ExitCode.TOOL


@dataclass(frozen=True, slots=True)
class DaskCluster:
    """Connection settings of a cluster.

    `scheduler`: address (`tls://10.0.0.5:8786`); None: an embedded cluster of `workers` processes, on loopback and over TLS
    with keys that are kept only in memory. `tls_ca`, `tls_cert`, `tls_key`: PEM files, all three or none (then Dask's own
    configuration applies). `connect_seconds`: time-out for the scheduler. `wait_seconds`: time-out for a worker, at the
    start and after all workers were lost.
    """

    scheduler: str | None = None
    workers: int = 2
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    connect_seconds: float = 10.0
    wait_seconds: float = 60.0

    @property
    def place(self) -> str:
        """Name of the cluster in messages."""
        return self.scheduler or "the cluster on this machine"


@contextmanager
def connected(cluster: DaskCluster) -> Iterator[Any]:
    """Connect to a cluster with workers and matching versions; yields a `distributed.Client`. Stops an embedded cluster.

    Raises ToolError if Dask is not installed, and ClusterError.
    """
    distributed = _distributed()
    security = _security(distributed, cluster)
    if cluster.scheduler is not None:
        with _client(distributed, cluster, cluster.scheduler, security) as client:
            yield client
        return
    import dask  # noqa: PLC0415 - optional, like distributed

    with (
        # The profiler of workers can deadlock them on Python before 3.11.9 (python/cpython#106883).
        dask.config.set({"distributed.worker.profile.enabled": False}),
        distributed.LocalCluster(
            n_workers=cluster.workers,
            threads_per_worker=_EMBEDDED_CHUNKS_AT_ONCE,
            processes=True,
            host="127.0.0.1",
            protocol="tls",
            security=security,
            # None would use a fixed port, with a warning if it is in use.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
            preload=["rolecall_runner.execution.dask"],
        ) as local,
        _client(distributed, cluster, local.scheduler_address, security) as client,
    ):
        yield client


def check_versions(found: Mapping[str, Any], place: str) -> None:
    """Check the result of `Client.get_versions(packages=["rolecall"])`. Raises ClusterError with the differences."""
    ours = _versions(found["client"])
    others = {"the scheduler": found["scheduler"]} | {f"worker {name}": each for name, each in found["workers"].items()}
    differences = [(name, _difference(ours, _versions(each))) for name, each in others.items()]
    mismatches = [f"{name} {difference}" for name, difference in differences if difference]
    if mismatches:
        more = f", and {len(mismatches) - _MAX_MISMATCHES} more" if len(mismatches) > _MAX_MISMATCHES else ""
        raise ClusterError(f"{'; '.join(mismatches[:_MAX_MISMATCHES])}{more}", where=place, hint=_VERSIONS_HINT)


def _difference(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    for name, version in ours.items():
        other = theirs.get(name, "")
        if other != version:
            return f"has {name} {other}, this machine {version}" if other else f"has no {name}"
    return ""


def _versions(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Versions of the installed packages by name."""
    packages: Mapping[str, str | None] = (found or {}).get("packages", {})
    python = {"Python": ".".join(str(packages["python"]).split(".")[:2])} if packages.get("python") else {}
    return python | {name: version for name in _PACKAGES if (version := packages.get(name))}


def _distributed() -> Any:
    try:
        import distributed  # noqa: PLC0415 - optional, and takes a second to import
    except ImportError:
        raise ToolError(
            "the engine dask requires Dask, which is not installed",
            hint="install rolecall with the extra dask, in its checkout: pip install '.[dask]'",
        ) from None
    return distributed


def _security(distributed: Any, cluster: DaskCluster) -> Any:
    files = {"tls_ca": cluster.tls_ca, "tls_cert": cluster.tls_cert, "tls_key": cluster.tls_key}
    given = [name for name, path in files.items() if path is not None]
    if cluster.scheduler is None:
        # Temporary keys. Otherwise any user of this machine could run code in the workers with the caller's credentials.
        try:
            return distributed.Security.temporary()
        except ImportError:
            raise ToolError(
                "a Dask cluster on this machine requires the package cryptography", hint="pip install cryptography"
            ) from None
    if not given:
        return None
    if len(given) < len(files):
        raise ClusterError(
            f"of CA, certificate and key only {' and '.join(name.removeprefix('tls_') for name in given)} is given",
            where=cluster.place,
            hint="specify all three PEM files, or none",
        )
    for path in files.values():
        if not Path(str(path)).is_file():
            raise ClusterError("file not found", where=str(path), hint="specify the PEM files of the cluster")
    return distributed.Security(
        tls_ca_file=str(cluster.tls_ca),
        tls_client_cert=str(cluster.tls_cert),
        tls_client_key=str(cluster.tls_key),
        require_encryption=True,
    )


@contextmanager
def _client(distributed: Any, cluster: DaskCluster, address: str, security: Any) -> Iterator[Any]:
    try:
        with warnings.catch_warnings():
            # Dask warns about every difference in versions; `check_versions` reports those that matter.
            warnings.simplefilter("ignore", distributed.versions.VersionMismatchWarning)
            client = distributed.Client(
                address, timeout=cluster.connect_seconds, security=security, set_as_default=False, name="rolecall"
            )
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise ClusterError(
            f"the scheduler cannot be reached: {error}",
            where=cluster.place,
            hint="check the address, the firewall, and whether the scheduler requires TLS (tls:// and three PEM files)",
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=cluster.wait_seconds)
        except TimeoutError:
            raise no_workers(cluster) from None
        check_versions(client.get_versions(packages=["rolecall"]), cluster.place)
        yield client


def no_workers(cluster: DaskCluster) -> ClusterError:
    """The error for a cluster without workers."""
    return ClusterError(
        f"no worker connected within {cluster.wait_seconds:g} s",
        where=cluster.place,
        hint="start workers with the backend role (docs/dask.md), or check the logs of those that exited",
    )


_POLL_SECONDS = 0.25
_SHUTDOWN_SECONDS = 10.0
_WORKER_COUNT_SECONDS = 2.0
"""Interval for counting workers, since clusters can scale during a run."""
_MAX_CONSECUTIVE_LOSSES = 5
"""After this many consecutive targets that end their workers, the cluster is considered faulty."""


@dataclass(frozen=True, slots=True)
class DaskEngine:
    """An `Engine` on a Dask cluster. Each worker process uses the settings' number of threads."""

    cluster: DaskCluster = field(default_factory=DaskCluster)

    def __call__(
        self, task: Task, targets: Iterable[Target], settings: EngineSettings, runtime: Runtime
    ) -> Iterator[Result]:
        """Run a picklable task; see `Engine`. Also raises ToolError and ClusterError."""
        with connected(self.cluster) as client:
            yield from Flight(client, self.cluster, task, settings, runtime).results(targets)


class Flight:
    """One run on a cluster. `client`: a `distributed.Client`, or an object with its interface. Not thread-safe."""

    def __init__(self, client: Any, cluster: DaskCluster, task: Task, settings: EngineSettings, runtime: Runtime) -> None:
        self._client = client
        self._cluster = cluster
        self._task = task
        self._packed_task = pickle.dumps(task)
        self._settings = settings
        self._runtime = runtime
        self._run_id = secrets.token_hex(8)
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._in_progress: dict[str, tuple[Any, tuple[Target, ...]]] = {}  # future and targets, by key
        self._to_retry: deque[Target] = deque()
        self._sent = 0
        self._losses = 0
        self._capacity = 0
        self._counted_at = float("-inf")
        self._workers_seen_at = runtime.clock()
        self._stop_by: float | None = None
        self._incomplete = False

    def results(self, targets: Iterable[Target]) -> Iterator[Result]:
        """Yield one result per target, as chunks complete. Raises InterruptedRunError, ClusterError."""
        source = iter(targets)
        try:
            while True:
                if self._runtime.stop.is_set():
                    if self._wind_down():
                        break
                else:
                    self._feed(source)
                if not self._in_progress and (not self._to_retry or self._runtime.stop.is_set()):
                    break
                try:
                    yield from self._receive()
                except KeyboardInterrupt:
                    self._interrupt()
        finally:
            if self._in_progress:
                self._client.cancel([future for future, _ in self._in_progress.values()])
        if self._runtime.stop.is_set() and (
            self._in_progress or self._to_retry or self._incomplete or next(source, None) is not None
        ):
            raise InterruptedRunError("interrupted; completed results are kept")

    def _feed(self, source: Iterator[Target]) -> None:
        self._count_workers()
        if self._to_retry:
            if not self._in_progress:  # one by one, to find the target that ends its worker
                self._send((self._to_retry.popleft(),))
            return
        while len(self._in_progress) < self._capacity or not self._in_progress:
            chunk = tuple(islice(source, self._chunk_size()))
            if not chunk:
                return
            self._send(chunk)

    def _chunk_size(self) -> int:
        """The size of the next chunk: smaller until every worker has one, so that first results arrive early."""
        return self._settings.workers if self._sent < self._capacity else self._settings.workers * AHEAD

    def _send(self, chunk: tuple[Target, ...]) -> None:
        self._sent += 1
        key = f"rolecall-{self._run_id}-{self._sent}"
        packed = pickle.dumps((chunk, self._settings))
        future = self._client.submit(run_chunk, self._run_id, self._packed_task, packed, key=key, pure=False)
        self._in_progress[key] = future, chunk
        future.add_done_callback(self._done.put)

    def _count_workers(self) -> None:
        now = self._runtime.clock()
        if now - self._counted_at < _WORKER_COUNT_SECONDS:
            return
        self._counted_at = now
        threads = sum(self._client.nthreads().values())
        if threads:
            self._capacity = threads * AHEAD
            self._workers_seen_at = now
        elif now - self._workers_seen_at > self._cluster.wait_seconds:
            raise no_workers(self._cluster)

    def _receive(self) -> Iterator[Result]:
        try:
            future = self._done.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            return
        _, chunk = self._in_progress.pop(future.key)
        try:
            answers: ChunkResult = pickle.loads(future.result())  # noqa: S301 - workers are trusted, they have credentials
        except (Exception, CancelledError) as error:  # from a worker or from the connection
            if self._runtime.stop.is_set():
                self._incomplete = True
            else:
                yield from self._handle_failure(error, chunk)
            return
        self._losses = 0
        self._incomplete = self._incomplete or not answers.whole
        yield from answers.results

    def _interrupt(self) -> None:
        if self._runtime.stop.is_set():
            self._stop_by = self._runtime.clock()  # the second Ctrl-C
        self._runtime.stop.set()
        self._incomplete = True

    def _handle_failure(self, error: BaseException, chunk: tuple[Target, ...]) -> Iterator[Result]:
        """Handle a failed chunk: retry it if its workers were lost, else raise ClusterError."""
        if isinstance(error, CancelledError):
            raise ClusterError(
                "the connection to the scheduler was lost",
                where=self._cluster.place,
                hint="completed results are kept; check the scheduler's log, then resume the run",
            )
        if type(error).__name__ != "KilledWorker":
            raise ClusterError(
                f"a worker could not run the task: {redact(f'{type(error).__name__}: {error}')}",
                where=self._cluster.place,
                hint=_VERSIONS_HINT,
            )
        if len(chunk) > 1:  # retry one by one to find the cause
            self._to_retry.extend(chunk)
            return
        self._losses += 1
        if self._losses >= _MAX_CONSECUTIVE_LOSSES:
            raise ClusterError(
                "the workers keep exiting unexpectedly, whichever account they process",
                where=self._cluster.place,
                hint="check their logs for memory limits or a failing preload",
            )
        yield inconclusive(
            self._task, chunk[0], self._runtime.now(), "every worker that processed the account exited unexpectedly"
        )

    def _wind_down(self) -> bool:
        """Stop the run in the workers on the first call. Returns whether the grace period is over."""
        if self._stop_by is None:
            self._stop_by = self._runtime.clock() + self._settings.grace_seconds + _SHUTDOWN_SECONDS
            # In a thread, since a hanging worker would block forever.
            threading.Thread(target=self._stop_workers, daemon=True).start()
        return self._runtime.clock() >= self._stop_by

    def _stop_workers(self) -> None:
        with suppress(Exception):  # best effort; the connection may be gone
            self._client.run(stop_run, self._run_id, on_error="ignore")


register(
    "dask",
    lambda options: DaskEngine(DaskCluster(options.scheduler, options.processes, *(options.scheduler_tls or ()))),
    reach="cluster",
)


_RUNS_KEPT = 4
"""Number of runs whose clients a worker process keeps open."""


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """The results of a chunk. `whole`: False if the run was stopped before all targets were processed."""

    results: tuple[Result, ...]
    whole: bool


class _Run:
    """A run in a worker process: its task, and the event that stops it."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.task: Task | None = None


_latest_run = lru_cache(maxsize=_RUNS_KEPT)(lambda _run_id: _Run())
_lock = threading.Lock()


def _run_of(run_id: str) -> _Run:
    with _lock:  # otherwise two threads could create the same run
        return _latest_run(run_id)


def _task_of(run: _Run, task: bytes) -> Task:
    with _lock:
        if run.task is None:
            run.task = pickle.loads(task)  # noqa: S301 - from the client, which may run any code here
        return run.task


def run_chunk(run_id: str, task: bytes, chunk: bytes) -> bytes:
    """Process a chunk of targets in the threads of a Dask worker process, until all are done or the run is stopped.

    `task`, `chunk`: pickled, as is the returned `ChunkResult`. Errors of a task are in its results. Concurrent chunks of a
    process share the settings' number of threads.
    """
    targets, settings = pickle.loads(chunk)  # noqa: S301 - as for the task
    share = replace(settings, workers=max(1, settings.workers // _chunks_at_once()))
    run = _run_of(run_id)
    results: list[Result] = []
    try:
        results.extend(run_threads(_task_of(run, task), targets, share, Runtime(stop=run.stop)))
    except InterruptedRunError:
        return pickle.dumps(ChunkResult(tuple(results), whole=False))
    return pickle.dumps(ChunkResult(tuple(results), whole=True))


def stop_run(run_id: str) -> None:
    """Stop a run in this process once the targets in progress are done."""
    _run_of(run_id).stop.set()


def _chunks_at_once() -> int:
    from distributed import get_worker  # noqa: PLC0415 - optional; installed on workers

    return max(1, int(get_worker().state.nthreads))


def dask_setup(_worker: object) -> None:
    """Ignore Ctrl-C in workers: a terminal sends it to all processes, and only the client handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
