"""Build hook that adds the man pages to the wheel, if `make man` has written them.

A static list of shared data would break every build from a checkout without man pages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPages(BuildHookInterface):
    """Installs `man/*.1` where `man` finds the pages of an installed program."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before each build; an editable installation has no files of its own."""
        if version != "editable":
            pages = sorted((Path(self.root) / "man").glob("*.1"))
            build_data["shared_data"].update({str(page): f"share/man/man1/{page.name}" for page in pages})
