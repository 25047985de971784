"""The documentation site in a real browser, opened from the disk: it asks no one, can be searched, and can be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import TimeoutError as StillWideError

from browser_rig import Watched
from built_site import build_site
from page_contrasts import contrasts_of

pytestmark = pytest.mark.browser

READABLE = 4.5
PAGES = ("index", "tutorial", "threat-model", "architecture", "manifest", "reference/gen", "rules/RC101", "how-to/ci")
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
    """The site as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    done = build_site(folder)
    assert 0 == done.returncode, done.stderr
    return folder


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_nobody_and_complains_of_nothing(site: Path, watched: Watched, name: str) -> None:
    """Everything that a page needs lies next to it, and nothing is written to the console."""
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
def test_the_search_works_without_a_server(site: Path, watched: Watched, words: str, expected: str) -> None:
    """Typed words find their page, and Enter opens one of those found."""
    page = watched.open(site / "index.html")
    page.locator("[data-md-component=search-query]").press_sequentially(words)  # the search listens to keys
    page.wait_for_selector(".md-search-result__item a")
    found = page.eval_on_selector_all(".md-search-result__item a", "links => links.map((link) => link.href)")

    assert expected in {link.removeprefix(f"{site.as_uri()}/").partition("?")[0].partition("#")[0] for link in found}
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/*.html?h=*")


def test_no_page_is_wider_than_the_screen(site: Path, watched: Watched) -> None:
    """Wide tables and outputs scroll by themselves; the page does not, on a phone, a tablet and a desk."""
    wide = []
    for name in PAGES:
        page = watched.open(site / f"{name}.html")
        for width in (360, 768, 1300):
            page.set_viewport_size({"width": width, "height": 800})
            try:  # the page lays itself out anew after the resize: on a busy machine that takes a moment
                page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width, timeout=5_000)
            except StillWideError:
                wide.append((name, width))

    assert [] == wide


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read_in_light_and_dark(site: Path, browser: Browser, scheme: str) -> None:
    """Words stand out from their paper, whichever colours the reader's system asks for."""
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto((site / "tutorial.html").as_uri())
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    contrasts = contrasts_of(page, TEXTS)
    context.close()

    assert ("rgb(255, 255, 255)" == paper) == (scheme == "light")
    assert {} == {text: contrast for text, contrast in contrasts.items() if contrast < READABLE}
