"""The documented exit codes equal those in the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rolecall_generator import errors
from rolecall_generator.errors import ExitCode, RolecallError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "exit-codes.md"
ROW = re.compile(r"^\| +(\d+) \| `(\w+)` \| ([^|]+) \| ?([^|]*)\|$", re.MULTILINE)

rows = ROW.findall(PAGE.read_text("utf-8"))


def test_page_lists_exactly_the_exit_codes() -> None:
    """Codes and names in docs/exit-codes.md equal ExitCode, in the same order."""
    assert [(code.value, code.name) for code in ExitCode] == [(int(number), name) for number, name, _, _ in rows]


@pytest.mark.parametrize("row", rows, ids=lambda row: row[1])
def test_page_lists_the_error_classes_of_each_code(row: tuple[str, str, str, str]) -> None:
    """Each row has a meaning in one sentence and exactly the error classes with its code."""
    number, _, meaning, classes = row
    known = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RolecallError)]

    assert meaning.endswith(".")
    assert sorted(kind.__name__ for kind in known if kind.exit_code == int(number)) == sorted(
        re.findall(r"`(\w+)`", classes)
    )
