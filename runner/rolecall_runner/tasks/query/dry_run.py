"""What a query would do: its calls with their actions and levels, how many of them, and who cannot answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rolecall_runner.targets import Target
from rolecall_runner.tasks.query.asked import shown_parameters
from rolecall_runner.tasks.query.levels import Judgement
from rolecall_runner.tasks.query.preflight import Ability, Forecast
from rolecall_runner.tasks.query.question import Question
from rolecall_runner.tasks.query.regions import is_global, planned_regions


@dataclass(frozen=True, slots=True)
class Preview:
    """`places` counts accounts and Regions; `unknown_places` are accounts whose Regions only they can tell.

    Pages and further calls for each row come on top of one call a place.
    """

    question: Question
    judged: tuple[Judgement, ...]
    accounts: int
    places: int
    unknown_places: int
    once: bool
    forecasts: tuple[Forecast, ...]

    @property
    def unable(self) -> tuple[Forecast, ...]:
        """Accounts that cannot answer."""
        return tuple(each for each in self.forecasts if each.ability is Ability.NO)

    @property
    def uncertain(self) -> tuple[Forecast, ...]:
        """Accounts of which it is not known."""
        return tuple(each for each in self.forecasts if each.ability is Ability.MAYBE)

    def to_json(self) -> dict[str, Any]:
        """The preview as JSON values."""
        calls = [
            {"service": each.service, "operation": each.operation, "action": each.action, "level": each.level}
            for each in self.judged
        ]
        return {
            "query": self.question.title,
            "parameters": shown_parameters(self.question.parameters),
            "calls": calls,
            "accounts": self.accounts,
            "places": self.places,
            "accounts_with_unknown_regions": self.unknown_places,
            "once_an_account": self.once,
            "cannot_answer": [_forecast(each) for each in self.unable],
            "may_answer": [_forecast(each) for each in self.uncertain],
        }


def preview(
    question: Question, judged: tuple[Judgement, ...], targets: Iterable[Target], forecasts: Iterable[Forecast]
) -> Preview:
    """Count what a query would ask. Sends nothing."""
    accounts = places = unknown = 0
    once = False
    for target in targets:
        accounts += 1
        regions = planned_regions(question, target)
        once = once or is_global(question, target)
        places += len(regions or ())
        unknown += regions is None
    return Preview(question, judged, accounts, places, unknown, once, tuple(forecasts))


def _forecast(each: Forecast) -> dict[str, str]:
    return {"account": each.account, "account_id": each.account_id, "why": each.why}
