"""The table of AWS's policy simulator in the documentation has the answers of the tests."""

from __future__ import annotations

import re

import pytest

from docs_runner import ROOT
from simulator_cases import CASES, SimulatorCase

ROW = re.compile(r"^\| (\d+[a-c]?) \|.*\| (\w+) \| (\w+) \| (\w+) \|$", re.MULTILINE)
ROWS = {number: answers for number, *answers in ROW.findall((ROOT / "docs" / "proof.md").read_text("utf-8"))}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_row_has_the_answers_of_aws_and_rolecall(case: SimulatorCase) -> None:
    assert [case.simulator, case.correct, case.answer()] == ROWS[case.number]


def test_every_row_is_a_case() -> None:
    assert [case.number for case in CASES] == list(ROWS)
