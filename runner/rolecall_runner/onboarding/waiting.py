"""Polls a role until it can be assumed, and describes each result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rolecall_runner.execution import Runtime
from rolecall_runner.verify import CAUSES, Mark, Verdict

_MAX_CAUSES = 3


def describe(verdict: Verdict) -> str:
    """Why the role cannot be assumed, as in `AWS refuses: the role does not exist`; the most likely cause first."""
    causes = [diagnosis.cause for diagnosis in verdict.diagnoses]
    if not causes:
        return "AWS refuses" if verdict.mark is Mark.FAILED else "inconclusive"
    found = ", or ".join(CAUSES[cause].while_waiting or cause.replace("-", " ") for cause in causes[:_MAX_CAUSES])
    return f"AWS refuses: {found}" if verdict.mark is Mark.FAILED else found


FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0
_GROWTH = 1.5
_JITTER = 0.2
_MAX_DOUBLINGS = 10


@dataclass(frozen=True, slots=True)
class PollOptions:
    """Maximum pause between two attempts and time limit of the wait, in seconds. `once`: make a single attempt."""

    every_seconds: float = 30.0
    timeout_seconds: float = 7200.0
    once: bool = False


@dataclass(frozen=True, slots=True)
class PollAttempt:
    """One attempt. `number`: counted from 1. `waited_seconds`: since the start. `pause_seconds`: until the next."""

    verdict: Verdict
    number: int
    waited_seconds: float
    pause_seconds: float | None = None

    @property
    def can_assume(self) -> bool:
        """Whether the role was assumed with the manifest's current external ID."""
        return self.verdict.current_id_accepted

    @property
    def what(self) -> str:
        """A short description of the result."""
        return "the role can be assumed" if self.can_assume else describe(self.verdict)


def wait_for_role(
    try_once: Callable[[], Verdict], poll_options: PollOptions, runtime: Runtime, on_attempt: Callable[[PollAttempt], None]
) -> PollAttempt:
    """Try until the role can be assumed, the timeout expires, `runtime.stop` is set, or waiting cannot help.

    Pauses grow from 5 seconds to `poll_options.every_seconds`, and further while results are inconclusive, with a jitter of
    ±10 %.
    `on_attempt` is called with every attempt; returns the last one.
    """
    started = runtime.clock()
    unclear = 0
    number = 0
    while True:
        number += 1
        verdict = try_once()
        attempt = PollAttempt(verdict, number, runtime.clock() - started)
        unclear = unclear + 1 if verdict.mark in {Mark.INCONCLUSIVE, Mark.UNREACHABLE} else 0
        remaining = poll_options.timeout_seconds - attempt.waited_seconds
        if attempt.can_assume or poll_options.once or remaining <= 0 or _is_permanent(verdict):
            on_attempt(attempt)
            return attempt
        pause = min(remaining, pause_seconds(number, unclear, poll_options, runtime.random()))
        on_attempt(PollAttempt(verdict, number, attempt.waited_seconds, pause))
        runtime.wait(pause)
        if runtime.stop.is_set():
            return attempt


def pause_seconds(number: int, unclear: int, poll_options: PollOptions, jitter: float) -> float:
    """Seconds to wait after `number` attempts, the last `unclear` of them inconclusive. `jitter`: random, 0 to 1."""
    base = min(poll_options.every_seconds, FIRST_PAUSE_SECONDS * _GROWTH ** min(number - 1, 50))
    grown = min(max(poll_options.every_seconds, LONGEST_PAUSE_SECONDS), base * 2.0 ** min(unclear, _MAX_DOUBLINGS))
    return grown * (1 + _JITTER * (jitter - 0.5))


def _is_permanent(verdict: Verdict) -> bool:
    """Whether waiting cannot help: the customer of another backend role, or invalid credentials of the vendor."""
    return verdict.mark is Mark.SKIPPED or any(CAUSES[diagnosis.cause].permanent for diagnosis in verdict.diagnoses[:1])
