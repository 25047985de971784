"""Output of `runner onboard`: the wait for the apply, and the result with the message to the customer."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from rolecall_generator.text import json_text, sanitize_line
from rolecall_runner.onboarding import OnboardingResult, PollAttempt
from rolecall_runner.redact import REHEARSAL
from rolecall_runner.reports.summary import STYLES, print_message
from rolecall_runner.status import StatusPlace
from rolecall_runner.verify import Mark

_REFRESH = 4
_MINUTE, _HOUR = 60, 3600


class WaitDisplay:
    """Context manager that shows the wait: a live line on a terminal, otherwise one line per change.

    Pass each attempt to `update`. `clock` returns monotonic seconds; `quiet` shows nothing.
    """

    def __init__(
        self, console: Console, name: str, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._name = sanitize_line(name)
        self._clock = clock
        self._quiet = quiet
        self._last: PollAttempt | None = None
        self._updated = self._begun = clock()
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

    def update(self, attempt: PollAttempt) -> None:
        """Show an attempt."""
        before = self._last
        self._last, self._updated = attempt, self._clock()
        if self._live is None and not self._quiet and (before is None or attempt_text(before) != attempt_text(attempt)):
            self._console.print(f"{self._name}: {attempt_text(attempt)}", markup=False)

    def warn(self, sentence: str) -> None:
        """Print a warning, also if the attempts are not shown."""
        self._console.print(Text(f"warning: {self._name}: {sanitize_line(sentence)}", style="yellow"))

    def _render(self) -> RenderableType:
        self._spinner.text = self._line()
        return Group(self._spinner, Text(f"  {self._times()}; Ctrl-C ends the wait", style="dim", no_wrap=True))

    def _line(self) -> Text:
        what = "first attempt" if self._last is None else attempt_text(self._last)
        return Text(f"{self._name}: {what}")

    def _times(self) -> str:
        now = self._clock()
        waited = f"waiting for {format_duration(now - self._begun)}"
        if self._last is None or self._last.pause_seconds is None:
            return waited
        left = max(0.0, self._last.pause_seconds - (now - self._updated))
        return f"{waited}, attempt {self._last.number}, the next in {format_duration(left)}"


def attempt_text(attempt: PollAttempt) -> str:
    """The result of an attempt in words."""
    if attempt.can_assume and attempt.pause_seconds is not None:
        return "the role can be assumed, but other checks do not pass yet"
    return attempt.what if attempt.can_assume else f"not yet: {attempt.what}"


def format_duration(seconds: float) -> str:
    """For example `12 s`, `3 min 05 s`, `1 h 02 min`."""
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"


def print_onboarding(console: Console, ended: OnboardingResult, place: StatusPlace) -> None:
    """Print the result. The message to the customer is neither indented nor wrapped."""
    console.print(Text(sanitize_line(headline(ended)), style=STYLES[Mark.OK if ended.verified else Mark.FAILED]))
    if not ended.verified:
        _print_problems(console, ended)
    if ended.message:
        print_message(console, ended.message, sanitize_line(ended.target.name))
    console.print(f"next: {next_step(ended, place)}", markup=False, soft_wrap=True)


def headline(ended: OnboardingResult) -> str:
    """The result in one sentence; results of a sandbox are marked."""
    mark = f"{REHEARSAL}: " if ended.rehearsal else ""
    return f"{mark}{_headline(ended)}"


def _headline(ended: OnboardingResult) -> str:
    name = ended.target.name
    sign = (ended.verdict.mark if ended.verified or ended.verdict.mark is not Mark.OK else Mark.FAILED).sign
    if ended.verified:
        return f"{sign} {name} is verified: all checks passed (run {ended.run})"
    if ended.unseen:
        return (
            f"? the role of {name} can be assumed and all checks passed (run {ended.run}), but no call shows whether the "
            f"newest module is applied: {'; '.join(ended.unseen)}"
        )
    if ended.run:
        return f"{sign} the role of {name} can be assumed, but checks did not pass: {ended.verdict.mark} (run {ended.run})"
    attempts = (
        "1 attempt"
        if ended.last.number == 1
        else f"{ended.last.number:,} attempts in {format_duration(ended.last.waited_seconds)}"
    )
    return f"{sign} the role of {name} cannot be assumed yet ({attempts}): {ended.last.what}"


def next_step(ended: OnboardingResult, place: StatusPlace) -> str:
    """The next command."""
    name = shlex.quote(ended.target.name)
    if ended.unseen:
        return f"{place.command(f'runner status {name} --applied')} when the customer confirms the apply"
    if not ended.verified:
        return place.command(f"runner onboard {name}")
    return place.command(f"gen bundle {name}" if place.rehearsal else "runner status")


def _print_problems(console: Console, ended: OnboardingResult) -> None:
    verdict = ended.verdict.redacted()
    for mark in Mark.problems():
        for check in verdict.checks:
            if check.mark is mark:
                answer = f" (AWS: {check.reply})" if check.reply else ""
                line = sanitize_line(" ".join(f"{check.what}{answer}".split()))
                console.print(Text.assemble((f"  {mark.sign} {check.step}  ", STYLES[mark]), line))
    for diagnosis in verdict.diagnoses:
        text = sanitize_line(" ".join(diagnosis.vendor.split()))
        console.print(Text.assemble(("  likely cause: ", "bold"), f"{text} ", (f"[{diagnosis.cause}]", "dim")))


def onboarding_json(ended: OnboardingResult) -> str:
    """The result as indented JSON with a trailing newline.

    `rehearsal`: the result comes from a sandbox. `verified`: all checks passed. `can_assume`: the role was assumed.
    `unseen`: changes of the newest module that no AWS call can detect. `run`: ID of the verify run, null if there was none.
    `verdict`: see `Verdict.to_json`. `entry`: the customer's entry of the status file. `message`: the message to send.
    """
    body = {
        "customer": ended.target.name,
        "account_id": ended.target.account_id,
        "rehearsal": ended.rehearsal,
        "verified": ended.verified,
        "can_assume": ended.last.can_assume,
        "unseen": list(ended.unseen),
        "result": ended.last.what,
        "attempts": ended.last.number,
        "waited_seconds": round(ended.last.waited_seconds, 3),
        "run": ended.run or None,
        "verdict": ended.verdict.redacted().to_json(),
        "message": ended.message,
        "entry": ended.entry.to_json(),
    }
    return json_text(body, indent=2) + "\n"
