"""MkDocs hooks for the site build: the command reference is generated from the programs."""

from __future__ import annotations

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# MkDocs loads this file by its path, not as part of a package.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from tools.app_tree import PROGRAMS, program
from tools.reference_page import reference_page

from docs_page import STARTS


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace the placeholders in the repository by the real `reference/gen.md` and `reference/runner.md`."""
    for name in PROGRAMS:
        page = File.generated(config, f"reference/{name}.md", content=reference_page(program(name)))
        if (stub := files.get_file_from_path(page.src_uri)) is not None:
            files.remove(stub)
        files.append(page)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show readers the files that a page's sessions start with; the source is a comment for the page runner."""
    del page, config, files
    return STARTS.sub(r"*What follows starts with the repository's* `\1` *as* `\2`.", markdown)
