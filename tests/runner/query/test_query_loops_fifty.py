"""Fifty accounts of different content, small pages and faults: answers equal those of plain boto3 loops, call by call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from query_loops import CASES, assert_equal, faults
from query_rig import QueryRig, seeded


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryRig]:
    """Fifty accounts of different content; every third call fails."""
    names = [f"account{number}" for number in range(50)]
    with seeded(tmp_path_factory.mktemp("many"), names, faults(2)) as rig:
        rig.fill(2, most=9)
        yield rig


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_answers_of_fifty_accounts_are_those_of_plain_loops(many: QueryRig, name: str) -> None:
    """The same over fifty accounts."""
    assert_equal(many, name, workers=32)
