"""Rows of a run as a Parquet dataset: typed, partitioned, extended by later runs, and complete."""

from __future__ import annotations

import base64
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from query_journals import Answering, write_run
from rolecall_generator.errors import OutputError, ToolError
from rolecall_runner.data.catalog import RecordedQuery, layout_of, read_catalog, read_rows, recorded_query, survey_rows
from rolecall_runner.data.data_output import FILE_COLUMNS, PATH_COLUMNS, DatasetError, ParquetRows, write_dataset
from rolecall_runner.data.database import ROW_GROUP_ROWS, load_duckdb, open_database
from rolecall_runner.execution.journal import read_record

BUCKETS: dict[str, Any] = {"service": "s3", "operation": "ListBuckets"}
FOLDER = Path("service=s3") / "query=list_buckets"


def question(runs: Path, run_id: str) -> RecordedQuery:
    found = recorded_query(read_record(runs, run_id))
    assert found is not None
    return found


def read_parquet(path: Path | str, columns: str = "*", order: str = "") -> list[dict[str, Any]]:
    """Rows of the files that match the path or pattern."""
    options = "hive_partitioning = true, union_by_name = true, hive_types_autocast = false"
    order = f" order by {order}" if order else ""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        sql = f"select {columns} from read_parquet($path, {options}){order}"  # noqa: S608 - no external input
        found = connection.sql(sql, params={"path": str(path)})
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def column_types(path: Path) -> dict[str, str]:
    """Columns of one file with their SQL types."""
    with duckdb.connect() as connection:
        found = connection.read_parquet(str(path), hive_partitioning=False)
        return dict(zip(found.columns, map(str, found.types), strict=True))


def bucket(name: str, **more: Any) -> dict[str, Any]:
    return {"Name": name, "CreationDate": "2026-01-01T10:00:00+02:00", **more}


def dataset(folder: Path, *runs: list[Answering], **query: Any) -> list[str]:
    """Record runs of one query and add each to the dataset in `out`; returns their IDs."""
    ids = [write_run(folder, number, answers, **query) for number, answers in enumerate(runs, 1)]
    for run_id in ids:
        write_dataset(folder, question(folder, run_id), folder / "out")
    return ids


def acme(*rows: dict[str, Any]) -> list[Answering]:
    """The answer of one account."""
    return [Answering("acme", list(rows))]


def test_each_account_of_a_run_has_a_folder(tmp_path: Path) -> None:
    """The path has service, query and account; an account without rows has no file; the schema is in the query's folder."""
    run_id = write_run(
        tmp_path, 1, [Answering("acme", [bucket("a")]), Answering("beta"), Answering("a/b =c", [bucket("c")])], **BUCKETS
    )
    written = write_dataset(tmp_path, question(tmp_path, run_id), tmp_path / "out")

    assert (2, 2) == (written.files, written.rows)
    folder = tmp_path / "out" / FOLDER
    assert [
        "_common_metadata",
        "account=a%2Fb%20%3Dc",
        f"account=a%2Fb%20%3Dc/part-{run_id}.parquet",
        "account=acme",
        f"account=acme/part-{run_id}.parquet",
    ] == sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    assert {"acme", "a/b =c"} == {row["account"] for row in read_parquet(tmp_path / "out" / "**/*.parquet")}


def test_empty_columns_have_model_types(tmp_path: Path) -> None:
    """A timestamp is in UTC; a column without values exists with its type."""
    dataset(tmp_path, acme(bucket("a")), **BUCKETS)
    path = next((tmp_path / "out").rglob("*.parquet"))
    (row,) = read_parquet(path)

    kinds = column_types(path)
    assert ("TIMESTAMP WITH TIME ZONE", "VARCHAR") == (kinds["CreationDate"], kinds["BucketRegion"])
    assert ("2026-01-01T08:00:00+00:00", None) == (row["CreationDate"].isoformat(), row["BucketRegion"])


def test_conflicting_types_of_accounts_are_merged(tmp_path: Path) -> None:
    """Integers in one account and fractions in another are a double in every file; strings and numbers are JSON."""
    answers = [
        Answering("acme", [{"n": 1, "m": 1, "e": None}]),
        Answering("beta", [{"n": 0.5, "m": "x", "e": None}]),
    ]
    dataset(tmp_path, answers, select="x", **BUCKETS)
    schemas = {str(column_types(path)) for path in (tmp_path / "out").rglob("*.parquet")}
    rows = read_parquet(tmp_path / "out" / "**/*.parquet", "n, m, e", "account")

    assert 1 == len(schemas)
    assert [{"n": 1.0, "m": "1", "e": None}, {"n": 0.5, "m": '"x"', "e": None}] == rows


def test_later_run_extends_dataset_and_schema(tmp_path: Path) -> None:
    """Columns are added and types widened; both runs can be read together, and a repeated run is not duplicated."""
    _, second = dataset(tmp_path, acme({"a": 1}), acme({"a": 1.5, "b": ["x"]}), select="x", **BUCKETS)
    write_dataset(tmp_path, question(tmp_path, second), tmp_path / "out")
    rows = read_parquet(tmp_path / "out" / "**/*.parquet", "a, b", "a")

    assert [{"a": 1.0, "b": None}, {"a": 1.5, "b": ["x"]}] == rows
    kinds = column_types(tmp_path / "out" / FOLDER / "_common_metadata")
    assert ("DOUBLE", "VARCHAR[]") == (kinds["a"], kinds["b"])


def test_columns_of_earlier_run_are_kept(tmp_path: Path) -> None:
    """A run without the column writes it empty, so that every file has the complete schema."""
    _, second = dataset(tmp_path, acme({"a": 1}), acme({"b": 2}), select="x", **BUCKETS)

    assert [{"a": None, "b": 2}] == read_parquet(tmp_path / "out" / "**" / f"*{second}.parquet", "a, b")


def test_columns_named_like_location_or_partition_are_renamed(tmp_path: Path) -> None:
    """`service` of a bill differs from the service in the path; names that differ only in case are numbered."""
    dataset(tmp_path, acme({"service": "EC2", "region": "x", "a": 1, "A": 2}), select="x")
    (row,) = read_parquet(tmp_path / "out" / "**/*.parquet")

    assert ("EC2", "x", 1, 2) == (row["value_service"], row["value_region"], row["a"], row["A_2"])
    assert ("ec2", "us-east-1") == (row["service"], row["region"])


def test_rows_are_written_in_bounded_row_groups(tmp_path: Path) -> None:
    """A large account is never in memory as a whole."""
    rows = [bucket(str(number)) for number in range(ROW_GROUP_ROWS + 5)]
    dataset(tmp_path, acme(*rows), **BUCKETS)
    path = next((tmp_path / "out").rglob("*.parquet"))
    with duckdb.connect() as connection:
        sql = "select distinct row_group_id, row_group_num_rows from parquet_metadata($1) order by all"
        groups = connection.execute(sql, [str(path)]).fetchall()

    assert [(0, ROW_GROUP_ROWS), (1, 5)] == groups


def test_sandbox_rows_are_marked(tmp_path: Path) -> None:
    """Column `rehearsal` separates runs of the sandbox from those of AWS in one dataset."""
    for number in (1, 2):
        run_id = write_run(tmp_path, number, acme(bucket("a")), rehearsal=number == 1, **BUCKETS)
        write_dataset(tmp_path, question(tmp_path, run_id), tmp_path / "out")

    assert [{"rehearsal": True}, {"rehearsal": False}] == read_parquet(
        tmp_path / "out" / "**/*.parquet", "rehearsal", "run_id"
    )


def test_names_with_wildcards_and_quotes_are_literal(tmp_path: Path) -> None:
    """Folders, accounts, columns and values are never interpreted as SQL or as a pattern."""
    into = tmp_path / "it's [x]*"
    hostile = "'); drop table x; --"
    for number in (1, 2):
        run_id = write_run(tmp_path, number, [Answering("o'b*", [{hostile: hostile, "s": {'"': hostile}}])], select="x")
        assert 1 == write_dataset(tmp_path, question(tmp_path, run_id), into).files
    for path in into.rglob("*.parquet"):
        path.rename(tmp_path / path.name)
    (row, _) = read_parquet(tmp_path / "*.parquet")

    assert (hostile, {'"': hostile}) == (row[hostile], row["s"])


def test_files_are_owner_only(tmp_path: Path) -> None:
    """Rows may contain confidential data of an account."""
    dataset(tmp_path, acme(bucket("a")), **BUCKETS)
    made = [tmp_path / "out", *(tmp_path / "out").rglob("*")]

    assert [0o600] == [path.stat().st_mode & 0o777 for path in made if path.suffix == ".parquet"]
    assert [] == [path for path in made if path.stat().st_mode & 0o777 != (0o700 if path.is_dir() else 0o600)]


@pytest.mark.parametrize("content", [b"not parquet", None])
def test_foreign_schema_is_not_overwritten(tmp_path: Path, content: bytes | None) -> None:
    """A folder with another dataset is an error with a hint."""
    path = tmp_path / "out" / FOLDER / "_common_metadata"
    path.parent.mkdir(parents=True)
    if content is None:
        with duckdb.connect() as connection:
            connection.execute(f"copy (select 1 as a) to '{path}' (format parquet)")
    else:
        path.write_bytes(content)

    with pytest.raises(OutputError) as caught:
        dataset(tmp_path, acme(bucket("a")), **BUCKETS)
    assert str(path) == caught.value.where


def test_row_writer_requires_folder_and_writes_on_close(tmp_path: Path) -> None:
    """As a format of `runner query`: without a folder it is an error before any call."""
    run_id = write_run(tmp_path, 1, acme(bucket("a")), **BUCKETS)
    record = read_record(tmp_path, run_id)
    with pytest.raises(DatasetError):
        ParquetRows(tmp_path, record, None, print)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        ParquetRows(tmp_path, record, tmp_path / "file", print)
    told: list[Any] = []
    writer = ParquetRows(tmp_path, record, tmp_path / "out", told.append)
    writer.close()

    assert [(1, 1)] == [(written.files, written.rows) for written in told]


TEXT = st.text(max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
    | st.sampled_from(["2026-11-24T09:00:00+00:00", "eA=="]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
ROWS = st.lists(st.dictionaries(TEXT, VALUES, max_size=4), max_size=4)


def plain(value: Any) -> Any:
    """A value without what a table cannot represent: a null field equals a missing one."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if item is not None}
    return [plain(item) for item in value] if isinstance(value, list) else value


def undone(value: Any, original: Any) -> Any:
    """A value as read back, in the form of the original: nested JSON strings parsed, times and bytes as strings."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, str) and value != original:
        return json.loads(value)
    if isinstance(value, dict) and isinstance(original, dict):
        return {key: undone(item, original.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(original, list) and len(value) == len(original):
        return [undone(item, other) for item, other in zip(value, original, strict=True)]
    return value


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(rows=[{"a": {}}, {"a": {"b": 1}}, {"a": None}])
@example(rows=[{"a": 1, "A": {"x": 1, "X": 2}, "": 3}, {"a": 2**63}])
@example(rows=[{"account": "x", "value_account": "y"}])
@given(rows=ROWS)
def test_any_rows_round_trip_through_parquet_and_sql(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    """For any reply of an account."""
    runs = tmp_path_factory.mktemp("runs")
    (run_id,) = dataset(runs, acme(*rows), select="x", **BUCKETS)
    asked = question(runs, run_id)
    columns = survey_rows(runs, [asked])[0]
    files = list((runs / "out").rglob("*.parquet"))
    read = read_parquet(files[0]) if files else []
    with open_database(read_catalog(runs), "s3_buckets") as database:
        selected = list(database.execute("from s3_buckets").rows())

    assert len(rows) == len(read) == len(selected)
    assert len(list(read_rows(runs, [asked]))) == len(rows)
    for found, layout in (
        (read, layout_of(columns, FILE_COLUMNS, PATH_COLUMNS)),
        (selected, layout_of(columns)),
    ):
        back = [
            {column.key: undone(row[column.name], original.get(column.key)) for column in layout.columns}
            for row, original in zip(found, rows, strict=True)
        ]
        assert [plain(original) for original in rows] == [plain(row) for row in back]


def test_missing_library_is_error_with_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint is the command that installs the extra."""
    monkeypatch.setitem(sys.modules, "duckdb", None)  # None marks a module that cannot be imported
    with pytest.raises(ToolError) as caught:
        load_duckdb()

    assert (caught.value.hint or "").endswith(" pip install '.[data]'")
