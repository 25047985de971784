"""Which tables there are: the runs of queries in the journal, by the name of what they asked."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rolecall_runner.results.arrow_question import RESERVED_NAMES, TASK, RunQuestion, read_question
from rolecall_runner.results.journal import RunRecord, find_run, list_runs
from rolecall_runner.sql.errors import SqlError

PREVIOUS = "_previous"
EVERY_RUN = "all"
_SHORT = 60
"""Characters of a parameter that a line for people shows."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its name, and the runs whose rows it has, the latest first."""

    name: str
    questions: tuple[RunQuestion, ...]

    @property
    def origin(self) -> str:
        """Where its rows are from, and what narrows them: `run 20261124-195932-79bbec, parameters {...}, where ...`."""
        first = self.questions[0]
        if len(self.questions) > 1:
            return f"{len(self.questions)} runs, the last {first.record.run_id}"
        narrowed = [f"{key} {_short(first.body[key])}" for key in ("parameters", "where", "limit") if first.body.get(key)]
        limit = [] if first.record.selection == "all" else [f"accounts {first.record.selection}"]
        cut = [] if first.record.ended else ["cut short"]
        return ", ".join([f"run {first.record.run_id}", *narrowed, *limit, *cut])


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The tables by name, aliases among them; `listed` are the names to show. `records`: all runs of queries."""

    runs: Path
    tables: Mapping[str, Table]
    listed: tuple[str, ...]
    records: tuple[RunRecord, ...]

    def find(self, name: str) -> Table:
        """The table that a person means. Raises SqlError with the nearest names."""
        found = self.tables.get(name.lower())
        if found is None:
            raise SqlError(f"there is no table {name}", where=str(self.runs), mend=self.hint(name))
        return found

    def hint(self, name: str) -> str:
        """What to do about a name that is no table's."""
        if not self.records:
            return "no query was run yet: `runner query ec2 describe_instances` makes ec2_instances"
        if name.lower().endswith(PREVIOUS) and name.lower().removesuffix(PREVIOUS) in self.tables:
            return "no earlier run asked the same question; repeat it, then compare"
        close = difflib.get_close_matches(name.lower(), [*self.tables, *sorted(RESERVED_NAMES)], n=3, cutoff=0.5)
        return f"did you mean {', '.join(close)}?" if close else "`runner sql --tables` lists the tables"


def read_catalogue(runs: Path, wanted: Sequence[str] = ()) -> Catalogue:
    """The tables over the last run of each question, or over the runs `wanted`: ids, `last`, `previous`, `all`.

    Without `wanted` a table `NAME_previous` stands for the run before that asked the same. Raises JournalError, SqlError.
    """
    records = list_runs(runs, task=TASK)
    questions = [question for record in records if (question := read_question(record)) is not None]
    if wanted:
        chosen = _chosen(runs, questions, wanted)
        tables = {name: Table(name, tuple(each)) for name, each in _by_table(chosen).items()}
        return Catalogue(runs, {**_aliases(tables), **tables}, tuple(sorted(tables)), tuple(records))
    tables, previous = {}, {}
    for name, each in _by_table(questions).items():
        tables[name] = Table(name, (each[0],))
        before = next((other for other in each[1:] if other.sameness == each[0].sameness), None)
        if before is not None:
            previous[name + PREVIOUS] = Table(name + PREVIOUS, (before,))
    # A query may bear the name that stands for another's previous run: its own rows win.
    every = {**_aliases(tables), **previous, **tables}
    return Catalogue(runs, every, tuple(sorted({*tables, *previous})), tuple(records))


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."


def _chosen(runs: Path, questions: Sequence[RunQuestion], wanted: Iterable[str]) -> list[RunQuestion]:
    ids: set[str] = set()
    for name in wanted:
        if name == EVERY_RUN:
            ids.update(question.record.run_id for question in questions)
        else:
            ids.add(find_run(runs, name, task=TASK).run_id)
    return [question for question in questions if question.record.run_id in ids]


def _by_table(questions: Iterable[RunQuestion]) -> dict[str, list[RunQuestion]]:
    found: dict[str, list[RunQuestion]] = {}
    for question in questions:
        found.setdefault(question.table, []).append(question)
    return found


def _aliases(tables: Mapping[str, Table]) -> dict[str, Table]:
    """Names with the verb, ec2_describe_instances, for who knows the operation rather than the noun."""
    return {question.full_name: table for table in tables.values() for question in reversed(table.questions)}


def named_in(sql: str, catalogue: Catalogue) -> Iterator[Table]:
    """The tables that a question may read: those whose name stands in it, all where none does (`show tables`)."""
    text = sql.lower()
    named = {name for name in catalogue.tables if name in text}
    asks_of_all = not named and not any(name in text for name in RESERVED_NAMES)
    for name in catalogue.listed if asks_of_all else sorted(named):
        yield Table(name, catalogue.tables[name].questions)
