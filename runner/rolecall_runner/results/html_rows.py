"""Rows of the report as HTML: a mark for each step, what is wrong and its mend, and every rung folded away.

The page's script (assets/verify.js) builds the same rows from the page's data; a test holds the two equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from rolecall_generator.checks.formats.markup import clean, escape
from rolecall_runner.results.shown import SIGNS, TROUBLES, said
from rolecall_runner.tasks.verify.message import customer_message
from rolecall_runner.tasks.verify.verdict import Diagnosis, Mark, Rung, Step, Verdict, worst

_STYLES = {
    Mark.OK: "ok",
    Mark.REFUSED: "ok",
    Mark.SKIPPED: "none",
    Mark.FAILED: "failed",
    Mark.UNREACHABLE: "doubtful",
    Mark.INCONCLUSIVE: "doubtful",
}


def head_html(steps: Iterable[Step]) -> str:
    """The table's head row."""
    names = "".join(f'<th scope="col">{escape(step_name(step))}</th>' for step in steps)
    return f'<tr><th scope="col">account and role</th>{names}</tr>'


def step_name(step: Step) -> str:
    """The step in words: `no external id`."""
    return step.replace("-", " ")


def row_style(mark: Mark) -> str:
    """The class of a row: `failing`, `doubtful` or none."""
    return "failing" if mark is Mark.FAILED else "doubtful" if mark in TROUBLES else ""


def marks_html(rungs: Sequence[Rung], steps: Iterable[Step]) -> str:
    """One cell a step, with its name for narrow screens and its meaning in words for those who listen."""
    return "".join(_mark([rung.mark for rung in rungs if rung.step is step], step) for step in steps)


def row_html(verdict: Verdict, marks: str, columns: int) -> str:
    """A row and the row of its details, as they stand in the page before any script runs."""
    style = row_style(verdict.mark)
    opening = f'<tr class="{style}">' if style else "<tr>"
    kind = "" if verdict.kind == "customer" else f'<small class="soft">{escape(kind_words(verdict))}</small>'
    name = f"<b>{escape(verdict.name)}</b>{kind}<code>{escape(verdict.role_arn)}</code>"
    trouble = _trouble(verdict) if style else ""
    details = f'<tr class="why {style or "fine"}"><td colspan="{columns + 1}">{trouble}{_every_rung(verdict)}</td></tr>'
    return f'{opening}<th scope="row">{name}</th>{marks}</tr>{details}'


def kind_words(verdict: Verdict) -> str:
    """`switch role`; empty for a customer, which needs no word."""
    return "" if verdict.kind == "customer" else verdict.kind.replace("-", " ")


def answer(rung: Rung) -> str:
    """AWS's answer and the evidence, as one text."""
    found = clean(json.dumps(rung.evidence, ensure_ascii=False)) if rung.evidence else ""
    return "\n".join(filter(None, (clean(said(rung)), found)))


def effort(rung: Rung) -> str:
    """Seconds and, where there were several, attempts; empty for what took no time."""
    parts = (f"{rung.seconds:.2f} s" if rung.seconds else "", f"{rung.attempts} attempts" if rung.attempts > 1 else "")
    return ", ".join(filter(None, parts))


def _mark(marks: Sequence[Mark], step: Step) -> str:
    name = escape(step_name(step))
    if not marks:
        return f'<td class="none" data-case="{name}"><i aria-hidden="true">·</i><span class="sr">not asked</span></td>'
    found = Mark.REFUSED if set(marks) == {Mark.REFUSED} else worst(marks)
    share = sum(mark is found for mark in marks)
    of_all = f"{share}/{len(marks)}" if share < len(marks) else f"{share}"
    count = f"<small>{of_all}</small>" if len(marks) > 1 else ""
    words = f"{share} of {len(marks)} {found}" if len(marks) > 1 else str(found)
    sign = f'<i aria-hidden="true">{SIGNS[found]}{count}</i>'
    return f'<td class="{_STYLES[found]}" data-case="{name}">{sign}<span class="sr">{words}</span></td>'


def _trouble(verdict: Verdict) -> str:
    rungs = "".join(_rung(rung) for mark in TROUBLES for rung in verdict.rungs if rung.mark is mark)
    causes = "".join(map(_diagnosis, verdict.diagnoses))
    return f'<article><ul class="rungs">{rungs}</ul>{causes}{_message(verdict)}</article>'


def _diagnosis(diagnosis: Diagnosis) -> str:
    return f'<p class="cause"><b>Likely cause</b> {escape(diagnosis.vendor)} <code>{escape(diagnosis.cause)}</code></p>'


def _message(verdict: Verdict) -> str:
    message = customer_message(verdict).rstrip("\n")
    if not message:
        return ""
    head = f'<h3>Message to {escape(verdict.name)}</h3><button type="button" class="copy">Copy</button>'
    return f'<div class="letter">{head}<pre>{escape(message)}</pre></div>'


def _every_rung(verdict: Verdict) -> str:
    noun = "rung" if len(verdict.rungs) == 1 else "rungs"
    rungs = "".join(map(_rung, verdict.rungs))
    return f'<details><summary>Every rung: {len(verdict.rungs)} {noun}</summary><ul class="rungs">{rungs}</ul></details>'


def _rung(rung: Rung) -> str:
    found = answer(rung)
    code = f"<code>{escape(found)}</code>" if found else ""
    sign = f'<i aria-hidden="true">{SIGNS[rung.mark]}</i><span class="sr">{rung.mark}</span>'
    text = f"<b>{escape(step_name(rung.step))}</b><span>{escape(rung.what)}</span>"
    tried = f"<small>{took}</small>" if (took := effort(rung)) else ""
    return f'<li class="{_STYLES[rung.mark]}">{sign}{text}{tried}{code}</li>'
