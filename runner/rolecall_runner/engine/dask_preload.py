"""Loaded by the worker processes of an embedded Dask cluster when they begin (`preload` of Dask's workers)."""

from __future__ import annotations

import signal


def dask_setup(_worker: object) -> None:
    """Leave Ctrl-C to the process that started the cluster: a terminal sends it to all, and workers would end by it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
