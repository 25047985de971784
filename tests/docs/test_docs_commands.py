"""Commands, options and linked files in the documentation exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from command_lines import complaint, of_epilogs, of_markdown, of_script

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKING = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "output" / "README.md"]
SCRIPTS = sorted((ROOT / "examples").rglob("*.sh"))
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")
IMAGE = re.compile(r'<(?:img|source)\b[^>]*?\b(?:src|srcset)="([^"]+)"')


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_documented_commands_and_options_exist(page: Path) -> None:
    """Every `gen` and `runner` command line of a page parses, including its last option."""
    lines = of_markdown(page.read_text("utf-8"))

    assert [] == [(" ".join(words), found) for words in lines if (found := complaint(words))]


@pytest.mark.parametrize("script", SCRIPTS, ids=name)
def test_commands_and_options_of_example_scripts_exist(script: Path) -> None:
    lines = list(of_script(script.read_text("utf-8")))

    assert lines
    assert [] == [(" ".join(words), found) for words in lines if (found := complaint(words))]


def test_help_examples_parse() -> None:
    """Every example in a help text is a valid command line."""
    lines = list(of_epilogs())

    assert len(lines) > 20
    assert [] == [(" ".join(words), found) for words in lines if (found := complaint(words))]


def test_command_lines_are_found_in_all_markdown_forms() -> None:
    """Command lines are found in fenced code, indented code, code spans and `$(...)`."""
    lines = [" ".join(words) for words in of_markdown((ROOT / "docs" / "how-to" / "verify.md").read_text("utf-8"))]

    assert {"gen terraform --quiet", "runner history", "runner verify", "runner sandbox env --as NAME"} <= set(lines)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("gen terraform --nope", "no option --nope of terraform"),
        ("gen terrafrom accounts.yaml", "no command terrafrom of gen"),
        ("runner sandbox upp", "no command upp of sandbox"),
        ("gen diff a.yaml b.yaml", "diff has no place for b.yaml"),
        ("gen schema > file && runner history -x", "no option -x of history"),
    ],
)
def test_invalid_command_line_is_reported(line: str, said: str) -> None:
    """An unknown command, option or argument is reported, also after a shell operator."""
    assert [said] == [found for words in of_script(line) if (found := complaint(words))]


UNPUBLISHED = re.compile(r"(?:pip|pipx|uv tool|uv pip) install [^\n]*?(?<![\w./-])rolecall(?:\[|(?=[\s'\"`]|$))")
"""A command that installs a package named rolecall from an index."""


def test_nothing_installs_rolecall_from_an_index() -> None:
    """rolecall is not on PyPI: a package of this name there would be someone else's."""
    folders = [ROOT / each for each in ("docs", "generator", "runner", "templates", "examples")]
    files = [
        path for folder in folders for path in folder.rglob("*") if path.suffix in {".md", ".py", ".j2", ".sh", ".yaml"}
    ]
    found = {name(path): UNPUBLISHED.findall(path.read_text("utf-8")) for path in [*files, *PAGES, ROOT / "Containerfile"]}

    assert {} == {path: commands for path, commands in found.items() if commands}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pip install 'rolecall[pdf]'", True),
        ("run: pipx install rolecall", True),
        ("uv tool install --constraints lock rolecall\n", True),
        ("pipx install ./tools/rolecall-0.1.0-py3-none-any.whl", False),
        ("pip install --no-deps /build/rolecall-*.whl", False),
        ("install rolecall with the extra pdf: pip install '.[pdf]'", False),
    ],
)
def test_installation_from_an_index_is_recognized(line: str, expected: bool) -> None:
    assert expected == bool(UNPUBLISHED.search(line))


@pytest.mark.parametrize("page", LINKING, ids=name)
def test_relative_links_resolve(page: Path) -> None:
    """Every relative link and picture of a document resolves to a file or folder of this repository."""
    text = page.read_text("utf-8")
    links = [*LINK.findall(text), *IMAGE.findall(text)]

    assert [] == [link for link in links if not (page.parent / link).exists()]
