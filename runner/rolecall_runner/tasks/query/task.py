"""The task `query`: one target, all its Regions; each Region answers or says why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rolecall_runner.clients import Clients, account
from rolecall_runner.credentials import AccountSession, Sessions
from rolecall_runner.deadline import TimeIsUpError
from rolecall_runner.engine.per_process import PerProcess
from rolecall_runner.results.result import Outcome
from rolecall_runner.targets import Target
from rolecall_runner.tasks.query.answers import GLOBAL, Place, Reason, outcome_of, reason_of
from rolecall_runner.tasks.query.asking import ask_place
from rolecall_runner.tasks.query.models import known_regions
from rolecall_runner.tasks.query.placeholders import Filling
from rolecall_runner.tasks.query.question import Question
from rolecall_runner.tasks.query.regions import enabled_regions, is_global, planned_regions

ATTEMPTS = 3
"""How often one Region is asked within one attempt of the account, so that a throttle does not cost the other Regions."""

_AGAIN = frozenset({Reason.INCONCLUSIVE, Reason.UNREACHABLE})


def utc_now() -> datetime:
    """The machine's time."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class QueryTask:
    """Asks a question of a target; its outcome's data is what `answers.answer_of` reads.

    `means` makes clients and sessions, once in each process. `now` tells rows their time, and relative dates theirs.
    """

    question: Question
    means: PerProcess[tuple[Clients, Sessions]]
    now: Callable[[], datetime] = utc_now
    name: str = "query"
    _absent: set[tuple[str, str]] = field(default_factory=set, repr=False, compare=False)

    def __call__(self, target: Target) -> Outcome:
        """Ask one target. Raises what assuming its role raises; the engine makes a result of it."""
        clients, sessions = self.means.get()
        session = sessions.of(target)
        session.get_frozen_credentials()  # a role that cannot be assumed is one failure, not one a Region
        with account(session):
            regions = planned_regions(self.question, target)
            if regions is None:
                try:
                    regions = enabled_regions(clients, target)
                except Exception as error:  # no Region is known, so this is the account's whole answer
                    reason, code, text = reason_of(error)
                    text = f"its enabled Regions cannot be listed: {text}"
                    return outcome_of(target.account_id, [Place("", reason, self.now().isoformat(), code=code, error=text)])
            places = [self._place(clients, session, target, region) for region in regions]
        return outcome_of(target.account_id, places)

    def _place(self, clients: Clients, session: AccountSession, target: Target, region: str) -> Place:
        shown = GLOBAL if is_global(self.question, target) else region
        for attempt in range(1, ATTEMPTS + 1):
            moment = self.now()
            if (self.question.service, region) in self._absent:
                break
            try:
                asked = ask_place(
                    self.question,
                    lambda service: clients.client(service, region),
                    Filling(target, moment, region),
                )
            except Exception as error:  # one Region's failure is its own place; the others are asked all the same
                place = self._failed(error, target, region, shown, moment)
                if place.reason not in _AGAIN or attempt == ATTEMPTS or isinstance(error, TimeIsUpError):
                    return place
                if place.code.startswith("ExpiredToken"):
                    session.renew()
            else:
                return Place(shown, Reason.OK, moment.isoformat(), asked.rows, notes=asked.notes)
        text = f"{self.question.service} is not offered in {region}"
        return Place(shown, Reason.ABSENT, self.now().isoformat(), error=text)

    def _failed(self, error: BaseException, target: Target, region: str, shown: str, moment: datetime) -> Place:
        listed = region in known_regions(self.question.service, target.partition) or shown == GLOBAL
        reason, code, text = reason_of(error, listed=listed)
        if reason is Reason.ABSENT:
            self._absent.add((self.question.service, region))  # a fact of the Region: no other account need find it out
        return Place(shown, reason, moment.isoformat(), code=code, error=text)
