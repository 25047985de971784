"""`make demo` tells its story on one screen of a terminal with 80 columns."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COLUMNS, ROWS = 80, 59
_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([a-zA-Z])|([\r\n])|([^\r\n\x1b]+)")


def on_terminal(command: list[str], columns: int) -> tuple[int, list[str]]:
    """The exit code, and the lines on a terminal that has this width and does not break lines."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 100, columns, 0, 0))
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "COLUMNS", "NO_COLOR", "PYTEST_"))
    }
    environment = {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TERM": "xterm-256color",
    }
    received = bytearray()
    with subprocess.Popen(command, stdout=follower, stderr=follower, stdin=subprocess.DEVNULL, env=environment) as process:
        os.close(follower)
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # Linux: the last process has closed the terminal
                break
            if not part:
                break
            received += part
    os.close(leader)
    return process.returncode, screen(received.decode("utf-8"))


def screen(received: str) -> list[str]:
    """The lines that remain visible; progress bars move up, erase lines and return to the first column."""
    lines, row, column = [""], 0, 0
    for number, control, move, text in _TOKEN.findall(received):
        if move == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif move == "\r":
            column = 0
        elif control == "A":
            row -= int(number or 1)
        elif control == "K":
            lines[row] = "" if number == "2" else lines[row][:column]
        elif text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.rstrip() for line in lines]


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
