"""Further bad days of `runner`: two sandboxes at once, records that were damaged, runs that are not there."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from command_rig import runner
from manifests import NOTES
from rolecall_generator.errors import SelectionError
from rolecall_runner.aws.aws_errors import Status
from rolecall_runner.execution.interface import Result
from rolecall_runner.execution.journal import RUNS, Journal, RunRecord, read_record
from rolecall_runner.inventory.selection import select
from rolecall_runner.sandbox.protocol.error_catalog import SandboxError
from rolecall_runner.sandbox.server.state_dir import (
    SandboxRequest,
    StateDir,
    StoppedSandbox,
    find_sandbox,
    start_sandbox,
    stop_sandbox,
)

NOW = datetime(2026, 11, 24, 19, 15, tzinfo=UTC)
RECORD = RunRecord("20261124-191500-0a1b2c", "verify", "accounts.yaml", "f00d", "all", 3, NOW.isoformat(), what="verify")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder with the notes' manifest."""
    (tmp_path / "accounts.yaml").write_bytes(NOTES.read_bytes())
    return tmp_path


@pytest.fixture
def home(tmp_path: Path) -> Iterator[StateDir]:
    """The folder of a sandbox, which is ended with the test."""
    place = StateDir(tmp_path / "home")
    yield place
    stop_sandbox(place)


@pytest.fixture
def starting(home: StateDir) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the folder's lock as a sandbox that starts does, and never stands."""
    home.folder.mkdir()
    lock = os.open(home.lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    command = ["/bin/sh", "-c", "read line", str(home.folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(lock,))
    os.pwrite(lock, str(process.pid).encode(), 0)
    os.close(lock)
    yield process
    process.kill()
    process.communicate()


def wanted(tmp_path: Path) -> SandboxRequest:
    """An empty sandbox."""
    return SandboxRequest(None, str(tmp_path))


def test_a_second_start_is_refused_while_the_first_one_starts(
    home: StateDir, starting: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """Of two starts in one folder one alone has the lock; the other is refused and starts nothing."""
    with pytest.raises(SandboxError, match="another sandbox is starting or running in this folder"):
        start_sandbox(home, wanted(tmp_path))

    assert (None, False) == (starting.poll(), home.wanted.exists())


def test_down_ends_a_sandbox_that_is_still_starting(home: StateDir, starting: subprocess.Popen[bytes]) -> None:
    """Who interrupts `up` and says `down` at once ends what was starting, though it has no record yet."""
    assert StoppedSandbox(starting.pid, "") == stop_sandbox(home)
    assert -signal.SIGTERM == starting.wait()


def test_a_sandbox_whose_record_is_damaged_ends_by_itself(tmp_path: Path) -> None:
    """A sandbox that no one could find again does not stay; its folder is free for the next one."""
    home = StateDir(tmp_path / "home")
    code = "import sys; from rolecall_runner.cli import app; sys.argv[0] = 'runner'; app()"
    up = [sys.executable, "-c", code, "sandbox", "up", "--home", str(home.folder), "--quiet"]
    subprocess.run(up, cwd=tmp_path, check=True)
    first = find_sandbox(home)
    home.record.write_text("{", "utf-8")
    deadline = time.monotonic() + 20
    while home.record.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    subprocess.run(up, cwd=tmp_path, check=True)
    second = find_sandbox(home)
    ended = stop_sandbox(home)

    assert first is not None
    assert second is not None
    assert first.pid != second.pid
    assert StoppedSandbox(second.pid, second.url) == ended
    assert (None, None) == (find_sandbox(home), stop_sandbox(home))


@pytest.mark.parametrize("option", ["--resume", "--retry"])
def test_a_run_that_is_not_there_is_a_slip_of_the_command_line(notes: Path, option: str) -> None:
    """A name that selects no run ends with the code for usage; where there are no runs at all, that is what is said."""
    none = runner("verify", option, "last", cwd=notes)
    Journal.start(notes / RUNS, RECORD).close()
    other = runner("verify", option, "0000", cwd=notes)

    assert (2, 2) == (none.code, other.code)
    assert "error: .rolecall/runs: there are no runs of verify yet\n  hint: " in none.err
    assert "error: .rolecall/runs: there is no run 0000\n  hint: `runner history`" in other.err


@pytest.mark.parametrize("pattern", ["", " , "])
def test_an_empty_pattern_never_means_everybody(notes: Path, pattern: str) -> None:
    """A variable of a script that is empty asks no one."""
    done = runner("verify", "--limit", pattern, cwd=notes)

    assert (2, "") == (done.code, done.out)
    assert "error: --limit: an empty pattern selects no account\n  hint: write all" in done.err


def test_a_manifest_without_accounts_is_what_is_said() -> None:
    """Where no one can be asked the pattern is not to blame."""
    with pytest.raises(SelectionError) as refused:
        select((), "all")

    assert ("the manifest has no customer and no switch role", None) == (refused.value.what, refused.value.where)


def test_a_run_that_was_complete_keeps_its_end(tmp_path: Path) -> None:
    """Going on with a run that has nothing left to ask makes it no longer; a new result does."""
    with Journal.start(tmp_path, RECORD) as journal:
        journal.end(NOW)
    with Journal.resume(tmp_path, RECORD.run_id, fingerprint=RECORD.fingerprint) as idle:
        idle.end(NOW + timedelta(hours=1))
    kept = read_record(tmp_path, RECORD.run_id).ended
    with Journal.resume(tmp_path, RECORD.run_id, fingerprint=RECORD.fingerprint) as more:
        more.add(Result("account1", "verify", Status.OK, NOW))
        more.end(NOW + timedelta(hours=2))

    assert NOW.isoformat() == kept
    assert (NOW + timedelta(hours=2)).isoformat() == read_record(tmp_path, RECORD.run_id).ended


@pytest.mark.parametrize("command", [["verify"], ["rehearse"], ["sandbox", "up"]], ids=" ".join)
def test_an_empty_output_folder_is_not_the_current_one(notes: Path, command: list[str]) -> None:
    """A variable of a script that is empty makes no command read the current folder."""
    done = runner(*command, "--out", "", cwd=notes)

    assert (2, "") == (done.code, done.out)
    assert "error: --out: the folder name is empty\n  hint: name a folder" in done.err
