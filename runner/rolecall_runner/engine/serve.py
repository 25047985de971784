"""A process of the engine of processes: takes chunks of targets from a pipe, sends results back in batches."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

from rolecall_generator.errors import InterruptedRunError
from rolecall_runner.engine.interface import Outside, Settings, Task
from rolecall_runner.engine.threads import run_threads
from rolecall_runner.results.result import Result
from rolecall_runner.targets import Target

Chunk = list[Target] | str | None
"""What comes through the pipe: targets, "stop" (Ctrl-C), or None (no more targets)."""

_BATCH = 32
_BATCH_SECONDS = 0.1


def serve(task: Task, settings: Settings, connection: Connection) -> None:
    """Ask targets until there are no more, or the parent stops or is gone."""
    # Ctrl-C goes to all processes of a terminal; the parent tells this one what to do about it.
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
