"""The documentation of Dask matches the code."""

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
    """The numbers in the rows of the table below a heading that start with a number."""
    part = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if re.match(r"\| \d", line)]
    return [[int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", line)] for line in lines]


def test_documented_minimum_durations_follow_from_sts_limit() -> None:
    """Accounts times assumes divided by requests per second, in whole seconds."""
    found = rows("STS sets the pace")

    assert found
    assert [[n, math.ceil(n / STS_A_SECOND), math.ceil(n * 6 / STS_A_SECOND)] for n, *_ in found] == found


def test_documented_cluster_sizes_are_consistent() -> None:
    """For 10,000 accounts with 3 and 20 calls and this many processes, unless STS is the limit."""
    found = rows("How many workers")
    calls_a_second = FORKS / ANSWER_SECONDS

    assert found
    assert [
        [n, math.ceil(10_000 * 3 / calls_a_second / n), math.ceil(10_000 * 20 / calls_a_second / n)] for n, *_ in found
    ] == [[row[0], *row[1:]] for row in found]


def test_documented_cluster_defaults_match_code() -> None:
    """How long a run waits for workers, and the names in the Python API."""
    defaults = {each.name: each.default for each in fields(DaskCluster)}

    assert f"waits {defaults['wait_seconds']:g} s" in PAGE
    assert 'ExecutionOptions("dask", scheduler="tls://' in PAGE
