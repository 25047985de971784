"""What MkDocs calls while it builds the site: the pages on the commands are made from the programs themselves."""

from __future__ import annotations

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # MkDocs loads this file by its path, outside any package

from tools.app_tree import PROGRAMS, program
from tools.reference_page import reference_page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the real `reference/gen.md` and `reference/runner.md` in the place of what says so in the repository."""
    for name in PROGRAMS:
        page = File.generated(config, f"reference/{name}.md", content=reference_page(program(name)))
        if (stub := files.get_file_from_path(page.src_uri)) is not None:
            files.remove(stub)
        files.append(page)
    return files
