"""What an operation does to the account, by AWS's access level of the action behind it; never by its name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rolecall_generator.iam.actions import action_of, find_action
from rolecall_runner.tasks.query.question import QueryError, Question

READING = frozenset({"Read", "List"})


@dataclass(frozen=True, slots=True)
class Judgement:
    """The action that allows an operation, and its access levels in the Service Authorization Reference; none: unknown."""

    service: str
    operation: str
    action: str
    levels: frozenset[str]

    @property
    def reads(self) -> bool:
        """True when every level is Read or List. An action that is not known reads nothing for sure."""
        return bool(self.levels) and self.levels <= READING

    @property
    def level(self) -> str:
        """The levels as one word or several; `unknown`."""
        return ", ".join(sorted(self.levels)) or "unknown"


def judge(service: str, operation: str) -> Judgement:
    """The access level of an operation, named as its service model does."""
    action = action_of(service, operation)
    found = find_action(action)
    return Judgement(service, operation, str(found) if found else action, found.levels if found else frozenset())


def check_reads(question: Question, *, allow_write: bool = False) -> tuple[Judgement, ...]:
    """The judgement of every call of a question, in order. Raises QueryError for one that does not read."""
    judged = tuple(judge(service, operation) for service, operation in question.calls)
    if not allow_write:
        _refuse(each for each in judged if not each.reads)
    return judged


def _refuse(writing: Iterable[Judgement]) -> None:
    for each in writing:
        if each.levels:
            what = f"{each.service} {each.operation} is no read operation: the access level of {each.action} is {each.level}"
        else:
            what = f"whether {each.service} {each.operation} only reads is not known: AWS's list has no action {each.action}"
        raise QueryError(
            what, where="Service Authorization Reference", mend="--allow-write lets it pass, after a confirmation"
        )
