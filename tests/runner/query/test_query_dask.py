"""Queries on a Dask cluster of two processes: same rows and verdicts as with threads, even when a worker is killed."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import distributed
import pytest

import fast_stub
from command_rig import Ended, runner
from dask_rig import local_cluster
from dask_wire import ROOTS, deployed
from engine_runs import run
from fast_stub import FastStub, Options, instance_of
from manifests import NOTES
from rolecall_runner.aws.caller import AwsConfig
from rolecall_runner.aws.clients import Clients, ClientSettings
from rolecall_runner.execution import RUNS
from rolecall_runner.execution.dask import DaskCluster, DaskEngine
from rolecall_runner.execution.interface import EngineSettings, ProcessLocal, Result
from rolecall_runner.execution.journal import list_runs
from rolecall_runner.inventory.targets import Target
from rolecall_runner.query.answers import QueryResult
from rolecall_runner.query.execute import QueryTask
from rolecall_runner.query.spec import QuerySpec
from rolecall_runner.query.validate import validate_query
from rolecall_runner.sandbox.provisioning.provision import AdminClient
from rolecall_runner.sandbox.provisioning.seed import actor_environment, in_process_sandbox
from stub_fleet import stub_targets

REGIONS = ("us-east-1", "eu-west-1")
ACCOUNTS = 80
SETTINGS = EngineSettings(workers=4)
INSTANCES = validate_query(QuerySpec("ec2", "describe_instances", select="Reservations[].Instances[]"))


def caller(stub: FastStub) -> dict[str, str]:
    """The environment with the credentials of the vendor's backend role."""
    return {
        "AWS_ACCESS_KEY_ID": fast_stub.SOURCE_KEY,
        "AWS_SECRET_ACCESS_KEY": fast_stub.secret_of(fast_stub.SOURCE_KEY),
        "AWS_CA_BUNDLE": stub.ca_bundle,
        "AWS_REGION": REGIONS[0],
    }


@pytest.fixture(scope="module")
def stub() -> Iterator[FastStub]:
    """A slow AWS stub; all processes start with its caller credentials."""
    with FastStub(options=Options(delay_seconds=0.01)) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in caller(running).items():
            patch.setenv(name, value)
        yield running


@pytest.fixture(scope="module")
def cluster(stub: FastStub) -> Iterator[Any]:
    """Two worker processes, each restarted by a nanny."""
    del stub  # the workers inherit its environment
    with local_cluster() as running:
        yield running


def fleet() -> list[Target]:
    """The stub's accounts, with two Regions each."""
    return [replace(target, regions=REGIONS) for target in stub_targets(ACCOUNTS)]


def query(stub: FastStub) -> QueryTask:
    """All instances, with clients that each process creates itself."""
    return QueryTask(INSTANCES, ProcessLocal(partial(AwsConfig(endpoint_url=stub.url).connect, "0a1b2c3d")))


def rows(results: list[Result]) -> list[tuple[str, str, str, str]]:
    """Every row with its account and Region, without timestamps."""
    found = (row for result in results for row in QueryResult.from_result(result).rows())
    return sorted((row.account, row.account_id, row.region, json.dumps(row.values, sort_keys=True)) for row in found)


def test_cluster_gives_same_rows_as_threads(stub: FastStub, cluster: Any) -> None:
    """Each account's own instance in both Regions, from any worker."""
    engine = DaskEngine(DaskCluster(cluster.scheduler_address))
    by_dask = list(run(query(stub), fleet(), engine=engine, settings=SETTINGS))
    by_threads = list(run(query(stub), fleet(), settings=SETTINGS))

    assert rows(by_threads) == rows(by_dask)
    assert [(target.name, region) for target in fleet() for region in sorted(REGIONS)] == sorted(
        ((row[0], row[2]) for row in rows(by_dask)), key=lambda row: (int(row[0].removeprefix("customer")), row[1])
    )
    assert all(instance_of(row[1]) in row[3] for row in rows(by_dask))
    assert 0 == stub.counts()["violations"]


def workers_pids(cluster: Any) -> dict[str, int]:
    """Process IDs of the cluster's workers, by address."""
    client: Any
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        client.wait_for_workers(2, timeout=30)
        return dict(client.run(os.getpid))


def test_killed_worker_loses_no_rows(stub: FastStub, cluster: Any) -> None:
    """After SIGKILL its accounts are queried on another worker; no row is lost or duplicated."""
    victim = next(iter(workers_pids(cluster).values()))
    engine = DaskEngine(DaskCluster(cluster.scheduler_address))
    found: list[Result] = []
    for result in run(query(stub), fleet(), engine=engine, settings=SETTINGS):
        found.append(result)
        if len(found) == 1:
            os.kill(victim, signal.SIGKILL)

    assert rows(list(run(query(stub), fleet(), settings=SETTINGS))) == rows(found)
    assert ACCOUNTS == len({result.key for result in found}) == len(found)
    assert victim not in workers_pids(cluster).values()


def verdicts(done: Ended) -> list[dict[str, Any]]:
    """The verdict of every account, without durations and the run ID."""
    body = json.loads(re.sub("rolecall-[0-9a-f]{6}", "rolecall-RUN", done.out))
    return [
        {**each, "seconds": 0, "checks": [{**check, "seconds": 0} for check in each["checks"]]} for each in body["verdicts"]
    ]


def shut(account_id: str, role: str, url: str) -> None:
    """Let a role trust only its own account."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": account_id}}
    clients, operator = Clients(ClientSettings(url)), AdminClient(url)
    with operator.acting_in(account_id):
        clients.client("iam", REGIONS[0]).update_assume_role_policy(
            RoleName=role, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        )
    clients.close()


@pytest.mark.slow
def test_verify_on_cluster_gives_same_verdicts_as_threads(notes: Path) -> None:
    """The example accounts in a sandbox, with one role that no longer trusts the backend."""
    with in_process_sandbox(NOTES, Path("nowhere")) as world:
        shut("444444444444", "role3", world.sandbox.url)
        environ = actor_environment(world.sandbox, world.backend)
        options = ("verify", "--limit", "account*", "--actions", "none", "--no-drift", "--format", "json")
        done = [runner(*options, "--engine", engine, cwd=notes, environ=environ) for engine in ("threads", "dask")]

    assert (1, 1) == (done[0].code, done[1].code)
    assert ["ok", "ok", "failed"] == [each["checks"][0]["mark"] for each in verdicts(done[0])]
    assert verdicts(done[0]) == verdicts(done[1])


@pytest.mark.parametrize(
    ("version", "said"),
    [("Version: 0.0.1\n", "worker tcp://127.0.0.1:{} has rolecall 0.0.1, this machine"), ("", "has no rolecall")],
    ids=["another version", "none"],
)
def test_workers_of_another_version_are_refused(stub: FastStub, notes: Path, version: str, said: str) -> None:
    """Before any account is queried, with the versions, a hint and the exit code of a tool error."""
    installed = notes / "installed" / "rolecall-0.0.1.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: rolecall\n{version}", "utf-8")
    path = os.pathsep.join(map(str, (installed.parent, *ROOTS)))
    assumed = stub.counts()["AssumeRole"]
    with deployed(1, {"PYTHONPATH": path}, notes / "log") as relay:
        cluster = ("--engine", "dask", "--scheduler", f"tcp://127.0.0.1:{relay.port}")
        environ = caller(stub) | {"AWS_ENDPOINT_URL": stub.url}
        done = runner("query", "ec2", "describe_instances", *cluster, cwd=notes, environ=environ)

    assert 7 == done.code
    assert all(part in done.err for part in said.split("{}")), done.err
    assert "install the same rolecall, Dask and Python 3.x on this machine, the scheduler and all workers" in done.err
    assert "Traceback" not in done.err
    assert ("", assumed) == (done.out, stub.counts()["AssumeRole"])
    assert [] == list_runs(notes / RUNS)
