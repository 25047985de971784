"""The process of `runner sandbox up`: seeds a sandbox, publishes its address, and waits for its end."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO

from rolecall_generator.errors import RolecallError
from rolecall_generator.iam import PARTITIONS
from rolecall_generator.text import sanitize_line
from rolecall_runner.sandbox.protocol.faults import parse_faults
from rolecall_runner.sandbox.provisioning.seed import actor_environment, operator_environment, read_seed, seed
from rolecall_runner.sandbox.server.server import DEFAULT_LIMITS, Sandbox
from rolecall_runner.sandbox.server.state_dir import (
    OPERATOR,
    RunningSandbox,
    SandboxRequest,
    StateDir,
    open_log,
    read_record,
    write_record,
)

_POLL_SECONDS = 0.5


class _EndedError(Exception):
    """Stopped before all accounts were provisioned."""


def serve(home: StateDir, ended: threading.Event) -> None:
    """Run the sandbox until `ended` is set or its record disappears; with `keep_state`, restore and save its accounts."""
    wanted = SandboxRequest(**read_record(home.request))
    faults = parse_faults(wanted.faults) if wanted.faults else None
    sandbox_seed = read_seed(Path(wanted.manifest), Path(wanted.out)) if wanted.manifest else None
    limits = sandbox_seed.limits if sandbox_seed else DEFAULT_LIMITS
    region = (
        wanted.region or PARTITIONS[sandbox_seed.found.loaded.manifest.partition if sandbox_seed else "aws"].default_region
    )
    with (
        io.TextIOWrapper(open_log(home), "utf-8", line_buffering=True) as log,
        Sandbox(
            port=wanted.port, region=region, faults=faults, limits=limits, log=partial(_write_line, log, threading.Lock())
        ) as sandbox,
    ):
        if wanted.keep_state and home.state.exists():
            sandbox.restore(home.state)
        found = seed(sandbox, sandbox_seed, **_progress(home, ended)) if sandbox_seed else None
        actors = found.actors if found else ()
        variables = {actor.name: actor_environment(sandbox, actor) for actor in actors}
        write_record(home.environments, variables | {OPERATOR: operator_environment(sandbox)} | variables)
        running = RunningSandbox(
            os.getpid(),
            sandbox.url,
            sandbox.region,
            datetime.now(UTC).isoformat(timespec="seconds"),
            sandbox_seed.origin if sandbox_seed else "empty",
            found.accounts if found else tuple(sorted(sandbox.accounts)),
            actors,
        )
        write_record(home.record, asdict(running))
        own = home.record.read_bytes()
        # Also stop when the record was replaced or removed: nothing could find this sandbox to stop it.
        while not ended.wait(_POLL_SECONDS) and _unchanged(home.record, own):
            pass
        if wanted.keep_state and home.folder.exists():
            sandbox.save(home.state)
    home.environments.unlink(missing_ok=True)
    home.record.unlink(missing_ok=True)


def _write_line(log: IO[str], lock: threading.Lock, line: str) -> None:
    """Write one line with the time in UTC; names in it come from callers and may contain line breaks."""
    with lock:  # so that times ascend
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        log.write(f"{now} {sanitize_line(line)}\n")


def _unchanged(record: Path, own: bytes) -> bool:
    try:
        return record.read_bytes() == own
    except OSError:
        return False


def _progress(home: StateDir, ended: threading.Event) -> dict[str, Callable[[int], None]]:
    """Callbacks of `seed` that write the progress file, which `start` reads."""
    total = [0]

    def started(number: int) -> None:
        total[0] = number

    def progress(done: int) -> None:
        if ended.is_set():
            raise _EndedError
        write_record(home.progress, [done, total[0]])

    return {"started": started, "progress": progress}


def main(folder: str) -> int:
    """Run a sandbox for a state directory; an error goes to its failure file. Returns the exit code."""
    home = StateDir(Path(folder))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        serve(home, ended)
    except _EndedError:
        return 0
    except RolecallError as error:
        write_record(home.failure, {"text": str(error), "exit_code": int(error.exit_code)})
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
