"""How many accounts came out how, and the sentences that say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from rolecall_runner.results.shown import TROUBLES
from rolecall_runner.tasks.verify.verdict import Mark, Verdict


@dataclass(slots=True)
class Tally:
    """Accounts by their verdict's mark; grows as results come. `targets` as in `RunInfo`."""

    targets: int = 0
    marks: Counter[Mark] = field(default_factory=Counter)

    def add(self, verdict: Verdict) -> None:
        """Count one more."""
        self.marks[verdict.mark] += 1

    @property
    def asked(self) -> int:
        """Verdicts so far."""
        return self.marks.total()

    @property
    def total(self) -> int:
        """Accounts that were to be asked."""
        return max(self.targets, self.asked)

    @property
    def good(self) -> bool:
        """Whether everybody answered as intended; skipped ones do not count against it, missing ones do."""
        return bool(self.marks[Mark.OK]) and self.total == self.marks[Mark.OK] + self.marks[Mark.SKIPPED]

    def headline(self) -> str:
        """`3 of 4 accounts answer the roll call`."""
        if not self.total:
            return "No account was asked"
        wanted, ok = self.total - self.marks[Mark.SKIPPED], self.marks[Mark.OK]
        if not wanted:
            return "No account was asked: all were skipped"
        noun, verb = ("account", "answers") if wanted == 1 else ("accounts", "answer")
        share = f"{ok:,} of {wanted:,}" if ok < wanted else "The one" if wanted == 1 else f"All {wanted:,}"
        return f"{share} {noun} {verb} the roll call"

    def rest(self) -> str:
        """The others by mark, the worst first: `1 failed, 2 unreachable, 5 not asked`; empty when there are none."""
        parts = [f"{self.marks[mark]:,} {mark}" for mark in (*TROUBLES, Mark.SKIPPED) if self.marks[mark]]
        if left := self.total - self.asked:
            parts.append(f"{left:,} not asked")
        return ", ".join(parts)


def tally(verdicts: Iterable[Verdict], targets: int = 0) -> Tally:
    """Count them all."""
    return Tally(targets, Counter(verdict.mark for verdict in verdicts))
