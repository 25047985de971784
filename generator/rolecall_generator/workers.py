"""The one process pool of the generator: chunks of work over modules, in order, a few chunks ahead and no more.

Processes are spawned: a fork would copy the locks of threads that run here. Each prepares itself once, with its first
chunk, so that an error of the preparation is raised as what it is.

Reading many modules: in this process when they are few, else in one process a core. A worker loads the manifest and
plans by itself, and hands back only what is not as planned: what it would otherwise have to be sent, and to send back,
costs more than the reading.

One YAML file to a tree with places; everything about YAML itself that can be wrong is refused here. Built from
libyaml's events in one loop: for 10,000 customers that takes a third of the time of PyYAML's own composer, which makes
a node object for each scalar and gives no values yet (measured November 2026, PyYAML 6.0.3).
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rolecall_generator.errors import OutputError

if TYPE_CHECKING:
    from concurrent.futures import Future


Item = TypeVar("Item")
State = TypeVar("State")
Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

_AHEAD = 3
"""Chunks that wait or run per process: memory does not grow with the number of chunks."""


def worker_count(items: int, *, few: int, processes: int | None = None) -> int:
    """How many processes are worth it: one per core, and none that would have fewer than half of `few` items.

    `processes`: the number to use when there are enough items; 1 means this process.
    """
    return min(processes or os.cpu_count() or 1, items // (few // 2) or 1)


def chunked(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


class Pool(Generic[State, Chunk, Result]):
    """Worker processes that each hold what `prepare(*arguments)` returns and call `work(state, chunk)`.

    `prepare` and `work` are functions of a module, and all values can be pickled. `where` names the folder that the run is
    about, and `resume` says what a user does after a worker process was killed.
    """

    def __init__(
        self,
        prepare: Callable[..., State],
        arguments: tuple[Any, ...],
        work: Callable[[State, Chunk], Result],
        *,
        where: str,
        resume: str,
    ) -> None:
        self._initial = (prepare, arguments)
        self._work = work
        self._where = where
        self._resume = resume

    def run(self, chunks: Iterable[Chunk], workers: int) -> Iterator[Result]:
        """The chunks' results in their order. Raises what `prepare` and `work` raise, and OutputError for a dead worker."""
        context = multiprocessing.get_context("spawn")
        executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_initialize, initargs=self._initial)
        waiting: deque[Future[Result]] = deque()
        try:
            for chunk in chunks:
                with interrupts_blocked():  # submit() is what starts the processes
                    waiting.append(executor.submit(_call, self._work, chunk))
                if len(waiting) >= workers * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise OutputError(
                "a worker process was killed; check whether memory ran out", where=self._where, hint=self._resume
            ) from error
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Delay Ctrl-C. Processes started meanwhile inherit the mask: no tracebacks of their imports."""
    resource_tracker.ensure_running()  # starting it later would unblock the signal again (Python 3.11 to 3.13)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_prepare: tuple[Callable[..., Any], tuple[Any, ...]] | None = None
_state: list[Any] = []
"""A worker process's own state, once it is prepared."""


def _initialize(prepare: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    global _prepare  # noqa: PLW0603 - how a worker process keeps what its chunks share
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    _prepare = (prepare, arguments)


def _call(work: Callable[[Any, Any], Any], chunk: Any) -> Any:
    if not _state:
        if _prepare is None:
            raise RuntimeError("the worker process was not initialized")
        prepare, arguments = _prepare
        _state.append(prepare(*arguments))
    return work(_state[0], chunk)


FEW = 400
"""Up to so many modules are read here: a further process costs as much as reading them."""
_CHUNK = 128


@contextmanager
def collection_paused() -> Iterator[None]:
    """Pause cyclic garbage collection, if it was on."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
