"""Commands on a Dask cluster: same verdicts as with threads, and clusters of another version are refused."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fast_stub
from command_rig import Ended, runner
from dask_wire import ROOTS, deployed
from fast_stub import FastStub
from manifests import NOTES
from rolecall_runner.aws.clients import Clients, ClientSettings
from rolecall_runner.execution import RUNS
from rolecall_runner.execution.journal import list_runs
from rolecall_runner.sandbox.provisioning.provision import AdminClient
from rolecall_runner.sandbox.provisioning.seed import actor_environment, in_process_sandbox

REGION = "us-east-1"


def caller(stub: FastStub) -> dict[str, str]:
    """The environment with the credentials of the vendor's backend role."""
    return {
        "AWS_ACCESS_KEY_ID": fast_stub.SOURCE_KEY,
        "AWS_SECRET_ACCESS_KEY": fast_stub.secret_of(fast_stub.SOURCE_KEY),
        "AWS_CA_BUNDLE": stub.ca_bundle,
        "AWS_REGION": REGION,
    }


@pytest.fixture(scope="module")
def stub() -> Iterator[FastStub]:
    """An AWS stub; all processes start with its caller credentials."""
    with FastStub() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in caller(running).items():
            patch.setenv(name, value)
        yield running


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
        clients.client("iam", REGION).update_assume_role_policy(
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
