"""The documented exit codes are the real ones."""

from __future__ import annotations

import re
from pathlib import Path

from rolecall_generator.errors import ExitCode

PAGE = Path(__file__).parents[1] / "docs" / "exit-codes.md"
ROW = re.compile(r"^\| (\d+) \| ([A-Z]+) \| (\S.*) \|$", re.MULTILINE)


def test_the_table_of_exit_codes_is_the_enumeration() -> None:
    """docs/exit-codes.md lists every code of ExitCode in its order, with its name and a meaning, and no other."""
    documented = [(int(code), name) for code, name, _ in ROW.findall(PAGE.read_text("utf-8"))]
    assert [(int(code), code.name) for code in ExitCode] == documented
