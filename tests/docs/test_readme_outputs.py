"""The README is short, and its commands, pictures and figures are those of the programs and pages."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from docs_page import Page, Typed
from docs_runner import ROOT, run_page

TEXT = (ROOT / "README.md").read_text("utf-8")
MAXIMUM_WORDS = 900
REFUSED = {"aws": "AccessDenied"}
"""Programs whose call must fail, with the error that they print."""


def section(title: str) -> str:
    """The part of the README below a heading of the second level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def commands(title: str) -> list[str]:
    """The commands of a section's blocks, without the remarks behind them."""
    blocks = re.findall(r"^```\n(.*?)^```$", section(title), re.MULTILINE | re.DOTALL)
    return [re.sub(r" {3,}#.*$", "", line) for block in blocks for line in block.splitlines()]


def test_readme_is_short() -> None:
    assert len(TEXT.split()) <= MAXIMUM_WORDS


@pytest.mark.slow  # starts two sandboxes
def test_first_minute_works_in_an_empty_folder(tmp_path: Path) -> None:
    """The commands succeed in order, and the sandbox refuses the request of the confused deputy."""
    typed = commands("60 seconds in the sandbox")
    results = run_page(Page((), tuple(Typed(each, (), 1) for each in typed)), tmp_path)
    expected = [each.split()[0] in REFUSED for each in typed]

    assert sum(expected) == len(REFUSED)
    assert expected == [result.code != 0 for result in results], results
    assert [] == [
        command
        for command, result in zip(typed, results, strict=True)
        if (error := REFUSED.get(command.split()[0])) and error not in "\n".join(result.lines)
    ]


def test_block_of_the_first_minute_is_found() -> None:
    """Otherwise the test that runs the block would run nothing."""
    assert {"gen init", "gen terraform", "gen prove", "runner verify --sandbox"} <= set(
        commands("60 seconds in the sandbox")
    )


def test_installed_extras_exist() -> None:
    """Every extra of an installation command is one of the package."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    named = [extra for found in re.findall(r'"\.\[([\w,]+)\]"', section("Install")) for extra in found.split(",")]

    assert named
    assert set() == set(named) - set(extras)


def test_every_picture_has_both_schemes_and_a_description() -> None:
    pictures = re.findall(r"<picture>(.*?)</picture>", TEXT, re.DOTALL)
    parts = [
        re.fullmatch(
            r'\s*<source media="\(prefers-color-scheme: dark\)" srcset="([\w/.-]+)-dark\.(\w+)">\s*'
            r'<img src="([\w/.-]+)\.(\w+)" alt="[^"]{20,}">\s*',
            picture,
        )
        for picture in pictures
    ]

    assert len(pictures) == len(re.findall("<img", TEXT)) > 0
    assert [] == [picture for picture, found in zip(pictures, parts, strict=True) if found is None]
    assert [] == [
        found[0] for found in parts if found and (found[1], found[2]) != (found[3].removesuffix("-light"), found[4])
    ]


def test_figures_of_the_bars_are_those_of_the_benchmarks() -> None:
    """Each tool and its seconds in the picture's description have a row in the table of the benchmarks."""
    description = re.search(r'images/peers\.svg" alt="([^"]+)"', TEXT)
    assert description is not None
    figures = [re.fullmatch(r"(.+) ([\d.]+) s", each.strip()) for each in description[1].split(",")]
    rows = re.findall(r"^\| ([^|]+) \| ([\d.]+) \|", (ROOT / "docs" / "benchmarks.md").read_text("utf-8"), re.MULTILINE)

    assert figures
    assert [] == [
        found and found[0]
        for found in figures
        if not found
        or not any(
            seconds == found[2] and found[1].removeprefix("plain ") in name.replace("`", "") for name, seconds in rows
        )
    ]
