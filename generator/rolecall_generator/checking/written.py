"""What is written of a plan's modules: from the memory where nothing changed, read where something did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rolecall_generator.checking.fleet import Bench, read_modules
from rolecall_generator.checking.memory import Entry, load_memory, save_memory
from rolecall_generator.checking.module import Verdict


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
