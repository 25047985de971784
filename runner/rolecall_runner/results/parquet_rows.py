"""Rows of a query that is running as a Parquet data set: written when the run is over, from its journal.

Only then is the type of every column known, over all accounts; nothing is kept in memory meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rolecall_generator.errors import ExitCode, OutputError, RolecallError
from rolecall_runner.results.arrow_library import library
from rolecall_runner.results.arrow_question import RunQuestion, read_question
from rolecall_runner.results.journal import RunRecord
from rolecall_runner.results.parquet_dataset import Written, write_dataset
from rolecall_runner.tasks.query.answers import Answer


class DatasetError(RolecallError):
    """Rows cannot go into a data set as asked."""

    exit_code = ExitCode.USAGE


class ParquetRows:
    """A `RowWriter` for Parquet. `record` is the run's; `tell` gets what was written.

    Raises what `checked_folder` raises, and DatasetError for a run that is no query.
    """

    def __init__(self, runs: Path, record: RunRecord, into: Path | None, tell: Callable[[Written], object]) -> None:
        self._into = checked_folder(into)
        self._runs = runs
        self._question = question_in(record)
        self._tell = tell

    def add(self, answer: Answer) -> None:
        """Nothing to do yet: the answer is in the journal."""

    def close(self) -> None:
        """Write all rows that the journal has, of a run that was cut short as well. Raises OutputError, JournalError."""
        self._tell(write_dataset(self._runs, self._question, self._into))


def checked_folder(into: Path | None) -> Path:
    """The folder, when a data set can go there: to be asked before anything is run.

    Raises ToolError when pyarrow is missing, DatasetError without a folder, OutputError where a file stands.
    """
    library("pyarrow.parquet")
    if into is None:
        raise DatasetError("Parquet goes into a folder", where="--format parquet", mend="add --output DIR")
    if into.exists() and not into.is_dir():
        raise OutputError("a file stands where the data set would be", where=str(into), mend="name a folder with --output")
    return into


def question_in(record: RunRecord) -> RunQuestion:
    """The question of a run's record. Raises DatasetError when it is none of a query."""
    question = read_question(record)
    if question is None:
        raise DatasetError(f"run {record.run_id} is no query", where=record.run_id, mend="`runner history` lists the runs")
    return question
