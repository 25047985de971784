"""The process pool: order of results, errors of workers, and killed processes in all commands that use it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import pool_jobs
from bundle_worlds import bundles, world
from rolecall_generator.bundle import build as bundle_fleet
from rolecall_generator.check import module_check as fleet
from rolecall_generator.check.manifest_check import check_output
from rolecall_generator.check.module_check import prove_manifest
from rolecall_generator.errors import OutputError
from rolecall_generator.workers import Pool, chunked, worker_count


def pool(work: object, prepare: object = pool_jobs.prepared) -> Pool[int, list[int], list[int]]:
    return Pool(prepare, (100,), work, where="output", resume="run it again")  # type: ignore[arg-type]


def test_results_are_in_the_order_of_the_chunks() -> None:
    """Also with more chunks than are submitted at a time."""
    found = [item for items in pool(pool_jobs.add).run(chunked(range(40), 2), 2) for item in items]

    assert list(range(100, 140)) == found


@pytest.mark.parametrize(("work", "prepare"), [(pool_jobs.fails, pool_jobs.prepared), (pool_jobs.add, pool_jobs.unprepared)])
def test_error_of_worker_is_raised(work: object, prepare: object) -> None:
    """An error in `prepare` is not reported as a killed process."""
    with pytest.raises(LookupError):
        list(pool(work, prepare).run([[1]], 2))


def test_killed_worker_is_output_error() -> None:
    with pytest.raises(OutputError) as refused:
        list(pool(pool_jobs.killed).run([[1]], 2))

    assert ("output", "run it again") == (refused.value.where, refused.value.hint)


def test_worker_starts_with_sigint_blocked() -> None:
    """Ctrl-C during the imports of a worker prints no traceback; the signal mask of this process is restored."""
    found = list(pool(pool_jobs.interrupts_are_blocked).run([[1], [2]], 2))

    assert [[1], [1]] == found
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


@pytest.mark.parametrize(("items", "cores", "expected"), [(10, None, 1), (10, 4, 1), (400, 2, 2), (400, 1, 1), (0, 3, 1)])
def test_few_items_are_processed_without_workers(
    items: int, cores: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starting a process takes as long as processing some hundred modules."""
    monkeypatch.setattr("os.cpu_count", lambda: cores)

    assert expected == worker_count(items, sequential_limit=400)


def test_killed_worker_of_check_is_output_error(generated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "SEQUENTIAL_LIMIT", 2)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    before = check_output(generated / "accounts.yaml", generated / "output").report.active
    (generated / "output/.rolecall.cache").unlink(missing_ok=True)
    with monkeypatch.context() as broken:
        broken.setattr(fleet, "_read_chunk", pool_jobs.killed)
        with pytest.raises(OutputError):
            check_output(generated / "accounts.yaml", generated / "output")
        with pytest.raises(OutputError):
            prove_manifest(generated / "accounts.yaml", generated / "output")

    assert before == check_output(generated / "accounts.yaml", generated / "output").report.active


def test_killed_worker_of_gen_bundle_is_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bundles that were complete are kept."""
    manifest = world(tmp_path, 3)
    monkeypatch.setattr(bundle_fleet, "_make", pool_jobs.killed)
    with pytest.raises(OutputError):
        bundles(manifest, processes=2)
