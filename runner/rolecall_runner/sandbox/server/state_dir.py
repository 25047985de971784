"""Starts, finds and stops sandbox processes through their state directories, without loading moto."""

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
    make_private_folder,
    open_or_create_private_file,
    open_private_file,
    read_private_file,
    write_private_file,
)
from rolecall_runner.sandbox.protocol.aws_protocol import SandboxError

OPERATOR_VARIABLE = "ROLECALL_SANDBOX_OPERATOR_SECRET"
"""Environment variable that passes the secret to worker processes of a command with `--sandbox`."""

_SECRETS: dict[str, str] = {}


def keep_secret(url: str, secret: str) -> None:
    """Keep the operator's secret of the sandbox at `url` for `operator_secret`."""
    _SECRETS[url] = secret


def forget_secret(url: str) -> None:
    """Discard the secret of the sandbox at `url`."""
    _SECRETS.pop(url, None)


def operator_secret(url: str, environ: Mapping[str, str] | None = None) -> str:
    """The operator's secret access key of the sandbox at `url`; when it is not known, a string that no sandbox accepts.

    The secret is random for each sandbox. It is found in the process of the sandbox, and in worker processes through
    OPERATOR_VARIABLE.
    """
    variables = os.environ if environ is None else environ
    return _SECRETS.get(url) or variables.get(OPERATOR_VARIABLE) or "unknown"


_POLL_SECONDS = 0.05
_START_SECONDS = 120.0
_END_SECONDS = 20.0
_LOCK_SECONDS = 1.0  # time for a stopped sandbox to release the lock


OPERATOR = "operator"
"""Key of the operator's variables in `environments`, unless an actor has this name."""


@dataclass(frozen=True, slots=True)
class SandboxRequest:
    """The settings of a sandbox process. Paths are absolute; `manifest` None starts it empty.

    An empty `region` selects the default Region of the manifest's partition; `faults` is a fault plan.
    """

    manifest: str | None
    out: str
    port: int = 0
    region: str = ""
    faults: str = ""
    keep_state: bool = False


@dataclass(frozen=True, slots=True)
class Actor:
    """A principal with credentials in the sandbox: a backend role (kind `role`) or a user (kind `user`)."""

    name: str
    arn: str
    kind: str


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A running sandbox process; `origin` is the source of its accounts."""

    pid: int
    url: str
    region: str
    started: str
    origin: str
    accounts: tuple[str, ...]
    actors: tuple[Actor, ...]


@dataclass(frozen=True, slots=True)
class StoppedSandbox:
    """A stopped sandbox process; `url` is empty when it was still starting."""

    pid: int
    url: str


class StateDir:
    """The state directory of one sandbox process. All files have mode 0600, in a directory with mode 0700.

    `record` has the address and actors of the running sandbox (see `RunningSandbox`), `environments` the environment
    variables, with credentials, of each actor and the operator, `request` the settings (see `SandboxRequest`), `log` a line
    for each call, `failure` the error that prevented the start, `progress` the numbers of provisioned accounts and of all
    accounts, `state` the accounts of the last run with `keep_state`. `lock` is locked (flock) by the sandbox process for
    its lifetime and contains its process id.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = folder / "sandbox.json"
        self.environments = folder / "environments.json"
        self.request = folder / "wanted.json"
        self.log = folder / "sandbox.log"
        self.failure = folder / "failure.json"
        self.progress = folder / "progress.json"
        self.lock = folder / "sandbox.lock"
        self.state = folder / "state"


def find_sandbox(home: StateDir) -> RunningSandbox | None:
    """The running sandbox of this directory; None when there is none or its process has ended."""
    try:
        body = read_record(home.record)
        running = RunningSandbox(
            **{**body, "accounts": tuple(body["accounts"]), "actors": tuple(Actor(**item) for item in body["actors"])}
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return running if _is_ours(running.pid, home) else None


def start_sandbox(
    home: StateDir,
    wanted: SandboxRequest,
    *,
    waiting: Callable[[int, int], None] = lambda _d, _t: None,
) -> RunningSandbox:
    """Start a sandbox process and wait until its accounts are provisioned.

    `waiting` is called with the numbers of provisioned accounts and of all accounts. Raises SandboxError when a sandbox is
    already running or this one does not start; its exit code is that of the error in the process.
    """
    if (running := find_sandbox(home)) is not None:
        raise SandboxError(
            f"a sandbox is already running at {running.url}", where=str(home.folder), hint="stop it: runner sandbox down"
        )
    _require_moto()
    make_private_folder(home.folder)
    check_private_folder(home.folder)
    with _locked(home) as lock:
        for stale in (home.record, home.failure, home.environments, home.progress):
            stale.unlink(missing_ok=True)
        write_record(home.request, asdict(wanted))
        child = _spawn(home, lock)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if (running := find_sandbox(home)) is not None:
            return running
        if child.poll() is not None:
            raise _start_error(home)
        _report_progress(home, waiting)
        time.sleep(_POLL_SECONDS)
    child.terminate()
    raise SandboxError(f"the sandbox did not start within {_START_SECONDS:.0f} s", where=str(home.log), hint="check its log")


@contextmanager
def _locked(home: StateDir) -> Iterator[int]:
    """Take the directory's lock; the descriptor of the empty lock file. A child process that inherits it keeps the lock.

    Raises SandboxError when another process holds it.
    """
    descriptor = open_or_create_private_file(home.lock, os.O_RDWR)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                what = "another sandbox is starting or running in this folder"
                raise SandboxError(what, where=str(home.folder), hint="stop it: runner sandbox down")
            time.sleep(_POLL_SECONDS)
        os.ftruncate(descriptor, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _spawn(home: StateDir, lock: int) -> subprocess.Popen[bytes]:
    with open_log(home) as log:
        child = subprocess.Popen(  # noqa: S603 - this program
            [sys.executable, "-m", "rolecall_runner.sandbox.provisioning.seed", str(home.folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # not interrupted by Ctrl-C in the terminal
            pass_fds=(lock,),
        )
    os.pwrite(lock, str(child.pid).encode(), 0)
    return child


def _holder(home: StateDir) -> int | None:
    """The process that holds the directory's lock; None when it is free."""
    try:
        descriptor = open_private_file(home.lock, flags=os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _try_lock(descriptor):
            # Empty between the lock and the start of the process.
            if (text := os.pread(descriptor, 20, 0)).isdigit():
                return int(text)
            if time.monotonic() > deadline:
                raise SandboxError(
                    "the lock file has no process id", where=str(home.lock), hint="stop the process that holds it"
                )
            time.sleep(_POLL_SECONDS)
        return None
    finally:
        os.close(descriptor)


def _require_moto() -> None:
    """Raise ToolError before the process is started when the extra is not installed."""
    if importlib.util.find_spec("moto") is None:
        missing = missing_extra(ModuleNotFoundError(name="moto"))
        if missing is not None:
            raise missing


def stop_sandbox(home: StateDir) -> StoppedSandbox | None:
    """Stop the sandbox of this directory, running or starting, and wait for its end; None when there is none.

    Raises SandboxError when it does not stop.
    """
    running = find_sandbox(home)
    pid = running.pid if running else _holder(home)
    if pid is None:
        return None
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _END_SECONDS
    while time.monotonic() < deadline:
        # The system releases the lock a moment after the process has ended.
        if not _is_ours(pid, home) and _holder(home) != pid:
            return StoppedSandbox(pid, running.url if running else "")
        time.sleep(_POLL_SECONDS)
    raise SandboxError(f"the sandbox (process {pid}) does not stop", where=str(home.folder), hint=f"stop it: kill -9 {pid}")


def actor_environments(home: StateDir) -> dict[str, dict[str, str]]:
    """Environment variables by actor. Raises SandboxError when no sandbox is running."""
    if find_sandbox(home) is None:
        raise SandboxError("no sandbox is running", where=str(home.folder), hint="start one: runner sandbox up")
    found: dict[str, dict[str, str]] = read_record(home.environments)
    return found


def _is_ours(pid: int, home: StateDir) -> bool:
    """Whether the process is running and serves this directory: its id may have been reused."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    line = Path(f"/proc/{pid}/cmdline")
    if not line.exists():  # macOS has no /proc
        return True
    words = line.read_bytes().split(b"\0")
    return os.fsencode(str(home.folder)) in words


def _start_error(home: StateDir) -> RolecallError:
    try:
        body = read_record(home.failure)
        error = SandboxError(body["text"])
        error.exit_code = ExitCode(body["exit_code"])  # of the original error, such as a manifest error
        return error
    except (OSError, ValueError, KeyError):
        return SandboxError("the sandbox exited before it was ready", where=str(home.log), hint="check its log")


def _report_progress(home: StateDir, waiting: Callable[[int, int], None]) -> None:
    try:
        done, total = read_record(home.progress)
    except (OSError, ValueError):
        return
    waiting(done, total)


def write_record(path: Path, body: Any) -> None:
    """Write a JSON file of the directory atomically, with mode 0600. Raises OSError."""
    write_private_file(path, json.dumps(body, indent=2).encode())


def read_record(path: Path) -> Any:
    """Read a JSON file of the directory. Raises UnsafeFileError when others may write it, OSError, ValueError."""
    return json.loads(read_private_file(path))


def open_log(home: StateDir) -> IO[bytes]:
    """Open the log for appending, with mode 0600. Raises UnsafeFileError, OSError."""
    return os.fdopen(open_or_create_private_file(home.log, os.O_WRONLY | os.O_APPEND), "ab")
