"""The documentation site in a real browser, opened from disk: no requests, working search, readable text."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import TimeoutError as StillWideError

from browser_rig import Watched
from built_site import shared_site
from page_contrasts import contrasts_of

pytestmark = pytest.mark.browser

READABLE = 4.5
PAGES = ("index", "architecture", "reference/gen", "tutorial", "threat-model", "manifest", "rules/RC101", "how-to/ci")
TEXTS = (
    "article h1",
    "article h2",
    "article p",
    "article p a",
    "article p code",
    "article pre code",
    ".md-nav__link",
    ".md-header__title",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site built by `make docs`."""
    return shared_site(tmp_path_factory)


@pytest.mark.parametrize("name", [*PAGES[:3], *(pytest.param(name, marks=pytest.mark.slow) for name in PAGES[3:])])
def test_page_makes_no_requests_and_logs_nothing(site: Path, watched: Watched, name: str) -> None:
    """All resources of a page are local, and the console stays empty."""
    page = watched.open(site / f"{name}.html")
    page.wait_for_function("document.readyState === 'complete'")

    assert [] == watched.complaints
    assert watched.requests
    assert [] == [url for url in watched.requests if not url.startswith((f"{site.as_uri()}/", "data:", "blob:"))]
    assert [] == page.evaluate("[...document.images].filter((i) => !i.complete || !i.naturalWidth).map((i) => i.src)")


@pytest.mark.parametrize(
    ("words", "expected"),
    [("RC801", "rules/RC801.html"), ("rotate-external-id", "rotation.html"), ("confused deputy", "threat-model.html")],
)
def test_search_works_without_a_server(site: Path, watched: Watched, words: str, expected: str) -> None:
    """A query finds its page, and Enter opens a result."""
    page = watched.open(site / "index.html")
    page.locator("[data-md-component=search-query]").press_sequentially(words)  # the search handles key events
    page.wait_for_selector(".md-search-result__item a")
    found = page.eval_on_selector_all(".md-search-result__item a", "links => links.map((link) => link.href)")

    assert expected in {link.removeprefix(f"{site.as_uri()}/").partition("?")[0].partition("#")[0] for link in found}
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/*.html?h=*")


def test_no_page_is_wider_than_the_screen(site: Path, watched: Watched) -> None:
    """Wide tables and outputs scroll; the page does not, at phone, tablet and desktop width."""
    wide = []
    for name in PAGES:
        page = watched.open(site / f"{name}.html")
        for width in (360, 768, 1300):
            page.set_viewport_size({"width": width, "height": 800})
            try:  # the page is laid out again after the resize, which takes a moment on a busy machine
                page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width, timeout=5_000)
            except StillWideError:
                wide.append((name, width))

    assert [] == wide


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_both_schemes(site: Path, browser: Browser, scheme: str) -> None:
    """Text has sufficient contrast in the light and the dark color scheme."""
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto((site / "tutorial.html").as_uri())
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    contrasts = contrasts_of(page, TEXTS)
    context.close()

    assert ("rgb(255, 255, 255)" == paper) == (scheme == "light")
    assert {} == {text: contrast for text, contrast in contrasts.items() if contrast < READABLE}
