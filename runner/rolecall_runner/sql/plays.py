"""The table `play_results`: what each task of the plays that were run came to in each account."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from rolecall_runner.results.arrow_library import library
from rolecall_runner.results.arrow_types import read_time
from rolecall_runner.results.journal import RunRecord, list_runs, read_results
from rolecall_runner.results.result import Result

TABLE = "play_results"
TASK = "play"
COLUMNS = (
    "run_id", "play_file", "account", "account_id", "kind", "step", "task", "ending", "code", "message", "registered",
    "asked_at", "seconds",
)  # fmt: skip
_BATCH_ROWS = 1_000


def load_plays(create: Callable[[str, Any], None], runs: Path, *, filled: bool) -> None:
    """Make the table, of all runs of plays; without rows where nobody asks for them. Raises JournalError."""
    pa = library("pyarrow")
    kinds = {"registered": pa.json_(), "asked_at": pa.timestamp("us", "UTC"), "seconds": pa.float64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    rows = _rows(runs) if filled else iter(())
    create(TABLE, pa.RecordBatchReader.from_batches(schema, _batches(pa, schema, rows)))


def play_runs(runs: Path) -> Iterator[tuple[RunRecord, str]]:
    """The runs of plays, the latest first, each with its file."""
    for record in list_runs(runs, task=TASK):
        try:
            yield record, str(json.loads(record.what)["file"])
        except (ValueError, TypeError, KeyError):
            continue  # a record that says nothing hides no other


def _rows(runs: Path) -> Iterator[tuple[Any, ...]]:
    for record, file in play_runs(runs):
        for result in read_results(runs, record.run_id):
            yield (record.run_id, file, *_row(result))


def _row(result: Result) -> tuple[Any, ...]:
    body: Mapping[str, Any] = result.data if isinstance(result.data, Mapping) else {}
    registered = json.dumps(body.get("registered"))
    said = (body.get("ending", str(result.status)), result.code or None, result.error or None)
    moment = read_time(result.started.isoformat())
    who = (result.target, body.get("account_id"), result.kind)
    return (*who, body.get("at"), result.task, *said, registered, moment, result.seconds)


def _batches(pa: Any, schema: Any, rows: Iterator[tuple[Any, ...]]) -> Iterator[Any]:
    while chunk := list(islice(rows, _BATCH_ROWS)):
        columns = zip(*chunk, strict=True)
        arrays = [pa.array(list(values), type=field.type) for field, values in zip(schema, columns, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
