"""The review page in a real browser: no external resources, readable in light and dark, printed on one page."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from pypdf import PdfReader

from browser_rig import Watched
from bundle_worlds import changed, notes, with_trust
from page_contrasts import contrasts_of
from rolecall_generator.bundle.forms.interface import Handover
from rolecall_generator.bundle.forms.review import review_html
from rolecall_generator.bundle.review.content import review_of

pytestmark = pytest.mark.browser

READABLE = 4.5
TEXTS = (".verdict", "h1", "h2", "header p", "header .soft", ".facts dt", ".facts dd", ".facts code", ".grants p", ".levels",
         ".grants .soft", "td.ok", ".proof td", "thead th", "figcaption",
         ".documents pre", ".sentences summary")  # fmt: skip
DELEGATED = ("td.delegated",)
RED = (".bad .verdict", ".warning", ".failure", "p.comparison", ".comparison li", "td.failed")


def marked(path: str) -> Any:
    """A bundle as a test parameter; further customers run only in CI."""
    is_further = path.startswith("customers/") and path != "customers/account1"
    return pytest.param(path, marks=pytest.mark.slow if is_further else ())


@pytest.fixture
def opened(watched: Watched, tmp_path: Path) -> Callable[[Handover], Page]:
    """A function that opens the review of a bundle."""
    return lambda handover: watched.open(written(handover, tmp_path))


def written(handover: Handover, folder: Path) -> Path:
    """The review as a file."""
    path = folder / "review.html"
    path.write_text(review_html(review_of(handover)), "utf-8")
    return path


def wrong() -> Handover:
    """A customer whose trust policy has no condition, and whose role allows everything."""
    sets = {"all": {"statements": [{"actions": ["*"], "resources": ["*"]}]}}
    handover = changed(permission_sets=sets, defaults={"permissions": ["all"]})["customers/a"]
    (role,) = handover.module.access.roles.values()
    assert role.trust is not None
    (statement,) = role.trust.statements
    return with_trust(handover, type(statement)(statement.effect, statement.actions, principals=statement.principals))


@pytest.mark.parametrize("path", [marked(path) for path in sorted(notes())])
def test_page_is_self_contained(path: str, watched: Watched, opened: Callable[[Handover], Page]) -> None:
    """The page loads nothing, complies with its Content-Security-Policy and throws no error, also when printed."""
    page = opened(notes()[path])
    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    assert ([], []) == (watched.complaints, watched.requests)


def test_headings_structure_the_page(opened: Callable[[Handover], Page]) -> None:
    """One main element, one first-level heading equal to the title, and a second-level heading per question."""
    page = opened(notes()["customers/account1"])

    assert ["Access to account 222222222222 (account1)"] == page.locator("main h1").all_inner_texts()
    assert "Security review: Access to account 222222222222 (account1)" == page.title()
    assert [
        "Who can assume it, and on which condition", "Access graph", "What it allows", "Proof", "How to revoke it",
        "Policy documents",
    ] == page.locator("main h2").all_inner_texts()  # fmt: skip


def test_diagram_is_accessible_to_screen_readers(opened: Callable[[Handover], Page]) -> None:
    """The diagram is one image with a name and a description."""
    picture = opened(notes()["customers/account1"]).get_by_role("img", name="Who can assume which role")

    assert 1 == picture.count()
    assert "role backend_role" in (picture.locator("desc").text_content() or "")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_both_schemes(scheme: str, browser: Browser, tmp_path: Path) -> None:
    """The contrast of every kind of text is at least 4.5 (WCAG 2.2 AA), with and without findings."""
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    worlds = (
        (notes()["customers/account1"], TEXTS),
        (notes()["switch-roles/reena-in-sumesh/trusting"], DELEGATED),
        (wrong(), RED),
    )
    found: dict[str, float] = {}
    for handover, selectors in worlds:
        page.goto(written(handover, tmp_path).as_uri())
        found |= contrasts_of(page, selectors)
    context.close()

    assert {} == {name: contrast for name, contrast in found.items() if contrast < READABLE}


def test_deviation_shows_sets_with_examples(watched: Watched, opened: Callable[[Handover], Page]) -> None:
    """A set of requests that is allowed and not intended has its conditions and a command; the page stays self-contained."""
    page = opened(wrong())
    lines = page.locator("ul.comparison li").all_inner_texts()

    assert 1 == page.locator("p.comparison", has_text="allows requests that are not intended: sts:AssumeRole").count()
    assert "sts:ExternalId: absent or not StringEquals id-1" in lines
    assert lines[-1].startswith("example: aws sts assume-role --role-arn")
    assert ([], []) == (watched.complaints, watched.requests)


@pytest.mark.parametrize("path", [marked(path) for path in sorted(notes()) if not path.endswith("trusted")])
def test_ordinary_role_prints_on_one_page(path: str, opened: Callable[[Handover], Page]) -> None:
    """A4, including the complete documents."""
    printed = PdfReader(BytesIO(opened(notes()[path]).pdf(prefer_css_page_size=True, print_background=True)))

    assert 1 == len(printed.pages)
    assert '"Action": "sts:AssumeRole"' in printed.pages[0].extract_text()


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_page_never_scrolls_horizontally(width: int, browser: Browser, tmp_path: Path) -> None:
    """On a phone, a tablet and a wide screen, for names of any length."""
    customer = {"name": "a" * 64, "account_id": "222222222222", "role": "R" * 64, "external_id": "e" * 600}
    handover = changed(customers=[customer])[f"customers/{'a' * 64}"]
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    wide = []
    for shown in (handover, wrong()):
        page.goto(written(shown, tmp_path).as_uri())
        wide.append(page.evaluate("document.documentElement.scrollWidth"))
    context.close()

    assert max(wide) <= width
