"""Accounts of different content, small pages and faults: answers equal those of plain boto3 loops, call by call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from query_loops import CASES, assert_equal, faults
from query_rig import QueryRig, seeded

QUICK = ("instances", "groups", "functions", "users", "buckets", "tables")


@pytest.fixture(
    scope="module",
    params=[pytest.param(2, id="two accounts"), pytest.param(50, marks=pytest.mark.slow, id="fifty accounts")],
)
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryRig]:
    """Accounts of different content; every third call fails."""
    names = [f"account{number}" for number in range(1, request.param + 1)]
    in_a_row = 1 if request.param == 2 else 2
    with seeded(tmp_path_factory.mktemp("loops"), names, faults(in_a_row)) as made:
        made.fill(in_a_row, most=8)
        yield made


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES])
def test_answers_are_those_of_plain_loops(rig: QueryRig, name: str) -> None:
    """Small pages, throttles, 5xx and cut connections: the same items in the same order."""
    assert_equal(rig, name, workers=min(32, 3 * len(rig.targets)))
