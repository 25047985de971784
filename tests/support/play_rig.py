"""Runs `runner play` in this process, on manifests of a few customers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from command_rig import Ended, runner


def run_play(*arguments: str | Path, cwd: Path, environ: Mapping[str, str] | None = None) -> Ended:
    """Run `runner play ARGUMENTS` in a folder."""
    return runner("play", *arguments, cwd=cwd, environ=environ)


def write(folder: Path, **files: str) -> Path:
    """Write files (`__` in a name replaces its dot) into a folder; returns the folder."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, "utf-8")
    return folder
