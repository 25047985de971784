"""Making many bundles: in this process when they are few, else in one process a core, a few chunks ahead and no more."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from rolecall_generator.disk import Disk
from rolecall_generator.errors import OutputError
from rolecall_generator.handover.making import Order, Outcome, Settings, make_chunk
from rolecall_generator.manifest.source import collection_paused

if TYPE_CHECKING:
    from concurrent.futures import Future

FEW = 200
"""Up to so many bundles are made here: further processes cost as much as making them."""
_CHUNK = 32
_AHEAD = 3
"""Chunks that wait or run for each process: memory does not grow with the fleet."""


def make_bundles(
    orders: Iterable[Order], count: int, settings: Settings, *, disk: Disk, processes: int | None = None
) -> Iterator[Outcome]:
    """Make `count` bundles, in their order, in so many processes as are worth it when none are named.

    Signing is done in this process: the signer's program may ask for a password.

    Raises OSError, ToolError or OutputError.
    """
    workers = processes or min(os.cpu_count() or 1, count // (FEW // 2) or 1)
    if workers == 1 or settings.signer is not None:
        for chunk in _chunks(orders):
            yield from make_chunk(chunk, settings, disk)
    else:
        yield from _in_processes(orders, settings, workers)


def _in_processes(orders: Iterable[Order], settings: Settings, workers: int) -> Iterator[Outcome]:
    # Imported here: a tenth of a second that a few bundles must not pay.
    import multiprocessing  # noqa: PLC0415
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415
    from concurrent.futures.process import BrokenProcessPool  # noqa: PLC0415

    # spawn: a fork would carry over the locks of whatever threads run here.
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare, initargs=(settings,))
    waiting: deque[Future[list[Outcome]]] = deque()
    try:
        for chunk in _chunks(orders):
            waiting.append(executor.submit(_make, chunk))
            if len(waiting) >= workers * _AHEAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise OutputError(
            "a process of this run was ended from outside",
            where=settings.root,
            mend="see whether memory ran out, then run again: bundles that were complete stay",
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


_settings: Settings | None = None
"""A worker process's own."""


def _prepare(settings: Settings) -> None:
    global _settings  # noqa: PLW0603 - how a worker process keeps what its chunks share
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    _settings = settings


def _make(chunk: list[Order]) -> list[Outcome]:
    if _settings is None:
        raise RuntimeError("the worker process was not prepared")
    # Nothing here makes cycles that grow, and collecting among the loaded libraries costs a tenth of the time.
    with collection_paused():
        return make_chunk(chunk, _settings, Disk())


def _chunks(orders: Iterable[Order]) -> Iterator[list[Order]]:
    iterator = iter(orders)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
