"""Command lines to copy: they lead on from here, with manifest and output folder where these are not the usual ones."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

DEFAULT_MANIFEST = Path("accounts.yaml")
DEFAULT_OUT = Path("output")

_ABOUT_A_MANIFEST = frozenset(
    {"gen terraform", "gen diff", "gen check", "gen prove", "gen profiles", "runner verify", "runner rehearse"}
)
"""Commands that take the manifest as their first argument; all others have an option."""


def command_line(words: str, manifest: Path, out: Path) -> str:
    """A command with manifest and output folder. `words`: the program, the command and the rest, quoted already."""
    program, command, *rest = words.split(" ", 2)
    parts = [f"{program} {command}", *rest]
    if manifest != DEFAULT_MANIFEST:
        if parts[0] in _ABOUT_A_MANIFEST:
            parts.insert(1, shell_word(manifest))
        else:
            parts.append(f"--manifest {shell_word(manifest)}")
    if out != DEFAULT_OUT:
        parts.append(f"--out {shell_word(out)}")
    return " ".join(parts)


def shell_word(text: str | Path) -> str:
    """Text to be copied into a shell; a file's name that is no text in the quotes that bash and zsh have for it."""
    text = str(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        named = os.fsencode(text).replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
        return "$'" + named.replace("'", "\\'") + "'"
    return shlex.quote(text)
