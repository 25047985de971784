"""Further bad days of `runner`: two sandboxes at once, records that were damaged, runs that are not there."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rolecall_runner.sandbox.errors import SandboxError
from rolecall_runner.sandbox.home import Ended, Home, Wanted, find, start, stop


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """The folder of a sandbox, which is ended with the test."""
    place = Home(tmp_path / "home")
    yield place
    stop(place)


@pytest.fixture
def starting(home: Home) -> Iterator[subprocess.Popen[bytes]]:
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


def wanted(tmp_path: Path) -> Wanted:
    """An empty sandbox."""
    return Wanted(None, str(tmp_path))


def test_a_second_start_is_refused_while_the_first_one_starts(
    home: Home, starting: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """Of two starts in one folder one alone has the lock; the other is refused and starts nothing."""
    with pytest.raises(SandboxError, match="another sandbox starts or runs in this folder"):
        start(home, wanted(tmp_path))

    assert (None, False) == (starting.poll(), home.wanted.exists())


def test_down_ends_a_sandbox_that_is_still_starting(home: Home, starting: subprocess.Popen[bytes]) -> None:
    """Who interrupts `up` and says `down` at once ends what was starting, though it has no record yet."""
    assert Ended(starting.pid, "") == stop(home)
    assert -signal.SIGTERM == starting.wait()


def test_a_sandbox_whose_record_is_damaged_ends_by_itself(tmp_path: Path) -> None:
    """A sandbox that nobody could find again does not stay; its folder is free for the next one."""
    home = Home(tmp_path / "home")
    code = "import sys; from rolecall_runner.cli import app; sys.argv[0] = 'runner'; app()"
    up = [sys.executable, "-c", code, "sandbox", "up", "--home", str(home.folder), "--quiet"]
    subprocess.run(up, cwd=tmp_path, check=True)
    first = find(home)
    home.record.write_text("{", "utf-8")
    deadline = time.monotonic() + 20
    while home.record.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    subprocess.run(up, cwd=tmp_path, check=True)
    second = find(home)
    ended = stop(home)

    assert first is not None
    assert second is not None
    assert first.pid != second.pid
    assert Ended(second.pid, second.url) == ended
    assert (None, None) == (find(home), stop(home))
