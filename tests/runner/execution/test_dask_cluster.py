"""Dask clusters: connection errors, versions, TLS, and the local cluster."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import distributed
import pytest

from dask_rig import QUICK, Every, local_cluster, targets
from dask_wire import ROOTS
from rolecall_generator.errors import RolecallError
from rolecall_runner.execution.dask import ClusterError, DaskCluster, DaskEngine, check_versions
from rolecall_runner.execution.execution_options import run


def has(python: str = "3.11.2.final.0", rolecall: str | None = "0.1.0", dask: str = "2026.8.0") -> dict[str, Any]:
    """The versions that a Dask node reports."""
    return {"host": {}, "packages": {"python": python, "rolecall": rolecall, "dask": dask, "distributed": dask}}


@pytest.mark.parametrize(
    ("scheduler", "worker", "said"),
    [
        (has(), has(rolecall="0.2.0"), "worker tcp://w has rolecall 0.2.0, this machine 0.1.0"),
        (has(), has(rolecall=None), "worker tcp://w has no rolecall"),
        (has(), has(python="3.12.1.final.0"), "worker tcp://w has Python 3.12, this machine 3.11"),
        (has(rolecall=None), has(), "the scheduler has no rolecall"),
        (has(dask="2025.1.0"), has(), "the scheduler has dask 2025.1.0, this machine 2026.8.0"),
    ],
)
def test_version_mismatch_is_reported(scheduler: dict[str, Any], worker: dict[str, Any], said: str) -> None:
    """Before anything is sent, with the version on each node."""
    with pytest.raises(ClusterError) as raised:
        check_versions({"client": has(), "scheduler": scheduler, "workers": {"tcp://w": worker}}, "tcp://s")

    assert said == raised.value.what


def test_python_patch_releases_are_compatible() -> None:
    """Pickles of 3.11.2 and 3.11.9 are the same."""
    check_versions({"client": has(), "scheduler": has(), "workers": {"tcp://w": has(python="3.11.9.final.0")}}, "tcp://s")


def test_long_list_of_mismatched_workers_is_truncated() -> None:
    """Three are listed, the others are counted."""
    workers = {f"tcp://w{number}": has(rolecall=None) for number in range(10)}

    with pytest.raises(ClusterError) as raised:
        check_versions({"client": has(), "scheduler": has(), "workers": workers}, "tcp://s")

    assert raised.value.what.endswith("; worker tcp://w2 has no rolecall, and 7 more")


def test_missing_scheduler_is_error_with_address(tmp_path: Path) -> None:
    """No process listens on the port."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{held.getsockname()[1]}"
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
from dask_rig import QUICK, Every, targets
from rolecall_generator.errors import InterruptedRunError
from rolecall_runner.execution.dask import DaskEngine
from rolecall_runner.execution.interface import Runtime
from rolecall_runner.execution.threads import stops_on_ctrl_c
from rolecall_runner.execution.execution_options import run

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
        "from rolecall_runner.execution.dask import DaskEngine\n"
        "from rolecall_runner.execution.execution_options import run\n"
        "from rolecall_generator.errors import ToolError\n"
        "try:\n    list(run(print, [], engine=DaskEngine()))\nexcept ToolError as error:\n    print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.endswith(" pip install '.[dask]'\n")


def test_unreachable_cluster_address_is_error(tmp_path: Path) -> None:
    """Without a traceback."""
    with pytest.raises(RolecallError, match="the scheduler cannot be reached"):
        list(run(Every(tmp_path), targets(1), engine=DaskEngine(DaskCluster("smoke://signals", connect_seconds=0.2))))
