"""Dask clusters: what is wrong with one is said in one message; TLS; the embedded one."""

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
    """What a node of Dask says of its versions."""
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
def test_versions_that_differ_are_named(scheduler: dict[str, Any], worker: dict[str, Any], said: str) -> None:
    """Who has which version of what, before anything is sent."""
    with pytest.raises(ClusterError) as raised:
        check_versions({"client": has(), "scheduler": scheduler, "workers": {"tcp://w": worker}}, "tcp://s")

    assert said == raised.value.what


def test_a_newer_patch_of_python_is_no_difference() -> None:
    """Pickles of 3.11.2 and 3.11.9 are the same."""
    check_versions({"client": has(), "scheduler": has(), "workers": {"tcp://w": has(python="3.11.9.final.0")}}, "tcp://s")


def test_a_crowd_of_wrong_workers_is_counted() -> None:
    """Three are named, the others counted."""
    workers = {f"tcp://w{number}": has(rolecall=None) for number in range(10)}

    with pytest.raises(ClusterError) as raised:
        check_versions({"client": has(), "scheduler": has(), "workers": workers}, "tcp://s")

    assert raised.value.what.endswith("; worker tcp://w2 has no rolecall, and 7 more")


def test_a_scheduler_that_is_not_there_is_an_error_with_its_address(tmp_path: Path) -> None:
    """No one listens at the port."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(ClusterError, match="the scheduler cannot be reached") as raised:
            list(run(Every(tmp_path), targets(1), engine=DaskEngine(DaskCluster(address, connect_seconds=0.2))))

    assert address == raised.value.where


def test_a_cluster_without_workers_is_an_error(tmp_path: Path) -> None:
    """Not a run that waits for ever."""
    with local_cluster(0) as cluster:
        place = DaskCluster(cluster.scheduler_address, wait_seconds=0.2)
        with pytest.raises(ClusterError, match=r"no worker connected within 0\.2 s"):
            list(run(Every(tmp_path), targets(1), engine=DaskEngine(place)))


def test_a_cluster_with_tls_is_reached_with_its_files_alone(tmp_path: Path) -> None:
    """With CA, certificate and key the run goes; without, it is said that TLS may be wanted."""
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
def test_half_of_the_tls_files_is_an_error(files: dict[str, Path], said: str, tmp_path: Path) -> None:
    """All three or none, and they must be there; no one is connected to."""
    with pytest.raises(ClusterError) as raised:
        list(run(Every(tmp_path), targets(1), engine=DaskEngine(DaskCluster("tls://127.0.0.1:1", **files))))  # type: ignore[arg-type]

    assert said in str(raised.value)


def test_an_embedded_cluster_needs_nothing_but_its_number_of_workers(tmp_path: Path) -> None:
    """Processes of this machine, both at work, gone when the run is over."""
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
def test_ctrl_c_in_a_terminal_costs_no_result_of_the_embedded_cluster(tmp_path: Path) -> None:
    """A terminal sends it to all processes of the group: the workers go on until what is asked is handed out."""
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


def test_without_dask_the_mend_is_the_extra() -> None:
    """A ToolError, in a process that has no Dask."""
    script = (
        "import sys; sys.modules['distributed'] = None\n"
        "from rolecall_runner.execution.dask import DaskEngine\n"
        "from rolecall_runner.execution.execution_options import run\n"
        "from rolecall_generator.errors import ToolError\n"
        "try:\n    list(run(print, [], engine=DaskEngine()))\nexcept ToolError as error:\n    print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "pip install 'rolecall[dask]'\n" == done.stdout


def test_cluster_errors_are_the_users(tmp_path: Path) -> None:
    """An address that is none is told without a traceback."""
    with pytest.raises(RolecallError, match="the scheduler cannot be reached"):
        list(run(Every(tmp_path), targets(1), engine=DaskEngine(DaskCluster("smoke://signals", connect_seconds=0.2))))
