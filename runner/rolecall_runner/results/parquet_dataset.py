"""A run's rows as a Parquet data set, one file an account, that later runs add to.

    DIR/service=ec2/query=describe_instances/_common_metadata                      the schema of all runs so far
    DIR/service=ec2/query=describe_instances/account=acme/part-RUNID.parquet       the rows of one account and run

Columns of the path are not in the files, as readers of such data sets expect. All files of a run have one schema: that of
AWS's model and of all runs before, widened by what came. Each file appears whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rolecall_generator.errors import OutputError
from rolecall_runner.private_files import create_private_file, make_private_folder
from rolecall_runner.results.arrow_batches import Layout, batches, layout_of, types_in
from rolecall_runner.results.arrow_library import library
from rolecall_runner.results.arrow_question import RunQuestion, table_name
from rolecall_runner.results.arrow_rows import Record, answers_of, records_in, survey
from rolecall_runner.targets import TargetKind

PATH_COLUMNS = ("service", "query", "account")
FILE_COLUMNS = ("account_id", "region", "asked_at", "run_id")
SCHEMA_FILE = "_common_metadata"
GROUP_ROWS = 8192
"""Rows in a row group, and so in memory at a time besides those of one account."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the folder of the query, files and rows. An account without rows has no file."""

    folder: Path
    files: int
    rows: int


def write_dataset(runs: Path, question: RunQuestion, into: Path, *, group_rows: int = GROUP_ROWS) -> Written:
    """Add a run to the data set in the folder `into`; a run that is there already is written anew.

    Raises ToolError without pyarrow, JournalError, and OutputError when the folder cannot be written.
    """
    parquet = library("pyarrow.parquet")
    folder = into / f"service={_part(question.service)}" / f"query={_part(table_name(question.name or question.operation))}"
    try:
        make_private_folder(folder)
        found = survey(runs, [question], _known(parquet, folder))
        layout = layout_of(found.columns, FILE_COLUMNS, PATH_COLUMNS)
        temporary = folder / f".{SCHEMA_FILE}.new"
        temporary.unlink(missing_ok=True)
        os.close(create_private_file(temporary))
        parquet.write_metadata(layout.schema, temporary)
        temporary.replace(folder / SCHEMA_FILE)
        files = sum(
            _write_file(parquet, path, layout, records, group_rows) for path, records in _parts(runs, question, folder)
        )
    except OSError as error:
        raise OutputError(
            f"the data set cannot be written: {error.strerror or error}",
            where=str(into),
            mend="see to space and permissions",
        ) from error
    return Written(folder, files, found.rows)


def _parts(runs: Path, question: RunQuestion, folder: Path) -> Iterator[tuple[Path, Iterator[Record]]]:
    """The file and the rows of each account."""
    _, inside = question.model()
    for kind, answer in answers_of(runs, question):
        # A switch role may be called as a customer is.
        mark = "" if kind == TargetKind.CUSTOMER else f"-{_part(kind)}"
        path = folder / f"account={_part(answer.account)}" / f"part-{question.record.run_id}{mark}.parquet"
        yield path, records_in(answer, question, inside)


def _write_file(parquet: Any, path: Path, layout: Layout, records: Iterator[Record], group_rows: int) -> bool:
    """Write one account's file; False, and no file, where it has no rows."""
    groups = batches(layout, records, group_rows)
    first = next(groups, None)
    if first is None:
        path.unlink(missing_ok=True)
        return False
    make_private_folder(path.parent)
    temporary = path.with_name(f".{path.name}.new")
    try:
        # Rows may hold what an account keeps to itself: for the owner alone, as the journal.
        temporary.unlink(missing_ok=True)
        os.close(create_private_file(temporary))
        with parquet.ParquetWriter(temporary, layout.schema, compression="zstd") as writer:
            writer.write_batch(first, row_group_size=group_rows)
            for group in groups:
                writer.write_batch(group, row_group_size=group_rows)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _known(parquet: Any, folder: Path) -> Any:
    """The types of earlier runs; None where there are none. Raises OutputError for a schema that is not ours."""
    path = folder / SCHEMA_FILE
    if not path.exists():
        return None
    try:
        known = types_in(parquet.read_schema(path))
    except library("pyarrow").ArrowInvalid:
        known = None
    if known is None:
        raise OutputError(
            "the data set's schema was not written by rolecall", where=str(path), mend="choose another folder, or remove it"
        )
    return known


def _part(text: str) -> str:
    """A value of a path, in the form that readers of partitioned data sets decode."""
    return quote(text, safe="")
