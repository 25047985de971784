"""Making many bundles: in this process when they are few, else in one process a core, a few chunks ahead and no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rolecall_generator.disk import Disk
from rolecall_generator.handover.making import Order, Outcome, Settings, make_chunk
from rolecall_generator.manifest.source import collection_paused
from rolecall_generator.workers import Pool, chunked, worker_count

FEW = 200
"""Up to so many bundles are made here: further processes cost as much as making them."""
_CHUNK = 32


def make_bundles(
    orders: Iterable[Order], count: int, settings: Settings, *, disk: Disk, processes: int | None = None
) -> Iterator[Outcome]:
    """Make `count` bundles, in their order, in so many processes as are worth it when none are named.

    Signing is done in this process: the signer's program may ask for a password.

    Raises OSError, ToolError or OutputError.
    """
    workers = processes or worker_count(count, few=FEW)
    if workers == 1 or settings.signer is not None:
        for chunk in chunked(orders, _CHUNK):
            yield from make_chunk(chunk, settings, disk)
    else:
        yield from _in_processes(orders, settings, workers)


def _in_processes(orders: Iterable[Order], settings: Settings, workers: int) -> Iterator[Outcome]:
    resume = "run the command again: bundles that were complete are kept"
    pool = Pool(_prepare, (settings,), _make, where=settings.root, resume=resume)
    for outcomes in pool.run(chunked(orders, _CHUNK), workers):
        yield from outcomes


def _prepare(settings: Settings) -> Settings:
    return settings


def _make(settings: Settings, chunk: list[Order]) -> list[Outcome]:
    # Nothing here makes cycles that grow, and collecting among the loaded libraries costs a tenth of the time.
    with collection_paused():
        return make_chunk(chunk, settings, Disk())
