"""The secret of the operator's access key: random for each start of a sandbox, and known only where the sandbox runs.

A process runs one sandbox at a time. Whoever acts as its operator (provisioning, rehearsal) runs in the same process and
finds the secret here by the sandbox's address; worker processes find it in their environment.

A sandbox in a process of its own, from outside: started, found again, ended; nothing of moto is loaded for it. All
files are for their owner only (0600 in a folder with 0700), and are checked before they are read. `sandbox.json` says
where it is and who can act in it; `environments.json` the variables of each actor and of the operator, with
credentials; `sandbox.log` a line a call; `state` the accounts of the last run. `sandbox.lock` is held (flock) by the
process for its life and has its number in it from the start.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from rolecall_generator.errors import ExitCode, RolecallError, missing_extra
from rolecall_runner.private_files import (
    check_private_folder,
    create_private_file,
    make_private_folder,
    open_private_file,
    read_private_file,
    write_private_file,
)
from rolecall_runner.sandbox.protocol.error_catalog import SandboxError

OPERATOR_VARIABLE = "ROLECALL_SANDBOX_OPERATOR_SECRET"
"""Environment variable that hands the secret to worker processes of a command with `--sandbox`."""

_SECRETS: dict[str, str] = {}


def keep_secret(url: str, secret: str) -> None:
    """Let this process find the secret of the sandbox at `url`."""
    _SECRETS[url] = secret


def forget_secret(url: str) -> None:
    """The sandbox at `url` has ended."""
    _SECRETS.pop(url, None)


def operator_secret(url: str, environ: Mapping[str, str] | None = None) -> str:
    """The operator's secret key at `url`; a string that no sandbox accepts when it is not known."""
    variables = os.environ if environ is None else environ
    return _SECRETS.get(url) or variables.get(OPERATOR_VARIABLE) or "unknown"


_POLL_SECONDS = 0.05
_END_SECONDS = 20.0
_LOCK_SECONDS = 1.0  # what a sandbox that just ended may still take to let go


OPERATOR = "operator"
"""Name by which `environments` has the variables of the operator, unless an actor has it."""


@dataclass(frozen=True, slots=True)
class SandboxRequest:
    """What a sandbox is started with; `faults` as people write them. Paths are absolute, `manifest` None for none;
    `region` empty for the main one of the manifest's partition.
    """

    manifest: str | None
    out: str
    port: int = 0
    region: str = ""
    faults: str = ""
    keep_state: bool = False


@dataclass(frozen=True, slots=True)
class Actor:
    """Someone who can act in the sandbox: a backend role by its name, a person by the user's name."""

    name: str
    arn: str
    kind: str


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that runs: its process id, address, accounts and actors."""

    pid: int
    url: str
    region: str
    started: str
    how: str
    accounts: tuple[str, ...]
    actors: tuple[Actor, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """A sandbox that was ended: its process id, and its address, empty when it had not stood yet."""

    pid: int
    url: str


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one sandbox."""

    folder: Path

    @property
    def record(self) -> Path:
        """Where it is and who can act in it."""
        return self.folder / "sandbox.json"

    @property
    def environments(self) -> Path:
        """The variables of each actor."""
        return self.folder / "environments.json"

    @property
    def wanted(self) -> Path:
        """What it was started with."""
        return self.folder / "wanted.json"

    @property
    def log(self) -> Path:
        """A line a call."""
        return self.folder / "sandbox.log"

    @property
    def failure(self) -> Path:
        """Why it did not start."""
        return self.folder / "failure.json"

    @property
    def progress(self) -> Path:
        """How many accounts are done, and of how many."""
        return self.folder / "progress.json"

    @property
    def lock(self) -> Path:
        """Held by the sandbox's process, with its number in it."""
        return self.folder / "sandbox.lock"

    @property
    def state(self) -> Path:
        """The accounts of the last run that was told to keep them."""
        return self.folder / "state"


def find(home: Home) -> Running | None:
    """The sandbox that runs from this folder; None when there is none, or its process has gone."""
    try:
        body = read_record(home.record)
        running = Running(
            **{**body, "accounts": tuple(body["accounts"]), "actors": tuple(Actor(**item) for item in body["actors"])}
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return running if _is_ours(running.pid, home) else None


def start(
    home: Home,
    wanted: SandboxRequest,
    *,
    timeout_seconds: float = 120.0,
    waiting: Callable[[int, int], None] = lambda _d, _t: None,
) -> Running:
    """Start a sandbox and wait until its accounts stand. `waiting` hears how many accounts are done, and of how many.

    Raises SandboxError when one runs already or it does not start, or what kept it from starting as its own error says.
    """
    if (running := find(home)) is not None:
        raise SandboxError(
            f"a sandbox runs already at {running.url}", where=str(home.folder), hint="runner sandbox down ends it"
        )
    _require_moto()
    make_private_folder(home.folder)
    check_private_folder(home.folder)
    with _held(home) as lock:
        for stale in (home.record, home.failure, home.environments, home.progress):
            stale.unlink(missing_ok=True)
        write_record(home.wanted, asdict(wanted))
        child = _spawn(home, lock)
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if (running := find(home)) is not None:
            return running
        if child.poll() is not None:
            raise _why(home)
        _tell(home, waiting)
        time.sleep(_POLL_SECONDS)
    child.terminate()
    raise SandboxError(f"the sandbox did not stand within {timeout_seconds:.0f} s", where=str(home.log), hint="read its log")


@contextmanager
def _held(home: Home) -> Iterator[int]:
    """The folder's lock, empty; a process that inherits the descriptor goes on holding it. Raises SandboxError."""
    try:
        descriptor = create_private_file(home.lock, os.O_RDWR)
    except FileExistsError:
        descriptor = open_private_file(home.lock, flags=os.O_RDWR)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _take(descriptor):
            if time.monotonic() > deadline:
                what = "another sandbox starts or runs in this folder"
                raise SandboxError(what, where=str(home.folder), hint="runner sandbox down ends it")
            time.sleep(_POLL_SECONDS)
        os.ftruncate(descriptor, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _spawn(home: Home, lock: int) -> subprocess.Popen[bytes]:
    with open_log(home) as log:
        child = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-m", "rolecall_runner.sandbox.process", str(home.folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal is not for it
            pass_fds=(lock,),
        )
    os.pwrite(lock, str(child.pid).encode(), 0)
    return child


def _holder(home: Home) -> int | None:
    """The process that holds the folder's lock, whatever its record says; None when no one does."""
    try:
        descriptor = open_private_file(home.lock, flags=os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _take(descriptor):
            # Empty for the moment between the lock and the process.
            if (text := os.pread(descriptor, 20, 0)).isdigit():
                return int(text)
            if time.monotonic() > deadline:
                raise SandboxError("the lock names no process", where=str(home.lock), hint="end the process that holds it")
            time.sleep(_POLL_SECONDS)
        return None
    finally:
        os.close(descriptor)


def _require_moto() -> None:
    """Raise ToolError here, and not in a process that no one sees, when the extra is not installed."""
    if importlib.util.find_spec("moto") is None:
        missing = missing_extra(ModuleNotFoundError(name="moto"))
        if missing is not None:
            raise missing


def stop(home: Home) -> Ended | None:
    """End the sandbox of this folder, one that is still starting too, and wait for it; None when there was none.

    Raises SandboxError if it stays.
    """
    running = find(home)
    pid = running.pid if running else _holder(home)
    if pid is None:
        return None
    with suppress(ProcessLookupError):  # it ended by itself just now
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _END_SECONDS
    while time.monotonic() < deadline:
        # The process is gone a moment before the system lets go of its lock.
        if not _is_ours(pid, home) and _holder(home) != pid:
            return Ended(pid, running.url if running else "")
        time.sleep(_POLL_SECONDS)
    raise SandboxError(f"the sandbox (process {pid}) does not end", where=str(home.folder), hint=f"end it: kill -9 {pid}")


def environments(home: Home) -> dict[str, dict[str, str]]:
    """The variables of each actor by name. Raises SandboxError when no sandbox runs."""
    if find(home) is None:
        raise SandboxError("no sandbox runs", where=str(home.folder), hint="runner sandbox up starts one")
    found: dict[str, dict[str, str]] = read_record(home.environments)
    return found


def _is_ours(pid: int, home: Home) -> bool:
    """Whether the process lives and is the one that serves this folder; its number may be another's by now."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    line = Path(f"/proc/{pid}/cmdline")
    if not line.exists():  # macOS: that it lives must do
        return True
    words = line.read_bytes().split(b"\0")
    return os.fsencode(str(home.folder)) in words


def _why(home: Home) -> RolecallError:
    try:
        body = read_record(home.failure)
        error = SandboxError(body["text"])
        error.exit_code = ExitCode(body["exit_code"])  # its own: a broken manifest is not a broken tool
        return error
    except (OSError, ValueError, KeyError):
        return SandboxError("the sandbox ended before it stood", where=str(home.log), hint="read its log")


def _tell(home: Home, waiting: Callable[[int, int], None]) -> None:
    try:
        done, total = read_record(home.progress)
    except (OSError, ValueError):
        return
    waiting(done, total)


def write_record(path: Path, body: Any) -> None:
    """Write one of the folder's JSON files, whole or not at all, for its owner only. Raises OSError."""
    write_private_file(path, json.dumps(body, indent=2).encode())


def read_record(path: Path) -> Any:
    """One of the folder's JSON files. Raises UnsafeFileError when others may write it, OSError, ValueError."""
    return json.loads(read_private_file(path))


def open_log(home: Home) -> IO[bytes]:
    """The log, to append to, for its owner only. Raises UnsafeFileError, OSError."""
    flags = os.O_WRONLY | os.O_APPEND
    try:
        return os.fdopen(create_private_file(home.log, os.O_APPEND), "ab")
    except FileExistsError:
        return os.fdopen(open_private_file(home.log, flags=flags), "ab")
