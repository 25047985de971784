"""Further bad days of `runner`: two sandboxes at once, records that were damaged, runs that are not there."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_rig import runner
from rolecall_runner.sandbox.errors import SandboxError
from rolecall_runner.sandbox.home import Home, Wanted, find, start, stop


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
    process = subprocess.Popen(["/bin/sh", "-c", "sleep 60; :", str(home.folder)], pass_fds=(lock,), start_new_session=True)
    os.pwrite(lock, str(process.pid).encode(), 0)
    os.close(lock)
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


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
    ended = stop(home)

    assert (starting.pid, "") == ((ended.pid, ended.url) if ended else None)
    assert -signal.SIGTERM == starting.wait()


def test_a_sandbox_whose_record_is_damaged_ends_by_itself(home: Home, tmp_path: Path) -> None:
    """A sandbox that nobody could find again does not stay; the next one starts in its folder."""
    first = start(home, wanted(tmp_path))
    home.record.write_text("{", "utf-8")
    deadline = time.monotonic() + 20
    while home.record.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    second = start(home, wanted(tmp_path))
    found = find(home)
    ended = stop(home)

    assert first.pid != second.pid
    assert (second, second.url) == (found, ended.url if ended else None)
    assert (None, None) == (find(home), stop(home))
