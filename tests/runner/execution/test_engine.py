"""Engines: one result per target in every case, with bounded memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from engine_runs import run
from rolecall_generator.errors import InterruptedRunError, RolecallError
from rolecall_runner.aws.failures import RetryPolicy, Status, seconds_left
from rolecall_runner.execution.interface import EngineSettings, Outcome, ProcessLocal, Result, Runtime
from rolecall_runner.execution.processes import ProcessEngine, WorkerProcessError
from rolecall_runner.inventory.targets import Target

ENGINES: tuple[str, ...] = ("serial", "threads", "processes")
IN_PROCESS: tuple[str, ...] = ("serial", "threads")
QUICK = EngineSettings(workers=4, retry=RetryPolicy(3, 0.0, 0.0), grace_seconds=0.5)


def targets(count: int) -> Iterator[Target]:
    return (Target(f"c{number}", f"{number:012}", "aws", f"arn:aws:iam::{number:012}:role/r") for number in range(count))


@dataclass
class Ask:
    """A task from a function; not for processes."""

    function: Callable[[Target], Outcome]
    name: str = "ask"

    def __call__(self, target: Target) -> Outcome:
        return self.function(target)


def raises(error: Exception) -> Outcome:
    raise error


class Every:
    """A picklable task: some targets fail, some are refused, some end the process that runs them."""

    name = "every"

    def __init__(self, deadly: str = "") -> None:
        self.deadly = deadly
        self.where = ProcessLocal(os.getpid)

    def __call__(self, target: Target) -> Outcome:
        number = int(target.account_id)
        if self.deadly in (target.name, "all"):
            os._exit(7)
        if number % 10 == 3:
            raise ValueError(f"no luck with {target.name}, key AKIAIOSFODNN7EXAMPLE")
        return Outcome(Status.REFUSED if number % 10 == 4 else Status.OK, {"pid": self.where.get()})


@pytest.mark.parametrize("engine", ENGINES)
def test_each_target_has_one_result(engine: str) -> None:
    """With every engine: none is lost, duplicated or swapped."""
    results = list(run(Every(), targets(300), engine=engine, settings=QUICK))

    expected = {f"c{n}": {3: Status.FAILED, 4: Status.REFUSED}.get(n % 10, Status.OK) for n in range(300)}
    assert 300 == len(results)
    assert expected == {result.target: result.status for result in results}
    assert {"every"} == {result.task for result in results}


@pytest.mark.parametrize("engine", ENGINES)
def test_exception_in_task_is_failed_result_without_secrets(engine: str) -> None:
    """The run continues; the message names the error and redacts keys."""
    failed = [result for result in run(Every(), targets(4), engine=engine, settings=QUICK) if result.status == Status.FAILED]

    assert ["ValueError: no luck with c3, key AKIA...MPLE"] == [result.error for result in failed]


@pytest.mark.parametrize("engine", ENGINES)
def test_empty_selection_has_no_results(engine: str) -> None:
    assert [] == list(run(Every(), [], engine=engine, settings=QUICK))


def test_processes_share_the_work() -> None:
    """Each process creates its own clients: two are seen, and neither is this one."""
    pids = {result.data["pid"] for result in run(Every(), targets(300), engine="processes", settings=QUICK) if result.data}

    assert 2 == len(pids)
    assert os.getpid() not in pids


def test_dead_process_affects_only_its_running_targets() -> None:
    """They become inconclusive; waiting targets are run by another process."""
    results = list(run(Every(deadly="c17"), targets(200), engine="processes", settings=QUICK))

    lost = [result for result in results if result.status == Status.INCONCLUSIVE]
    assert 200 == len({result.target for result in results}) == len(results)
    assert 1 <= len(lost) <= QUICK.workers
    assert {"the worker process exited unexpectedly (exit code 7)"} == {result.error for result in lost}


def test_processes_that_always_die_end_the_run() -> None:
    """With one error message instead of endless restarts."""
    with pytest.raises(WorkerProcessError, match="exit code 7"):
        list(ProcessEngine(1)(Every(deadly="all"), targets(500), QUICK, Runtime()))


@pytest.mark.parametrize("engine", IN_PROCESS)
def test_targets_are_consumed_as_results_are_consumed(engine: str) -> None:
    """Memory holds only the running ones, even with an endless iterator of targets."""
    taken = 0

    def endless() -> Iterator[Target]:
        nonlocal taken
        while True:
            taken += 1
            yield next(targets(1))

    results = run(Ask(lambda _target: Outcome()), endless(), engine=engine, settings=QUICK)
    for _ in range(100):
        next(results)

    assert taken <= 100 + 2 * QUICK.workers


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


def test_backoff_has_full_jitter_and_a_cap() -> None:
    """Between zero and base times two to the n, capped."""
    waits: list[float] = []
    runtime = Runtime(random=lambda: 0.5, sleep=waits.append)
    settings = EngineSettings(retry=RetryPolicy(6, 1.0, 6.0), timeout_seconds=None)

    list(run(Ask(lambda _t: Outcome(Status.INCONCLUSIVE)), targets(1), engine="serial", settings=settings, runtime=runtime))

    assert [0.5, 1.0, 2.0, 3.0, 3.0] == waits


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


@pytest.mark.parametrize("engine", ENGINES)
def test_stopped_run_returns_finished_results_and_raises(engine: str) -> None:
    """Finished results are returned, then InterruptedRunError is raised; no target has two results."""
    runtime = Runtime()
    results: list[Result] = []

    def collect() -> None:
        for result in run(Every(), targets(100_000), engine=engine, settings=QUICK, runtime=runtime):
            results.append(result)
            if len(results) == 50:
                runtime.stop.set()

    with pytest.raises(InterruptedRunError):
        collect()

    assert 50 <= len(results) < 100_000
    assert len(results) == len({result.target for result in results})


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
