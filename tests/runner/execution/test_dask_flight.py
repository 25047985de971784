"""Runs on a fake Dask client: whether a target or the cluster is to blame when workers end."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dask_rig import QUICK, Every, targets
from rolecall_runner.aws.failures import Status
from rolecall_runner.execution.dask import ChunkResult, ClusterError, DaskCluster, Flight
from rolecall_runner.execution.interface import Result, Runtime


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
