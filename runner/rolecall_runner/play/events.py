"""What happens in a play, as values: the faces (text, JSON) show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rolecall_runner.play.models import JsonObject, Play, PlayTask


class Ending(StrEnum):
    """How a task ended in one account."""

    OK = "ok"
    CHANGED = "changed"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    INCONCLUSIVE = "inconclusive"
    IGNORED = "ignored"


BAD = frozenset({Ending.FAILED, Ending.UNREACHABLE, Ending.INCONCLUSIVE})
"""After these an account takes no further part."""


@dataclass(frozen=True, slots=True)
class PlayBegins:
    """A play with this many accounts; none: the play is passed over."""

    play: Play
    accounts: int


@dataclass(frozen=True, slots=True)
class TaskBegins:
    """A task, or a handler, over the accounts of a batch."""

    task: PlayTask
    handler: bool = False


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """A task's end in one account. `data` is what is registered; `seconds` with all tries."""

    account: str
    account_id: str
    task: PlayTask
    ending: Ending
    data: JsonObject
    error: str = ""
    code: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PlayStops:
    """The run goes no further, and why."""

    play: Play
    why: str


@dataclass(slots=True)
class Recap:
    """Counts of endings by account, in the order in which accounts took part. `rehearsal`: a sandbox answered, not AWS."""

    counts: dict[str, dict[Ending, int]] = field(default_factory=dict)
    stopped: str = ""
    rehearsal: bool = False

    def add(self, event: TaskEnded) -> None:
        """Count one more."""
        own = self.counts.setdefault(event.account, dict.fromkeys(Ending, 0))
        own[event.ending] += 1
        if event.ending is Ending.CHANGED:  # as in Ansible, what changed was ok too
            own[Ending.OK] += 1

    def any(self, endings: frozenset[Ending]) -> bool:
        """Whether some account ended so."""
        return any(count[ending] for count in self.counts.values() for ending in endings)


Event = PlayBegins | TaskBegins | TaskEnded | PlayStops
Counts = Mapping[str, Mapping[Ending, int]]
