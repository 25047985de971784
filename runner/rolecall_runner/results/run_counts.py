"""How a run's results came out, counted."""

from __future__ import annotations

from pathlib import Path

from rolecall_runner.results.journal import read_results
from rolecall_runner.results.result import Status


def counts_of(runs: Path, run_id: str) -> dict[str, int]:
    """How many targets ended in each status, those that occur; a target's last result counts. Raises JournalError."""
    last = {result.key: result.status for result in read_results(runs, run_id)}
    statuses = list(last.values())
    return {str(status): statuses.count(status) for status in Status if status in statuses}
