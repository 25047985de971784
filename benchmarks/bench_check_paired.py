"""`gen check` of one manifest by two source trees, in alternating runs: the cost of a change on this machine.

Run as `bench_check_paired.py BEFORE AFTER [CUSTOMERS [PAIRS]]` with two checkouts (default: 10,000 customers, 3 pairs). Both
use this Python and its libraries; only the source differs. Each tree checks modules that it generated itself, in a fresh
copy and with an empty cache, so that every first check reads every file. Prints wall and CPU time (seconds) of each run and
the ratios of the medians; asserts nothing.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from benchmarks.bench_check import RUN, say, write_manifest

TARGET = 1.3


@dataclass
class Tree:
    """A source tree with the modules it generated, and its figures: (wall, CPU) seconds of each run."""

    label: str
    source: Path
    pristine: Path
    first: list[tuple[float, float]] = field(default_factory=list)
    again: list[tuple[float, float]] = field(default_factory=list)

    def gen(self, folder: Path, *arguments: str) -> tuple[float, float]:
        """Wall and CPU seconds of a `gen` process of this tree and all its children."""
        paths = os.pathsep.join(str(self.source / name) for name in ("generator", "runner"))
        environment = dict(os.environ) | {"PYTHONPATH": paths, "XDG_CACHE_HOME": str(folder / "cache")}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", RUN, *arguments], cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=False
        )
        wall = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode not in (0, 1):
            raise SystemExit(f"{self.label}: gen {' '.join(arguments)} ended with {done.returncode}")
        return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def run(self, scratch: Path) -> None:
        """A first and a second check, in a fresh copy of the generated modules."""
        shutil.copytree(self.pristine, scratch)
        self.first.append(self.gen(scratch, "check"))
        self.again.append(self.gen(scratch, "check"))
        shutil.rmtree(scratch)


def main() -> None:
    before, after = (Path(argument).resolve() for argument in sys.argv[1:3])
    customers = int(sys.argv[3]) if len(sys.argv) > 3 else 10_000
    pairs = int(sys.argv[4]) if len(sys.argv) > 4 else 3
    folder = Path(tempfile.mkdtemp(prefix="rolecall-bench-"))
    try:
        trees = [Tree("before", before, folder / "before"), Tree("after", after, folder / "after")]
        for tree in trees:
            tree.pristine.mkdir()
            write_manifest(tree.pristine / "accounts.yaml", customers)
            tree.gen(tree.pristine, "terraform", "--no-check")
        for number in range(pairs):
            for tree in trees if number % 2 == 0 else reversed(trees):
                tree.run(folder / "scratch")
                (wall, cpu), (wall_again, _) = tree.first[-1], tree.again[-1]
                say(f"pair {number + 1}, {tree.label}: first {wall:.1f} s, CPU {cpu:.1f} s; again {wall_again:.2f} s")
    finally:
        shutil.rmtree(folder)
    say(f"{customers:,} customers, medians of {pairs} pairs, load {os.getloadavg()[0]:.1f}:")
    old, new = trees
    for label, figures in (("first check", (old.first, new.first)), ("nothing changed", (old.again, new.again))):
        for unit, index in (("wall", 0), ("CPU", 1)):
            one, other = (statistics.median(run[index] for run in runs) for runs in figures)
            say(f"  {label}, {unit}: {one:.2f} s before, {other:.2f} s after, ratio {other / one:.2f} (target {TARGET})")


if __name__ == "__main__":
    main()
