"""docs/query.md documents engines and forks as implemented."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from rolecall_runner.api import Fleet
from rolecall_runner.cli.play import play
from rolecall_runner.cli.query import query
from rolecall_runner.cli.verify import verify
from rolecall_runner.execution.interface import DEFAULT_PROCESSES, DEFAULT_WORKERS, ExecutionOptions

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "query.md").read_text("utf-8")
ROWS = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)


def test_documented_default_engine_matches_every_interface() -> None:
    """Commands, the Python API and the engine functions agree, for any number of accounts."""
    found = re.search(r"`--engine (\w+)` is the default for any number of accounts", PAGE)
    assert found is not None

    ways = [inspect.signature(each).parameters["engine"].default for each in (query, verify)]
    assert [found[1]] * 4 == [*ways, ExecutionOptions().engine, Fleet().execution.engine]


def test_documented_forks_match_code() -> None:
    """The first row of the table is the default, and the number of processes is as documented."""
    defaults = [inspect.signature(each).parameters["forks"].default for each in (query, verify, play)]

    assert [DEFAULT_WORKERS] * 3 == defaults == [int(ROWS[0][0])] * 3
    assert 2 == DEFAULT_PROCESSES
    assert "two processes have `--forks` threads each" in " ".join(PAGE.split())


@pytest.mark.parametrize(("forks", "most", "measured"), ROWS)
def test_documented_call_rate_follows_from_latency(forks: str, most: str, measured: str) -> None:
    """Forks divided by latency; the measured rate is not higher."""
    seconds = re.search(r"With answers after ([\d.]+) s", PAGE)
    assert seconds is not None

    assert round(int(forks) / float(seconds[1])) == int(most)
    assert int(measured) <= int(most)
