"""What is seen while the roll call runs: a live bar on a terminal, a plain line a finished account elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from rolecall_generator.text import one_line
from rolecall_runner.reports.summary import STYLES, Tally
from rolecall_runner.verify import Mark, Verdict

_NAMES_WIDTH = 48
_RATE_AFTER_SECONDS = 1.0
"""A rate of the first moment only misleads."""


class RollCallProgress:
    """The display of one run: a context manager, told by `started`, `asking` and `finished` from any thread.

    On a terminal a bar with counts by mark, the accounts being asked, the time and the rate; it goes when the run ends.
    Elsewhere, or when `verbose`, a line a finished account. `quiet` shows nothing. `clock` returns monotonic seconds.
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
        self._asked: dict[str, None] = {}
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
        """So many accounts will be asked."""
        with self._lock:
            self._tally.targets = total
            self._show()

    def asking(self, name: str) -> None:
        """An account's turn has come; `finished` for the same name ends it."""
        with self._lock:
            self._asked[one_line(name)] = None
            self._show()

    def finished(self, verdict: Verdict) -> None:
        """An account is done."""
        with self._lock:
            self._tally.add(verdict)
            self._asked.pop(one_line(verdict.name), None)
            if self._lines:
                line = finished_line(verdict, self._tally)
                self._console.print(line, style=STYLES[verdict.mark], markup=False, highlight=False)
            self._show()

    def _show(self) -> None:
        if self._bar is None or self._task is None:
            return
        below = counts_text(self._tally).append(f"  {names_text(self._asked)}", style="dim")
        below.no_wrap, below.overflow = True, "ellipsis"
        self._bar.below = below
        self._bar.update(
            self._task,
            total=self._tally.total or None,
            completed=self._tally.asked,
            rate=rate_text(self._tally.asked, self._clock() - self._begun),
        )


def counts_text(tally: Tally) -> Text:
    """`ok 12  failed 1`, coloured: the good ones always, the others when there are any."""
    text = Text.assemble((f"ok {tally.marks[Mark.OK]:,}", STYLES[Mark.OK]))
    for mark in (*Mark.problems(), Mark.SKIPPED):
        if tally.marks[mark]:
            text.append(f"  {mark} {tally.marks[mark]:,}", style=STYLES[mark])
    return text


def names_text(names: Iterable[str], width: int = _NAMES_WIDTH) -> str:
    """As many of the names as `width` characters hold, those asked longest first: `asking acme, globex and 14 more`."""
    held = list(names)
    if not held:
        return ""
    shown_names = 1
    while shown_names < len(held) and len(", ".join(held[: shown_names + 1])) <= width:
        shown_names += 1
    left = len(held) - shown_names
    text = ", ".join(name if len(name) <= width else f"{name[: width - 1]}…" for name in held[:shown_names])
    return f"asking {text}{f' and {left:,} more' if left else ''}"


def rate_text(done: int, seconds: float) -> str:
    """`12.3/s`; empty in the first second."""
    return f"{done / seconds:,.1f}/s" if done and seconds >= _RATE_AFTER_SECONDS else ""


def finished_line(verdict: Verdict, tally: Tally) -> str:
    """`[ 3/40] ✗ account2: failed: no-external-id: AccessDenied: ...` on one line; what went well has its time instead."""
    number = f"{tally.asked:,}".rjust(len(f"{tally.total:,}"))
    head = f"[{number}/{tally.total:,}] {verdict.mark.sign} {verdict.label}: {verdict.mark}"
    # Redacting takes most of the time of a line: only where there is something to say.
    checks = () if verdict.mark is Mark.OK else verdict.redacted().checks
    worst = next((check for check in checks if check.mark is verdict.mark), None)
    if worst is None:
        return one_line(f"{head} ({sum(check.seconds for check in verdict.checks):.1f} s)")
    return one_line(" ".join(f"{head}: {worst.step}: {worst.reply or worst.what}".split()))


class _Bar(Progress):
    """The bar, and below it a line that is cut at the terminal's edge: names of accounts must not push the bar away."""

    below = Text()

    def get_renderables(self) -> Iterable[RenderableType]:
        """What rich draws at each turn."""
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
