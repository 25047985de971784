"""Runs a program on a pseudo-terminal, and shows what remains visible on it."""

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

_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([a-zA-Z])|([\r\n])|([^\r\n\x1b]+)")


def on_terminal(command: list[str], columns: int, folder: Path | None = None) -> tuple[int, list[str]]:
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
    with subprocess.Popen(
        command, stdout=follower, stderr=follower, stdin=subprocess.DEVNULL, env=environment, cwd=folder
    ) as process:
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
