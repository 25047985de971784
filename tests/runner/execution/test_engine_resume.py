"""A run that is killed or stopped at any moment and resumed ends like an undisturbed one, with one result per target."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine_runs import run
from rolecall_generator.errors import InterruptedRunError
from rolecall_runner.aws.retry import RetryPolicy
from rolecall_runner.execution.interface import EngineSettings, Outcome, Runtime
from rolecall_runner.execution.journal import Journal, RunRecord, read_results, record_results
from rolecall_runner.execution.threads import stops_on_ctrl_c
from rolecall_runner.inventory.targets import Target

COUNT = 400
RUN_ID = "20261124-191500-0a1b2c"
RECORD = RunRecord(RUN_ID, "double", "accounts.yaml", "f00d", "all", COUNT, datetime(2026, 11, 24, tzinfo=UTC).isoformat())


class Double:
    """A task with its own result for each target."""

    name = "double"

    def __call__(self, target: Target) -> Outcome:
        time.sleep(0.002)
        return Outcome(data=2 * int(target.account_id))


def go(runs: Path) -> None:
    """Start or resume the run in this process, like a command."""
    if (runs / RUN_ID / "results.jsonl").exists():
        journal = Journal.resume(runs, RUN_ID, fingerprint="f00d")
    else:
        journal = Journal.start(runs, RECORD)
    runtime = Runtime()
    targets = (Target(f"c{n}", f"{n:012}", "aws", "arn") for n in range(COUNT) if ("customer", f"c{n}") not in journal.done)
    with journal, stops_on_ctrl_c(runtime.stop):
        results = run(Double(), targets, settings=EngineSettings(4, retry=RetryPolicy(1)), runtime=runtime)
        for _ in record_results(results, journal, runtime.stop):
            pass
        journal.end(datetime.now(UTC))


def start(runs: Path) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[3]
    paths = [str(root / name) for name in ("generator", "runner", "tests/support", "tests/runner/execution")]
    script = (
        f"import sys; sys.path[:0] = {paths!r}\nfrom pathlib import Path\nfrom test_engine_resume import go\n"
        "from rolecall_generator.errors import InterruptedRunError\n"
        "try:\n    go(Path(sys.argv[1]))\nexcept InterruptedRunError:\n    sys.exit(130)"
    )
    return subprocess.Popen([sys.executable, "-c", script, str(runs)], text=True)


def lines_of(runs: Path) -> int:
    try:
        return (runs / RUN_ID / "results.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def wait_for(runs: Path, lines: int, child: subprocess.Popen[str]) -> None:
    while lines_of(runs) < lines and child.poll() is None:
        time.sleep(0.001)


def assert_complete(runs: Path) -> None:
    results = list(read_results(runs, RUN_ID))
    assert COUNT == len(results)
    assert {f"c{n}": 2 * n for n in range(COUNT)} == {result.target: result.data for result in results}


@pytest.mark.parametrize(
    ("seed", "kills"), [(0, 2), *(pytest.param(*each, marks=pytest.mark.slow) for each in ((1, 2), (2, 2), (20, 20)))]
)
def test_killed_run_resumes_without_lost_or_duplicate_results(tmp_path: Path, seed: int, kills: int) -> None:
    """SIGKILL at random moments, repeatedly, then a run to the end."""
    chance = random.Random(seed)  # noqa: S311 - times, not secrets
    for _ in range(kills):
        child = start(tmp_path)
        wait_for(tmp_path, lines_of(tmp_path) + chance.randrange(2 * COUNT // (kills + 3)), child)
        child.kill()
        child.wait()

    assert 0 == start(tmp_path).wait(60)
    assert_complete(tmp_path)


def test_ctrl_c_keeps_results_and_run_can_resume(tmp_path: Path) -> None:
    """The process exits with the code for interrupted runs; no line is incomplete."""
    child = start(tmp_path)
    wait_for(tmp_path, 50, child)
    child.send_signal(signal.SIGINT)

    assert 130 == child.wait(60)
    assert (tmp_path / RUN_ID / "results.jsonl").read_bytes().endswith(b"\n")
    assert 50 <= lines_of(tmp_path) < COUNT
    assert 0 == start(tmp_path).wait(60)
    assert_complete(tmp_path)


def test_second_ctrl_c_exits_at_once() -> None:
    """Afterwards the signal handlers are restored."""
    before = signal.getsignal(signal.SIGINT)
    stop = threading.Event()

    with stops_on_ctrl_c(stop):
        os.kill(os.getpid(), signal.SIGINT)
        stopped = stop.wait(10)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)

    assert stopped
    assert before is signal.getsignal(signal.SIGINT)


def test_run_stopped_before_start_raises_interrupted() -> None:
    """No target is run."""
    runtime = Runtime()
    runtime.stop.set()

    with pytest.raises(InterruptedRunError):
        list(run(Double(), [Target("c0", "0" * 12, "aws", "arn")], runtime=runtime))
