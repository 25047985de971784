"""Progress of a verify run: a live bar on a terminal, otherwise one line per finished account."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from rolecall_generator.text import sanitize_line
from rolecall_runner.reports.summary import STYLES, Tally
from rolecall_runner.verify import Mark, Verdict

_RATE_AFTER_SECONDS = 1.0
"""Before that the rate is not meaningful."""


class VerifyProgress:
    """Context manager that shows the progress of one run; the methods may be called from any thread.

    On a terminal: a bar with counts by mark, time and rate, removed at the end of the run. Otherwise, or if `verbose`: one
    line per finished account. `quiet` shows nothing. `clock` returns monotonic seconds.
    """

    def __init__(
        self,
        console: Console,
        *,
        verbose: bool = False,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        live = console.is_terminal and not console.is_dumb_terminal
        self._lines = not quiet and (verbose or not live)
        self._clock = clock
        self._begun = clock()
        self._lock = threading.Lock()
        self._tally = Tally()
        self._bar = _bar(console, clock) if live and not quiet else None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._begun = self._clock()
        if self._bar is not None:
            self._task = self._bar.add_task("", total=None, rate="")
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def started(self, total: int) -> None:
        """Set the number of accounts."""
        with self._lock:
            self._tally.targets = total
            self._show()

    def finished(self, verdict: Verdict) -> None:
        """Count and show the verdict of an account."""
        with self._lock:
            self._tally.add(verdict)
            if self._lines:
                line = finished_line(verdict, self._tally)
                self._console.print(line, style=STYLES[verdict.mark], markup=False, highlight=False)
            self._show()

    def _show(self) -> None:
        if self._bar is None or self._task is None:
            return
        below = counts_text(self._tally)
        below.no_wrap, below.overflow = True, "ellipsis"
        self._bar.below = below
        self._bar.update(
            self._task,
            total=self._tally.total or None,
            completed=self._tally.count,
            rate=rate_text(self._tally.count, self._clock() - self._begun),
        )


def counts_text(tally: Tally) -> Text:
    """For example `ok 12  failed 1`, in colors; marks other than ok only if they occur."""
    text = Text.assemble((f"ok {tally.marks[Mark.OK]:,}", STYLES[Mark.OK]))
    for mark in (*Mark.problems(), Mark.SKIPPED):
        if tally.marks[mark]:
            text.append(f"  {mark} {tally.marks[mark]:,}", style=STYLES[mark])
    return text


def rate_text(done: int, seconds: float) -> str:
    """For example `12.3/s`; empty in the first second."""
    return f"{done / seconds:,.1f}/s" if done and seconds >= _RATE_AFTER_SECONDS else ""


def finished_line(verdict: Verdict, tally: Tally) -> str:
    """For example `[ 3/40] ✗ account2: failed: no-external-id: AccessDenied: ...`; an account that is ok has its time."""
    number = f"{tally.count:,}".rjust(len(f"{tally.total:,}"))
    head = f"[{number}/{tally.total:,}] {verdict.mark.sign} {verdict.label}: {verdict.mark}"
    # Redacting takes most of the time per line, so it is skipped where nothing is quoted.
    checks = () if verdict.mark is Mark.OK else verdict.redacted().checks
    worst = next((check for check in checks if check.mark is verdict.mark), None)
    if worst is None:
        return sanitize_line(f"{head} ({sum(check.seconds for check in verdict.checks):.1f} s)")
    return sanitize_line(" ".join(f"{head}: {worst.step}: {worst.reply or worst.what}".split()))


class _Bar(Progress):
    """The bar with a line of counts below it, cut at the width of the terminal."""

    below = Text()

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return what rich draws at each refresh."""
        yield from super().get_renderables()
        yield self.below


def _bar(console: Console, clock: Callable[[], float]) -> _Bar:
    columns = (
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
    )
    return _Bar(*columns, console=console, transient=True, get_time=clock)
