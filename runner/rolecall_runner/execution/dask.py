"""A Dask cluster to run on: an existing one by its scheduler's address, or one of processes on this machine for trial.

The only module that opens connections to Dask. What the cluster must have: rolecall, the same Python (3.x) and the same
Dask on scheduler and workers; for a scheduler reads the name of the function that it passes on.

Past one machine: the same tasks on a Dask cluster. Targets go out in chunks, results come back chunk by chunk; so many
chunks are under way as keep every worker busy, and no more. Credentials never travel: each worker process finds its
caller and assumes by itself. A chunk whose worker is lost is asked again on another (Dask's `allowed-failures`, three
times unless the scheduler is set otherwise), then target by target while all else waits; a target that ends every
worker which asks it is inconclusive. So a target may be asked twice, but has one result.

What runs in a worker process of a Dask cluster: a chunk of targets, asked by threads as in every other process. A task
is unpickled once in a process and run, so that its clients and sessions are made once there (see `per_process`). Tasks,
targets and results travel as bytes: the scheduler passes them on and never opens them.

Loaded by the worker processes of an embedded Dask cluster when they begin (`preload` of Dask's workers).
"""

from __future__ import annotations

import logging
import pickle
import queue
import secrets
import signal
import threading
import warnings
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from rolecall_generator.errors import ExitCode, InterruptedRunError, RolecallError, ToolError
from rolecall_runner.aws import Status
from rolecall_runner.execution.execution_options import ExecutionOptions, register
from rolecall_runner.execution.interface import EngineSettings, Outside, Result, Task
from rolecall_runner.execution.threads import AHEAD, run_threads
from rolecall_runner.inventory import Target
from rolecall_runner.redact import redact

_EMBEDDED_CHUNKS_AT_ONCE = 2
"""So that a process never idles while the last targets of a chunk are slow."""
_SHOWN = 3
_PACKAGES = ("rolecall", "dask", "distributed")
_SAME = "install the same rolecall, Dask and Python 3.x on this machine, the scheduler and all workers"


class ClusterError(RolecallError):
    """The Dask cluster cannot be used, or was lost in mid-run."""

    exit_code = ExitCode.TOOL


@dataclass(frozen=True, slots=True)
class DaskCluster:
    """Which cluster, and how to get at it.

    `scheduler`: its address (`tls://10.0.0.5:8786`); None for an embedded cluster of `workers` processes, on loopback and
    over TLS with keys that exist in memory alone. `tls_ca`, `tls_cert`, `tls_key`: PEM files, all three or none (then
    Dask's own configuration counts). `connect_seconds` to reach the scheduler, `wait_seconds` for a worker to be there, at
    the start and whenever all were lost.
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
        """What messages call it."""
        return self.scheduler or "the cluster on this machine"


@contextmanager
def connected(cluster: DaskCluster) -> Iterator[Any]:
    """A client (`distributed.Client`) of a cluster that has workers and the right versions; ends with what it started.

    Raises ToolError when Dask is not installed, ClusterError for all that is wrong with the cluster.
    """
    distributed = _distributed()
    security = _security(distributed, cluster)
    if cluster.scheduler is not None:
        with _client(distributed, cluster, cluster.scheduler, security) as client:
            yield client
        return
    with (
        distributed.LocalCluster(
            n_workers=cluster.workers,
            threads_per_worker=_EMBEDDED_CHUNKS_AT_ONCE,
            processes=True,
            host="127.0.0.1",
            protocol="tls",
            security=security,
            # None would mean a fixed port, and a warning where it is taken.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
            preload=["rolecall_runner.execution.dask"],
        ) as local,
        _client(distributed, cluster, local.scheduler_address, security) as client,
    ):
        yield client


def check_versions(found: Mapping[str, Any], place: str) -> None:
    """Compare what `Client.get_versions(packages=["rolecall"])` found. Raises ClusterError that names who differs."""
    ours = _versions(found["client"])
    others = {"the scheduler": found["scheduler"]} | {f"worker {name}": each for name, each in found["workers"].items()}
    wrong = [(name, _difference(ours, _versions(each))) for name, each in others.items()]
    told = [f"{name} {difference}" for name, difference in wrong if difference]
    if told:
        more = f", and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        raise ClusterError(f"{'; '.join(told[:_SHOWN])}{more}", where=place, hint=_SAME)


def _difference(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    for name, version in ours.items():
        other = theirs.get(name, "")
        if other != version:
            return f"has {name} {other}, this machine {version}" if other else f"has no {name}"
    return ""


def _versions(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Versions by name; what is not installed is left out."""
    packages: Mapping[str, str | None] = (found or {}).get("packages", {})
    python = {"Python": ".".join(str(packages["python"]).split(".")[:2])} if packages.get("python") else {}
    return python | {name: version for name in _PACKAGES if (version := packages.get(name))}


def _distributed() -> Any:
    try:
        import distributed  # noqa: PLC0415 - an extra, and a second to import
    except ImportError:
        raise ToolError("the engine dask needs Dask, which is not installed", hint="pip install 'rolecall[dask]'") from None
    return distributed


def _security(distributed: Any, cluster: DaskCluster) -> Any:
    files = {"tls_ca": cluster.tls_ca, "tls_cert": cluster.tls_cert, "tls_key": cluster.tls_key}
    given = [name for name, path in files.items() if path is not None]
    if cluster.scheduler is None:
        return _temporary(distributed)
    if not given:
        return None
    if len(given) < len(files):
        raise ClusterError(
            f"of CA, certificate and key only {' and '.join(name.removeprefix('tls_') for name in given)} is given",
            where=cluster.place,
            hint="give all three PEM files, or none",
        )
    for path in files.values():
        if not Path(str(path)).is_file():
            raise ClusterError("there is no such file", where=str(path), hint="give the PEM files of the cluster's TLS")
    return distributed.Security(
        tls_ca_file=str(cluster.tls_ca),
        tls_client_cert=str(cluster.tls_cert),
        tls_client_key=str(cluster.tls_key),
        require_encryption=True,
    )


def _temporary(distributed: Any) -> Any:
    """Keys for one run: without them any user of this machine could run code in the workers, under our credentials."""
    try:
        return distributed.Security.temporary()
    except ImportError:
        raise ToolError(
            "a Dask cluster on this machine needs the package cryptography", hint="pip install cryptography"
        ) from None


@contextmanager
def _client(distributed: Any, cluster: DaskCluster, address: str, security: Any) -> Iterator[Any]:
    try:
        with warnings.catch_warnings():
            # Dask warns of other versions in general; `check_versions` says which of them matter.
            warnings.simplefilter("ignore", distributed.versions.VersionMismatchWarning)
            client = distributed.Client(
                address, timeout=cluster.connect_seconds, security=security, set_as_default=False, name="rolecall"
            )
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise ClusterError(
            f"the scheduler cannot be reached: {error}",
            where=cluster.place,
            hint="look at the address, at the firewall, and whether it wants TLS (tls:// and three PEM files)",
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=cluster.wait_seconds)
        except TimeoutError:
            raise no_workers(cluster) from None
        check_versions(client.get_versions(packages=["rolecall"]), cluster.place)
        yield client


def no_workers(cluster: DaskCluster) -> ClusterError:
    """No one is there to ask targets."""
    return ClusterError(
        f"no worker has come within {cluster.wait_seconds:g} s",
        where=cluster.place,
        hint="start workers under the backend role (docs/dask.md), and see in their logs why they ended",
    )


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

    def __call__(
        self, task: Task, targets: Iterable[Target], settings: EngineSettings, outside: Outside
    ) -> Iterator[Result]:
        """Run a picklable task; see `Engine`. Raises ToolError and ClusterError too."""
        with connected(self.cluster) as client:
            yield from Flight(client, self.cluster, task, settings, outside).results(targets)


@dataclass(slots=True)
class _Open:
    future: Any
    targets: tuple[Target, ...]


class Flight:
    """One run over a client of a cluster (`distributed.Client`, or what behaves like it). Used by one thread."""

    def __init__(self, client: Any, cluster: DaskCluster, task: Task, settings: EngineSettings, outside: Outside) -> None:
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
                hint="what was done stays; look at the scheduler's log, then resume the run",
            )
        if type(error).__name__ != "KilledWorker":
            raise ClusterError(
                f"a worker cannot run what was sent: {redact(f'{type(error).__name__}: {error}')}",
                where=self._cluster.place,
                hint="install the same rolecall, Dask and Python 3.x on this machine, the scheduler and all workers",
            )
        if len(chunk) > 1:  # find out whose fault it was: the others need not suffer
            self._again.extend(chunk)
            return
        self._lost += 1
        if self._lost >= _LOST_IN_A_ROW:
            raise ClusterError(
                "the workers end by themselves, whatever they ask",
                where=self._cluster.place,
                hint="look in their logs for memory limits or a preload that fails",
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
        with suppress(Exception):  # the connection may be gone before all have answered; no one waits for this
            self._client.run(stop_run, self._run_id, on_error="ignore")


def _from_options(options: ExecutionOptions) -> DaskEngine:
    ca, certificate, key = options.scheduler_tls or (None, None, None)
    return DaskEngine(DaskCluster(options.scheduler, options.processes, ca, certificate, key))


register("dask", _from_options, reach="cluster")


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


def packed(targets: Iterable[Target], settings: EngineSettings) -> bytes:
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


def ask_targets(task: Task, targets: Iterable[Target], settings: EngineSettings, outside: Outside) -> Answers:
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


def dask_setup(_worker: object) -> None:
    """Leave Ctrl-C to the process that started the cluster: a terminal sends it to all, and workers would end by it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
