"""Dask clusters: connections, versions, TLS, the local cluster, workers that end, and credentials, which are never sent."""

from __future__ import annotations

import base64
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import distributed
import pytest

import fast_stub
from dask_rig import local_cluster
from dask_wire import ROOTS, deployed
from engine_runs import QUICK, Every, run, targets
from fast_stub import FastStub
from rolecall_runner.aws.caller import AwsConfig
from rolecall_runner.aws.failures import Status
from rolecall_runner.aws.retry import RetryPolicy
from rolecall_runner.execution.dask import ChunkResult, ClusterError, DaskCluster, DaskEngine, Flight, check_versions
from rolecall_runner.execution.interface import EngineSettings, ProcessLocal, Result, Runtime
from rolecall_runner.query.execute import QueryResult, QueryTask
from rolecall_runner.query.spec import QuerySpec
from stub_fleet import stub_targets


def has(python: str = "3.11.2.final.0", rolecall: str | None = "0.1.0", dask: str = "2026.8.0") -> dict[str, Any]:
    """The versions that a Dask node reports."""
    return {"host": {}, "packages": {"python": python, "rolecall": rolecall, "dask": dask, "distributed": dask}}


@pytest.mark.parametrize(
    ("scheduler", "workers", "said"),
    [
        (has(), [has(rolecall="0.2.0")], "worker w0 has rolecall 0.2.0, this machine 0.1.0"),
        (has(), [has(rolecall=None)], "worker w0 has no rolecall"),
        (has(), [has(python="3.12.1.final.0")], "worker w0 has Python 3.12, this machine 3.11"),
        (has(rolecall=None), [has()], "the scheduler has no rolecall"),
        (has(dask="2025.1.0"), [has()], "the scheduler has dask 2025.1.0, this machine 2026.8.0"),
        (has(), [has(rolecall=None)] * 10, "; worker w2 has no rolecall, and 7 more"),
    ],
)
def test_version_mismatch_is_reported(scheduler: dict[str, Any], workers: list[dict[str, Any]], said: str) -> None:
    """Before anything is sent, with the version on each node. Three nodes are listed, the others are counted."""
    found = {"client": has(), "scheduler": scheduler, "workers": {f"w{n}": each for n, each in enumerate(workers)}}
    with pytest.raises(ClusterError) as raised:
        check_versions(found, "tcp://s")

    assert raised.value.what.endswith(said)


def test_python_patch_releases_are_compatible() -> None:
    """Pickles of 3.11.2 and 3.11.9 are the same."""
    check_versions({"client": has(), "scheduler": has(), "workers": {"w0": has(python="3.11.9.final.0")}}, "tcp://s")


@pytest.mark.parametrize("scheme", ["tcp", "smoke"])
def test_unreachable_scheduler_is_error_with_address(tmp_path: Path, scheme: str) -> None:
    """No process listens on the port, or Dask does not have the scheme."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"{scheme}://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(ClusterError, match="the scheduler cannot be reached") as raised:
            list(run(Every(tmp_path), targets(1), engine=DaskEngine(DaskCluster(address, connect_seconds=0.2))))

    assert address == raised.value.where


def test_cluster_without_workers_is_error(tmp_path: Path) -> None:
    """The run does not wait forever."""
    with local_cluster(0) as cluster:
        place = DaskCluster(cluster.scheduler_address, wait_seconds=0.2)
        with pytest.raises(ClusterError, match=r"no worker connected within 0\.2 s"):
            list(run(Every(tmp_path), targets(1), engine=DaskEngine(place)))


def test_tls_cluster_requires_tls_files(tmp_path: Path) -> None:
    """With CA, certificate and key the run succeeds; without them the error suggests TLS."""
    make: Any = distributed.Security.temporary
    security = make()
    files = {
        "tls_ca": security.tls_ca_file,
        "tls_cert": security.tls_client_cert,
        "tls_key": security.tls_client_key,
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content, "utf-8")
    with local_cluster(1, security=security, protocol="tls") as cluster:
        place = DaskCluster(cluster.scheduler_address, **{name: tmp_path / name for name in files})  # type: ignore[arg-type]
        results = list(run(Every(tmp_path), targets(3), engine=DaskEngine(place), settings=QUICK))
        bare = DaskCluster(cluster.scheduler_address, connect_seconds=0.5)
        with pytest.raises(ClusterError) as raised:
            list(run(Every(tmp_path), targets(3), engine=DaskEngine(bare)))

    assert 3 == len(results)
    assert "requires TLS" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"tls_ca": Path("ca.pem")}, "of CA, certificate and key only ca is given"),
        (dict.fromkeys(("tls_ca", "tls_cert", "tls_key"), Path("absent.pem")), "absent.pem: file not found"),
    ],
)
def test_incomplete_tls_files_are_an_error(files: dict[str, Path], said: str, tmp_path: Path) -> None:
    """All three must be given and exist; no connection is made otherwise."""
    with pytest.raises(ClusterError) as raised:
        list(run(Every(tmp_path), targets(1), engine=DaskEngine(DaskCluster("tls://127.0.0.1:1", **files))))  # type: ignore[arg-type]

    assert said in str(raised.value)


def test_local_cluster_needs_only_number_of_workers(tmp_path: Path) -> None:
    """Both local processes take part and end with the run."""
    results = list(run(Every(tmp_path, slow=0.01), targets(100), engine=DaskEngine(), settings=QUICK))
    pids = {result.data["pid"] for result in results if result.data}

    assert 100 == len(results)
    assert 2 == len(pids)
    assert [] == [pid for pid in pids if Path(f"/proc/{pid}").exists()]


INTERRUPTED = """
import sys
from pathlib import Path
from engine_runs import QUICK, Every, run, targets
from rolecall_generator.errors import InterruptedRunError
from rolecall_runner.execution.dask import DaskEngine
from rolecall_runner.execution.interface import Runtime
from rolecall_runner.execution.threads import stops_on_ctrl_c

if __name__ == "__main__":
    runtime = Runtime()
    task = Every(Path(sys.argv[1]), slow=0.02)
    try:
        with stops_on_ctrl_c(runtime.stop):
            for result in run(task, targets(100_000), engine=DaskEngine(), settings=QUICK, runtime=runtime):
                print(result.target, flush=True)
    except InterruptedRunError:
        print("interrupted", flush=True)
"""


@pytest.mark.slow
def test_ctrl_c_loses_no_results_of_local_cluster(tmp_path: Path) -> None:
    """A terminal signals the whole process group: workers continue until running targets are returned."""
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED, "utf-8")
    running = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, ROOTS))},
    )
    assert running.stdout is not None
    limit = threading.Timer(60, os.killpg, (running.pid, signal.SIGKILL))
    limit.start()
    with running, running.stdout as lines:
        said = [lines.readline().strip()]
        os.killpg(running.pid, signal.SIGINT)
        said += lines.read().split()
    limit.cancel()

    assert "interrupted" == said[-1]
    assert set(Every(tmp_path).asked()) == set(said[:-1])
    assert len(set(said)) == len(said)


def test_missing_dask_is_error_with_extra_as_hint() -> None:
    """A ToolError in a process without Dask."""
    script = (
        "import sys; sys.modules['distributed'] = None\n"
        "from rolecall_runner.execution import ExecutionOptions\n"
        "from rolecall_generator.errors import ToolError\n"
        "try:\n    list(ExecutionOptions('dask').run(print, []))\nexcept ToolError as error:\n    print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.endswith(" pip install '.[dask]'\n")


class KilledWorker(Exception):  # noqa: N818 - as Dask calls it
    """Replaces the exception of Dask, which requires a scheduler."""


@dataclass
class Future:
    key: str
    answer: bytes | Exception

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        call(self)

    def result(self) -> bytes:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@dataclass
class Cluster:
    """Returns results at once; chunks with a deadly target, or all chunks while `sick`, end their workers."""

    deadly: str = ""
    error: Exception = field(default_factory=KilledWorker)
    sent: list[list[str]] = field(default_factory=list)

    def submit(self, _function: object, _run_id: str, _task: bytes, chunk: bytes, *, key: str, pure: bool) -> Future:
        assert not pure
        asked, _settings = pickle.loads(chunk)  # noqa: S301 - trusted pickle
        names = [target.name for target in asked]
        self.sent.append(names)
        if self.deadly in (*names, "all"):
            return Future(key, self.error)
        found = [Result(name, "every", Status.OK, Runtime().now()) for name in names]
        return Future(key, pickle.dumps(ChunkResult(tuple(found), whole=True)))

    def nthreads(self) -> dict[str, int]:
        return {"tcp://w": 2}

    def cancel(self, _futures: Sequence[Future]) -> None:
        return


def flight(cluster: Cluster, folder: Path) -> Flight:
    return Flight(cluster, DaskCluster("tcp://s"), Every(folder), QUICK, Runtime())


def test_only_the_deadly_target_is_given_up(tmp_path: Path) -> None:
    """A chunk that ended its workers is retried target by target; the other targets succeed."""
    cluster = Cluster(deadly="c2")
    found = {result.target: result.status for result in flight(cluster, tmp_path).results(targets(10))}

    assert {f"c{n}": Status.INCONCLUSIVE if n == 2 else Status.OK for n in range(10)} == found
    assert [["c0"], ["c1"], ["c2"], ["c3"]] == [names for names in cluster.sent if len(names) == 1]


def test_workers_that_always_end_stop_the_run(tmp_path: Path) -> None:
    """After five targets in a row the cluster is to blame."""
    with pytest.raises(ClusterError, match="the workers keep exiting unexpectedly, whichever account they process"):
        list(flight(Cluster(deadly="all"), tmp_path).results(targets(100)))


def test_deserialization_error_ends_the_run_without_secrets(tmp_path: Path) -> None:
    """For example with another version: the worker's message is shown with keys redacted."""
    error = ModuleNotFoundError("No module named 'rolecall_runner' AKIAIOSFODNN7EXAMPLE")
    with pytest.raises(ClusterError) as raised:
        list(flight(Cluster(deadly="all", error=error), tmp_path).results(targets(100)))

    assert "a worker could not run the task: ModuleNotFoundError: No module named" in str(raised.value)
    assert "AKIAIOSFODNN7EXAMPLE" not in str(raised.value)


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
    rows = [row for result in results for row in QueryResult.from_result(result).rows()]
    instances = {target.name: fast_stub.instance_of(target.account_id) for target in stub_targets(ACCOUNTS)}
    assert instances == {row.account: row.values["Instances"][0]["InstanceId"] for row in rows}
    assert ACCOUNTS == len(rows)
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
