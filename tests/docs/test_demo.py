"""`make demo` tells its story on one screen of a terminal with 80 columns."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from terminal_rig import on_terminal, screen

ROOT = Path(__file__).resolve().parents[2]
COLUMNS, ROWS = 80, 59


@pytest.mark.slow
def test_demo_fits_on_a_screen(tmp_path: Path) -> None:
    """At most 59 rows, none longer than the terminal, names unbroken; the files to look at exist."""
    code, shown = on_terminal(["bash", str(ROOT / "examples" / "demo.sh"), str(tmp_path)], COLUMNS)
    lines = [line.replace(str(tmp_path), "output/demo") for line in shown]
    words = {word for line in lines for word in line.split()}
    named = re.findall(r"^  (\S+)  ", "\n".join(lines).partition("Look at next")[2], re.MULTILINE)

    assert code == 0, "\n".join(lines)
    assert len(lines) <= ROWS
    assert [] == [line for line in lines if len(line) > COLUMNS]
    assert {"reena-in-sumesh", "reena-assumedRole", "account1"} <= words
    assert named
    assert [] == [name for name in named if not (tmp_path / name).is_file()]


def test_line_that_a_progress_bar_overwrites_is_not_visible() -> None:
    received = "kept\r\n\x1b[2Kaccounts ━━━ 0/1\r\n\x1b[1A\x1b[2K\r\x1b[32mthe result\x1b[0m \r\nlonger\rshort\r\n"

    assert ["kept", "the result", "shortr"] == screen(received)


def test_terminal_reports_its_width_to_programs() -> None:
    command = [sys.executable, "-c", "import os, sys; print(os.get_terminal_size().columns); sys.exit(3)"]

    assert (3, ["72"]) == on_terminal(command, 72)
