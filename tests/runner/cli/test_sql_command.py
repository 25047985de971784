"""`runner sql`: rows of past queries as tables, whatever their content, and read-only access."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from command_rig import runner
from query_journals import Answering, write_run
from rolecall_generator.errors import ExitCode
from rolecall_runner.query.execute import Reason

INSTANCE = {
    "InstanceId": "i-1",
    "State": {"Name": "running"},
    "LaunchTime": "2026-11-01T08:00:00+00:00",
    "EbsOptimized": True,
}
RESERVATION = {"ReservationId": "r-1", "OwnerId": "222222222222", "Instances": [INSTANCE, {"InstanceId": "i-2"}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two runs of one query and one run of another, in which one account is denied and one unreachable."""
    runs = tmp_path / ".rolecall" / "runs"
    bucket = {"Name": "logs", "CreationDate": "2026-01-01T00:00:00+00:00"}
    write_run(runs, 1, [Answering("acme", [{"Instances": [{"InstanceId": "i-0"}]}])])
    write_run(runs, 2, [Answering("acme", [RESERVATION]), Answering("beta", [], region="eu-west-1")])
    denied = Answering("beta", reason=Reason.DENIED, region="global", error="not allowed")
    write_run(
        runs, 3, [Answering("acme", [bucket], "global"), denied], service="s3", operation="ListBuckets", failed=["gamma"]
    )
    return tmp_path


def rows(folder: Path, sql: str, *options: str) -> list[dict[str, Any]]:
    """The rows of the result in JSON format."""
    ended = runner("sql", sql, "--format", "json", *options, cwd=folder)
    assert int(ExitCode.OK) == ended.code, ended.err
    found: list[dict[str, Any]] = json.loads(ended.out)["rows"]
    return found


def test_query_rows_are_table_with_columns_of_model(folder: Path) -> None:
    """Rows are instances, not the reservations that contain them; nested objects and types are those of the model."""
    found = rows(
        folder,
        'select account, region, InstanceId, State.Name as state, year("LaunchTime") as year, Platform, OwnerId'
        " from ec2_instances order by InstanceId",
    )

    place: dict[str, Any] = {"account": "acme", "region": "us-east-1", "Platform": None, "OwnerId": "222222222222"}
    expected: list[dict[str, Any]] = [
        {**place, "InstanceId": "i-1", "state": "running", "year": 2026},
        {**place, "InstanceId": "i-2", "state": None, "year": None},
    ]
    assert expected == [{key: row[key] for key in expected[0]} for row in found]


@pytest.mark.parametrize(
    ("sql", "options", "expected"),
    [
        (
            (
                "select 'now' as side, InstanceId from ec2_instances"
                " union all select 'before', InstanceId from ec2_instances_previous order by all"
            ),
            (),
            [("before", "i-0"), ("now", "i-1"), ("now", "i-2")],
        ),
        (
            "select run_id, count(*) as n from ec2_instances group by all order by all",
            ("--run", "all"),
            [("20261124-100000-000001", 1), ("20261124-110000-000002", 2)],
        ),
        ("select InstanceId from ec2_instances", ("--run", "20261124-10"), [("i-0",)]),
        (
            "select table_name, account, region, outcome, code, message from errors order by account",
            (),
            [
                ("s3_buckets", "beta", "global", "denied", "AccessDenied", "not allowed"),
                ("s3_buckets", "gamma", None, "unreachable", "EndpointError", "no route to STS"),
            ],
        ),
        ("select r.operation, r.accounts from s3_buckets join runs r using (run_id)", (), [("list_buckets", 2)]),
        ("select count(*) as n from ec2_describe_instances", (), [(2,)]),
    ],
    ids=["previous run", "all runs", "run by prefix", "errors", "runs", "full operation name"],
)
def test_statement_returns_rows(
    folder: Path, sql: str, options: tuple[str, ...], expected: list[tuple[object, ...]]
) -> None:
    """A table has the rows of the last run of its query, of the run before it, or of the runs given with --run."""
    assert expected == [tuple(row.values()) for row in rows(folder, sql, *options)]


def test_tables_are_listed_with_columns_and_rows(folder: Path) -> None:
    ended = runner("sql", "--tables", "--format", "json", cwd=folder)
    listed = {each["table"]: each for each in json.loads(ended.out)}

    assert {"ec2_instances": 2, "ec2_instances_previous": 1, "s3_buckets": 1} == {
        name: each["rows"] for name, each in listed.items()
    }
    assert {"name": "CreationDate", "type": "timestamptz"} in listed["s3_buckets"]["columns"]


def test_sql_error_has_place(folder: Path) -> None:
    """DuckDB's message and marker are shown, without a traceback."""
    ended = runner("sql", "select wrong from s3_buckets", cwd=folder)

    assert (int(ExitCode.USAGE), "") == (ended.code, ended.out)
    assert "wrong" in ended.err
    lines = ended.err.splitlines()
    (number,) = [index for index, line in enumerate(lines) if "LINE 1: " in line]
    assert lines[number].index("wrong") == lines[number + 1].index("^")
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    "sql",
    [
        "from read_text('accounts.yaml')",
        "from 'accounts.yaml'",
        "from glob('*')",
        "from read_csv('https://example.com/x.csv')",
        "copy s3_buckets to 'stolen.csv'",
        "attach 'other.db'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "pragma enable_profiling",
        "drop table s3_buckets",
        "insert into s3_buckets select * from s3_buckets",
        "with x as (delete from s3_buckets returning *) from x",
        "explain analyze delete from s3_buckets",
        "create table s3_buckets_2 as from s3_buckets",
        "commit",
        "select 1; select 2",
        "call pragma_version()",
        "from folder",
        "",
    ],
)
def test_statement_reaches_only_tables(folder: Path, sql: str) -> None:
    """Files, URLs, extensions, settings, changes to tables and Python variables are all rejected."""
    (folder / "accounts.yaml").write_text("secret", "utf-8")
    before = sorted(folder.iterdir())
    ended = runner("sql", sql, "--format", "json", cwd=folder)

    assert int(ExitCode.USAGE) == ended.code, (ended.out, ended.err)
    assert "secret" not in ended.out + ended.err
    assert before == sorted(folder.iterdir())


def test_csv_escapes_formulas_and_encodes_nested_values(folder: Path) -> None:
    """Objects are JSON in a cell; formulas become strings."""
    ended = runner("sql", "select {'a': 1} as o, '=1+1' as f, null as n", "--format", "csv", cwd=folder)

    assert [["o", "f", "n"], ['{"a": 1}', "'=1+1", ""]] == list(csv.reader(io.StringIO(ended.out, newline="")))


def test_parquet_output_is_owner_only_and_typed(folder: Path) -> None:
    ended = runner("sql", "select * from ec2_instances", "--format", "parquet", "--output", "out.parquet", cwd=folder)
    assert int(ExitCode.OK) == ended.code, ended.err
    with duckdb.connect() as connection:
        table = connection.read_parquet(str(folder / "out.parquet"))

        assert 2 == len(table.fetchall())
        assert "TIMESTAMP WITH TIME ZONE" == dict(zip(table.columns, map(str, table.types), strict=True))["LaunchTime"]
    assert 0o600 == (folder / "out.parquet").stat().st_mode & 0o777


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("select 1 as a, 2 as A, 3 as b -- a comment", ["a", "A_2", "b"]),
        ("describe ec2_instances", ["column_name", "column_type"]),
    ],
)
def test_parquet_file_holds_result_of_any_statement(folder: Path, sql: str, columns: list[str]) -> None:
    """Duplicate names are numbered as in JSON; comments, statements other than SELECT, and quotes in the path work."""
    name = "it's [1]*.parquet"
    ended = runner("sql", sql, "--format", "parquet", "--output", name, cwd=folder)
    assert int(ExitCode.OK) == ended.code, ended.err
    (folder / name).rename(folder / "plain.parquet")
    with duckdb.connect() as connection:
        found = connection.read_parquet(str(folder / "plain.parquet")).columns

    assert columns == found[: len(columns)]
    assert [] == [path.name for path in folder.iterdir() if path.name.endswith(".new")]


def test_statement_cannot_reach_the_output_file(folder: Path) -> None:
    """Only the result is written, whatever the file is called."""
    ended = runner("sql", "select 1) to 'other.csv' --", "--format", "parquet", "--output", "out.parquet", cwd=folder)

    assert int(ExitCode.USAGE) == ended.code
    assert [".rolecall"] == [path.name for path in folder.iterdir()]


def test_sandbox_rows_are_marked(tmp_path: Path) -> None:
    """Column `rehearsal` of every table, the line above the result, --tables and --changes separate sandbox and AWS."""
    runs = tmp_path / ".rolecall" / "runs"
    write_run(runs, 1, [Answering("acme", [RESERVATION])])
    for number in (2, 3):
        write_run(runs, number, [Answering("acme", [RESERVATION]), Answering("beta", reason=Reason.DENIED)], rehearsal=True)

    marks = {
        table: {row["rehearsal"] for row in rows(tmp_path, f"select rehearsal from {table}")}  # noqa: S608 - no external input
        for table in ("ec2_instances", "errors", "runs")
    }
    assert {"ec2_instances": {True}, "errors": {True}, "runs": {True, False}} == marks
    assert [{"rehearsal": False}] == rows(tmp_path, "select distinct rehearsal from ec2_instances", "--run", "20261124-10")
    listed = json.loads(runner("sql", "--tables", "--format", "json", cwd=tmp_path).out)
    assert {True} == {each["rehearsal"] for each in listed}
    for arguments in (["select count(*) from ec2_instances"], ["--changes", "ec2_instances"]):
        assert "rehearsal (sandbox)" in runner("sql", *arguments, cwd=tmp_path).err


def test_sandbox_run_is_not_the_previous_run_of_aws(tmp_path: Path) -> None:
    """Without two runs of one kind there is nothing to compare, unless both are named."""
    runs = tmp_path / ".rolecall" / "runs"
    ids = [write_run(runs, number, [Answering("acme", [RESERVATION])], rehearsal=number == 1) for number in (1, 2)]

    assert int(ExitCode.USAGE) == runner("sql", "--changes", "ec2_instances", cwd=tmp_path).code
    named = [option for run_id in ids for option in ("--run", run_id)]
    ended = runner("sql", "--changes", "ec2_instances", *named, cwd=tmp_path)
    assert (int(ExitCode.OK), True) == (ended.code, "rehearsal (sandbox)" in ended.err)


def test_values_of_every_sql_type_are_json(folder: Path) -> None:
    """Sums, decimals, maps, dates, bytes and NaN have a JSON representation."""
    found = rows(
        folder,
        "select sum(1) as s, 1.5::decimal(4,2) as d, map {'k': 1} as m, date '2026-11-24' as t, 'x'::blob as b,"
        " 'nan'::double as n, '{\"a\": [1]}'::json as j, interval 1 day as i",
    )

    said = {"s": 1, "d": 1.5, "m": {"k": 1}, "t": "2026-11-24", "b": "eA==", "n": "nan", "j": {"a": [1]}}
    assert said == {key: value for key, value in found[0].items() if key != "i"}


def test_control_characters_are_replaced_in_table(tmp_path: Path) -> None:
    """Those in a customer's values."""
    rows = [{"Name": "a\x1b[2Jb"}]
    write_run(tmp_path / ".rolecall" / "runs", 1, [Answering("acme", rows)], service="s3", operation="ListBuckets")
    ended = runner("sql", "select Name from s3_buckets", cwd=tmp_path)

    assert "\x1b" not in ended.out
    assert "a\N{REPLACEMENT CHARACTER}[2Jb" in ended.out


def test_data_libraries_are_imported_lazily() -> None:
    """`runner --help` stays fast, and `runner sql --help` works without the extra."""
    script = (
        "import sys, rolecall_runner.cli.main; print({'duckdb', 'botocore'} & set(sys.modules));"
        "import rolecall_runner.cli.sql; print({'duckdb'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)

    assert ["set()", "set()"] == done.stdout.split()


def test_error_while_fetching_rows_is_sql_error(tmp_path: Path) -> None:
    every = [{"Name": str(number)} for number in range(5000)] + [{"Name": "x"}]
    write_run(tmp_path / ".rolecall" / "runs", 1, [Answering("acme", every)], service="s3", operation="ListBuckets")
    ended = runner("sql", "select Name::int from s3_buckets", "--format", "jsonl", cwd=tmp_path)

    assert int(ExitCode.USAGE) == ended.code
    assert "Could not convert string 'x'" in ended.err


def test_table_without_runs_is_error_with_hint(tmp_path: Path) -> None:
    """Before the first query the hint is how to run one."""
    ended = runner("sql", "select * from ec2_instances", cwd=tmp_path)

    assert int(ExitCode.USAGE) == ended.code
    assert "runner query ec2 describe_instances" in ended.err


def test_duplicate_column_names_are_kept(folder: Path) -> None:
    assert [{"a": 1, "a_2": 2}] == rows(folder, "select 1 as a, 2 as a")


def test_misspelt_table_has_suggestion(folder: Path) -> None:
    """Only tables of rolecall are suggested."""
    ended = runner("sql", "select * from ec2_instance", cwd=folder)

    assert int(ExitCode.USAGE) == ended.code
    assert "did you mean ec2_instances" in ended.err
