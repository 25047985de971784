"""Memory of a process and of all that it started, as Linux's /proc tells it: for benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def family(pid: int) -> Iterator[int]:
    """A process and all that it started, by whichever of its threads."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = children.read_text().split()
        except OSError:
            continue
        for each in found:
            yield from family(int(each))


def memory(pid: int) -> float:
    """MiB of a process; shared pages count by their share where the system says so, else in full."""
    for name, key in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            lines = Path(f"/proc/{pid}/{name}").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(key):
                return int(line.split()[1]) / 1024
    return 0.0
