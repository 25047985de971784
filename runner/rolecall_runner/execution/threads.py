"""The engine of threads. It takes targets only as fast as results arrive, so memory does not grow with them.

The threads are daemons and not those of `concurrent.futures`: a thread that exceeds its time-out cannot be stopped. It is
abandoned (its next call is refused, see `deadline`), another takes its place, and the program does not wait for it at exit.
"""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import FrameType

from rolecall_generator.errors import InterruptedRunError
from rolecall_runner.execution.execution_options import register
from rolecall_runner.execution.interface import EngineSettings, Outside, Result, Task, inconclusive
from rolecall_runner.execution.serial import ask
from rolecall_runner.inventory import Target

AHEAD = 2
"""Targets taken per worker: one in progress and one waiting, so that no worker idles."""

_POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class _Job:
    number: int
    target: Target


@dataclass(frozen=True, slots=True)
class _Running:
    job: _Job
    begin: float
    started: datetime


def run_threads(
    task: Task,
    targets: Iterable[Target],
    settings: EngineSettings,
    outside: Outside,
    *,
    idle: Callable[[], None] = lambda: None,
) -> Iterator[Result]:
    """An `Engine`. `idle` is called when no result has arrived for a moment."""
    crew = _Crew(task, settings, outside)
    source = iter(targets)
    complete = False
    try:
        while True:
            while not complete and not outside.stop.is_set() and crew.has_room:
                target = next(source, None)
                if target is None:
                    complete = True
                else:
                    crew.add(target)
            if not crew.outstanding:
                break
            result = crew.wait()
            if result is not None:
                yield result
            elif crew.given_up:
                break
            else:
                idle()
    finally:
        crew.dismiss()
    if outside.stop.is_set() and not (complete and not crew.outstanding and not crew.returned):
        raise InterruptedRunError("interrupted; what was done stays")


class _Crew:
    """The worker threads with their jobs and results. Used by one thread, except for `_work`."""

    def __init__(self, task: Task, settings: EngineSettings, outside: Outside) -> None:
        self._task = task
        self._settings = settings
        self._outside = outside
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[_Job, Result]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._running: dict[int, _Running] = {}
        self._workers = 0
        self._hired = 0
        self._taken = 0
        self._stop_by: float | None = None
        self.outstanding: set[int] = set()
        self.returned = 0
        self.given_up = False

    @property
    def has_room(self) -> bool:
        """Whether another target may be taken."""
        return len(self.outstanding) < self._settings.workers * AHEAD

    def add(self, target: Target) -> None:
        """Queue a target, and start another worker if there are too few."""
        job = _Job(self._taken, target)
        self._taken += 1
        self.outstanding.add(job.number)
        self._jobs.put(job)
        if self._workers < min(self._settings.workers, len(self.outstanding)):
            self._hire()

    def wait(self) -> Result | None:
        """The next result, or None if none has arrived for a moment. Ctrl-C stops the run and is not raised."""
        try:
            return self._next()
        except KeyboardInterrupt:
            if self._outside.stop.is_set():
                self.given_up = True  # the second Ctrl-C
            self._outside.stop.set()
            return None

    def dismiss(self) -> None:
        """Let all workers end after their current target."""
        self._take_back()
        for _ in range(self._workers):
            self._jobs.put(None)

    def _next(self) -> Result | None:
        if self._outside.stop.is_set():
            self._wind_up()
        late = self._late()
        if late is not None:
            return late
        try:
            job, result = self._done.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            return None
        self.outstanding.discard(job.number)
        return result

    def _wind_up(self) -> None:
        now = self._outside.clock()
        if self._stop_by is None:
            self._stop_by = now + self._settings.grace_seconds
        self._take_back()
        if now >= self._stop_by and self._done.empty():
            self.given_up = True

    def _take_back(self) -> None:
        """Remove the jobs that no worker has started."""
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            if job is not None:
                self.outstanding.discard(job.number)
                self.returned += 1

    def _late(self) -> Result | None:
        """The result of a target whose time is up; its worker is abandoned and replaced."""
        timeout = self._settings.timeout_seconds
        if timeout is None:
            return None
        now = self._outside.clock()
        with self._lock:
            # Wait a little longer: if the task itself ends at the deadline, its message is more precise.
            overdue = next((w for w, r in self._running.items() if now - r.begin > timeout + _POLL_SECONDS), None)
            if overdue is None:
                return None
            running = self._running.pop(overdue)
        self.outstanding.discard(running.job.number)
        self._workers -= 1
        self._hire()
        text = f"no answer within {timeout:g} s"
        return inconclusive(self._task, running.job.target, running.started, text, now - running.begin)

    def _hire(self) -> None:
        self._workers += 1
        self._hired += 1
        threading.Thread(target=self._work, args=(self._hired,), name=f"rolecall-{self._hired}", daemon=True).start()

    def _work(self, me: int) -> None:
        while (job := self._jobs.get()) is not None:
            if self._outside.stop.is_set():
                self._jobs.put(job)  # for `_take_back`: no target is started after a stop
                return
            with self._lock:
                self._running[me] = _Running(job, self._outside.clock(), self._outside.now())
            result = ask(self._task, job.target, self._settings, self._outside)
            with self._lock:
                if self._running.pop(me, None) is None:
                    return  # abandoned: the result was reported already
            self._done.put((job, result))


register("threads", lambda _options: run_threads)


@contextmanager
def stops_on_ctrl_c(stop: threading.Event) -> Iterator[None]:
    """Inside, the first SIGINT or SIGTERM sets `stop`; the second raises KeyboardInterrupt. Only for the main thread.

    Otherwise, Ctrl-C might interrupt the writing of a result, and that result would be damaged or lost.
    """

    def sign(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, sign) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
