"""Runs a task with an engine, and a task whose results depend on the number of the target."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rolecall_runner.aws.failures import Status
from rolecall_runner.aws.retry import RetryPolicy
from rolecall_runner.execution.interface import (
    Engine,
    EngineSettings,
    ExecutionOptions,
    Outcome,
    ProcessLocal,
    Result,
    Runtime,
    Task,
)
from rolecall_runner.inventory import Target

QUICK = EngineSettings(workers=4, retry=RetryPolicy(3, 0.0, 0.0), grace_seconds=0.5)


def run(
    task: Task,
    targets: Iterable[Target],
    *,
    engine: str | Engine = "threads",
    settings: EngineSettings | None = None,
    runtime: Runtime | None = None,
) -> Iterator[Result]:
    """The results of a task; see `ExecutionOptions.run`."""
    if isinstance(engine, str):
        return ExecutionOptions(engine, settings=settings or EngineSettings()).run(task, targets, runtime)
    return engine(task, targets, settings or EngineSettings(), runtime or Runtime())


def targets(count: int) -> Iterator[Target]:
    """This many targets, one by one."""
    return (Target(f"c{number}", f"{number:012}", "aws", f"arn:aws:iam::{number:012}:role/r") for number in range(count))


class Every:
    """Some targets fail, some are refused; each reports its process and writes a line to a log."""

    name = "every"

    def __init__(self, folder: Path, *, deadly: str = "", times: int = 1, slow: float = 0.0) -> None:
        """`deadly` (or `all`) ends the process that runs it, this many times; each target takes `slow` seconds."""
        self._folder = folder
        self._deadly = deadly
        self._times = times
        self._slow = slow
        self._where = ProcessLocal(os.getpid)

    def __call__(self, target: Target) -> Outcome:
        with (self._folder / "asked").open("a", encoding="utf-8") as log:
            log.write(f"{target.name}\n")
        time.sleep(self._slow)
        if self._deadly in (target.name, "all") and self.asked().count(target.name) <= self._times:
            os.kill(os.getpid(), signal.SIGKILL)
        number = int(target.account_id)
        if number % 10 == 3:
            raise ValueError(f"no luck with {target.name}, key AKIAIOSFODNN7EXAMPLE")
        return Outcome(Status.REFUSED if number % 10 == 4 else Status.OK, {"pid": self._where.get()})

    def asked(self) -> list[str]:
        """Names of all started targets, in order, from all processes."""
        log = self._folder / "asked"
        return log.read_text("utf-8").split() if log.exists() else []
