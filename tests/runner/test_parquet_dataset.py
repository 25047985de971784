"""A run's rows as a Parquet data set: typed, partitioned, added to by later runs, and complete."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from query_journals import Answering, write_run
from rolecall_generator.errors import OutputError, ToolError
from rolecall_runner.results.arrow_batches import batches, layout_of
from rolecall_runner.results.arrow_library import library
from rolecall_runner.results.arrow_question import RunQuestion, read_question
from rolecall_runner.results.arrow_rows import Record, records_of, survey
from rolecall_runner.results.journal import read_record
from rolecall_runner.results.parquet_dataset import write_dataset
from rolecall_runner.results.parquet_rows import DatasetError, ParquetRows
from rolecall_runner.sql.catalogue import read_catalogue
from rolecall_runner.sql.database import opened

BUCKETS = {"service": "s3", "operation": "ListBuckets"}
FOLDER = Path("service=s3") / "query=list_buckets"


def question(runs: Path, run_id: str) -> RunQuestion:
    found = read_question(read_record(runs, run_id))
    assert found is not None
    return found


def bucket(name: str, **more: Any) -> dict[str, Any]:
    return {"Name": name, "CreationDate": "2026-01-01T10:00:00+02:00", **more}


def test_a_run_is_a_folder_for_each_account(tmp_path: Path) -> None:
    """The path has service, query and account; who has no rows has no file; the schema stands beside."""
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
    assert {"acme", "a/b =c"} == set(ds.dataset(tmp_path / "out", partitioning="hive").to_table()["account"].to_pylist())


def test_columns_have_the_models_types_even_where_all_are_empty(tmp_path: Path) -> None:
    """A time is a time in UTC; a column that nobody filled is there, with its type."""
    run_id = write_run(tmp_path, 1, [Answering("acme", [bucket("a")])], **BUCKETS)
    write_dataset(tmp_path, question(tmp_path, run_id), tmp_path / "out")
    table = pq.read_table(next((tmp_path / "out").rglob("*.parquet")), partitioning=None)

    assert pa.timestamp("us", "UTC") == table.schema.field("CreationDate").type
    assert ["2026-01-01T08:00:00+00:00"] == [value.isoformat() for value in table["CreationDate"].to_pylist()]
    assert pa.string() == table.schema.field("BucketRegion").type
    assert [None] == table["BucketRegion"].to_pylist()


def test_types_that_accounts_disagree_on_are_one_for_all(tmp_path: Path) -> None:
    """A column that is whole numbers here and fractions there is a double in every file; of text and numbers it is JSON."""
    answers = [
        Answering("acme", [{"n": 1, "m": 1, "e": None}]),
        Answering("beta", [{"n": 0.5, "m": "x", "e": None}]),
    ]
    run_id = write_run(tmp_path, 1, answers, select="x", **BUCKETS)
    write_dataset(tmp_path, question(tmp_path, run_id), tmp_path / "out")
    schemas = {str(pq.read_schema(path).remove_metadata()) for path in (tmp_path / "out").rglob("*.parquet")}
    table = ds.dataset(tmp_path / "out", partitioning="hive").to_table().sort_by("account")

    assert 1 == len(schemas)
    assert [1.0, 0.5] == table["n"].to_pylist()
    assert ["1", '"x"'] == table["m"].to_pylist()
    assert [None, None] == table["e"].to_pylist()


def test_a_later_run_adds_to_the_data_set_and_its_schema(tmp_path: Path) -> None:
    """New columns come, types widen; both runs are read together, and a run that is repeated is there once."""
    first = write_run(tmp_path, 1, [Answering("acme", [{"a": 1}])], select="x", **BUCKETS)
    second = write_run(tmp_path, 2, [Answering("acme", [{"a": 1.5, "b": ["x"]}])], select="x", **BUCKETS)
    for run_id in (first, second, second):
        write_dataset(tmp_path, question(tmp_path, run_id), tmp_path / "out")
    schema = pq.read_schema(tmp_path / "out" / FOLDER / "_common_metadata")
    table = ds.dataset(tmp_path / "out" / FOLDER, schema=schema, format="parquet").to_table().sort_by("run_id")
    with duckdb.connect() as connection:
        files = connection.read_parquet(f"{tmp_path}/out/**/*.parquet", union_by_name=True)
        together = files.project("a, b").order("a").fetchall()

    assert [(1.0, None), (1.5, ["x"])] == list(zip(table["a"].to_pylist(), table["b"].to_pylist(), strict=True))
    assert [(1.0, None), (1.5, ["x"])] == together


def test_an_earlier_runs_columns_stay(tmp_path: Path) -> None:
    """A run that no longer has a column writes it empty, so that every file of the run can stand for the whole."""
    first = write_run(tmp_path, 1, [Answering("acme", [{"a": 1}])], select="x", **BUCKETS)
    second = write_run(tmp_path, 2, [Answering("acme", [{"b": 2}])], select="x", **BUCKETS)
    for run_id in (first, second):
        write_dataset(tmp_path, question(tmp_path, run_id), tmp_path / "out")
    later = pq.read_table(next((tmp_path / "out").rglob(f"*{second}.parquet")), partitioning=None)

    assert ([None], [2]) == (later["a"].to_pylist(), later["b"].to_pylist())


def test_columns_called_as_a_place_or_a_part_of_the_path_are_renamed(tmp_path: Path) -> None:
    """`service` of a bill is not the service of the path; names that differ in case alone are numbered."""
    run_id = write_run(tmp_path, 1, [Answering("acme", [{"service": "EC2", "region": "x", "a": 1, "A": 2}])], select="x")
    write_dataset(tmp_path, question(tmp_path, run_id), tmp_path / "out")
    row = ds.dataset(tmp_path / "out", partitioning="hive").to_table().to_pylist()[0]

    assert ("EC2", "x", 1, 2) == (row["value_service"], row["value_region"], row["a"], row["A_2"])
    assert ("ec2", "us-east-1") == (row["service"], row["region"])


def test_rows_are_written_in_bounded_groups(tmp_path: Path) -> None:
    """A large account is many row groups, so that nobody holds it at once."""
    run_id = write_run(tmp_path, 1, [Answering("acme", [bucket(str(number)) for number in range(25)])], **BUCKETS)
    write_dataset(tmp_path, question(tmp_path, run_id), tmp_path / "out", group_rows=10)
    found = pq.ParquetFile(next((tmp_path / "out").rglob("*.parquet"))).metadata

    assert [10, 10, 5] == [found.row_group(index).num_rows for index in range(found.num_row_groups)]


def test_batches_are_made_only_as_they_are_taken() -> None:
    """No more records are read than the batch needs: memory does not grow with rows."""
    taken = []

    def records() -> Iterator[Record]:
        for number in range(1000):
            taken.append(number)
            yield Record("acme", "222222222222", "us-east-1", "2026-11-24T09:00:00+00:00", "run", {"n": number})

    layout = layout_of(survey(Path("nowhere"), []).columns)
    next(batches(layout, records(), rows=10))

    assert 10 == len(taken)


def test_files_are_for_the_owner_alone(tmp_path: Path) -> None:
    """Rows may hold what an account keeps to itself."""
    run_id = write_run(tmp_path, 1, [Answering("acme", [bucket("a")])], **BUCKETS)
    write_dataset(tmp_path, question(tmp_path, run_id), tmp_path / "out")

    made = [tmp_path / "out", *(tmp_path / "out").rglob("*")]

    assert [0o600] == [path.stat().st_mode & 0o777 for path in made if path.suffix == ".parquet"]
    assert [] == [path for path in made if path.stat().st_mode & 0o777 != (0o700 if path.is_dir() else 0o600)]


@pytest.mark.parametrize("content", [b"not parquet", None])
def test_a_schema_of_somebody_else_is_not_overwritten(tmp_path: Path, content: bytes | None) -> None:
    """A folder with another's data set is refused, with the mend."""
    run_id = write_run(tmp_path, 1, [Answering("acme", [bucket("a")])], **BUCKETS)
    path = tmp_path / "out" / FOLDER / "_common_metadata"
    path.parent.mkdir(parents=True)
    if content is None:
        pq.write_metadata(pa.schema([("a", pa.int64())]), path)
    else:
        path.write_bytes(content)

    with pytest.raises(OutputError, match="not written by rolecall") as caught:
        write_dataset(tmp_path, question(tmp_path, run_id), tmp_path / "out")
    assert "choose another folder" in str(caught.value.mend)


def test_a_writer_of_rows_needs_a_folder_and_writes_at_the_end(tmp_path: Path) -> None:
    """As a form of `runner query`: refused before anything is asked when no folder is given; complete when closed."""
    run_id = write_run(tmp_path, 1, [Answering("acme", [bucket("a")])], **BUCKETS)
    record = read_record(tmp_path, run_id)
    with pytest.raises(DatasetError, match="goes into a folder"):
        ParquetRows(tmp_path, record, None, print)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="a file stands where"):
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
    """A value without what a table cannot say: fields that are null are as those that are missing."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if item is not None}
    return [plain(item) for item in value] if isinstance(value, list) else value


def undone(value: Any, original: Any) -> Any:
    """A value read back, in the form of the original: JSON text inside of objects parsed, times and bytes as text."""
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


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(rows=[{"a": {}}, {"a": {"b": 1}}, {"a": None}])
@example(rows=[{"a": 1, "A": {"x": 1, "X": 2}, "": 3}, {"a": 2**63}])
@example(rows=[{"account": "x", "value_account": "y"}])
@given(rows=ROWS)
def test_any_rows_survive_parquet_and_sql(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    """Whatever an account answers is read back from the files, and from the table, as it was."""
    runs = tmp_path_factory.mktemp("runs")
    run_id = write_run(runs, 1, [Answering("acme", rows)], select="x", **BUCKETS)
    asked = question(runs, run_id)
    write_dataset(runs, asked, runs / "out")
    columns = survey(runs, [asked]).columns
    files = list((runs / "out").rglob("*.parquet"))
    read = pq.read_table(files[0], partitioning=None).to_pylist(maps_as_pydicts="strict") if files else []
    with opened(read_catalogue(runs), "s3_buckets") as database:
        selected = list(database.ask("from s3_buckets").rows())

    assert len(rows) == len(read) == len(selected)
    assert len(list(records_of(runs, [asked]))) == len(rows)
    for found, layout in (
        (read, layout_of(columns, ("account_id", "region", "asked_at", "run_id"), ("service", "query", "account"))),
        (selected, layout_of(columns)),
    ):
        back = [
            {column.key: undone(row[column.name], original.get(column.key)) for column in layout.columns}
            for row, original in zip(found, rows, strict=True)
        ]
        assert [plain(original) for original in rows] == [plain(row) for row in back]


@pytest.mark.parametrize("name", ["pyarrow.parquet", "duckdb"])
def test_a_missing_library_is_an_error_with_its_mend(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Who has not installed the extra is told how to."""
    package = name.partition(".")[0]
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # Python's way to say that there is no such module
    with pytest.raises(ToolError, match=package) as caught:
        library(name)

    assert "pip install 'rolecall[data]'" == caught.value.mend
