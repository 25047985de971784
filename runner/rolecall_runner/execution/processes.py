"""The engine with several processes, each with threads, for machines with several cores.

Targets are sent in chunks, and results are returned in batches. Each process unpickles the task and creates its own clients
(see `ProcessLocal`); credentials are never sent. If a process ends unexpectedly, its targets in progress are inconclusive,
and a new process continues with the others.
"""

from __future__ import annotations

import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from rolecall_generator.errors import ExitCode, InterruptedRunError, RolecallError
from rolecall_generator.workers import interrupts_blocked
from rolecall_runner.execution.interface import (
    DEFAULT_PROCESSES,
    EngineSettings,
    Result,
    Runtime,
    Task,
    inconclusive,
    register,
)
from rolecall_runner.execution.threads import AHEAD, run_threads
from rolecall_runner.inventory import Target

_POLL_SECONDS = 0.25
_SHUTDOWN_SECONDS = 10.0
_MAX_LOSSES_PER_PROCESS = 5


class WorkerProcessError(RolecallError):
    """Worker processes repeatedly ended before their work was done."""

    exit_code = ExitCode.TOOL


@dataclass(slots=True)
class _Worker:
    """A worker process. `open`: the targets without a result, in the order in which they were sent."""

    process: SpawnProcess
    connection: Connection
    open: dict[tuple[str, str], Target] = field(default_factory=dict)
    is_ending: bool = False


@dataclass(slots=True)
class ProcessEngine:
    """An `Engine` with this number of processes, each with the settings' number of threads."""

    processes: int = DEFAULT_PROCESSES
    _members: list[_Worker] = field(default_factory=list)
    _losses: int = 0

    def __call__(
        self, task: Task, targets: Iterable[Target], settings: EngineSettings, runtime: Runtime
    ) -> Iterator[Result]:
        """Run a picklable task; see `Engine`."""
        source = iter(targets)
        # Twice the number of targets that the threads of a process take, so that no process is idle.
        chunk = settings.workers * AHEAD * 2
        stop_by: float | None = None
        try:
            for first in islice(iter(lambda: list(islice(source, chunk)), []), self.processes):
                _send_targets(self._start_worker(task, settings), first)
            while any(member.open for member in self._members):
                if runtime.stop.is_set():
                    stop_by = stop_by or self._stop(runtime.clock() + settings.grace_seconds + _SHUTDOWN_SECONDS)
                    if runtime.clock() >= stop_by:
                        break
                else:
                    self._feed(source, chunk)
                try:
                    yield from self._receive(task, settings, runtime)
                except KeyboardInterrupt:
                    runtime.stop.set()
            if runtime.stop.is_set():
                raise InterruptedRunError("interrupted; completed results are kept")
        finally:
            self._shut_down()

    def _start_worker(self, task: Task, settings: EngineSettings) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(task, settings, theirs), daemon=True)
        with interrupts_blocked():
            process.start()
        theirs.close()
        member = _Worker(process, ours)
        self._members.append(member)
        return member

    def _feed(self, source: Iterator[Target], chunk: int) -> None:
        for member in self._members:
            if len(member.open) <= chunk and not member.is_ending:
                targets = list(islice(source, chunk))
                if targets:
                    _send_targets(member, targets)
                else:
                    _send(member, None)
                    member.is_ending = True

    def _receive(self, task: Task, settings: EngineSettings, runtime: Runtime) -> Iterator[Result]:
        ready = wait([member.connection for member in self._members], timeout=_POLL_SECONDS)
        for member in [member for member in self._members if member.connection in ready]:
            try:
                batch: list[Result] = member.connection.recv()
            except (EOFError, OSError):
                yield from self._handle_loss(member, task, settings, runtime)
                continue
            for result in batch:
                if member.open.pop(result.key, None) is not None:
                    yield result

    def _handle_loss(self, member: _Worker, task: Task, settings: EngineSettings, runtime: Runtime) -> Iterator[Result]:
        """Handle a process that has ended. Targets that it had started are inconclusive; a new process gets the others."""
        self._members.remove(member)
        member.process.join()
        member.connection.close()
        in_progress = min(len(member.open), settings.workers)
        unfinished = list(member.open.values())
        if not unfinished or runtime.stop.is_set():
            return
        self._losses += 1
        if self._losses > self.processes * _MAX_LOSSES_PER_PROCESS:
            raise WorkerProcessError(
                f"worker processes keep exiting unexpectedly (exit code {member.process.exitcode})",
                hint="check memory limits and whether something kills them, or use --engine threads",
            )
        _send_targets(self._start_worker(task, settings), unfinished[in_progress:])
        text = f"the worker process exited unexpectedly (exit code {member.process.exitcode})"
        for target in unfinished[:in_progress]:
            yield inconclusive(task, target, runtime.now(), text)

    def _stop(self, by: float) -> float:
        for member in self._members:
            _send(member, "stop")
        return by

    def _shut_down(self) -> None:
        for member in self._members:
            _send(member, "stop")
            member.connection.close()
        for member in self._members:
            member.process.join(_POLL_SECONDS)
            if member.process.is_alive():
                member.process.terminate()
                member.process.join()
        self._members.clear()


def _send_targets(member: _Worker, targets: list[Target]) -> None:
    if targets:
        member.open.update(((target.kind, target.name), target) for target in targets)
        _send(member, targets)


def _send(member: _Worker, message: Chunk) -> None:
    try:
        member.connection.send(message)
    except OSError:
        return  # the process has ended, which `_receive` handles


register("processes", lambda options: ProcessEngine(options.processes), reach="machine")


Chunk = list[Target] | str | None
"""A message to a worker process: targets, "stop" (Ctrl-C), or None (no more targets)."""

_BATCH = 32
_BATCH_SECONDS = 0.1


def serve(task: Task, settings: EngineSettings, connection: Connection) -> None:
    """Process targets in a worker process until there are no more, the run is stopped, or the parent exits."""
    # A terminal sends SIGINT to all processes of the group; only the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    runtime = Runtime()
    incoming: queue.SimpleQueue[list[Target] | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, incoming, runtime.stop), daemon=True).start()
    batch = _Batch(connection)
    try:
        for result in run_threads(task, _targets(incoming, batch), settings, runtime, idle=batch.flush):
            batch.add(result)
    except InterruptedRunError:
        pass
    except OSError:
        return  # the parent has exited
    batch.flush()


class _Batch:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._results: list[Result] = []
        self._since = 0.0

    def add(self, result: Result) -> None:
        if not self._results:
            self._since = time.monotonic()
        self._results.append(result)
        if len(self._results) >= _BATCH or time.monotonic() - self._since >= _BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._results:
            self._connection.send(self._results)
            self._results = []


def _targets(incoming: queue.SimpleQueue[list[Target] | None], batch: _Batch) -> Iterator[Target]:
    while True:
        if incoming.empty():
            batch.flush()  # the parent may wait for these results before it sends more targets
        chunk = incoming.get()
        if chunk is None:
            return
        yield from chunk


def _listen(connection: Connection, incoming: queue.SimpleQueue[list[Target] | None], stop: threading.Event) -> None:
    while True:
        try:
            message: Chunk = connection.recv()
        except (EOFError, OSError):
            message = "stop"
        if isinstance(message, list):
            incoming.put(message)
            continue
        if message == "stop":
            stop.set()
        incoming.put(None)
        if message == "stop":
            return
