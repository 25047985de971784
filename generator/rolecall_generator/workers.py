"""Process pool of the generator: processes chunks of items in parallel and yields the results in order."""

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

_CHUNKS_PER_WORKER = 3
"""Maximum number of submitted chunks per process, to limit memory."""


def worker_count(items: int, *, sequential_limit: int) -> int:
    """The number of processes to use: at most one per core, each with at least half of `sequential_limit` items.

    1 means to use the current process.
    """
    return min(os.cpu_count() or 1, items // (sequential_limit // 2) or 1)


def chunked(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of `size` items. The last one can be shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


class Pool(Generic[State, Chunk, Result]):
    """Worker processes that call `state = prepare(*arguments)` once, and `work(state, chunk)` for each chunk.

    `prepare` and `work` must be module-level functions; arguments, chunks and results must be picklable. `where` and
    `resume` are the folder and the hint of the OutputError for a killed worker process.

    Processes are spawned, because a fork would copy locks that threads hold. A worker calls `prepare` when it receives its
    first chunk and not in the pool's initializer, because the pool replaces exceptions there with BrokenProcessPool.
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
        """Yield the results in the order of the chunks. Raises exceptions of `prepare` and `work`, or OutputError."""
        context = multiprocessing.get_context("spawn")
        executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_initialize, initargs=self._initial)
        waiting: deque[Future[Result]] = deque()
        try:
            for chunk in chunks:
                with interrupts_blocked():  # submit() starts the processes
                    waiting.append(executor.submit(_call, self._work, chunk))
                if len(waiting) >= workers * _CHUNKS_PER_WORKER:
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
    """Delay SIGINT. Processes started in the context inherit the mask, so that Ctrl-C does not interrupt their imports."""
    resource_tracker.ensure_running()  # starting it later would unblock the signal again (Python 3.11 to 3.13)
    previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)


_prepare: tuple[Callable[..., Any], tuple[Any, ...]] | None = None
_state: list[Any] = []
"""The result of `prepare` in a worker process; empty before the first chunk."""


def _initialize(prepare: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    global _prepare  # noqa: PLW0603 - state of the worker process
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    _prepare = (prepare, arguments)


def _call(work: Callable[[Any, Any], Any], chunk: Any) -> Any:
    if not _state:
        if _prepare is None:
            raise RuntimeError("the worker process was not initialized")
        prepare, arguments = _prepare
        _state.append(prepare(*arguments))
    return work(_state[0], chunk)


@contextmanager
def collection_paused() -> Iterator[None]:
    """Disable cyclic garbage collection in the context."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
