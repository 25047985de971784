"""Consoles that write to memory and ignore the environment of the tests."""

from __future__ import annotations

import io

from rolecall_generator.terminal import SafeConsole


def terminal(file: io.StringIO, *, width: int = 100, colour: bool = False, kind: str = "xterm") -> SafeConsole:
    """A terminal of this width; `kind` is its TERM."""
    system = "standard" if colour else None
    return SafeConsole(
        file=file, width=width, force_terminal=True, color_system=system, highlight=False, _environ={"TERM": kind}
    )  # fmt: skip


def pipe(file: io.StringIO) -> SafeConsole:
    """The programs' console when output is not a terminal: plain, without line wrapping."""
    return SafeConsole(file=file, width=80, soft_wrap=True, highlight=False, _environ={})
