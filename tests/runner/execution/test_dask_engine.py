"""The engine on a Dask cluster: one result a target whatever happens to workers."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest

from dask_rig import QUICK, Every, local_cluster, targets
from rolecall_generator.errors import InterruptedRunError
from rolecall_runner.aws.aws_errors import Status
from rolecall_runner.aws.retry import RetryPolicy
from rolecall_runner.execution.dask import ClusterError, DaskCluster, DaskEngine, connected
from rolecall_runner.execution.execution_options import run
from rolecall_runner.execution.interface import EngineSettings, Result, Runtime


@pytest.fixture(scope="module")
def engine() -> Iterator[DaskEngine]:
    with local_cluster() as cluster:
        yield DaskEngine(DaskCluster(cluster.scheduler_address))


def said(results: list[Result]) -> dict[str, tuple[Any, ...]]:
    """What results say, but for times and processes."""
    return {each.target: (each.status, each.error, each.task, each.attempts, bool(each.data)) for each in results}


def test_a_cluster_says_what_threads_say(engine: DaskEngine, tmp_path: Path) -> None:
    """None lost, none twice, faults and refusals as in one process; both processes took part, and not this one."""
    task = Every(tmp_path)
    results = list(run(task, targets(300), engine=engine, settings=QUICK))
    pids = {result.data["pid"] for result in results if result.data}

    assert 300 == len(results)
    assert said(list(run(Every(tmp_path), targets(300), settings=QUICK))) == said(results)
    assert 2 == len(pids)
    assert os.getpid() not in pids


def test_a_lost_worker_loses_no_result(engine: DaskEngine, tmp_path: Path) -> None:
    """A process killed while it asks: its targets are asked again on another, and the rows are those of a quiet run."""
    task = Every(tmp_path, deadly="c101", slow=0.001)
    results = list(run(task, targets(300), engine=engine, settings=QUICK))

    quiet = tmp_path / "quiet"
    quiet.mkdir()
    assert 300 == len(results)
    assert said(list(run(Every(quiet), targets(300), settings=QUICK))) == said(results)
    assert 2 <= task.asked().count("c101")


def test_a_stopped_run_hands_out_what_is_done_and_stops_the_workers(engine: DaskEngine, tmp_path: Path) -> None:
    """After the sign to stop no target is begun; results so far come once each, then InterruptedRunError."""
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


def test_a_late_target_is_inconclusive_and_the_others_go_on(engine: DaskEngine, tmp_path: Path) -> None:
    """The time-out of a target holds in the workers too."""
    settings = EngineSettings(workers=8, timeout_seconds=0.05, retry=RetryPolicy(1))
    results = list(run(Every(tmp_path, slow=1.0), targets(8), engine=engine, settings=settings))

    assert {f"c{number}": (Status.INCONCLUSIVE, "not completed within 0.05 s") for number in range(8)} == {
        result.target: (result.status, result.error) for result in results
    }


def test_targets_are_taken_only_as_fast_as_results_are(engine: DaskEngine, tmp_path: Path) -> None:
    """An endless list of targets is no matter: a few chunks for each worker are under way."""
    taken = itertools.count()
    endless = (target for target in targets(10**9) if next(taken) >= 0)
    results = run(Every(tmp_path), endless, engine=engine, settings=QUICK)

    for _ in range(100):
        next(results)
    results.close()  # type: ignore[attr-defined]

    assert next(taken) < 100 + 2 * 2 * 2 * 2 * QUICK.workers + 2 * QUICK.workers


def test_no_targets_no_results(engine: DaskEngine, tmp_path: Path) -> None:
    """An empty selection ends at once."""
    assert [] == list(run(Every(tmp_path), [], engine=engine, settings=QUICK))


@pytest.mark.slow
def test_a_target_that_ends_every_worker_is_inconclusive(engine: DaskEngine, tmp_path: Path) -> None:
    """It is tried alone before it is given up; its neighbours are answered."""
    task = Every(tmp_path, deadly="c17", times=1_000)
    found = {result.target: result for result in run(task, targets(60), engine=engine, settings=QUICK)}

    assert 60 == len(found)
    assert (Status.INCONCLUSIVE, "every worker that processed the account exited unexpectedly") == (
        found["c17"].status,
        found["c17"].error,
    )
    assert ["c17"] == [name for name, result in found.items() if result.status is Status.INCONCLUSIVE]


def test_a_scheduler_that_is_lost_ends_the_run_with_its_name(tmp_path: Path) -> None:
    """One clear message; what was answered before has been handed out."""
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
    """Whether the profiler is enabled in the process that runs this."""
    return dask.config.get("distributed.worker.profile.enabled")


def test_embedded_workers_run_without_the_profiler() -> None:
    """It can deadlock a worker on Python before 3.11.9."""
    with connected(DaskCluster(workers=1)) as client:
        assert [False] == list(client.run(profiler_is_on).values())
