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
PAGES = (
    "index", "tutorial", "threat-model", "architecture", "benchmarks", "manifest", "reference/gen", "rules/RC101",
    "how-to/ci", "how-to/check", "for/security-reviewer",
)  # fmt: skip
TEXTS = (
    "article h1",
    "article h2",
    "article p",
    "article p a",
    "article p code",
    "article pre code",
    ".md-nav__link",
    ".md-header__title",
    ".md-tabs__link",
)

CODE = (".highlight .gp", ".highlight .go", ".highlight .nb", ".highlight .mi", ".highlight .s2")
TABLES = ("article th", "article td", "article td a")


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
    [
        ("RC801", "rules/RC801.html"),
        ("rotate-external-id", "rotation.html"),
        ("confused deputy", "threat-model.html"),
        ("--fail-on", "reference/runner.html"),
        ("--where", "query.html"),
        ("--handed-over", "onboarding.html"),
        ("switch role", "how-to/switch-roles.html"),
    ],
)
def test_search_works_without_a_server(site: Path, watched: Watched, words: str, expected: str) -> None:
    """A query finds its page, and Enter opens a result."""
    page = watched.open(site / "index.html")
    page.locator("[data-md-component=search-query]").press_sequentially(words)  # the search handles key events
    # Results of the first letters are shown, too, while the words are typed.
    page.wait_for_selector(f".md-search-result__item a[href*='/{expected}']", state="attached")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/*.html?h=*")


def test_copy_button_copies_the_commands(site: Path, browser: Browser) -> None:
    """Without prompts and output, all commands of a session in order; a command over two lines stays complete."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto((site / "how-to" / "mfa.html").as_uri())
    session = page.locator(".highlight", has_text="AssumedRoleUser")
    session.hover()
    session.locator(".md-clipboard, [data-md-type=copy]").click()
    page.wait_for_selector(".md-dialog--active")
    copied = page.evaluate("navigator.clipboard.readText()")
    context.close()

    assert ["runner sandbox up --quiet", 'eval "$(runner sandbox env --as alex)"'] == copied.splitlines()[:2]
    assert copied.splitlines()[2].endswith("--role-session-name alex \\")
    assert ["    --query AssumedRoleUser.Arn", "runner sandbox down"] == copied.splitlines()[3:]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_have_the_colors_of_the_page(site: Path, browser: Browser, scheme: str) -> None:
    """Each picture is shown once: its dark variant on dark pages, the other one on light pages."""
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    shown = []
    for name in ("index", "architecture", "benchmarks", "threat-model"):
        page.goto((site / f"{name}.html").as_uri())
        shown += page.eval_on_selector_all(
            "article img", "all => all.filter((each) => each.offsetWidth).map((each) => each.getAttribute('src'))"
        )
    context.close()

    assert len(shown) == len({source.partition("#")[0] for source in shown}) == 5
    assert [] == [source for source in shown if ("-dark." in source) != (scheme == "dark")]


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
    """Text has sufficient contrast in the light and the dark color scheme, also numbers, strings and names in code."""
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    contrasts: dict[tuple[str, str], float] = {}
    for name, texts in {"tutorial": TEXTS, "how-to/python": CODE, "for/operator": TABLES, "reference/gen": TABLES}.items():
        page.goto((site / f"{name}.html").as_uri())
        contrasts |= {(name, text): contrast for text, contrast in contrasts_of(page, texts).items()}
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()

    assert ("rgb(255, 255, 255)" == paper) == (scheme == "light")
    assert {} == {text: contrast for text, contrast in contrasts.items() if contrast < READABLE}


ANYWHERE = (
    "article h1", "article h2", "article h3", "article p", "article p a", "article p code", "article li", "article li a",
    "article th", "article td", "article td a", "article td code", "article pre code", *CODE, ".highlight .c1",
    ".highlight .k", ".highlight .nt",
)  # fmt: skip
"""Elements that a page may have, the first of each."""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_of_every_page_is_readable(site: Path, browser: Browser, scheme: str) -> None:
    """Each kind of text on each page of the site."""
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    weak: dict[str, dict[str, float]] = {}
    pages = sorted(path for path in site.rglob("*.html") if path.name != "404.html")
    for path in pages:
        page.goto(path.as_uri(), wait_until="domcontentloaded")
        low = {text: value for text, value in contrasts_of(page, ANYWHERE).items() if 0 < value < READABLE}
        if low:
            weak[path.relative_to(site).as_posix()] = low
    context.close()

    assert len(pages) > len(PAGES)
    assert {} == weak
