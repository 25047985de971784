"""The engine of several processes, each with threads, for machines with several cores.

Targets are sent in chunks, results come back in batches. The task is pickled once and makes its clients in each process
(see `PerProcess`); credentials are never sent. If a process dies, the targets in progress become inconclusive and a new
process takes the rest.
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
from rolecall_runner.execution.execution_options import DEFAULT_PROCESSES, register
from rolecall_runner.execution.interface import EngineSettings, Outside, Result, Task, inconclusive
from rolecall_runner.execution.threads import AHEAD, run_threads
from rolecall_runner.inventory import Target

_POLL_SECONDS = 0.25
_ENDING_SECONDS = 10.0
_LOSSES_EACH = 5


class WorkerProcessError(RolecallError):
    """Worker processes keep ending before their work is done."""

    exit_code = ExitCode.TOOL


@dataclass(slots=True)
class _Member:
    """A process with its targets that have no result yet, in the order in which they were sent."""

    process: SpawnProcess
    connection: Connection
    open: dict[tuple[str, str], Target] = field(default_factory=dict)
    is_ending: bool = False


@dataclass(slots=True)
class ProcessEngine:
    """An `Engine` of this many processes, each with the settings' number of workers."""

    processes: int = DEFAULT_PROCESSES
    _members: list[_Member] = field(default_factory=list)
    _losses: int = 0

    def __call__(
        self, task: Task, targets: Iterable[Target], settings: EngineSettings, outside: Outside
    ) -> Iterator[Result]:
        """Run a picklable task; see `Engine`."""
        source = iter(targets)
        # Twice what the threads of a process hold, so that no process waits for targets.
        chunk = settings.workers * AHEAD * 2
        stop_by: float | None = None
        try:
            for first in islice(iter(lambda: list(islice(source, chunk)), []), self.processes):
                _give(self._hire(task, settings), first)
            while any(member.open for member in self._members):
                if outside.stop.is_set():
                    stop_by = stop_by or self._stop(outside.clock() + settings.grace_seconds + _ENDING_SECONDS)
                    if outside.clock() >= stop_by:
                        break
                else:
                    self._feed(source, chunk)
                try:
                    yield from self._answers(task, settings, outside)
                except KeyboardInterrupt:
                    outside.stop.set()
            if outside.stop.is_set():
                raise InterruptedRunError("interrupted; what was done stays")
        finally:
            self._end()

    def _hire(self, task: Task, settings: EngineSettings) -> _Member:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(task, settings, theirs), daemon=True)
        with interrupts_blocked():
            process.start()
        theirs.close()
        member = _Member(process, ours)
        self._members.append(member)
        return member

    def _feed(self, source: Iterator[Target], chunk: int) -> None:
        for member in self._members:
            if len(member.open) <= chunk and not member.is_ending:
                targets = list(islice(source, chunk))
                if targets:
                    _give(member, targets)
                else:
                    _tell(member, None)
                    member.is_ending = True

    def _answers(self, task: Task, settings: EngineSettings, outside: Outside) -> Iterator[Result]:
        ready = wait([member.connection for member in self._members], timeout=_POLL_SECONDS)
        for member in [member for member in self._members if member.connection in ready]:
            try:
                batch: list[Result] = member.connection.recv()
            except (EOFError, OSError):
                yield from self._lost(member, task, settings, outside)
                continue
            for result in batch:
                if member.open.pop(result.key, None) is not None:
                    yield result

    def _lost(self, member: _Member, task: Task, settings: EngineSettings, outside: Outside) -> Iterator[Result]:
        """A process has ended, normally or not. The targets it had started may have been processed or not."""
        self._members.remove(member)
        member.process.join()
        member.connection.close()
        asked = min(len(member.open), settings.workers)
        waiting = list(member.open.values())
        if not waiting or outside.stop.is_set():
            return
        self._losses += 1
        if self._losses > self.processes * _LOSSES_EACH:
            raise WorkerProcessError(
                f"worker processes keep ending unexpectedly (exit code {member.process.exitcode})",
                hint="check memory limits and what may kill them, or use --engine threads",
            )
        _give(self._hire(task, settings), waiting[asked:])
        text = f"its worker process ended (exit code {member.process.exitcode})"
        for target in waiting[:asked]:
            yield inconclusive(task, target, outside.now(), text)

    def _stop(self, by: float) -> float:
        for member in self._members:
            _tell(member, "stop")
        return by

    def _end(self) -> None:
        for member in self._members:
            _tell(member, "stop")
            member.connection.close()
        for member in self._members:
            member.process.join(_POLL_SECONDS)
            if member.process.is_alive():
                member.process.terminate()
                member.process.join()
        self._members.clear()


def _give(member: _Member, targets: list[Target]) -> None:
    if targets:
        member.open.update(((target.kind, target.name), target) for target in targets)
        _tell(member, targets)


def _tell(member: _Member, message: Chunk) -> None:
    try:
        member.connection.send(message)
    except OSError:
        return  # the process has ended; `_answers` handles that


register("processes", lambda options: ProcessEngine(options.processes), reach="machine")


Chunk = list[Target] | str | None
"""A message to a process: targets, "stop" (Ctrl-C), or None (no more targets)."""

_BATCH = 32
_BATCH_SECONDS = 0.1


def serve(task: Task, settings: EngineSettings, connection: Connection) -> None:
    """Process targets in a worker process until there are no more, or the parent stops or ends."""
    # A terminal sends Ctrl-C to all its processes; only the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    outside = Outside()
    incoming: queue.SimpleQueue[list[Target] | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, incoming, outside.stop), daemon=True).start()
    batch = _Batch(connection)
    try:
        for result in run_threads(task, _targets(incoming, batch), settings, outside, idle=batch.flush):
            batch.add(result)
    except InterruptedRunError:
        pass
    except OSError:
        return  # the parent is gone
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
            batch.flush()  # the parent may be waiting for these before it sends more
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
