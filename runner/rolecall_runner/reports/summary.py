"""The summary of a verify run on a terminal: a line per account, problems with their hints, counts, next steps."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from rich.console import Console
from rich.text import Text

from rolecall_generator.terminal import print_lines
from rolecall_generator.text import sanitize_line
from rolecall_runner.redact import REHEARSAL
from rolecall_runner.verify import (
    Check,
    Diagnosis,
    Mark,
    RotationState,
    RunInfo,
    Step,
    Verdict,
    customer_message,
)

_NAMED = 5


STYLES = {
    Mark.OK: "green",
    Mark.REFUSED: "green",
    Mark.SKIPPED: "cyan",
    Mark.INCONCLUSIVE: "yellow",
    Mark.UNREACHABLE: "magenta",
    Mark.FAILED: "bold red",
}


@dataclass(slots=True)
class Tally:
    """Number of accounts per mark of their verdicts. `targets` as in `RunInfo`."""

    targets: int = 0
    marks: Counter[Mark] = field(default_factory=Counter)

    def add(self, verdict: Verdict) -> None:
        """Count one verdict."""
        self.marks[verdict.mark] += 1

    @property
    def count(self) -> int:
        """Number of verdicts so far."""
        return self.marks.total()

    @property
    def total(self) -> int:
        """Number of selected accounts."""
        return max(self.targets, self.count)

    @property
    def passed(self) -> bool:
        """Whether all selected accounts passed or were skipped, and at least one passed."""
        return bool(self.marks[Mark.OK]) and self.total == self.marks[Mark.OK] + self.marks[Mark.SKIPPED]

    def headline(self) -> str:
        """For example `3 of 4 accounts passed`."""
        if not self.total:
            return "No account selected"
        wanted, ok = self.total - self.marks[Mark.SKIPPED], self.marks[Mark.OK]
        if not wanted:
            return "No account verified: all were skipped"
        share = f"All {wanted:,}" if 1 < wanted == ok else f"{ok:,} of {wanted:,}"
        return f"{share} {'account' if wanted == 1 else 'accounts'} passed"

    def rest(self) -> str:
        """Accounts that did not pass, the worst mark first: `1 failed, 2 unreachable, 5 not verified`; else empty."""
        parts = [f"{self.marks[mark]:,} {mark}" for mark in (*Mark.problems(), Mark.SKIPPED) if self.marks[mark]]
        if left := self.total - self.count:
            parts.append(f"{left:,} not verified")
        return ", ".join(parts)


def tally(verdicts: Iterable[Verdict], targets: int = 0) -> Tally:
    """Count all verdicts."""
    return Tally(targets, Counter(verdict.mark for verdict in verdicts))


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")


ALL_SHOWN = 50
"""With more accounts than this, only those that are not ok are shown."""

EXPLAINED = 50
"""Number of accounts whose problems are explained; the others have only their line."""

_COLUMNS = (Mark.OK, Mark.REFUSED, Mark.FAILED, Mark.INCONCLUSIVE, Mark.UNREACHABLE, Mark.SKIPPED)
_ACTIONS_SHOWN = 5
_LABEL_WIDTH = 44
_INDENT = 4


def print_summary(console: Console, info: RunInfo, verdicts: Iterable[Verdict], command: Callable[[str], str] = str) -> None:
    """Print the summary. Only the first 50 verdicts and those that are not ok are held in memory.

    `command` adds the options of this run to a command line that is shown.
    """
    remarks = _Remarks()
    counted, listed, hidden = _collect(info, verdicts, remarks)
    if listed:
        console.print(f"VERIFY RECAP{f', {REHEARSAL}' if info.rehearsal else ''}", style="bold")
    labels = [_shortened(sanitize_line(verdict.label)) for verdict in listed]
    width = max(map(len, labels), default=0)
    digits = _digits(listed)
    explained = 0
    for name, verdict in zip(labels, listed, strict=True):
        _print(console, recap_line(verdict, name.ljust(width), digits))
        if verdict.mark in Mark.problems():
            explained += 1
            if explained <= EXPLAINED:
                _explain(console, verdict.redacted(), name)
    if explained > EXPLAINED:
        left = f"{explained - EXPLAINED:,} more accounts are not explained here; use --format html or json"
        console.print(left, style="yellow", highlight=False)
    if hidden:
        noun = "account is" if hidden == 1 else "accounts are"
        console.print(f"{hidden:,} {'other ' if listed else ''}{noun} ok", style="green", highlight=False)
    for line in remarks.lines(command):
        console.print(sanitize_line(line), style="yellow", markup=False, highlight=False, soft_wrap=True)
    if remarks.missing:
        console.print(not_rehearsed_line(remarks.missing), style=STYLES[Mark.SKIPPED], markup=False, highlight=False)
    style = STYLES[Mark.OK] if counted.passed else STYLES[Mark.FAILED]
    console.print(summary_line(info, counted), style=style, markup=False, highlight=False, soft_wrap=True)


def recap_line(verdict: Verdict, name: str, digits: Sequence[int] = (1,) * len(_COLUMNS)) -> Text:
    """For example `account1 : ok=4 refused=3 failed=0 ...`; `digits` are the widths of the counts by column."""
    line = Text.assemble((name, STYLES[verdict.mark]), " :")
    for mark, width in zip(_COLUMNS, digits, strict=True):
        count = verdict.counts[mark]
        line.append(" ")
        line.append(f"{mark}={count}".ljust(len(mark) + 1 + width), style=STYLES[mark] if count else "dim")
    line.rstrip()
    return line


def summary_line(info: RunInfo, counted: Tally) -> str:
    """For example `38 of 40 accounts passed: 2 failed (12.3 s, run 0a1b2c3d)`."""
    rest = counted.rest()
    mark = f"{REHEARSAL}: " if info.rehearsal else ""
    return sanitize_line(
        f"{mark}{counted.headline()}{f': {rest}' if rest else ''} ({info.seconds:.1f} s, run {info.run_id})"
    )


def not_rehearsed_line(missing: Mapping[str, int]) -> str:
    """For example `not supported by the sandbox: cur:DescribeReportDefinitions (3 accounts)`, at most five actions."""
    named = [f"{action} ({count:,} {'account' if count == 1 else 'accounts'})" for action, count in sorted(missing.items())]
    more = f" and {len(named) - _ACTIONS_SHOWN:,} more" if len(named) > _ACTIONS_SHOWN else ""
    return sanitize_line(f"not supported by the sandbox: {', '.join(named[:_ACTIONS_SHOWN])}{more}")


@dataclass(slots=True)
class _Remarks:
    """Remarks at the end of the summary.

    `rotations`: customers whose external ID is being rotated, by the state of the rotation. `unseen`: accounts that passed
    although no AWS call can detect whether their newest module is applied. `missing`: actions that the sandbox does not
    simulate.
    """

    rotations: dict[RotationState, list[str]] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)
    missing: Counter[str] = field(default_factory=Counter)

    def add(self, verdict: Verdict) -> None:
        if verdict.rotation is not None:
            self.rotations.setdefault(verdict.rotation, []).append(verdict.name)
        if any(check.step is Step.MODULE and check.mark is Mark.SKIPPED for check in verdict.checks):
            self.unseen.append(verdict.name)
        self.missing.update(verdict.not_rehearsed)

    def lines(self, command: Callable[[str], str]) -> Iterator[str]:
        """Rotations that wait for the customer, those that wait for you, and unseen modules, with the next commands."""
        if waiting := self.rotations.get(RotationState.WAITING):
            yield f"rotation: {_listed(waiting)} accepted only the previous external ID: the new module is not applied"
        seen = [*self.rotations.get(RotationState.BOTH, ()), *self.rotations.get(RotationState.NEW_ONLY, ())]
        if seen:
            finish = command(f"gen customer rotate-external-id {shlex.quote(seen[0])} --finish")
            yield f"rotation: {_listed(seen)} accepted the new external ID: finish with {finish}"
        if self.unseen:
            confirm = command(f"runner status {shlex.quote(self.unseen[0])} --applied")
            named = _listed(self.unseen)
            yield f"newest module: no call shows whether {named} applied it; if the customer confirms it, run {confirm}"


def _collect(info: RunInfo, verdicts: Iterable[Verdict], remarks: _Remarks) -> tuple[Tally, list[Verdict], int]:
    """Return the counts, the verdicts to show in order, and the number of ok verdicts that are not shown."""
    counted = Tally(info.targets)
    first: list[Verdict] = []
    later: list[Verdict] = []
    for verdict in verdicts:
        counted.add(verdict)
        remarks.add(verdict)
        if counted.count <= ALL_SHOWN:
            first.append(verdict)
        elif verdict.mark is not Mark.OK:
            later.append(verdict)
    if counted.count <= ALL_SHOWN:
        return counted, first, 0
    held = [verdict for verdict in chain(first, later) if verdict.mark is not Mark.OK]
    return counted, held, counted.marks[Mark.OK]


def _digits(verdicts: Iterable[Verdict]) -> list[int]:
    widths = [1] * len(_COLUMNS)
    for verdict in verdicts:
        widths = [max(width, len(str(verdict.counts[mark]))) for width, mark in zip(widths, _COLUMNS, strict=True)]
    return widths


def _explain(console: Console, verdict: Verdict, name: str) -> None:
    for mark in Mark.problems():
        for check in verdict.checks:
            if check.mark is mark:
                _print_check(console, check)
    for diagnosis in verdict.diagnoses:
        _print_diagnosis(console, diagnosis)
    if message := customer_message(verdict):
        print_message(console, message, name)
    console.print()


def _print_check(console: Console, check: Check) -> None:
    tries = f" ({check.attempts} attempts)" if check.attempts > 1 else ""
    head = f"{check.mark.sign} {check.step}"
    _print(console, Text.assemble((head, STYLES[check.mark]), f"  {_one_line(check.what)}{tries}"), _INDENT)
    if answer := _one_line(check.reply):
        _print(console, Text.assemble(("AWS: ", "bold"), answer), _INDENT + 2)


def _print_diagnosis(console: Console, diagnosis: Diagnosis) -> None:
    text = Text.assemble(("likely cause: ", "bold"), f"{_one_line(diagnosis.vendor)} ", (f"[{diagnosis.cause}]", "dim"))
    _print(console, text, _INDENT)


def print_message(console: Console, text: str, name: str) -> None:
    """Print the message to a customer without indentation and wrapping, so that it can be copied."""
    rule = "-" * 8
    _print(console, Text(f"{rule} message to {name} {rule}", style="cyan"))
    print_lines(console, text)
    _print(console, Text(f"{rule} end of the message {rule}", style="cyan"))


def _print(console: Console, text: Text, indent: int = 0) -> None:
    """Print the text with hanging indentation of two; a pipe gets one line."""
    if console.soft_wrap:
        console.print(Text(" " * indent).append_text(text))
        return
    lines = text.wrap(console, max(console.width - indent - 2, 20)) if indent else [text]
    for number, line in enumerate(lines):
        line.rstrip()
        console.print(
            Text(" " * (indent + (2 if number else 0))).append_text(line), no_wrap=not indent, overflow="ignore", crop=False
        )


def _one_line(text: str) -> str:
    return sanitize_line(" ".join(text.split()))


def _shortened(text: str) -> str:
    return text if len(text) <= _LABEL_WIDTH else f"{text[: _LABEL_WIDTH - 1]}…"
