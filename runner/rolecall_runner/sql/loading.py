"""Tables into DuckDB: rows of runs as Arrow batches, the runs themselves, and what did not answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from rolecall_runner.results.arrow_batches import batches, layout_of
from rolecall_runner.results.arrow_library import library
from rolecall_runner.results.arrow_question import RunQuestion, read_question
from rolecall_runner.results.arrow_rows import answers_of, records_of, survey
from rolecall_runner.results.arrow_types import read_time
from rolecall_runner.results.journal import RunRecord
from rolecall_runner.sql.catalogue import Catalogue, Table
from rolecall_runner.sql.plays import TABLE as PLAY_RESULTS
from rolecall_runner.sql.plays import play_runs

Create = Callable[[str, Any], None]
"""Makes a table of a name from an Arrow reader."""

# No name here is a word of SQL, which would have to be quoted.
ERROR_COLUMNS = ("table_name", "run_id", "account", "account_id", "region", "outcome", "code", "message")


def load_table(create: Create, runs: Path, table: Table) -> None:
    """Make a table of its runs' rows. Raises JournalError."""
    layout = layout_of(survey(runs, table.questions).columns)
    reader = library("pyarrow").RecordBatchReader.from_batches(
        layout.schema, batches(layout, records_of(runs, table.questions))
    )
    create(table.name, reader)


def load_runs(create: Create, catalogue: Catalogue) -> None:
    """Make the table `runs`: a row for each run of a query or of plays, what it asked of whom, and when."""
    pa = library("pyarrow")
    moment = pa.timestamp("us", "UTC")
    fields = [(name, pa.string()) for name in ("run_id", "table_name", "query", "service", "operation")]
    fields += [
        ("parameters", pa.json_()),
        *((name, pa.string()) for name in ("regions", "jmespath", "jmespath_where", "selection")),
    ]
    fields += [("accounts", pa.int64()), ("started", moment), ("ended", moment), ("manifest", pa.string())]
    rows = [row for record in catalogue.records if (row := _run_row(record)) is not None]
    rows += [_play_row(record, file) for record, file in play_runs(catalogue.runs)]
    _create(create, "runs", pa.schema(fields), rows)


def _run_row(record: RunRecord) -> tuple[Any, ...] | None:
    question = read_question(record)
    if question is None:
        return None
    body = question.body
    regions = body.get("regions")
    said = [
        json.dumps(body.get("parameters", {})),
        ",".join(regions) if isinstance(regions, list) else regions,
        question.select,
        body.get("where"),
    ]
    times = [read_time(text) for text in (record.started, record.ended)]
    names = [record.run_id, question.table, question.name or None, question.service, question.operation]
    return (*names, *said, record.selection, record.total, *times, record.manifest)


def _play_row(record: RunRecord, file: str) -> tuple[Any, ...]:
    times = [read_time(text) for text in (record.started, record.ended)]
    asked = [file, None, None, json.dumps({}), None, None, None]
    return (record.run_id, PLAY_RESULTS, *asked, record.selection, record.total, *times, record.manifest)


def load_errors(create: Create, runs: Path, tables: Iterable[Table]) -> None:
    """Make the table `errors`: which account and Region of the tables' runs did not answer, and what AWS said."""
    pa = library("pyarrow")
    schema = pa.schema([(name, pa.string()) for name in ERROR_COLUMNS])
    questions = {question.record.run_id: question for table in tables for question in table.questions}
    _create(create, "errors", schema, [row for question in questions.values() for row in _error_rows(runs, question)])


def _error_rows(runs: Path, question: RunQuestion) -> Iterator[tuple[str | None, ...]]:
    for _, answer in answers_of(runs, question):
        for each in answer.troubles():
            place = (each["account"], each["account_id"] or None, each["region"] or None)
            yield (question.table, question.record.run_id, *place, each["reason"], each["code"] or None, each["error"])


def _create(create: Create, name: str, schema: Any, rows: list[tuple[Any, ...]]) -> None:
    pa = library("pyarrow")
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [pa.array(list(values), type=field.type) for field, values in zip(schema, columns, strict=True)]
    create(name, pa.Table.from_arrays(arrays, schema=schema).to_reader())
