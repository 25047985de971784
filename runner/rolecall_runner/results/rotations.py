"""Who is amid a rotation of its external id, and what each rotation waits for: lines below a roll call."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from rolecall_runner.tasks.verify.rotation import RotationState, rotation_of
from rolecall_runner.tasks.verify.verdict import Verdict

_NAMED = 5


@dataclass(slots=True)
class RotationTally:
    """Customers amid a rotation, by how far it is. Only their names are held."""

    names: dict[RotationState, list[str]] = field(default_factory=dict)

    def add(self, verdict: Verdict) -> None:
        """Count a verdict."""
        state = rotation_of(verdict)
        if state is not None:
            self.names.setdefault(state, []).append(verdict.name)

    def lines(self, command: Callable[[str], str] = str) -> Iterator[str]:
        """A sentence for those that wait for the customer, one for those that wait for us.

        `command` gives a command line the options that lead on from here.
        """
        if waiting := self.names.get(RotationState.WAITING):
            yield f"rotation: {_listed(waiting)} took the previous external id alone: yet to apply the new module"
        seen = [*self.names.get(RotationState.BOTH, ()), *self.names.get(RotationState.NEW_ALONE, ())]
        if seen:
            finish = command(f"gen customer rotate-external-id {shlex.quote(seen[0])} --finish")
            yield f"rotation: {_listed(seen)} took the new external id: finish with {finish}"


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
