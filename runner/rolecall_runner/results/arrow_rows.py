"""Rows of runs from their journals, with types that hold every one of them: read once for the types, once for the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rolecall_runner.results.arrow_question import RunQuestion, unwrapped
from rolecall_runner.results.arrow_types import Struct, merge_structs, widen_row
from rolecall_runner.results.journal import read_results
from rolecall_runner.tasks.query.answers import Answer, answer_of


@dataclass(frozen=True, slots=True)
class Record:
    """One row with where it comes from; `asked_at` is ISO 8601."""

    account: str
    account_id: str
    region: str
    asked_at: str
    run_id: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What a pass over runs found: the type of all rows and their number."""

    columns: Struct
    rows: int


def answers_of(runs: Path, question: RunQuestion) -> Iterator[tuple[str, Answer]]:
    """Kind of target and answer of each account of a run; of one that was asked again, the last. Raises JournalError."""
    run_id = question.record.run_id
    last = {result.key: number for number, result in enumerate(read_results(runs, run_id))}
    for number, result in enumerate(read_results(runs, run_id)):
        if last.get(result.key) == number:
            yield result.kind, answer_of(result)


def records_in(answer: Answer, question: RunQuestion, inside: str | None) -> Iterator[Record]:
    """The rows of an answer; `inside` as `RunQuestion.model` says."""
    for row in answer.rows():
        for values in unwrapped(row.values, inside):
            yield Record(row.account, row.account_id, row.region, row.time, question.record.run_id, values)


def records_of(runs: Path, questions: Iterable[RunQuestion]) -> Iterator[Record]:
    """The rows of runs, one account in memory at a time. Raises JournalError."""
    for question in questions:
        _, inside = question.model()
        for _, answer in answers_of(runs, question):
            yield from records_in(answer, question, inside)


def survey(runs: Path, questions: Iterable[RunQuestion], known: Struct | None = None) -> Surveyed:
    """The type that holds all rows of runs: the model's, widened by what came. `known`: what earlier runs had.

    Raises JournalError.
    """
    columns, rows = known or Struct({}), 0
    for question in questions:
        columns = merge_structs(question.model()[0], columns)
        for record in records_of(runs, [question]):
            columns = widen_row(columns, record.values)
            rows += 1
    return Surveyed(columns, rows)
