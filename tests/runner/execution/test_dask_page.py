"""The page on Dask says what the code does."""

from __future__ import annotations

import math
import re
from dataclasses import fields
from pathlib import Path

from rolecall_runner.execution.dask import DaskCluster

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "dask.md").read_text("utf-8")
STS_A_SECOND = 600
FORKS, ANSWER_SECONDS = 16, 0.15


def rows(heading: str) -> list[list[int]]:
    """The numbers of the rows of a table that begin with one, below a heading."""
    part = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if re.match(r"\| \d", line)]
    return [[int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", line)] for line in lines]


def test_the_pages_floors_are_those_of_sts() -> None:
    """Accounts times assumes over requests a second, in whole seconds."""
    found = rows("STS sets the pace")

    assert found
    assert [[n, math.ceil(n / STS_A_SECOND), math.ceil(n * 6 / STS_A_SECOND)] for n, *_ in found] == found


def test_the_pages_sizes_follow_from_its_own_numbers() -> None:
    """10,000 accounts of 3 and 20 calls, so many processes, as long as STS is not the limit."""
    found = rows("How many workers")
    calls_a_second = FORKS / ANSWER_SECONDS

    assert found
    assert [
        [n, math.ceil(10_000 * 3 / calls_a_second / n), math.ceil(10_000 * 20 / calls_a_second / n)] for n, *_ in found
    ] == [[row[0], *row[1:]] for row in found]


def test_the_page_gives_the_defaults_of_the_cluster() -> None:
    """How long a run waits for workers, and the names that Python users write."""
    defaults = {each.name: each.default for each in fields(DaskCluster)}

    assert f"waits {defaults['wait_seconds']:g} s" in PAGE
    assert 'ExecutionOptions("dask", scheduler="tls://' in PAGE
