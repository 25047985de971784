"""Engines: one result per target in every case, with bounded memory, whatever happens to the workers."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
import pytest

from dask_rig import local_cluster
from engine_runs import QUICK, Every, run, targets
from rolecall_generator.errors import InterruptedRunError, RolecallError
from rolecall_runner.aws.failures import Status
from rolecall_runner.aws.retry import RetryPolicy, seconds_left
from rolecall_runner.execution.dask import ClusterError, DaskCluster, DaskEngine, connected
from rolecall_runner.execution.interface import Engine, EngineSettings, Outcome, ProcessLocal, Result, Runtime
from rolecall_runner.execution.processes import ProcessEngine, WorkerProcessError
from rolecall_runner.inventory import Target

IN_PROCESS: tuple[str, ...] = ("serial", "threads")
AnyEngine = str | Engine


@pytest.fixture(scope="module")
def cluster() -> Iterator[DaskEngine]:
    """The engine of a cluster of two processes."""
    with local_cluster() as found:
        yield DaskEngine(DaskCluster(found.scheduler_address))


@pytest.fixture(params=[*IN_PROCESS, "processes", "dask"])
def engine(request: pytest.FixtureRequest) -> AnyEngine:
    """Each engine."""
    found: AnyEngine = request.getfixturevalue("cluster") if request.param == "dask" else request.param
    return found


@dataclass
class Ask:
    """A task from a function; only for engines in this process."""

    function: Callable[[Target], Outcome]
    name: str = "ask"

    def __call__(self, target: Target) -> Outcome:
        return self.function(target)


def results_by_name(results: list[Result]) -> dict[str, tuple[Any, ...]]:
    """The results without times and process IDs."""
    return {each.target: (each.status, each.error, each.task, each.attempts, bool(each.data)) for each in results}


def expected(count: int) -> dict[str, tuple[Any, ...]]:
    """The results of `Every`. The message of an exception names the error and redacts keys."""
    special = {
        3: (Status.FAILED, "ValueError: no luck with c{}, key AKIA...MPLE", "every", 1, False),
        4: (Status.REFUSED, "", "every", 1, True),
    }
    found = {f"c{n}": special.get(n % 10, (Status.OK, "", "every", 1, True)) for n in range(count)}
    return {name: (status, error.format(name[1:]), *rest) for name, (status, error, *rest) in found.items()}


def test_each_target_has_one_result(engine: AnyEngine, tmp_path: Path) -> None:
    """None is lost, duplicated or swapped; an exception in a task is a failed result, and the run continues."""
    results = list(run(Every(tmp_path), targets(300), engine=engine, settings=QUICK))

    assert 300 == len(results)
    assert expected(300) == results_by_name(results)


def test_empty_selection_has_no_results(engine: AnyEngine, tmp_path: Path) -> None:
    assert [] == list(run(Every(tmp_path), [], engine=engine, settings=QUICK))


@pytest.mark.parametrize("engine", ["processes", "dask"], indirect=True)
def test_processes_share_the_work(engine: AnyEngine, tmp_path: Path) -> None:
    """Each process creates its own clients: two are seen, and neither is this one."""
    pids = {
        result.data["pid"] for result in run(Every(tmp_path), targets(300), engine=engine, settings=QUICK) if result.data
    }

    assert 2 == len(pids)
    assert os.getpid() not in pids


def test_dead_process_affects_only_its_running_targets(tmp_path: Path) -> None:
    """They become inconclusive; waiting targets are run by another process."""
    results = list(run(Every(tmp_path, deadly="c17"), targets(200), engine="processes", settings=QUICK))

    lost = [result for result in results if result.status == Status.INCONCLUSIVE]
    assert 200 == len({result.target for result in results}) == len(results)
    assert 1 <= len(lost) <= QUICK.workers
    assert {"the worker process exited unexpectedly (exit code -9)"} == {result.error for result in lost}


def test_processes_that_always_die_end_the_run(tmp_path: Path) -> None:
    """With one error message instead of endless restarts."""
    with pytest.raises(WorkerProcessError, match="exit code -9"):
        list(ProcessEngine(1)(Every(tmp_path, deadly="all"), targets(500), QUICK, Runtime()))


def test_killed_worker_of_cluster_loses_no_result(cluster: DaskEngine, tmp_path: Path) -> None:
    """Its running targets are run again on another worker, and the results are those of an undisturbed run."""
    task = Every(tmp_path, deadly="c101", slow=0.001)
    results = list(run(task, targets(300), engine=cluster, settings=QUICK))

    assert 300 == len(results)
    assert expected(300) == results_by_name(results)
    assert 2 <= task.asked().count("c101")


@pytest.mark.slow
def test_target_that_kills_every_worker_is_inconclusive(cluster: DaskEngine, tmp_path: Path) -> None:
    """It is run by itself before it is given up; the other targets of its chunk succeed."""
    task = Every(tmp_path, deadly="c17", times=1_000)
    results = list(run(task, targets(60), engine=cluster, settings=QUICK))
    found = {result.target: result.error for result in results if result.status is Status.INCONCLUSIVE}

    assert 60 == len({result.target for result in results}) == len(results)
    assert {"c17": "every worker that processed the account exited unexpectedly"} == found


def test_lost_scheduler_ends_the_run_with_its_address(tmp_path: Path) -> None:
    """Results received before have been returned."""
    with local_cluster(1) as own:
        place = DaskCluster(own.scheduler_address, connect_seconds=1.0)
        results = run(Every(tmp_path, slow=0.005), targets(10_000), engine=DaskEngine(place), settings=QUICK)
        first = next(results)
        own.close()
        with pytest.raises(ClusterError, match="the connection to the scheduler was lost") as raised:
            list(results)

    assert "c" == first.target[0]
    assert place.scheduler == raised.value.where


def profiler_is_on() -> Any:
    """Whether the profiler is enabled in the current process."""
    return dask.config.get("distributed.worker.profile.enabled")


def test_local_workers_run_without_profiler() -> None:
    """It can deadlock a worker on Python before 3.11.9."""
    with connected(DaskCluster(workers=1)) as client:
        assert [False] == list(client.run(profiler_is_on).values())


@pytest.mark.parametrize(
    ("engine", "ahead"), [("serial", 2), ("threads", 2), ("dask", 2 * 2 * 2 * 2 + 2)], indirect=["engine"]
)
def test_targets_are_consumed_as_results_are_consumed(engine: AnyEngine, ahead: int, tmp_path: Path) -> None:
    """Memory holds only those in progress, even with an endless iterator of targets."""
    taken = itertools.count()
    endless = (target for target in targets(10**9) if next(taken) >= 0)
    results = run(Every(tmp_path), endless, engine=engine, settings=QUICK)
    for _ in range(100):
        next(results)
    results.close()  # type: ignore[attr-defined]

    assert next(taken) <= 100 + ahead * QUICK.workers


def test_results_are_returned_while_others_run() -> None:
    """The first result is returned although another target hangs."""
    release = threading.Event()

    def ask(target: Target) -> Outcome:
        if target.name == "c0":
            release.wait(10)
        return Outcome()

    results = run(Ask(ask), targets(8), settings=QUICK)
    early = [next(results).target for _ in range(7)]
    release.set()

    assert "c0" not in early
    assert ["c0"] == [result.target for result in results]


@pytest.mark.parametrize("engine", IN_PROCESS)
def test_inconclusive_targets_are_retried(engine: str) -> None:
    """Until they are conclusive or the attempts are used up; conclusive ones run once."""
    asked: dict[str, int] = {}

    def ask(target: Target) -> Outcome:
        asked[target.name] = asked.get(target.name, 0) + 1
        if target.name == "c0" and asked["c0"] < 3:
            return Outcome(Status.INCONCLUSIVE)
        return Outcome({"c1": Status.UNREACHABLE, "c2": Status.REFUSED}.get(target.name, Status.OK))

    found = {r.target: (r.status, r.attempts) for r in run(Ask(ask), targets(4), engine=engine, settings=QUICK)}

    assert {
        "c0": (Status.OK, 3),
        "c1": (Status.UNREACHABLE, 3),
        "c2": (Status.REFUSED, 1),
        "c3": (Status.OK, 1),
    } == found


def test_no_attempt_starts_past_the_deadline() -> None:
    """If the pause would exceed the target's timeout, the inconclusive result is returned at once."""
    waits: list[float] = []
    runtime = Runtime(random=lambda: 1.0, sleep=waits.append, clock=lambda: 0.0)
    settings = EngineSettings(retry=RetryPolicy(6, 1.0, 60.0), timeout_seconds=5.0)

    results = list(
        run(Ask(lambda _t: Outcome(Status.INCONCLUSIVE)), targets(1), engine="serial", settings=settings, runtime=runtime)
    )

    assert [(Status.INCONCLUSIVE, 4)] == [(result.status, result.attempts) for result in results]
    assert [1.0, 2.0, 4.0] == waits


def test_target_timeout_is_inconclusive_and_others_continue() -> None:
    """Even if every worker hangs: others replace them, and further calls of late targets are refused."""
    release = threading.Event()
    late: list[BaseException] = []
    seen = threading.Event()

    def ask(target: Target) -> Outcome:
        if int(target.account_id) < 4:
            release.wait(10)
            try:
                seconds_left()
            except Exception as error:
                late.append(error)
                seen.set()
                raise
        return Outcome()

    settings = EngineSettings(workers=4, timeout_seconds=0.05, retry=RetryPolicy(1))
    found = {result.target: (result.status, result.error) for result in run(Ask(ask), targets(20), settings=settings)}
    release.set()

    late_verdict = (Status.INCONCLUSIVE, "not completed within 0.05 s")
    assert {f"c{n}": late_verdict if n < 4 else (Status.OK, "") for n in range(20)} == found
    assert seen.wait(10)
    assert "the time limit of the target was exceeded" == str(late[0])


def test_target_timeout_is_inconclusive_in_workers_of_cluster(cluster: DaskEngine, tmp_path: Path) -> None:
    settings = EngineSettings(workers=8, timeout_seconds=0.05, retry=RetryPolicy(1))
    results = list(run(Every(tmp_path, slow=1.0), targets(8), engine=cluster, settings=settings))

    late = (Status.INCONCLUSIVE, "not completed within 0.05 s")
    assert {f"c{number}": late for number in range(8)} == {each.target: (each.status, each.error) for each in results}


def test_stopped_run_returns_finished_results_and_raises(engine: AnyEngine, tmp_path: Path) -> None:
    """No target starts after the stop; finished results are returned once each, then InterruptedRunError is raised."""
    runtime = Runtime()
    task = Every(tmp_path, slow=0.002)
    results: list[Result] = []

    def collect() -> None:
        for result in run(task, targets(100_000), engine=engine, settings=QUICK, runtime=runtime):
            results.append(result)
            if len(results) == 50:
                runtime.stop.set()

    with pytest.raises(InterruptedRunError):
        collect()

    assert 50 <= len(results) < 2_000
    assert sorted(result.target for result in results) == sorted(task.asked())


def test_stopped_run_waits_for_running_targets() -> None:
    """A result within the grace period is not lost."""
    runtime = Runtime()
    begun = threading.Barrier(5)

    def ask(_target: Target) -> Outcome:
        begun.wait(10)
        runtime.stop.wait(10)
        return Outcome()

    def stop() -> None:
        begun.wait(10)
        runtime.stop.set()

    threading.Thread(target=stop).start()
    results: list[Result] = []
    with pytest.raises(InterruptedRunError):
        results.extend(run(Ask(ask), targets(50), settings=EngineSettings(workers=4, grace_seconds=10), runtime=runtime))

    assert {"c0", "c1", "c2", "c3"} == {result.target for result in results}


@dataclass
class Interrupts:
    """A clock that raises KeyboardInterrupt once, as by Ctrl-C while the engine waits."""

    left: int = 40
    times: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        self.left -= threading.current_thread() is threading.main_thread()
        if self.left == 0:
            raise KeyboardInterrupt
        return time.monotonic()


@pytest.mark.parametrize("engine", IN_PROCESS)
def test_ctrl_c_raises_interrupted_run_error(engine: str) -> None:
    """KeyboardInterrupt does not leave an engine."""
    with pytest.raises(InterruptedRunError):
        list(
            run(
                Ask(lambda _t: Outcome()),
                targets(10_000),
                engine=engine,
                settings=QUICK,
                runtime=Runtime(clock=Interrupts()),
            )
        )


def test_process_local_value_is_created_once_for_all_threads() -> None:
    """Also with concurrent threads; a failed creation is retried."""
    made: list[int] = []

    def make() -> int:
        made.append(1)
        if len(made) == 1:
            raise RolecallError("not yet")
        return len(made)

    value = ProcessLocal(make)
    with pytest.raises(RolecallError):
        value.get()
    results = list(run(Ask(lambda _t: Outcome(data=value.get())), targets(100), settings=QUICK))

    assert {2} == {result.data for result in results}
