"""Reading many modules: in this process when they are few, else in one process a core.

A worker loads the manifest and plans by itself, and hands back only what is not as planned: what it would otherwise have
to be sent, and to send back, costs more than the reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rolecall_generator.checking.module import Verdict, judge
from rolecall_generator.errors import OutputError
from rolecall_generator.generate import previous_slots
from rolecall_generator.iam.difference import Label
from rolecall_generator.lock import read_lock
from rolecall_generator.manifest.load import load_manifest
from rolecall_generator.manifest.source import collection_paused
from rolecall_generator.naming import account_names, labeller
from rolecall_generator.output_state import FolderStamp, stamp_folder
from rolecall_generator.plan import PlannedModule, make_plan
from rolecall_generator.workers import Pool, chunked, worker_count

FEW = 400
"""Up to so many modules are read here: a further process costs as much as reading them."""
_CHUNK = 128


@dataclass(frozen=True, slots=True)
class Read:
    """One module that was read: the verdict if it is not as planned, else its folder's stamp (None if it has none)."""

    index: int
    verdict: Verdict | None
    stamp: FolderStamp | None


@dataclass(frozen=True, slots=True)
class Bench:
    """What reading needs: the manifest's file, the output folder, and the plan."""

    manifest: Path
    out: Path
    modules: Sequence[PlannedModule]
    label: Label


def read_modules(
    bench: Bench, indices: Sequence[int], *, processes: int | None = None, progress: Callable[[int], None]
) -> Iterator[Read]:
    """Read the modules with these indices. `progress` hears how many are done. Raises OutputError."""
    workers = worker_count(len(indices), few=FEW, processes=processes)
    if workers == 1:
        yield from _here(bench, indices, progress)
    else:
        yield from _in_processes(bench, indices, workers, progress)


def _here(bench: Bench, indices: Sequence[int], progress: Callable[[int], None]) -> Iterator[Read]:
    for done, index in enumerate(indices, start=1):
        yield _read(bench, index)
        progress(done)


def _in_processes(bench: Bench, indices: Sequence[int], workers: int, progress: Callable[[int], None]) -> Iterator[Read]:
    chunks = [(chunk, [bench.modules[index].fingerprint for index in chunk]) for chunk in chunked(indices, _CHUNK)]
    pool = Pool(_prepare, (bench.manifest, bench.out), _read_chunk, where=str(bench.out), resume="run the command again")
    done = 0
    for chunk, reads in zip(chunks, pool.run(chunks, workers), strict=True):
        yield from reads
        done += len(chunk[0])
        progress(done)


def _prepare(manifest: Path, out: Path) -> Bench:
    """A worker process's own plan."""
    with collection_paused():
        loaded = load_manifest(manifest)
        plan = make_plan(loaded.manifest, previous_slots(read_lock(out)))
    return Bench(manifest, out, plan.modules, labeller(account_names(loaded.manifest)))


def _read_chunk(bench: Bench, chunk: tuple[Sequence[int], Sequence[str]]) -> list[Read]:
    indices, fingerprints = chunk
    if any(
        index >= len(bench.modules) or bench.modules[index].fingerprint != fingerprint
        for index, fingerprint in zip(indices, fingerprints, strict=True)
    ):
        what = "the manifest or the lock changed while it was read"
        raise OutputError(what, where=str(bench.manifest), mend="run the check again")
    with collection_paused():
        return [_read(bench, index) for index in indices]


def _read(bench: Bench, index: int) -> Read:
    module = bench.modules[index]
    folder = bench.out / module.path
    stamp = stamp_folder(str(folder))  # before the reading, so that a change meanwhile is seen
    verdict = judge(module.build(), folder, root=module.path, label=bench.label)
    return Read(index, None, stamp) if verdict.as_intended else Read(index, verdict, None)
