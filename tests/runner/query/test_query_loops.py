"""Accounts of different content, small pages and faults: answers equal those of plain boto3 loops, call by call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from query_loops import assert_equal, faults
from query_rig import QueryRig, seeded


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryRig]:
    """Two accounts of different content; every third call fails."""
    with seeded(tmp_path_factory.mktemp("few"), ["account1", "account2"], faults(1)) as rig:
        rig.fill(1, most=8)
        yield rig


@pytest.mark.parametrize("name", ["instances", "groups", "functions", "users", "buckets", "tables"])
def test_answers_are_those_of_plain_loops(few: QueryRig, name: str) -> None:
    """Two accounts, small pages, throttles, 5xx and cut connections: the same items in the same order."""
    assert_equal(few, name, workers=6)
