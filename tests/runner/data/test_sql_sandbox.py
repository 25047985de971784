"""Rows of a real query as tables: SQL and Parquet equal boto3."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from engine_runs import run
from query_rig import MOMENT, REGIONS, QueryRig, seeded
from rolecall_runner.data.catalog import read_catalog, recorded_query
from rolecall_runner.data.changes import compare_runs
from rolecall_runner.data.data_output import write_dataset
from rolecall_runner.data.database import open_database
from rolecall_runner.execution.journal import Journal, RunRecord, read_record, record_results
from rolecall_runner.query.execute import QueryTask
from rolecall_runner.query.spec import QuerySpec
from rolecall_runner.query.validate import describe, find_query, validate_query

FIRST, SECOND, NAMED = "20261124-090000-000001", "20261124-090000-000002", "20261124-090000-000003"


@dataclass(frozen=True, slots=True)
class World:
    """A sandbox with two runs; between them account1 lost one instance and got another."""

    rig: QueryRig
    runs: Path
    gone: str
    new: str


def ask(rig: QueryRig, runs: Path, run_id: str, question: QuerySpec) -> None:
    """Run the query and record it in the journal like `runner query`."""
    moment = MOMENT.isoformat()
    text = json.dumps(describe(question))
    record = RunRecord(run_id, "query", "accounts.yaml", "f", "all", len(rig.targets), moment, text, "0", moment)
    task = QueryTask(question, rig.connections, now=lambda: MOMENT)
    with Journal.start(runs, record) as journal:
        for _ in record_results(run(task, rig.targets, engine="serial"), journal, threading.Event()):
            pass


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two accounts and one that may only list buckets, with instances in two Regions."""
    folder = tmp_path_factory.mktemp("sql")
    with seeded(folder, ["account1", "account2", "denied"]) as rig:
        made = []
        for number, target in enumerate(rig.targets, start=1):
            for region in REGIONS:
                ec2 = rig.boto3_client(target, "ec2", region)
                found = ec2.run_instances(ImageId="ami-12345678", MinCount=number, MaxCount=number)
                made += [each["InstanceId"] for each in found["Instances"]]
        instances = validate_query(QuerySpec("ec2", "describe_instances"))
        ask(rig, folder / "runs", FIRST, instances)
        ec2 = rig.boto3_client(rig.target("account1"), "ec2", REGIONS[0])
        ec2.terminate_instances(InstanceIds=[made[0]])
        new = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        ask(rig, folder / "runs", SECOND, instances)
        ask(rig, folder / "runs", NAMED, validate_query(find_query("unattached-volumes")))
        yield World(rig, folder / "runs", made[0], new)


def loop(rig: QueryRig) -> set[tuple[str, str, str, datetime]]:
    """The rows of a boto3 loop over accounts and Regions."""
    found = set()
    for name in ("account1", "account2"):
        for region in REGIONS:
            reply = rig.boto3_client(rig.target(name), "ec2", region).describe_instances()
            for each in [each for group in reply["Reservations"] for each in group["Instances"]]:
                found.add((name, region, each["InstanceId"], each["LaunchTime"].astimezone(UTC)))
    return found


def test_sql_equals_boto3_loop(world: World) -> None:
    """Accounts, Regions, IDs and times."""
    sql = "select account, region, InstanceId, LaunchTime from ec2_instances"
    with open_database(read_catalog(world.runs), sql) as database:
        rows = list(database.execute(sql).rows())

    assert loop(world.rig) == {
        (row["account"], row["region"], row["InstanceId"], datetime.fromisoformat(row["LaunchTime"])) for row in rows
    }


def test_parquet_equals_boto3_loop(world: World) -> None:
    """With the account in the path."""
    question = recorded_query(read_record(world.runs, SECOND))
    assert question is not None
    write_dataset(world.runs, question, world.runs / "out")
    with duckdb.connect() as connection:
        files = connection.read_parquet(f"{world.runs}/out/**/*.parquet", hive_partitioning=True)
        rows = files.project("account, region, InstanceId, LaunchTime").fetchall()

    assert loop(world.rig) == {(*place, moment.astimezone(UTC)) for *place, moment in rows}


def test_denied_account_is_in_errors(world: World) -> None:
    """Once for each of its Regions, with AWS's code."""
    last = "(select max(run_id) from ec2_instances)"
    sql = f"select account, region, outcome, code from errors where run_id = {last} order by all"  # noqa: S608 - no input
    with open_database(read_catalog(world.runs), sql) as database:
        rows = [tuple(row.values()) for row in database.execute(sql).rows()]

    assert [("denied", region, "denied", "UnauthorizedOperation") for region in sorted(REGIONS)] == rows


def test_changes_between_the_runs(world: World) -> None:
    """One instance is new, one changed its state; the denied account is excluded and counted."""
    with compare_runs(read_catalog(world.runs), "ec2_instances") as found:
        rows = list(found.answer.rows())

    assert ("InstanceId",) == found.key
    assert len(REGIONS) == found.not_compared
    assert [("new", world.new)] == [(row["change"], row["InstanceId"]) for row in rows if row["change"] != "changed"]
    assert {world.gone} == {row["InstanceId"] for row in rows if row["change"] == "changed"}
    assert "State" in {row["column_name"] for row in rows}


def test_named_query_is_table_with_its_name(world: World) -> None:
    """The table of unattached-volumes is unattached_volumes and not ec2_volumes, since it does not have all volumes."""
    catalogue = read_catalog(world.runs)

    assert "unattached_volumes" in catalogue.listed
    assert "ec2_volumes" not in catalogue.tables
