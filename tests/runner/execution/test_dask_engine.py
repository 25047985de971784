"""The Dask engine: one result per target, whatever happens to the workers."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest

from dask_rig import QUICK, Every, local_cluster, targets
from engine_runs import run
from rolecall_generator.errors import InterruptedRunError
from rolecall_runner.aws.failures import RetryPolicy, Status
from rolecall_runner.execution.dask import ClusterError, DaskCluster, DaskEngine, connected
from rolecall_runner.execution.interface import EngineSettings, Result, Runtime


@pytest.fixture(scope="module")
def engine() -> Iterator[DaskEngine]:
    with local_cluster() as cluster:
        yield DaskEngine(DaskCluster(cluster.scheduler_address))


def said(results: list[Result]) -> dict[str, tuple[Any, ...]]:
    """The results without times and process IDs."""
    return {each.target: (each.status, each.error, each.task, each.attempts, bool(each.data)) for each in results}


def test_cluster_gives_same_results_as_threads(engine: DaskEngine, tmp_path: Path) -> None:
    """None is lost or duplicated, with the same errors and refusals; both worker processes take part, and not this one."""
    task = Every(tmp_path)
    results = list(run(task, targets(300), engine=engine, settings=QUICK))
    pids = {result.data["pid"] for result in results if result.data}

    assert 300 == len(results)
    assert said(list(run(Every(tmp_path), targets(300), settings=QUICK))) == said(results)
    assert 2 == len(pids)
    assert os.getpid() not in pids


def test_killed_worker_loses_no_result(engine: DaskEngine, tmp_path: Path) -> None:
    """Its running targets are run again on another worker, and the rows are those of an undisturbed run."""
    task = Every(tmp_path, deadly="c101", slow=0.001)
    results = list(run(task, targets(300), engine=engine, settings=QUICK))

    quiet = tmp_path / "quiet"
    quiet.mkdir()
    assert 300 == len(results)
    assert said(list(run(Every(quiet), targets(300), settings=QUICK))) == said(results)
    assert 2 <= task.asked().count("c101")


def test_stopped_run_returns_finished_results_and_stops_workers(engine: DaskEngine, tmp_path: Path) -> None:
    """No target starts after the stop; finished results are returned once each, then InterruptedRunError is raised."""
    runtime = Runtime()
    task = Every(tmp_path, slow=0.005)
    results: list[Result] = []

    def collect() -> None:
        for result in run(task, targets(100_000), engine=engine, settings=QUICK, runtime=runtime):
            results.append(result)
            if len(results) == 50:
                runtime.stop.set()

    with pytest.raises(InterruptedRunError):
        collect()

    assert 50 <= len(results) < 1_000
    assert len(results) == len({result.target for result in results})
    assert {result.target for result in results} == set(task.asked())


def test_target_timeout_is_inconclusive_in_workers(engine: DaskEngine, tmp_path: Path) -> None:
    """The other targets continue."""
    settings = EngineSettings(workers=8, timeout_seconds=0.05, retry=RetryPolicy(1))
    results = list(run(Every(tmp_path, slow=1.0), targets(8), engine=engine, settings=settings))

    assert {f"c{number}": (Status.INCONCLUSIVE, "not completed within 0.05 s") for number in range(8)} == {
        result.target: (result.status, result.error) for result in results
    }


def test_targets_are_consumed_as_results_are_consumed(engine: DaskEngine, tmp_path: Path) -> None:
    """Only a few chunks per worker are in progress, even with an endless iterator of targets."""
    taken = itertools.count()
    endless = (target for target in targets(10**9) if next(taken) >= 0)
    results = run(Every(tmp_path), endless, engine=engine, settings=QUICK)

    for _ in range(100):
        next(results)
    results.close()  # type: ignore[attr-defined]

    assert next(taken) < 100 + 2 * 2 * 2 * 2 * QUICK.workers + 2 * QUICK.workers


def test_empty_selection_has_no_results(engine: DaskEngine, tmp_path: Path) -> None:
    assert [] == list(run(Every(tmp_path), [], engine=engine, settings=QUICK))


@pytest.mark.slow
def test_target_that_kills_every_worker_is_inconclusive(engine: DaskEngine, tmp_path: Path) -> None:
    """It is run by itself before it is given up; the other targets of its chunk succeed."""
    task = Every(tmp_path, deadly="c17", times=1_000)
    found = {result.target: result for result in run(task, targets(60), engine=engine, settings=QUICK)}

    assert 60 == len(found)
    assert (Status.INCONCLUSIVE, "every worker that processed the account exited unexpectedly") == (
        found["c17"].status,
        found["c17"].error,
    )
    assert ["c17"] == [name for name, result in found.items() if result.status is Status.INCONCLUSIVE]


def test_lost_scheduler_ends_the_run_with_its_address(tmp_path: Path) -> None:
    """Results received before have been returned."""
    with local_cluster(1) as cluster:
        address = cluster.scheduler_address
        place = DaskCluster(address, connect_seconds=1.0)
        results = run(Every(tmp_path, slow=0.005), targets(10_000), engine=DaskEngine(place), settings=QUICK)
        first = next(results)
        cluster.close()
        with pytest.raises(ClusterError, match="the connection to the scheduler was lost") as raised:
            list(results)

    assert "c" == first.target[0]
    assert address == raised.value.where


def profiler_is_on() -> Any:
    """Whether the profiler is enabled in the current process."""
    return dask.config.get("distributed.worker.profile.enabled")


def test_local_workers_run_without_profiler() -> None:
    """It can deadlock a worker on Python before 3.11.9."""
    with connected(DaskCluster(workers=1)) as client:
        assert [False] == list(client.run(profiler_is_on).values())
