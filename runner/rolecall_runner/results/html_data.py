"""What the report's script shows, as JSON within the page: short arrays, and every text once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rolecall_generator.checks.formats.markup import clean
from rolecall_generator.checks.formats.page import PAGE_ROWS
from rolecall_runner.results.html_rows import answer, effort, kind_words, marks_html, step_name
from rolecall_runner.results.shown import SIGNS
from rolecall_runner.tasks.verify.message import customer_message
from rolecall_runner.tasks.verify.verdict import Mark, Rung, Step, Verdict


class Texts:
    """Texts by number: accounts share most of theirs."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """The text's number, its place in `all`."""
        return self._numbers.setdefault(text, len(self._numbers))

    @property
    def all(self) -> list[str]:
        """Every text, in the order of the numbers."""
        return list(self._numbers)


def page_data(verdicts: Iterable[Verdict], steps: Sequence[Step]) -> dict[str, object]:
    """Everything the script needs.

    A row is [name, kind, role ARN, mark, cells, rungs, diagnoses, message to the customer]; a rung is
    [step, mark, what, answer, effort]; a diagnosis is [cause, for the vendor]. `steps`, `marks`, `cells` (HTML) and `texts`
    hold what the numbers mean.
    """
    texts, cells = Texts(), Texts()
    marks, every = list(Mark), list(Step)

    def rung_data(rung: Rung) -> list[int]:
        said = (clean(rung.what), answer(rung), effort(rung))
        return [every.index(rung.step), marks.index(rung.mark), *map(texts.number, said)]

    rows = [
        [
            clean(verdict.name),
            texts.number(clean(kind_words(verdict))),
            clean(verdict.role_arn),
            marks.index(verdict.mark),
            cells.number(marks_html(verdict.rungs, steps)),
            [rung_data(rung) for rung in verdict.rungs],
            [[texts.number(clean(text)) for text in (item.cause, item.vendor)] for item in verdict.diagnoses],
            texts.number(clean(customer_message(verdict).rstrip("\n"))),
        ]
        for verdict in verdicts
    ]
    return {
        "size": PAGE_ROWS,
        "steps": [step_name(step) for step in every],
        "marks": [[str(mark), SIGNS[mark]] for mark in marks],
        "cells": cells.all,
        "texts": texts.all,
        "rows": rows,
    }
