"""The limit of a search in steps and seconds, so that a policy made to exhaust it ends as unknown."""

from __future__ import annotations

import time
from collections.abc import Callable

STEPS = 600_000
"""Steps for one comparison. A step takes 0.6 to 3 microseconds."""
STEPS_PER_KEY = 200_000
"""Steps for the values of one context key, or for the callers. About 40 MB of states."""
SECONDS = 1.5
"""Seconds of CPU time for one comparison: a safety net, since the time of a step depends on the machine."""
_SEARCH_PART = 0.6
"""The part of the time after which no more values are searched; the decision about those found has the rest."""
_CHECK_EVERY = 2_048


TOO_LARGE = "the policies distinguish more requests than the budget allows to examine"


class OutOfBudgetError(Exception):
    """The search needs more steps or time than it may use."""

    def __str__(self) -> str:
        return TOO_LARGE


class SearchBudget:
    """Steps and seconds that a comparison may still use. `seconds`: None for no limit of time."""

    __slots__ = ("_clock", "_deadlines", "_next_check", "left", "reserve", "steps_per_key")

    def __init__(
        self,
        steps: int = STEPS,
        seconds: float | None = SECONDS,
        *,
        steps_per_key: int = STEPS_PER_KEY,
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self.left = steps
        self.reserve = steps // 4
        self.steps_per_key = steps_per_key
        self._clock = clock
        start = 0.0 if seconds is None else clock()
        self._deadlines = None if seconds is None else (start + seconds * _SEARCH_PART, start + seconds)
        self._next_check = steps - _CHECK_EVERY

    def spend(self, steps: int, *, searching: bool = False) -> None:
        """Use steps. Raises OutOfBudgetError if there are not enough of them, or if the time is over.

        `searching`: for the values of a key, for which the time is over earlier.
        """
        self.left -= steps
        if self.left < 0:
            raise OutOfBudgetError
        if self.left < self._next_check and self._deadlines is not None:
            self._next_check = self.left - _CHECK_EVERY
            search_end, end = self._deadlines
            now = self._clock()
            if now > end:
                self.left = 0
            if now > (search_end if searching else end):
                self._next_check = self.left
                raise OutOfBudgetError


class BudgetShare:
    """The part of a budget for the values of one key: at most `steps_per_key`, and at most half of what is left for keys.

    A quarter of the whole budget is reserved for the decision.
    """

    __slots__ = ("_budget", "left")

    def __init__(self, budget: SearchBudget) -> None:
        self._budget = budget
        self.left = min(budget.steps_per_key, max(0, budget.left - budget.reserve) // 2)

    def spend(self, steps: int) -> None:
        """As `SearchBudget.spend`, for the share and for the budget."""
        self.left -= steps
        if self.left < 0:
            raise OutOfBudgetError
        self._budget.spend(steps, searching=True)
