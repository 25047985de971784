"""A Dask cluster of two processes for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
import distributed

LOCAL_CLUSTER: Any = distributed.LocalCluster


@contextmanager
def local_cluster(workers: int = 2, **options: Any) -> Iterator[Any]:
    """A `LocalCluster` of processes with two concurrent chunks each; a lost chunk is retried once."""
    with (
        # Without the profiler, which can deadlock workers on Python before 3.11.9 (python/cpython#106883).
        dask.config.set({"distributed.scheduler.allowed-failures": 1, "distributed.worker.profile.enabled": False}),
        LOCAL_CLUSTER(
            n_workers=workers,
            threads_per_worker=2,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=50,
            **options,
        ) as cluster,
    ):
        yield cluster
