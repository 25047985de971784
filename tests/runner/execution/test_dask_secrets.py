"""Credentials are never sent: traffic of the scheduler contains none, and workers load their own."""

from __future__ import annotations

import base64
from functools import partial
from pathlib import Path

import fast_stub
from dask_wire import deployed
from engine_runs import run
from fast_stub import FastStub
from rolecall_runner.aws.caller import AwsConfig
from rolecall_runner.aws.failures import RetryPolicy, Status
from rolecall_runner.execution.dask import DaskCluster, DaskEngine
from rolecall_runner.execution.interface import EngineSettings, ProcessLocal
from rolecall_runner.query.execute import QueryTask
from rolecall_runner.query.spec import QuerySpec
from stub_fleet import stub_targets

SECRET = fast_stub.secret_of(fast_stub.SOURCE_KEY)
ACCOUNTS = 40
SETTINGS = EngineSettings(workers=4, retry=RetryPolicy(1))


def query(url: str) -> QueryTask:
    """Instances of every account, queried with the credentials of the process's environment."""
    return QueryTask(
        QuerySpec("ec2", "DescribeInstances"), ProcessLocal(partial(AwsConfig(endpoint_url=url).connect, "0a1b"))
    )


def forms_of(secret: str) -> list[bytes]:
    """A secret in plain text and in base64 form."""
    return [secret.encode(), base64.b64encode(secret.encode())[:-4]]


def test_scheduler_traffic_contains_no_secret(tmp_path: Path) -> None:
    """Neither keys and tokens of the workers' caller nor those of any account."""
    sessions = [fast_stub.key_of(target.account_id) for target in stub_targets(ACCOUNTS)]
    secrets = [SECRET, *map(fast_stub.secret_of, sessions), *map(fast_stub.token_of, sessions)]
    with FastStub() as stub:
        environment = {
            "AWS_ACCESS_KEY_ID": fast_stub.SOURCE_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_CA_BUNDLE": stub.ca_bundle,
            "AWS_REGION": "us-east-1",
        }
        with deployed(2, environment, tmp_path / "log") as relay:
            engine = DaskEngine(DaskCluster(f"tcp://127.0.0.1:{relay.port}"))
            results = list(run(query(stub.url), stub_targets(ACCOUNTS), engine=engine, settings=SETTINGS))
            heard = b"\n".join(map(bytes, relay.heard))
        counts = stub.counts()

    log = (tmp_path / "log").read_bytes()
    assert [Status.OK] * ACCOUNTS == [result.status for result in results]
    assert (ACCOUNTS, 0) == (counts["AssumeRole"], counts["violations"])
    # The search does find what is sent: the query, accounts, rows.
    assert all(word in heard for word in (b"DescribeInstances", *(t.account_id.encode() for t in stub_targets(ACCOUNTS))))
    assert all(fast_stub.instance_of(target.account_id).encode() in heard for target in stub_targets(ACCOUNTS))
    assert [] == [secret for secret in secrets for form in forms_of(secret) if form in heard or form in log]


def test_workers_without_credentials_fail_every_account(tmp_path: Path) -> None:
    """The workers' environment counts, not the client's: results have a hint, and AWS is not called."""
    with FastStub() as stub:
        environment = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
        with deployed(1, environment, tmp_path / "log") as relay:
            engine = DaskEngine(DaskCluster(f"tcp://127.0.0.1:{relay.port}"))
            results = list(run(query(stub.url), stub_targets(5), engine=engine, settings=SETTINGS))
        requests = stub.counts()["requests"]

    assert [Status.FAILED] * 5 == [result.status for result in results]
    assert all("no AWS credentials found" in result.error for result in results)
    assert 0 == requests
