"""Whose newest module no call could show to be applied: lines below a roll call."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rolecall_runner.tasks.verify.verdict import Mark, Step, Verdict

_NAMED = 5


@dataclass(slots=True)
class UnseenTally:
    """Names of accounts that ended well, although a change of their newest module could not be seen."""

    names: list[str] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count a verdict."""
        if any(rung.step is Step.MODULE and rung.mark is Mark.SKIPPED for rung in verdict.rungs):
            self.names.append(verdict.name)

    def lines(self, command: Callable[[str], str] = str) -> Iterator[str]:
        """A sentence with the command that leads on, where there are any. `command` adds the options needed here."""
        if self.names:
            rest = f" and {len(self.names) - _NAMED:,} more" if len(self.names) > _NAMED else ""
            named = f"{', '.join(self.names[:_NAMED])}{rest}"
            confirm = command(f"runner status {shlex.quote(self.names[0])} --applied")
            yield f"newest module: no call shows whether {named} applied it; {confirm} notes that a customer says so"
