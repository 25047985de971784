"""What is written of a plan's modules: from the memory where nothing changed, read where something did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.checking.fleet import Bench, read_modules
from rolecall_generator.checking.memory import Entry, load_memory, save_memory
from rolecall_generator.checking.module import Verdict
from rolecall_generator.checks.finding import Finding
from rolecall_generator.disk import output_error
from rolecall_generator.lock import Lock
from rolecall_generator.plan import Plan
from rolecall_generator.unplanned import unplanned


def unplanned_findings(out: Path, plan: Plan, lock: Lock) -> tuple[Finding, ...]:
    """Folders and Terraform files of the output folder that the manifest does not plan. Raises OutputError."""
    try:
        return tuple(unplanned(str(out), {module.path for module in plan.modules}, lock.modules.keys()))
    except OSError as error:
        raise output_error(error, str(out)) from error


@dataclass(frozen=True, slots=True)
class Written:
    """Verdicts by index of the modules that are not as planned, and how many were read."""

    verdicts: Mapping[int, Verdict]
    read: int


def read_written(
    bench: Bench, indices: Sequence[int], *, processes: int | None = None, progress: Callable[[int], None]
) -> Written:
    """Find out which of the modules with these indices are not as planned. Raises OutputError."""
    memory = load_memory(bench.out)
    unread = [
        index
        for index in indices
        if not memory.as_planned((module := bench.modules[index]).path, module.fingerprint, f"{bench.out}/{module.path}")
    ]
    known = len(indices) - len(unread)
    verdicts: dict[int, Verdict] = {}
    entries: dict[str, Entry] = dict(memory.entries)
    for read in read_modules(bench, unread, processes=processes, progress=lambda done: progress(known + done)):
        path = bench.modules[read.index].path
        entries.pop(path, None)
        if read.verdict is not None:
            verdicts[read.index] = read.verdict
        elif read.entry is not None:
            entries[path] = read.entry
    planned = {module.path for module in bench.modules}
    kept = {path: entry for path, entry in entries.items() if path in planned}
    # Only what was found right anew is worth the writing: a stale entry fits nothing that stands there now.
    if any(memory.entries.get(path) != entry for path, entry in kept.items()):
        save_memory(bench.out, kept)
    progress(len(indices))
    return Written(verdicts, len(unread))
