"""Build hooks: the README for a package index, and the man pages in the wheel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"<picture>.*?(<img [^>]*>)\s*</picture>\n*", re.DOTALL)
_IMAGE = re.compile(r'(?<=<img src=")(?!https?:)([^"]+)')
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|mailto:|#)([^)\s]+)\)")


def published_readme(text: str, repository: str | None, version: str) -> str:
    """The README with absolute links, since relative ones are broken on a package index.

    Links lead to the tag of the version in the repository (a URL without a slash at its end), and those of a development
    version to its default branch. Pictures lose their dark variants, which indexes do not support. Without a repository,
    links become plain text, and pictures are left out.
    """
    if repository is None:
        return _LINK.sub(r"\1", _PICTURE.sub("", text))
    tag = "HEAD" if "dev" in version else f"v{version}"
    text = _PICTURE.sub(r"\1\n\n", text)
    text = _IMAGE.sub(lambda found: f"{repository}/raw/{tag}/{found[1]}", text)
    return _LINK.sub(lambda found: f"[{found[1]}]({repository}/blob/{tag}/{found[2]})", text)


class Readme(MetadataHookInterface):
    """Sets the description of the package; the repository is `Repository` in `[project.urls]`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling after it determined the version."""
        repository = metadata.get("urls", {}).get("Repository")
        text = (Path(self.root) / "README.md").read_text("utf-8")
        text = published_readme(text, repository, metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


class ManPages(BuildHookInterface):
    """Installs `man/*.1` where `man` finds the pages of an installed program, if `make man` has written them.

    A static list of shared data would break every build from a checkout without man pages.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before each build; an editable installation has no files of its own."""
        if version != "editable":
            pages = sorted((Path(self.root) / "man").glob("*.1"))
            build_data["shared_data"].update({str(page): f"share/man/man1/{page.name}" for page in pages})
