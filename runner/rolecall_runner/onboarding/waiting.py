"""What is seen of a role that does not let us in yet, in a few words: for the line that is shown while waiting.

The wait for the customer's apply: one look after another, until the role lets us in or there is no use in waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rolecall_runner.execution import Outside
from rolecall_runner.verify import Mark, Verdict, current_id_seen

_NAMED = 3

SEEN: Mapping[str, str] = {
    "role-missing": "the role is not there",
    "external-id-differs": "it refuses our external id",
    "other-principal": "its trust names another principal",
    "rotation-not-applied": "it takes the previous external id alone",
    "module-not-current": "the written module does not let us in: run gen terraform",
    "session-tags-not-allowed": "it refuses session tags or the source identity",
    "session-too-long": "its sessions are shorter than asked for",
    "resource-control-policy": "a policy of the customer's organization refuses us",
    "backend-policy-lacks-role": "our backend role may not assume it: apply output/backend",
    "backend-policy-not-applied": "our output/backend may not be applied",
    "backend-role-recreated": "its trust holds the id of a backend role that is gone",
    "wrong-caller": "we are not the backend role that it trusts",
    "own-organization-policy": "a policy of our own organization stops us",
    "own-permission-boundary": "our own permissions boundary stops us",
    "own-credentials-expired": "our own credentials have expired",
    "own-credentials-invalid": "AWS does not know our own credentials",
    "region-disabled": "STS is not active in this Region",
    "clock-off": "this machine's clock is wrong",
    "throttled": "AWS throttles",
    "service-trouble": "AWS has trouble of its own",
    "network": "AWS cannot be reached",
    "sandbox-limit": "the sandbox does not have this",
}
"""By the causes of docs/diagnosis.md that can stand in the way of an assume."""


def seen(verdict: Verdict) -> str:
    """`AWS refuses: the role is not there, or it refuses our external id`; the likeliest first."""
    causes = [diagnosis.cause for diagnosis in verdict.diagnoses]
    if not causes:
        return "AWS refuses" if verdict.mark is Mark.FAILED else "no clear answer"
    found = ", or ".join(_words(causes))
    return f"AWS refuses: {found}" if verdict.mark is Mark.FAILED else found


def _words(causes: Sequence[str]) -> list[str]:
    return [SEEN.get(cause, cause.replace("-", " ")) for cause in causes[:_NAMED]]


FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0
_GROWTH = 1.5
_JITTER = 0.2
_MOST_DOUBLINGS = 10

HOPELESS = frozenset({"wrong-caller", "own-credentials-expired", "own-credentials-invalid", "sandbox-limit"})
"""Causes that no apply of the customer's hints while this process lives."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait, in seconds: between two looks at most, and in all. `once`: look once."""

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
