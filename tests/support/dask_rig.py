"""A Dask cluster of two processes for tests, and tasks that are sent to it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import distributed

from rolecall_runner.aws.failures import RetryPolicy, Status
from rolecall_runner.execution.interface import EngineSettings, Outcome, ProcessLocal
from rolecall_runner.inventory.targets import Target

LOCAL_CLUSTER: Any = distributed.LocalCluster
QUICK = EngineSettings(workers=4, retry=RetryPolicy(3, 0.0, 0.0), grace_seconds=0.5)


def targets(count: int) -> Iterator[Target]:
    """This many targets, one by one."""
    return (Target(f"c{number}", f"{number:012}", "aws", f"arn:aws:iam::{number:012}:role/r") for number in range(count))


class Every:
    """Some targets fail, some are refused; each reports its process and writes a line to a log."""

    name = "every"

    def __init__(self, folder: Path, *, deadly: str = "", times: int = 1, slow: float = 0.0) -> None:
        """`deadly` ends the process that runs it, this many times; each target takes `slow` seconds."""
        self._folder = folder
        self._deadly = deadly
        self._times = times
        self._slow = slow
        self._where = ProcessLocal(os.getpid)

    def __call__(self, target: Target) -> Outcome:
        with (self._folder / "asked").open("a", encoding="utf-8") as log:
            log.write(f"{target.name}\n")
        time.sleep(self._slow)
        if target.name == self._deadly and self.asked().count(target.name) <= self._times:
            os.kill(os.getpid(), signal.SIGKILL)
        number = int(target.account_id)
        if number % 10 == 3:
            raise ValueError(f"no luck with {target.name}, key AKIAIOSFODNN7EXAMPLE")
        return Outcome(Status.REFUSED if number % 10 == 4 else Status.OK, {"pid": self._where.get()})

    def asked(self) -> list[str]:
        """Names of all started targets, in order, from all processes."""
        log = self._folder / "asked"
        return log.read_text("utf-8").split() if log.exists() else []


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
