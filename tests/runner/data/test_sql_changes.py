"""`runner sql --changes`: added, removed and changed rows between two runs, only where both have results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_rig import Ended, runner
from query_journals import Answering, write_run
from rolecall_generator.errors import ExitCode
from rolecall_runner.data.catalog import read_catalog
from rolecall_runner.data.changes import compare_runs
from rolecall_runner.query.execute import Reason


def instance(name: str, state: str = "running", **more: Any) -> dict[str, Any]:
    """A row of describe_instances, without its reservation."""
    return {"InstanceId": name, "ImageId": "ami-1", "State": {"Name": state}, **more}


def changes(folder: Path, *options: str, table: str = "ec2_instances") -> tuple[list[dict[str, Any]], Ended]:
    """The rows of the changes, and the exit code."""
    ended = runner("sql", "--changes", table, "--format", "json", *options, cwd=folder)
    assert int(ExitCode.OK) == ended.code, ended.err
    return json.loads(ended.out)["rows"], ended


def two_runs(folder: Path, before: list[Answering], after: list[Answering], **question: Any) -> None:
    for number, answers in enumerate((before, after), 1):
        write_run(folder / ".rolecall" / "runs", number, answers, **question)


def test_rows_are_compared_by_id(tmp_path: Path) -> None:
    """InstanceId is detected as the key; each changed column is a row with its old and new value."""
    before = [Answering("acme", [instance("i-1"), instance("i-2"), instance("i-3")])]
    after = [Answering("acme", [instance("i-2", "stopped", Platform="windows"), instance("i-3"), instance("i-4")])]
    two_runs(tmp_path, before, after)
    found, ended = changes(tmp_path)

    assert [
        ("changed", "i-2", "Platform", None, "windows"),
        ("changed", "i-2", "State", "running", "stopped"),
        ("gone", "i-1", None, None, None),
        ("new", "i-4", None, None, None),
    ] == [
        (row["change"], row["InstanceId"], row["column_name"], _name(row["value_before"]), _name(row["value_after"]))
        for row in found
    ]
    assert "by InstanceId" in ended.err


def _name(value: Any) -> Any:
    return value["Name"] if isinstance(value, dict) else value


def test_regions_without_two_results_are_not_compared(tmp_path: Path) -> None:
    """Removed rows are unknown in a denied Region or in an account that was not queried."""
    before = [
        Answering("acme", [instance("i-1")]),
        Answering("beta", [instance("i-2")]),
        Answering("zeta", [instance("i-3")]),
    ]
    after = [Answering("acme"), Answering("beta", reason=Reason.DENIED), Answering("new", [instance("i-9")])]
    two_runs(tmp_path, before, after)
    found, ended = changes(tmp_path)

    assert [("gone", "acme", "i-1")] == [(row["change"], row["account"], row["InstanceId"]) for row in found]
    assert "3 accounts and Regions did not answer in both runs" in ended.err


def test_previous_run_has_the_same_query(tmp_path: Path) -> None:
    """A run with another filter is skipped, since rows that it excludes are not removed."""
    runs = tmp_path / ".rolecall" / "runs"
    write_run(runs, 1, [Answering("acme", [instance("i-1")])])
    write_run(runs, 2, [Answering("acme")], parameters={"Filters": ["other"]})
    write_run(runs, 3, [Answering("acme", [instance("i-1", "stopped")])])
    found, _ = changes(tmp_path)

    assert [("changed", "State")] == [(row["change"], row["column_name"]) for row in found]


def test_two_named_runs_are_compared(tmp_path: Path) -> None:
    """--run twice selects both; the later run is the new side, in any order."""
    runs = tmp_path / ".rolecall" / "runs"
    ids = [write_run(runs, number, [Answering("acme", [instance(f"i-{number}")])]) for number in range(1, 4)]
    found, _ = changes(tmp_path, "--run", ids[2], "--run", ids[0])

    assert [("gone", "i-1"), ("new", "i-3")] == [(row["change"], row["InstanceId"]) for row in found]


def test_rows_without_key_are_compared_as_a_whole(tmp_path: Path) -> None:
    """Without a unique column, equal rows are matched by count."""
    one, two = {"kind": "a", "size": 1.5}, {"kind": "a", "size": 2.5}
    question = {"service": "ec2", "operation": "DescribeVolumes", "select": "x"}
    two_runs(tmp_path, [Answering("acme", [one, one, two])], [Answering("acme", [one, two, two])], **question)
    found, ended = changes(tmp_path, table="ec2_volumes")

    assert [("gone", one, None), ("new", None, two)] == [
        (row["change"], row["value_before"], row["value_after"]) for row in found
    ]
    assert "whole rows" in ended.err


@pytest.mark.parametrize("key", ["nothing", "ImageId"])
def test_invalid_key_is_error_with_hint(tmp_path: Path, key: str) -> None:
    """A key that is not a column or not unique."""
    answers = [Answering("acme", [instance("i-1"), instance("i-2")])]
    two_runs(tmp_path, answers, answers)
    ended = runner("sql", "--changes", "ec2_instances", "--key", key, cwd=tmp_path)

    assert int(ExitCode.USAGE) == ended.code
    assert key in ended.err


def test_single_run_cannot_be_compared(tmp_path: Path) -> None:
    """The hint is to repeat the query."""
    write_run(tmp_path / ".rolecall" / "runs", 1, [Answering("acme", [instance("i-1")])])
    ended = runner("sql", "--changes", "ec2_instances", cwd=tmp_path)

    assert int(ExitCode.USAGE) == ended.code
    assert "run the query again" in ended.err


KEYS = st.dictionaries(
    st.sampled_from("abcdef"), st.one_of(st.none(), st.integers(0, 3), st.text("xy", max_size=2)), max_size=6
)


@settings(max_examples=25, deadline=None)
@given(KEYS, KEYS)
def test_changes_equal_dict_comparison(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """For any rows."""
    runs = tmp_path_factory.mktemp("runs")
    for number, side in enumerate((before, after), 1):
        rows = [{"Id": key, "size": value} for key, value in side.items()]
        write_run(runs, number, [Answering("acme", rows)], select="x")
    with compare_runs(read_catalog(runs), "ec2_instances", ["Id"]) as found:
        said = {(row["change"], row["Id"]) for row in found.answer.rows()}

    expected = {("new", key) for key in after.keys() - before.keys()} | {
        ("gone", key) for key in before.keys() - after.keys()
    }
    assert expected | {("changed", key) for key in before.keys() & after.keys() if before[key] != after[key]} == said
