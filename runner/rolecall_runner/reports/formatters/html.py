"""The result of `runner verify` as a self-contained HTML page: accounts, checks, causes, messages to customers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rolecall_generator.html_page import html_page_parts
from rolecall_runner.redact import REHEARSAL
from rolecall_runner.reports.formatters.registry import VERDICT_FORMATS, VerdictFormat, VerdictOutput
from rolecall_runner.reports.summary import Tally, tally
from rolecall_runner.verify import (
    Check,
    Mark,
    RunInfo,
    Step,
    Verdict,
    customer_message,
)

_ORDER = (*Mark.problems(), Mark.OK, Mark.SKIPPED, Mark.REFUSED)
_STYLES = {
    Mark.OK: "ok",
    Mark.REFUSED: "ok",
    Mark.SKIPPED: "none",
    Mark.FAILED: "failed",
    Mark.UNREACHABLE: "doubtful",
    Mark.INCONCLUSIVE: "doubtful",
}
_ROW_STYLES = {Mark.FAILED: "failing", Mark.UNREACHABLE: "doubtful", Mark.INCONCLUSIVE: "doubtful"}

_CellView = tuple[str, str, str, str, str]
"""Style, sign, visible count, label for screen readers and step."""


class _Check(NamedTuple):
    """One check as the template shows it."""

    style: str
    sign: str
    mark: str
    step: str
    what: str
    effort: str
    reply: str


class _Row(NamedTuple):
    """One account as the template shows it; `problems` are the checks that need attention, the worst first."""

    style: str
    mark: str
    name: str
    kind: str
    role_arn: str
    cells: Sequence[_CellView]
    problems: Sequence[_Check]
    causes: Sequence[tuple[str, str]]
    message: str
    checks: Sequence[_Check]


def run_html(info: RunInfo, verdicts: Iterable[Verdict], *, picture_svg: str, words: Iterable[str] = ()) -> Iterator[str]:
    """Render the page, in parts, with accounts that need attention first.

    `picture_svg` is the graph as the generator's `to_svg` returns it (empty: the page has none), `words` its description.
    """
    results = sorted((verdict.redacted() for verdict in verdicts), key=lambda verdict: _ORDER.index(verdict.mark))
    counted = tally(results, info.targets)
    occurring = {check.step for verdict in results for check in verdict.checks}
    steps = [step for step in Step if step in occurring]
    view = {
        "rehearsal": f"{REHEARSAL}: " if info.rehearsal else "",
        "heading": f"Verification of {info.manifest}",
        "verdict": counted.headline(),
        "state": "good" if counted.passed else "bad" if counted.marks[Mark.FAILED] else "doubt",
        "summary": counted.rest(),
        "facts": _facts(info),
        "choices": _choices(counted),
        "steps": [_step_name(step) for step in steps],
        "rows": _rows(results, steps),
        "meanings": [(mark.sign, mark.value, mark.meaning) for mark in Mark],
    }
    return html_page_parts("verify", view, svg=picture_svg, sentences=words)


def _facts(info: RunInfo) -> tuple[str, ...]:
    return (
        f"selection {info.selection}",
        f"run {info.run_id}",
        f"{info.started:%Y-%m-%d %H:%M:%S %Z}, {info.seconds:,.1f} s",
        f"caller {info.caller_arn}",
        f"rolecall {info.version}",
    )


def _choices(counted: Tally) -> list[tuple[str, str]]:
    """Marks to show, separated by spaces (empty: all), and the label of each choice."""
    not_ok = sum(counted.marks[mark] for mark in Mark.problems())
    return [
        ("", f"all ({counted.count:,})"),
        (" ".join(Mark.problems()), f"not ok ({not_ok:,})"),
        *((mark.value, f"{mark} ({counted.marks[mark]:,})") for mark in _ORDER if counted.marks[mark]),
    ]


def _rows(verdicts: Iterable[Verdict], steps: Sequence[Step]) -> Iterator[_Row]:
    # Most accounts have the same cells.
    cells: dict[tuple[tuple[Step, Mark], ...], list[_CellView]] = {}
    for verdict in verdicts:
        mark = verdict.mark
        pattern = tuple((check.step, check.mark) for check in verdict.checks)
        if pattern not in cells:
            cells[pattern] = [_cell(step, [mark for found, mark in pattern if found is step]) for step in steps]
        checks = [_check(check) for check in verdict.checks]
        yield _Row(
            _ROW_STYLES.get(mark, ""),
            mark.value,
            verdict.name,
            "" if verdict.kind == "customer" else verdict.kind.replace("-", " "),
            verdict.role_arn,
            cells[pattern],
            [check for problem in Mark.problems() for check in checks if check.mark == problem],
            [(diagnosis.cause, diagnosis.vendor) for diagnosis in verdict.diagnoses],
            customer_message(verdict).rstrip("\n"),
            checks,
        )


def _cell(step: Step, marks: Sequence[Mark]) -> _CellView:
    name = _step_name(step)
    if not marks:
        return "none", "·", "", "not tried", name
    found = Mark.REFUSED if set(marks) == {Mark.REFUSED} else Mark.worst(marks)
    share = marks.count(found)
    if len(marks) == 1:
        return _STYLES[found], found.sign, "", found.value, name
    count = f"{share}/{len(marks)}" if share < len(marks) else f"{share}"
    return _STYLES[found], found.sign, count, f"{share} of {len(marks)} {found}", name


def _check(check: Check) -> _Check:
    mark = check.mark
    return _Check(_STYLES[mark], mark.sign, mark.value, _step_name(check.step), check.what, _effort(check), _reply(check))


def _step_name(step: Step) -> str:
    """Return the step in words, for example `no external ID`."""
    return step.replace("-", " ")


def _reply(check: Check) -> str:
    """Return AWS's reply and the evidence, one per line."""
    evidence = json.dumps(check.evidence, ensure_ascii=False) if check.evidence else ""
    return "\n".join(filter(None, (check.reply, evidence)))


def _effort(check: Check) -> str:
    """Return the duration and the number of attempts, where there were several; empty when neither is known."""
    parts = (f"{check.seconds:.2f} s" if check.seconds else "", f"{check.attempts} attempts" if check.attempts > 1 else "")
    return ", ".join(filter(None, parts))


def _report(output: VerdictOutput, info: RunInfo, verdicts: Iterable[Verdict]) -> None:
    picture, words = output.graph()
    for part in run_html(info, verdicts, picture_svg=picture, words=words):
        output.text.write(part)


VERDICT_FORMATS.add("html", VerdictFormat(report=_report))
