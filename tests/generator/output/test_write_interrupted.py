"""Runs that are killed or fail at each file-system operation, and the next run."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from output_trees import CountingDisk, KilledError, dies_at, fails_at, times, tree, wanted, write
from rolecall_generator.errors import OutputError
from rolecall_generator.output.atomic_write import JOURNAL_NAME
from rolecall_generator.output.output_state import read_lock

BEFORE = {
    "customers/gone": {"main.tf": "gone"},
    "customers/same": {"main.tf": "same"},
    "customers/changed": {"main.tf": "old", "README.md": "old too", "stale.tf": "stale"},
}
AFTER = {
    "customers/same": {"main.tf": "same"},
    "customers/changed": {"main.tf": "new", "README.md": "new too", "more.tf": "more"},
    "switch-roles/new/trusted": {"main.tf": "fresh", "README.md": "fresh too"},
}
OTHER = {"switch-roles/new/trusted": {"main.tf": "another", "extra.tf": "e"}, "customers/changed": {"main.tf": "third"}}
FOREIGN = {"customers/changed/terraform.tfstate": b"state", "customers/gone/notes.txt": b"notes"}


def prepare(out: Path) -> None:
    write(out, BEFORE)
    for name, content in FOREIGN.items():
        (out / name).write_bytes(content)


def count_steps(out: Path) -> int:
    prepare(out)
    counting = CountingDisk()
    write(out, AFTER, disk=counting.disk())
    return counting.steps


def assert_settled(out: Path, modules: dict[str, dict[str, str]]) -> None:
    assert {**wanted(modules), **FOREIGN} == tree(out)
    assert set(modules) == set(read_lock(out).modules)
    assert [] == [path.name for path in out.iterdir() if "staging" in path.name or path.name == JOURNAL_NAME]
    before = times(out)
    assert write(out, modules).wrote_nothing
    assert before == times(out)


@pytest.mark.parametrize("then", [AFTER, OTHER, BEFORE], ids=["same plan", "another plan", "back"])
def test_next_run_after_kill_at_any_step_converges(tmp_path: Path, then: dict[str, dict[str, str]]) -> None:
    """After a kill, the next run completes its plan, the same or another, and keeps foreign files."""
    steps = count_steps(tmp_path / "count")
    assert steps > 20
    for step in range(steps):
        out = tmp_path / str(step)
        prepare(out)
        with suppress(KilledError):
            write(out, AFTER, disk=dies_at(step))
        write(out, then)
        assert_settled(out, then)


def test_failure_at_any_step_leaves_modules_consistent(tmp_path: Path) -> None:
    """After one failed operation, each module is either unchanged or as planned, and a new run converges."""
    for step in range(count_steps(tmp_path / "count")):
        out = tmp_path / str(step)
        prepare(out)
        with suppress(OutputError):
            write(out, AFTER, disk=fails_at(step, errno.ENOSPC))
        found = {name: content for name, content in tree(out).items() if name.startswith("customers/changed/")}
        found.pop("customers/changed/terraform.tfstate")
        options = [wanted({"customers/changed": plan["customers/changed"]}) for plan in (BEFORE, AFTER)]
        assert found in options
        assert {**FOREIGN, **tree(out)} == tree(out)
        write(out, AFTER)
        assert_settled(out, AFTER)


def test_modules_completed_before_failure_are_locked(tmp_path: Path) -> None:
    """Modules completed before the disk was full are not written again."""
    modules = {f"customers/{number}": {"main.tf": str(number)} for number in range(5)}
    with pytest.raises(OutputError):
        write(tmp_path, modules, disk=fails_at(10, errno.ENOSPC))
    done = set(read_lock(tmp_path).modules)
    assert done
    assert {**wanted({path: modules[path] for path in done})} == tree(tmp_path)
    assert done == set(write(tmp_path, modules).unchanged)


def test_run_with_only_keeps_journal_of_other_modules(tmp_path: Path) -> None:
    """A run for one module keeps the journal of a killed run for another module."""
    modules = {"customers/a": {"main.tf": "a"}, "customers/b": {"main.tf": "b"}}
    with suppress(KilledError):
        write(tmp_path, modules, disk=dies_at(9))
    write(tmp_path, {"customers/a": {"main.tf": "a2"}, "customers/b": {"main.tf": "b2"}}, only={"customers/a"})
    write(tmp_path, {"customers/a": {"main.tf": "a3"}, "customers/b": {"main.tf": "b3"}})
    assert wanted({"customers/a": {"main.tf": "a3"}, "customers/b": {"main.tf": "b3"}}) == tree(tmp_path)


def test_file_size_limit_is_output_error_with_module(tmp_path: Path) -> None:
    """A real error of the operating system; completed modules are kept."""
    modules = {"customers/a": {"main.tf": "a"}, "customers/b": {"main.tf": "b" * 20_000}}
    program = (
        "import resource, signal, sys; from pathlib import Path; from output_trees import write;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000));"
        f"write(Path(sys.argv[1]), {modules!r})"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"OutputError: {tmp_path / 'customers/b'}: cannot be written" in ended.stderr
    assert "ulimit" in ended.stderr
    assert {"customers/a"} == set(read_lock(tmp_path).modules)
    assert ("customers/a",) == write(tmp_path, modules).unchanged
