"""docs/query.md says what is so of engines and forks."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from rolecall_runner.api import Fleet
from rolecall_runner.cli.play import play
from rolecall_runner.cli.query import query
from rolecall_runner.cli.verify import verify
from rolecall_runner.execution.execution_options import DEFAULT_PROCESSES, ExecutionOptions
from rolecall_runner.execution.interface import DEFAULT_WORKERS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "query.md").read_text("utf-8")
ROWS = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)


def test_the_pages_default_engine_is_that_of_every_way_in() -> None:
    """Commands, the Python API and what lies below agree on it, whatever the number of accounts."""
    found = re.search(r"`--engine (\w+)` is the default for any number of accounts", PAGE)
    assert found is not None

    ways = [inspect.signature(each).parameters["engine"].default for each in (query, verify)]
    assert [found[1]] * 4 == [*ways, ExecutionOptions().engine, Fleet().execution.engine]


def test_the_pages_forks_are_those_of_the_code() -> None:
    """The first line of the table is the default, and the processes are as many as it says."""
    defaults = [inspect.signature(each).parameters["forks"].default for each in (query, verify, play)]

    assert [DEFAULT_WORKERS] * 3 == defaults == [int(ROWS[0][0])] * 3
    assert 2 == DEFAULT_PROCESSES
    assert "two processes have `--forks` threads each" in " ".join(PAGE.split())


@pytest.mark.parametrize(("forks", "most", "measured"), ROWS)
def test_the_pages_calls_a_second_follow_from_the_delay(forks: str, most: str, measured: str) -> None:
    """Forks by the time of an answer; what was measured is no more."""
    seconds = re.search(r"With answers after ([\d.]+) s", PAGE)
    assert seconds is not None

    assert round(int(forks) / float(seconds[1])) == int(most)
    assert int(measured) <= int(most)
