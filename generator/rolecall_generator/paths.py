"""Folders as options name them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rolecall_generator.errors import SelectionError


def folder_of(option: str) -> Callable[[str | Path], Path]:
    """Makes a path of an option's text, for Typer's `parser`.

    An empty text raises SelectionError: as a path it would be the current folder, and it comes from an unset variable.
    """

    def folder(text: str | Path) -> Path:
        if not str(text):
            raise SelectionError("an empty name is no folder", where=option, mend="name a folder; . is the current one")
        return Path(text)

    return folder
