"""docs/sql.md: its examples run, and its numbers match the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import duckdb
import pytest

from command_rig import runner
from query_journals import Answering, write_run
from rolecall_generator.errors import ExitCode
from rolecall_runner.data.catalog import PLACE_TYPES, recorded_query
from rolecall_runner.data.column_types import MAX_FIELDS
from rolecall_runner.data.data_output import write_dataset
from rolecall_runner.data.database import ROW_GROUP_ROWS
from rolecall_runner.execution.journal import read_record

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "sql.md").read_text("utf-8")
COMMANDS = re.findall(r"^    runner (sql .+)$", PAGE, re.MULTILINE)
INSTANCES = [{"Instances": [{"InstanceId": "i-1", "State": {"Name": "running"}, "LaunchTime": "2020-01-01T00:00:00+00:00"}]}]


@pytest.mark.parametrize("command", COMMANDS)
def test_documented_commands_succeed(tmp_path: Path, command: str) -> None:
    """On two runs of the documented query."""
    for number in (1, 2):
        write_run(tmp_path / ".rolecall" / "runs", number, [Answering("acme", INSTANCES)])
    ended = runner(*shlex.split(command), cwd=tmp_path)

    assert int(ExitCode.OK) == ended.code, ended.err


def test_documented_dataset_query_works(tmp_path: Path) -> None:
    """An account named 0123 is read as a string from the files of two runs."""
    for number in (1, 2):
        run_id = write_run(tmp_path, number, [Answering("0123", INSTANCES)])
        question = recorded_query(read_record(tmp_path, run_id))
        assert question is not None
        write_dataset(tmp_path, question, tmp_path / "out")
    asked = re.search(r"^    (select .+?group by all)$", PAGE, re.MULTILINE | re.DOTALL)
    assert asked is not None
    with duckdb.connect() as connection:
        found = connection.execute(asked.group(1).replace("DIR", str(tmp_path / "out"))).fetchall()

    assert [("0123", 2)] == found


def test_documented_numbers_match_code() -> None:
    """Rows of a row group, fields of an object, and the first columns."""
    assert f"row groups of {ROW_GROUP_ROWS:,} rows" in PAGE
    assert f"more than {MAX_FIELDS} free" in PAGE
    first = [f"`{name}`" for name in PLACE_TYPES]
    assert f"{', '.join(first[:-1])} and {first[-1]} come first" in PAGE
