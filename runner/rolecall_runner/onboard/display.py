"""What is seen while the apply is waited for: one living line on a terminal, a plain one at each change elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from rolecall_generator.text import one_line
from rolecall_runner.onboard.waiting import Sighting

_REFRESH = 4
_MINUTE, _HOUR = 60, 3600


class WaitDisplay:
    """A context manager; told each look by `hear`. `clock` gives monotonic seconds; `quiet` shows nothing."""

    def __init__(
        self, console: Console, name: str, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._name = one_line(name)
        self._clock = clock
        self._quiet = quiet
        self._last: Sighting | None = None
        self._heard = self._begun = clock()
        self._spinner = Spinner("dots", style="cyan")
        live = console.is_terminal and not console.is_dumb_terminal and not quiet
        self._live = Live(
            console=console, get_renderable=self._render, refresh_per_second=_REFRESH, transient=True
        ) if live else None  # fmt: skip

    def __enter__(self) -> Self:
        self._begun = self._clock()
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def hear(self, sighting: Sighting) -> None:
        """A look was taken."""
        before = self._last
        self._last, self._heard = sighting, self._clock()
        if self._live is None and not self._quiet and (before is None or said(before) != said(sighting)):
            self._console.print(f"{self._name}: {said(sighting)}", markup=False)

    def warn(self, sentence: str) -> None:
        """Something to know before the wait; it stays on the screen, and is said to those who see no looks too."""
        self._console.print(Text(f"warning: {self._name}: {one_line(sentence)}", style="yellow"))

    def _render(self) -> RenderableType:
        self._spinner.text = self._line()
        return Group(self._spinner, Text(f"  {self._times()}; Ctrl-C ends the wait", style="dim", no_wrap=True))

    def _line(self) -> Text:
        what = "asking for the first time" if self._last is None else said(self._last)
        return Text(f"{self._name}: {what}")

    def _times(self) -> str:
        now = self._clock()
        waited = f"waiting for {spell(now - self._begun)}"
        if self._last is None or self._last.pause_seconds is None:
            return waited
        left = max(0.0, self._last.pause_seconds - (now - self._heard))
        return f"{waited}, look {self._last.look}, the next in {spell(left)}"


def said(sighting: Sighting) -> str:
    """What a look showed; between roll calls that something is not as agreed yet."""
    if sighting.let_in and sighting.pause_seconds is not None:
        return "the role lets us in, but not all is as agreed yet"
    return sighting.what if sighting.let_in else f"not yet: {sighting.what}"


def spell(seconds: float) -> str:
    """`12 s`, `3 min 05 s`, `1 h 02 min`."""
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
