"""Engines in this process: threads, and `serial` in the calling thread, for debugging or if the order matters.

Threads consume targets only as fast as results arrive, so memory use does not grow with their number. They are daemon
threads instead of `concurrent.futures`, since a thread that exceeds its timeout cannot be stopped. Such a thread is
abandoned (`deadline` rejects its next call) and replaced, and the program does not wait for it at exit.
"""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from types import FrameType

from rolecall_generator.errors import InterruptedRunError
from rolecall_runner.aws import CallerRejectedError, Status, deadline, failure_of, with_retries
from rolecall_runner.execution.interface import EngineSettings, Outcome, Result, Runtime, Task, inconclusive, register
from rolecall_runner.inventory import Target
from rolecall_runner.redact import redact


def run_serial(task: Task, targets: Iterable[Target], settings: EngineSettings, runtime: Runtime) -> Iterator[Result]:
    """An `Engine`. The timeout of a target is checked between its calls; a call in progress is not interrupted."""
    for target in targets:
        if runtime.stop.is_set():
            raise InterruptedRunError("interrupted; completed results are kept")
        try:
            result = run_target(task, target, settings, runtime)
        except KeyboardInterrupt:
            raise InterruptedRunError("interrupted; completed results are kept") from None
        yield result


register("serial", lambda _options: run_serial)


def run_target(task: Task, target: Target, settings: EngineSettings, runtime: Runtime) -> Result:
    """Run the task for one target, with retries while it is inconclusive. An Exception of the task is in the result."""
    start, started = runtime.clock(), runtime.now()
    timeout = settings.timeout_seconds
    with deadline(start + timeout, runtime.clock) if timeout is not None else nullcontext():
        outcome, attempts = with_retries(
            lambda: _once(task, target),
            settings.retry,
            inconclusive=lambda outcome: outcome.status.is_transient and not outcome.final,
            random=runtime.random,
            sleep=runtime.wait,
            stopped=runtime.stop.is_set,
        )
    return Result(
        target.name,
        task.name,
        outcome.status,
        started,
        runtime.clock() - start,
        attempts,
        outcome.data,
        outcome.error,
        outcome.code,
        target.kind,
    )


def _once(task: Task, target: Target) -> Outcome:
    try:
        outcome = task(target)
    except CallerRejectedError as error:
        return Outcome(Status.FAILED, None, redact(str(error)), CallerRejectedError.code)
    except Exception as error:  # an error in one target must not end the run
        failure = failure_of(error)
        return Outcome(failure.status, None, failure.message, failure.code)
    return replace(outcome, error=redact(outcome.error)) if outcome.error else outcome


AHEAD = 2
"""Targets queued per worker: one in progress and one waiting, so that no worker is idle."""

_POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class _Job:
    number: int
    target: Target


@dataclass(frozen=True, slots=True)
class _Running:
    job: _Job
    start: float
    started: datetime


def run_threads(
    task: Task,
    targets: Iterable[Target],
    settings: EngineSettings,
    runtime: Runtime,
    *,
    idle: Callable[[], None] = lambda: None,
) -> Iterator[Result]:
    """An `Engine`. `idle` is called if no result has arrived within _POLL_SECONDS."""
    workers = _WorkerThreads(task, settings, runtime)
    source = iter(targets)
    complete = False
    try:
        while True:
            while not complete and not runtime.stop.is_set() and workers.has_capacity:
                target = next(source, None)
                if target is None:
                    complete = True
                else:
                    workers.add(target)
            if not workers.outstanding:
                break
            result = workers.wait()
            if result is not None:
                yield result
            elif workers.gave_up:
                break
            else:
                idle()
    finally:
        workers.shut_down()
    if runtime.stop.is_set() and not (complete and not workers.outstanding and not workers.discarded):
        raise InterruptedRunError("interrupted; completed results are kept")


class _WorkerThreads:
    """The worker threads with their jobs and results. Not thread-safe, except for `_work`."""

    def __init__(self, task: Task, settings: EngineSettings, runtime: Runtime) -> None:
        self._task = task
        self._settings = settings
        self._runtime = runtime
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[_Job, Result]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._running: dict[int, _Running] = {}
        self._workers = 0
        self._threads_started = 0
        self._added = 0
        self._stop_by: float | None = None
        self.outstanding: set[int] = set()
        self.discarded = 0
        self.gave_up = False

    @property
    def has_capacity(self) -> bool:
        """Whether another target can be added."""
        return len(self.outstanding) < self._settings.workers * AHEAD

    def add(self, target: Target) -> None:
        """Queue a target, and start another worker if there are too few."""
        job = _Job(self._added, target)
        self._added += 1
        self.outstanding.add(job.number)
        self._jobs.put(job)
        if self._workers < min(self._settings.workers, len(self.outstanding)):
            self._start_worker()

    def wait(self) -> Result | None:
        """Return the next result, or None if none arrives within _POLL_SECONDS. Ctrl-C stops the run and is not raised."""
        try:
            return self._next()
        except KeyboardInterrupt:
            if self._runtime.stop.is_set():
                self.gave_up = True  # the second Ctrl-C
            self._runtime.stop.set()
            return None

    def shut_down(self) -> None:
        """End all workers after their current target."""
        self._discard_queued()
        for _ in range(self._workers):
            self._jobs.put(None)

    def _next(self) -> Result | None:
        if self._runtime.stop.is_set():
            self._wind_down()
        overdue = self._timed_out()
        if overdue is not None:
            return overdue
        try:
            job, result = self._done.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            return None
        self.outstanding.discard(job.number)
        return result

    def _wind_down(self) -> None:
        now = self._runtime.clock()
        if self._stop_by is None:
            self._stop_by = now + self._settings.grace_seconds
        self._discard_queued()
        if now >= self._stop_by and self._done.empty():
            self.gave_up = True

    def _discard_queued(self) -> None:
        """Remove the jobs that no worker has started."""
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            if job is not None:
                self.outstanding.discard(job.number)
                self.discarded += 1

    def _timed_out(self) -> Result | None:
        """Return the result of a target that exceeded its timeout, if any. Its worker is abandoned and replaced."""
        timeout = self._settings.timeout_seconds
        if timeout is None:
            return None
        now = self._runtime.clock()
        with self._lock:
            # Wait a little longer: if the task itself ends at its deadline, its error is more precise.
            overdue = next((w for w, r in self._running.items() if now - r.start > timeout + _POLL_SECONDS), None)
            if overdue is None:
                return None
            running = self._running.pop(overdue)
        self.outstanding.discard(running.job.number)
        self._workers -= 1
        self._start_worker()
        text = f"not completed within {timeout:g} s"
        return inconclusive(self._task, running.job.target, running.started, text, now - running.start)

    def _start_worker(self) -> None:
        self._workers += 1
        self._threads_started += 1
        threading.Thread(
            target=self._work, args=(self._threads_started,), name=f"rolecall-{self._threads_started}", daemon=True
        ).start()

    def _work(self, worker: int) -> None:
        while (job := self._jobs.get()) is not None:
            if self._runtime.stop.is_set():
                self._jobs.put(job)  # for `_discard_queued`: no target is started after a stop
                return
            with self._lock:
                self._running[worker] = _Running(job, self._runtime.clock(), self._runtime.now())
            result = run_target(self._task, job.target, self._settings, self._runtime)
            with self._lock:
                if self._running.pop(worker, None) is None:
                    return  # abandoned: the result was reported already
            self._done.put((job, result))


register("threads", lambda _options: run_threads)


@contextmanager
def stops_on_ctrl_c(stop: threading.Event) -> Iterator[None]:
    """In this context, the first SIGINT or SIGTERM sets `stop`; the second raises KeyboardInterrupt. Main thread only.

    Without it, Ctrl-C could interrupt the writing of a result, which would then be damaged or lost.
    """

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
