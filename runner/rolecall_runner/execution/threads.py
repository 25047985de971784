"""Many targets at a time in threads of this process; targets are taken as fast as results are, so memory stays flat.

The threads are daemons and not those of `concurrent.futures`: one that is late cannot be ended, so it is left behind (its
next call is refused, see `deadline`) and another takes its place; the program does not wait for it when it ends.

Ctrl-C as a sign to stop: what was asked is handed out, then the run ends. A second one ends it at once.
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
from rolecall_runner.aws import Status
from rolecall_runner.execution.execution_options import register
from rolecall_runner.execution.interface import EngineSettings, Outside, Result, Task
from rolecall_runner.execution.serial import ask
from rolecall_runner.inventory import Target

AHEAD = 2
"""Targets taken for each worker: one that is asked, one that waits, so that no worker does."""

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
    """An `Engine`. `idle` is called whenever no result came for a moment."""
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
    """The workers, what they have to do, and what came of it. Used by one thread, but for `_work`."""

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
        """Take a target; hires a worker where there are too few."""
        job = _Job(self._taken, target)
        self._taken += 1
        self.outstanding.add(job.number)
        self._jobs.put(job)
        if self._workers < min(self._settings.workers, len(self.outstanding)):
            self._hire()

    def wait(self) -> Result | None:
        """The next result, or None when none came for a moment. Ctrl-C only stops the run."""
        try:
            return self._next()
        except KeyboardInterrupt:
            if self._outside.stop.is_set():
                self.given_up = True  # the second Ctrl-C
            self._outside.stop.set()
            return None

    def dismiss(self) -> None:
        """Send the workers home; those that are asking end by themselves."""
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
        """Take back what no worker has begun."""
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            if job is not None:
                self.outstanding.discard(job.number)
                self.returned += 1

    def _late(self) -> Result | None:
        """The verdict on a target whose time is up; its worker is left behind, another one hired."""
        timeout = self._settings.timeout_seconds
        if timeout is None:
            return None
        now = self._outside.clock()
        with self._lock:
            # A moment's grace: where the task itself ends at the deadline, its own words say more.
            overdue = next((w for w, r in self._running.items() if now - r.begin > timeout + _POLL_SECONDS), None)
            if overdue is None:
                return None
            running = self._running.pop(overdue)
        self.outstanding.discard(running.job.number)
        self._workers -= 1
        self._hire()
        target = running.job.target
        text = f"no answer within {timeout:g} s"
        return Result(
            target.name,
            self._task.name,
            Status.INCONCLUSIVE,
            running.started,
            now - running.begin,
            error=text,
            kind=target.kind,
        )

    def _hire(self) -> None:
        self._workers += 1
        self._hired += 1
        threading.Thread(target=self._work, args=(self._hired,), name=f"rolecall-{self._hired}", daemon=True).start()

    def _work(self, me: int) -> None:
        while (job := self._jobs.get()) is not None:
            if self._outside.stop.is_set():
                self._jobs.put(job)  # to be taken back: nothing is begun after the sign to stop
                return
            with self._lock:
                self._running[me] = _Running(job, self._outside.clock(), self._outside.now())
            result = ask(self._task, job.target, self._settings, self._outside)
            with self._lock:
                if self._running.pop(me, None) is None:
                    return  # left behind: the verdict is given already
            self._done.put((job, result))


register("threads", lambda _options: run_threads)


@contextmanager
def stops_on_ctrl_c(stop: threading.Event) -> Iterator[None]:
    """Inside, the first SIGINT or SIGTERM sets `stop`; the second raises KeyboardInterrupt. For the main thread alone.

    Without it a Ctrl-C might come while a result is being written or shown, and that result would be torn or lost.
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
