"""Cost of a command: wall time, CPU time, peak memory of all its processes in total. For benchmarks; only on Linux."""

from __future__ import annotations

import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from process_memory import family, memory

_SAMPLE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Measured:
    """A completed command. `seconds` and `cpu` (seconds) from its start to its end; `mib` is a sampled peak."""

    seconds: float
    cpu: float
    mib: float
    code: int
    output: str
    errors: str


def measured(command: Sequence[str], environ: Mapping[str, str] | None = None) -> Measured:
    """Run a command to its end. Not concurrently: CPU time is that of all children of this process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    running = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak = [0.0]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            peak[0] = max(peak[0], sum(memory(pid) for pid in family(running.pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, errors = running.communicate()
    seconds = time.perf_counter() - begin
    ended.set()
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(seconds, cpu, peak[0], running.returncode, output, errors)
