"""Who did not answer a query, for people: grouped by what was said, with a few names each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rolecall_generator.text import one_line
from rolecall_runner.tasks.query.answers import Answer, Count

_NAMES = 3
_GROUPS = 50


@dataclass(slots=True)
class Troubles:
    """Counts answers, and keeps what did not answer: a few names for each reason and code, so that memory stays flat."""

    count: Count = field(default_factory=Count)
    _groups: dict[tuple[str, str], tuple[int, list[str], str]] = field(default_factory=dict)

    def add(self, answer: Answer) -> None:
        """Take one account."""
        self.count.add(answer)
        for each in answer.troubles():
            key = (each["reason"], each["code"] or each["error"])
            if key not in self._groups and len(self._groups) >= _GROUPS:
                key = (each["reason"], "")
            number, names, error = self._groups.get(key, (0, [], each["error"]))
            if len(names) < _NAMES:
                names.append(f"{each['account']} {each['region']}".strip())
            self._groups[key] = (number + 1, names, error)

    def lines(self) -> Iterator[str]:
        """A line for each reason and code, the commonest first: how many, who, and what AWS said to the first."""
        for (reason, _), (number, names, error) in sorted(self._groups.items(), key=lambda item: -item[1][0]):
            more = f" and {number - len(names):,} more" if number > len(names) else ""
            yield f"{reason}: {', '.join(names)}{more}: {one_line(error)}"
