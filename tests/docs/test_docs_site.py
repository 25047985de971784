"""The documentation site builds offline and has no broken links."""

from __future__ import annotations

import json
import re
from html import unescape
from itertools import pairwise
from pathlib import Path

import pytest
from tools.app_tree import PROGRAMS, program
from tools.reference_page import anchor
from tools.site_hooks import commands_of_block

from built_site import ROOT, Site, build_site, shared_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site built by `make docs`."""
    return Site(shared_site(tmp_path_factory))


def test_links_and_anchors_resolve(site: Site) -> None:
    """Links, images, scripts, styles and anchors of every built page exist."""
    assert [] == list(site.broken())


def test_site_loads_no_external_resources(site: Site) -> None:
    """No page or stylesheet refers to a font, script, style or image on another host."""
    styles = [path for path in site.folder.rglob("*.css") if re.search(r"url\(['\"]?https?:", path.read_text("utf-8"))]

    assert [] == list(site.foreign())
    assert [] == styles


def test_every_docs_page_is_in_the_site(site: Site) -> None:
    """Every page is built and in the search index."""
    found = json.loads((site.folder / "search" / "search_index.json").read_text("utf-8"))
    searched = {entry["location"].partition("#")[0] for entry in found["docs"]}
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    expected = {page.replace("README.html", "index.html") for page in pages}

    assert expected == searched


def test_starting_files_of_a_session_are_shown(site: Site) -> None:
    """The `starts with` comment for the page runner is shown as a sentence on the site."""
    text = (site.folder / "bundles.html").read_text("utf-8")

    assert (
        "starts with the repository's</em> <code>examples/accounts.yaml</code> <em>as</em> <code>accounts.yaml</code>"
        in text
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_reference_has_every_command_and_option(site: Site, name: str) -> None:
    """Each command has a section, and each option a row, on its program's page."""
    path = site.folder / "reference" / f"{name}.html"
    text = path.read_text("utf-8")
    commands = list(program(name).walk())

    assert [] == [each.name for each in commands[1:] if anchor(each) not in site.pages[path].ids]
    options = {option.written for command in commands for option in command.options}
    shown = {written.replace("&lt;", "<").replace("&gt;", ">") for written in re.findall(r"<td><code>([^<]+)</code>", text)}
    assert options
    assert set() == options - shown


def test_every_image_has_alt_text(site: Site) -> None:
    images = [image for page in site.pages.values() for image in page.images]

    assert images
    assert [] == [image for image in images if not image.get("alt")]


def test_headings_skip_no_level(site: Site) -> None:
    """A page has one heading of the first level, and screen readers find no gap below it."""
    levels = {str(path): page.headings for path, page in site.pages.items() if path.name != "404.html"}

    assert {} == {name: found for name, found in levels.items() if found.count(1) != 1 or found[0] != 1}
    assert {} == {name: found for name, found in levels.items() if any(low > high + 1 for high, low in pairwise(found))}


def test_no_page_is_large(site: Site) -> None:
    """At most 300 KB of HTML, so that pages open at once on a slow connection."""
    assert [] == [path.name for path in site.pages if path.stat().st_size > 300_000]


def test_navigation_has_the_sections_and_every_page() -> None:
    """Home, tutorial, how-to, reference and explanation; only the pages of single rules are left out."""
    lines = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    left_out = pages - set(re.findall(r"([\w/-]+\.md)$", lines, re.MULTILINE))

    assert ["Home", "Tutorial", "How-to", "Reference", "Explanation"] == re.findall(r"^  - ([\w-]+):", lines, re.MULTILINE)
    assert left_out
    assert [] == [page for page in left_out if not re.fullmatch(r"rules/R[AC]\d+\.md", page)]


def test_blocks_have_their_commands_to_copy(site: Site) -> None:
    """Sessions without prompts and output, and lists of commands without their remarks."""
    session, listed = (
        [unescape(each) for each in re.findall(r'data-copy="([^"]*)"', (site.folder / page).read_text("utf-8"))]
        for page in ("how-to/mfa.html", "customers.html")
    )

    assert [3, 1, 5] == [len(each.splitlines()) for each in session]
    assert not any(line.startswith("$ ") for each in session for line in each.splitlines())
    assert ["gen customer add acme --account-id 999999999999", "gen customer rotate-external-id acme"] == [
        listed[0].splitlines()[place] for place in (0, -1)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$ ls\nfile\n$ echo \\\n    done\ndone\n", "ls\necho \\\n    done"),
        ("gen bundle    # remark\ngen diff\n", "gen bundle\ngen diff"),
        ("gen bundle    a remark\n", "gen bundle"),
        ("gen bundle\n", None),
        ("output/      a folder\n", None),
        ("generator    not a command\n", None),
    ],
)
def test_commands_of_a_block(text: str, expected: str | None) -> None:
    assert expected == commands_of_block(text)


@pytest.mark.parametrize(
    ("line", "said"),
    [("[gone](gone.md)", "gone.md"), ("[gone](index.md#gone)", "#gone"), ("![gone](gone.svg)", "gone.svg")],
)
def test_broken_link_fails_the_build(tmp_path: Path, line: str, said: str) -> None:
    """In strict mode a missing page, anchor or image fails the build and is reported."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# Start\n\n{line}\n")
    text = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[0]
    text = re.sub(r"^(?:hooks|extra_css|extra_javascript):.*$|^not_in_nav:.*\n.*$", "", text, flags=re.MULTILINE)
    (tmp_path / "mkdocs.yml").write_text(text)
    done = build_site(tmp_path / "site", tmp_path / "mkdocs.yml")

    assert 0 != done.returncode
    assert said in done.stderr
