"""The proof report in a real browser: content, filter, and no external resources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from browser_rig import Watched
from page_contrasts import contrasts_of
from proof_worlds import BACKEND, HOSTILE, customer_arn, customers
from rolecall_generator.iam.model import Access
from rolecall_generator.proof import Proof
from rolecall_generator.reports.formatters.html import proof_html
from rolecall_generator.reports.graph.graph_model import access_graph
from rolecall_generator.reports.graph.svg import to_svg

pytestmark = pytest.mark.browser

NO_ID = {"Condition": None}


@pytest.fixture
def opened(watched: Watched, tmp_path: Path) -> Callable[[tuple[Access, Proof]], Page]:
    """A function that opens the report of a world."""

    def show(world: tuple[Access, Proof]) -> Page:
        path = tmp_path / "proof.html"
        picture = to_svg(access_graph(*world))
        path.write_text(proof_html(world[1], title="accounts.yaml", picture_svg=picture, generated="today"), "utf-8")
        return watched.open(path)

    return show


def subjects(page: Page) -> list[str]:
    return page.locator("tbody th b").all_text_contents()


def test_page_is_self_contained(watched: Watched, opened: Callable[..., Page]) -> None:
    """The page loads nothing, complies with its Content-Security-Policy and throws no error, also while it is used."""
    page = opened(customers(150, {3: NO_ID}))
    page.fill("#filter", "customer")
    page.check("#show")
    page.uncheck("#show")
    page.click("#next")

    assert ([], []) == (watched.complaints, watched.requests)


def test_policy_hashes_match_the_styles(opened: Callable[..., Page]) -> None:
    """The hashes are those of the page's and the diagram's styles."""
    page = opened(customers(2, {1: NO_ID}))
    stroke = page.locator(".rc-bad .rc-edge").first.evaluate("edge => getComputedStyle(edge).strokeWidth")

    assert "6px" == page.locator("header").evaluate("header => getComputedStyle(header).borderLeftWidth")
    assert "3.2px" == stroke


def test_failures_come_first_with_their_counterexamples(opened: Callable[..., Page]) -> None:
    """A failing row comes first and describes who gets access and how."""
    page = opened(customers(5, {3: NO_ID}))

    assert ["customer-3", "customer-0", "customer-1", "customer-2", "customer-4"] == subjects(page)
    assert f"Role {BACKEND} can assume {customer_arn(3)} without an external ID, although this is not intended." == (
        page.locator(".result").first.inner_text()
    )
    assert "✗ Not proven" == page.inner_text("#verdict")


def test_details_are_collapsed_and_open_for_print(opened: Callable[..., Page]) -> None:
    """The deciding statement is hidden until it is opened or printed."""
    page = opened(customers(2, {1: NO_ID}))
    statement = page.locator(".why article pre").first
    hidden = statement.is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    assert not hidden
    assert statement.is_visible()


def test_filter_keeps_rows_with_every_word(opened: Callable[..., Page]) -> None:
    """The filter matches subject, role and, in failing rows, callers; the counter shows the remaining rows."""
    page = opened(customers(30, {3: NO_ID}))
    page.fill("#filter", "CUSTOMER-2 00002")

    assert [f"customer-2{end}" for end in ("", *range(10))] == subjects(page)
    assert "11 of 30 rows, 0 with failures" == page.inner_text("#status")
    page.fill("#filter", "backend_role")
    assert ["customer-3"] == subjects(page)
    assert page.locator("#no-match").is_hidden()
    page.fill("#filter", "no one at all")
    assert ([], True) == (subjects(page), page.locator("#no-match").is_visible())


def test_only_failures_hides_passed_rows(opened: Callable[..., Page]) -> None:
    """One click leaves only the failing rows."""
    page = opened(customers(30, {3: NO_ID, 7: NO_ID}))
    page.check("#show")

    assert ["customer-3", "customer-7"] == subjects(page)


def test_long_proofs_are_paged(opened: Callable[..., Page]) -> None:
    """100 rows per page; the filter finds rows of all pages."""
    page = opened(customers(250))
    first, label = len(subjects(page)), page.inner_text("#page")
    page.click("#next")
    page.click("#next")

    assert (100, "Page 1 of 3") == (first, label)
    assert [f"customer-{number}" for number in range(200, 250)] == subjects(page)
    assert page.is_disabled("#next")
    page.fill("#filter", "customer-249")
    assert ["customer-249"] == subjects(page)


def test_hostile_names_are_shown_as_text(watched: Watched, opened: Callable[..., Page]) -> None:
    """Names that would end a script or open an element are displayed literally, in row and diagram, and have no effect."""
    page = opened(customers(2, {1: {"Sid": HOSTILE, "Principal": "*"}}, name=lambda number: f"{HOSTILE}{number}"))
    page.fill("#filter", "0")

    assert f"{HOSTILE}0" in subjects(page)
    assert "accounts.yaml: not proven" == page.title()
    assert 0 == page.locator("img").count()
    assert ([], []) == (watched.complaints, watched.requests)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_both_schemes(scheme: str, watched: Watched, opened: Callable[..., Page]) -> None:
    """Contrast between text and background is at least 4.5 (WCAG 2.2, 1.4.3)."""
    watched.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page = opened(customers(3, {1: NO_ID}))
    contrasts = contrasts_of(page, [
        ".verdict", ".summary", "header .soft", "thead th", "tbody th b", "tbody th code", "td.ok", "td.failed i",
        "article h3", ".result", "summary", "#status", "#requests p", "#requests .soft", "#requests pre",
    ])  # fmt: skip

    assert {} == {name: ratio for name, ratio in contrasts.items() if ratio < 4.5}


def test_phone_needs_no_horizontal_scrolling(watched: Watched, opened: Callable[..., Page]) -> None:
    """At 400 pixels the table becomes a list; only the diagram scrolls, in its own frame."""
    watched.page.set_viewport_size({"width": 400, "height": 800})
    page = opened(customers(3, {1: NO_ID}))

    assert 400 >= page.evaluate("document.documentElement.scrollWidth")
    assert page.evaluate("(box => box.scrollWidth <= box.clientWidth)(document.querySelector('table').parentElement)")


def test_page_is_complete_without_javascript(tmp_path: Path, browser: Browser) -> None:
    """The page has all rows, failures first, and no control that would do nothing."""
    path = tmp_path / "proof.html"
    path.write_text(proof_html(customers(150, {120: NO_ID})[1], title="t", picture_svg="", generated="g"), "utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())

    others = [f"customer-{number}" for number in range(150) if number != 120]
    assert ["customer-120", *others] == page.locator("tbody th b").all_text_contents()
    assert page.locator("tbody tr").last.is_visible()
    assert (True, True) == (page.locator("#controls").is_hidden(), page.locator("#pager").is_hidden())
    context.close()
