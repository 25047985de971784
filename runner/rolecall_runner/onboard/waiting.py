"""The wait for the customer's apply: one look after another, until the role lets us in or there is no use in waiting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rolecall_runner.engine.interface import Outside
from rolecall_runner.onboard.words import seen
from rolecall_runner.tasks.verify.rotation import current_id_seen
from rolecall_runner.tasks.verify.verdict import Mark, Verdict

FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0
_GROWTH = 1.5
_JITTER = 0.2
_MOST_DOUBLINGS = 10

HOPELESS = frozenset({"wrong-caller", "own-credentials-expired", "own-credentials-invalid", "sandbox-limit"})
"""Causes that no apply of the customer's mends while this process lives."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait, in seconds: between two looks at the most, and in all. `once`: look once."""

    every_seconds: float = 30.0
    timeout_seconds: float = 7200.0
    once: bool = False


@dataclass(frozen=True, slots=True)
class Sighting:
    """One look. `look` counts from 1; `waited_seconds` since the first; `pause_seconds` until the next, if there is one."""

    verdict: Verdict
    look: int
    waited_seconds: float
    pause_seconds: float | None = None

    @property
    def let_in(self) -> bool:
        """Whether the role was assumed with the external id that the manifest has now."""
        return current_id_seen(self.verdict)

    @property
    def what(self) -> str:
        """What was seen, in a few words."""
        return "the role lets us in" if self.let_in else seen(self.verdict)


def wait_for_role(look: Callable[[], Verdict], pace: Pace, outside: Outside, hear: Callable[[Sighting], None]) -> Sighting:
    """Look until the role lets us in, the time is up, `outside.stop` is set, or a look shows that waiting is of no use.

    Pauses grow from five seconds to `pace.every_seconds`, and further while AWS gives no clear answer; chance moves each by
    a tenth, so that many who wait do not ask at once. `hear` gets each sighting, the last one too, which is returned.
    """
    begin = outside.clock()
    unclear = 0
    number = 0
    while True:
        number += 1
        verdict = look()
        sighting = Sighting(verdict, number, outside.clock() - begin)
        unclear = unclear + 1 if verdict.mark in {Mark.INCONCLUSIVE, Mark.UNREACHABLE} else 0
        left = pace.timeout_seconds - sighting.waited_seconds
        if sighting.let_in or pace.once or left <= 0 or _hopeless(verdict):
            hear(sighting)
            return sighting
        pause = min(left, pause_seconds(number, unclear, pace, outside.chance()))
        hear(Sighting(verdict, number, sighting.waited_seconds, pause))
        outside.wait(pause)
        if outside.stop.is_set():
            return sighting


def pause_seconds(look: int, unclear: int, pace: Pace, chance: float) -> float:
    """The pause after so many looks, the last `unclear` of them without a clear answer. `chance` is from 0 to 1."""
    plain = min(pace.every_seconds, FIRST_PAUSE_SECONDS * _GROWTH ** min(look - 1, 50))
    grown = min(max(pace.every_seconds, LONGEST_PAUSE_SECONDS), plain * 2.0 ** min(unclear, _MOST_DOUBLINGS))
    return grown * (1 + _JITTER * (chance - 0.5))


def _hopeless(verdict: Verdict) -> bool:
    """Another backend role's customer, or our own credentials."""
    return verdict.mark is Mark.SKIPPED or any(diagnosis.cause in HOPELESS for diagnosis in verdict.diagnoses[:1])
