"""MkDocs hooks for the site build.

- The command reference is generated from the programs.
- A picture with a dark variant is replaced by it on dark pages.
- Copy buttons of sessions copy the commands, without prompts and output.
"""

from __future__ import annotations

import re
import sys
from html import escape, unescape
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# MkDocs loads this file by its path, not as part of a package.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from tools.app_tree import PROGRAMS, program
from tools.reference_page import reference_page

from docs_page import STARTS, Typed, read_page

_PICTURE = re.compile(r"(!\[[^\]]*\]\()([^)#\s]+\.(?:svg|png))(\)(?:\{[^}]*\})?)")
_CODE = re.compile(r'(<div class="[^"]*\bhighlight\b[^"]*")>(<pre.*?</pre></div>)', re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_REMARK = re.compile(r"(?<=\S) {3,}\S.*$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace the placeholders in the repository by the real `reference/gen.md` and `reference/runner.md`."""
    for name in PROGRAMS:
        page = File.generated(config, f"reference/{name}.md", content=reference_page(program(name)))
        if (stub := files.get_file_from_path(page.src_uri)) is not None:
            files.remove(stub)
        files.append(page)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show readers the files that a page's sessions start with, and each picture in the colors of the page.

    The source of the former is a comment for the page runner. The latter has `NAME-dark.svg` next to `NAME.svg`, or next to
    `NAME-light.svg`.
    """
    del files
    folder = (Path(config.docs_dir) / page.file.src_uri).parent
    markdown = _PICTURE.sub(lambda found: _in_both_schemes(found, folder), markdown)
    return STARTS.sub(r"*What follows starts with the repository's* `\1` *as* `\2`.", markdown)


def _in_both_schemes(found: re.Match[str], folder: Path) -> str:
    start, source, end = found.groups()
    light = Path(source)
    dark = light.with_name(f"{light.stem.removesuffix('-light')}-dark{light.suffix}")
    if not (folder / dark).is_file():
        return found.group()
    return f"{start}{source}#only-light{end}\n{start}{dark.as_posix()}#only-dark{end}"


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Give the copy button of a block with commands only these; by default it copies the whole block."""
    del page, config, files
    return _CODE.sub(_with_commands, html)


def _with_commands(block: re.Match[str]) -> str:
    start, rest = block.groups()
    commands = commands_of_block(unescape(_TAG.sub("", rest)))
    return f'{start} data-copy="{escape(commands)}">{rest}' if commands else block.group()


def commands_of_block(text: str) -> str | None:
    """The commands of a block, one below the other.

    A session has commands behind prompts, and output. A list of commands has remarks, set off by at least three spaces.
    None if the block is neither, or has nothing but commands.
    """
    text = text.rstrip()
    if text.startswith("$ "):
        return "\n".join(step.command for step in read_page(f"````console\n{text}\n````").steps if isinstance(step, Typed))
    if text.startswith(tuple(f"{name} " for name in PROGRAMS)):
        commands = _REMARK.sub("", text)
        return commands if commands != text else None
    return None
