"""The status page and the customers' pages in a real browser: content, filter, sorting, keyboard, phones and contrast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from browser_rig import Watched
from page_contrasts import contrasts_of
from proof_worlds import HOSTILE
from rolecall_runner.reports.customer_page import customer_page
from rolecall_runner.reports.status_output import status_page
from rolecall_runner.status.overview import StatusReport
from status_worlds import customer, fleet, mixed_fleet, nightly, open_role, report_of

pytestmark = pytest.mark.browser

URGENT_FIRST = [
    "acme", "globex", "wonka", "initech", "massive", "hooli", "umbrella", "tyrell", "reena-in-sumesh", "wayne", "stark",
    "cyberdyne",
]  # fmt: skip


@pytest.fixture
def opened(watched: Watched, tmp_path: Path) -> Callable[[str], Page]:
    """A function that opens a page."""

    def show(content: str) -> Page:
        path = tmp_path / "page.html"
        path.write_text(content, "utf-8")
        return watched.open(path)

    return show


@pytest.fixture
def status(opened: Callable[[str], Page]) -> Page:
    """The status page of accounts in every state."""
    return opened(status_page(report_of(mixed_fleet())))


def names(page: Page) -> list[str]:
    return page.locator("tbody th b").all_text_contents()


def open_details(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")


def row_of(report: StatusReport, name: str) -> str:
    """The customer's page."""
    return customer_page(report, next(row for row in report.rows if row.target.name == name))


def test_page_is_self_contained(watched: Watched, opened: Callable[[str], Page]) -> None:
    """The page loads nothing, complies with its Content-Security-Policy and throws no error, also while it is used."""
    page = opened(status_page(report_of(list(fleet(150, 3)))))
    page.fill("#filter", "customer")
    page.select_option("#show", "drifting")
    page.select_option("#show", "")
    page.click("th[data-sort] button >> nth=2")
    page.click("#next")
    page.click("tbody summary >> nth=0")

    assert ([], []) == (watched.complaints, watched.requests)


def test_header_counts_the_accounts_of_each_state(status: Page) -> None:
    """Each with its sign and word, the most urgent first; the title has the verdict."""
    assert "✗ 3 of 12 accounts verified" == status.inner_text("#verdict")
    assert "Status of accounts.yaml: 3 of 12 accounts verified" == status.title()
    assert [
        "✗ 1 failed", "≠ 1 drifting", "! 1 outdated", "? 1 stale", "… 1 applied", "… 2 handed over", "- 2 not handed over",
        "✓ 3 verified",
    ] == status.locator(".counts li").all_inner_texts()  # fmt: skip
    assert "2026-11-24 12:00 UTC" in status.inner_text("header")


def test_most_urgent_accounts_come_first(status: Page) -> None:
    """Each row has the verdict as sign and word, since when, the last verification, and the next command."""
    assert URGENT_FIRST == names(status)
    cells = status.locator("tbody").first.locator("td")

    assert "✗ failed" == cells.nth(0).inner_text()
    assert ["2026-11-20", "4 d"] == cells.nth(1).inner_text().split("\n")
    assert ["2026-11-19 02:00", "5 d"] == cells.nth(2).inner_text().split("\n")
    assert "runner verify --limit acme" == cells.nth(4).locator("pre").inner_text()


def test_next_steps_have_one_command_per_state(status: Page) -> None:
    commands = status.locator("#next pre").all_inner_texts()

    assert 7 == len(commands)
    assert ["runner verify --limit acme", "gen bundle wonka"] == [commands[0], commands[2]]


def test_history_has_a_text_alternative(status: Page) -> None:
    """For assistive technology as a label, and for all readers as text in the details."""
    picture = status.locator("tbody").first.locator("svg")
    details = status.locator("tbody").first.locator("details")
    details.locator("summary").click()

    assert ("img", "30 runs: 25 ok, 5 failed") == (picture.get_attribute("role"), picture.get_attribute("aria-label"))
    assert "2026-10-26 to 2026-11-19: ok (25 runs)" in details.inner_text()


def test_passed_and_failed_runs_differ_by_position(status: Page) -> None:
    """Not only by color: passed runs are above the line, failed ones below it."""
    boxes = [status.locator(f"tbody >> nth=0 >> path.{each}").bounding_box() for each in ("ok", "failed")]

    assert all(boxes)
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"] + boxes[1]["height"] / 2  # type: ignore[index]


def test_command_can_be_copied(watched: Watched, status: Page) -> None:
    watched.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    status.click("tbody .copy >> nth=0")
    status.wait_for_function("document.querySelector('tbody .copy').textContent === 'Copied'")

    assert "runner verify --limit acme" == status.evaluate("navigator.clipboard.readText()")


def test_filter_finds_names_accounts_reasons_and_causes(status: Page) -> None:
    """A row is shown if it has every word; the states can be selected, with their counts."""
    found = {}
    for words in ("GLOB", "200000000007", "newer applied", "no-external-id-condition", "switch role", "nobody"):
        status.fill("#filter", words)
        found[words] = names(status)
    status.fill("#filter", "")
    status.select_option("#show", label="handed over (2)")

    assert {
        "GLOB": ["globex"],
        "200000000007": ["wonka"],
        "newer applied": ["wonka"],
        "no-external-id-condition": ["acme"],
        "switch role": ["reena-in-sumesh"],
        "nobody": [],
    } == found
    assert ["hooli", "umbrella"] == names(status)
    assert "2 of 12 accounts, 0 need attention" == status.inner_text("#status")


def test_columns_are_sorted_by_keyboard(status: Page) -> None:
    """Enter sorts, Enter again reverses; the heading has the order, and accounts without a value stay last."""
    status.focus("#show")
    status.keyboard.press("Tab")
    status.keyboard.press("Enter")
    by_name = names(status)
    status.keyboard.press("Enter")
    reverse = names(status)
    for _ in range(3):
        status.keyboard.press("Tab")
    status.keyboard.press("Enter")
    orders = status.locator("thead th").evaluate_all("all => all.map(each => each.getAttribute('aria-sort'))")

    assert (sorted(URGENT_FIRST), sorted(URGENT_FIRST, reverse=True)) == (by_name, reverse)
    assert ["initech", "acme", "globex", "wayne"] == names(status)[:4]
    assert {"massive", "hooli", "umbrella", "tyrell", "reena-in-sumesh"} == set(names(status)[-5:])
    assert [None, None, None, "ascending", None, None] == orders


def test_verdicts_are_sorted_by_urgency(status: Page) -> None:
    """Not by their words."""
    status.get_by_role("button", name="account").click()
    status.get_by_role("button", name="verdict").click()
    marks = status.locator("tbody").evaluate_all("all => all.map(each => each.dataset.mark)")

    assert ["failed", "drifting", "outdated", "stale", "applied", "handed-over", "handed-over"] == marks[:7]
    assert ["verified"] * 3 == marks[-3:]


def test_sorting_covers_all_pages(opened: Callable[[str], Page]) -> None:
    """Not only the rows that are shown."""
    page = opened(status_page(report_of(list(fleet(150)))))
    page.click("th[data-sort] button >> nth=0")
    page.click("th[data-sort] button >> nth=0")

    assert (100, "customer-149", "customer-050") == (len(names(page)), names(page)[0], names(page)[-1])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_both_schemes(scheme: str, watched: Watched, status: Page) -> None:
    """Contrast between text and background is at least 4.5 (WCAG 2.2, 1.4.3)."""
    watched.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    open_details(status)
    found = contrasts_of(status, [
        ".verdict", "header .soft", ".counts .failed b", ".counts .doubtful b", ".counts .ok b", ".counts .waiting b",
        ".steps .failed b", ".steps .doubtful b", ".step pre", ".step small", ".copy", "thead button", "thead th",
        ".failing th b", ".failing th code", ".doubtful th code", "td.failed i", "td.doubtful i", "td.ok i", "td.waiting i",
        ".failing td > small", ".doubtful td > small", ".failing .step small", ".doubtful .step small", ".failing dd",
        ".failing dt", ".doubtful dt", ".failing summary", ".doubtful summary", "th small", "#status", ".reading dt",
    ])  # fmt: skip

    assert {} == {name: ratio for name, ratio in found.items() if ratio < 4.5}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks_of_the_history_are_visible_in_both_schemes(scheme: str, watched: Watched, status: Page) -> None:
    """Contrast between the marks and the background of their row is at least 3 (WCAG 2.2, 1.4.11)."""
    watched.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    status.evaluate("document.querySelectorAll('.history path').forEach(e => (e.style.color = getComputedStyle(e).stroke))")
    rows = [".failing", ".doubtful", "tbody:not(.failing):not(.doubtful)"]
    styles = [".failing path.failed", ".failing path.drifting", *(f"{row} path.ok" for row in rows), "path.not-applied"]

    assert {} == {name: ratio for name, ratio in contrasts_of(status, styles).items() if ratio < 3}


def test_phone_needs_no_horizontal_scrolling(watched: Watched, status: Page) -> None:
    """At 390 pixels each row is a list, and the buttons that sort stay visible."""
    watched.page.set_viewport_size({"width": 390, "height": 800})
    open_details(status)
    status.get_by_role("button", name="account").click()

    assert 390 >= status.evaluate("document.documentElement.scrollWidth")
    assert status.evaluate("[...document.querySelectorAll('.scroll')].every(box => box.scrollWidth <= box.clientWidth)")
    assert sorted(URGENT_FIRST) == names(status)


@pytest.mark.parametrize("width", [320, 640, 901, 1024, 1280])
def test_long_names_and_reasons_are_wrapped(width: int, watched: Watched, opened: Callable[[str], Page]) -> None:
    """The table fits windows of all widths, also with strings that have no space."""
    target = customer(1, "a-very-long-name-of-a-customer-" * 3)
    entry = nightly(target, [open_role()] * 2)
    assert entry.failed is not None
    problem = replace(entry.failed, what="x" * 200, causes=("c" * 60,) * 3)
    watched.page.set_viewport_size({"width": width, "height": 800})
    page = opened(status_page(report_of([(target, replace(entry, failed=problem)), *mixed_fleet()])))
    open_details(page)

    assert width >= page.evaluate("document.documentElement.scrollWidth")
    assert page.evaluate("[...document.querySelectorAll('.scroll')].every(box => box.scrollWidth <= box.clientWidth)")


def test_page_is_complete_without_javascript(tmp_path: Path, browser: Browser) -> None:
    """All rows with details that open, and no control without effect."""
    path = tmp_path / "status.html"
    path.write_text(status_page(report_of(list(fleet(150, 2)))), "utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    page.locator("tbody summary").last.click()

    assert 150 == len(names(page))
    assert page.locator("tbody dl").last.is_visible()
    assert [True] * 3 == [page.locator(each).first.is_hidden() for each in ("#controls", ".copy", "#pager")]
    assert 0 == page.locator("thead button").count()
    context.close()


def test_print_has_the_details_and_no_controls(watched: Watched, status: Page) -> None:
    """With the color of urgent rows."""
    status.evaluate("dispatchEvent(new Event('beforeprint'))")
    watched.page.emulate_media(media="print")

    assert all(item.is_visible() for item in status.locator("tbody dl").all())
    assert [True] * 2 == [status.locator(each).first.is_hidden() for each in ("#controls", ".copy")]


def hostile_report() -> StatusReport:
    """A customer whose name, account, role and reason would end a script or open an element."""
    target = replace(customer(1, HOSTILE), account_id=HOSTILE, role_arn=HOSTILE, backend_role_arn=HOSTILE)
    entry = nightly(target, [open_role()] * 2)
    assert entry.failed is not None
    problem = replace(entry.failed, what=HOSTILE, causes=(HOSTILE,), run=HOSTILE)
    return report_of([(target, replace(entry, failed=problem, form=HOSTILE))])


def test_hostile_texts_are_shown_as_text(watched: Watched, opened: Callable[[str], Page]) -> None:
    """Markup and scripts in names, reasons and recorded values are displayed literally, on both pages."""
    report = hostile_report()
    page = opened(status_page(report))
    page.fill("#filter", "onerror")
    shown = (names(page), page.locator("img").count())
    page = opened(customer_page(report, report.rows[0]))

    assert ([HOSTILE], 0) == shown
    assert (1, 0) == (page.locator("main").count(), page.locator("img").count())
    assert HOSTILE in page.inner_text("h1")
    assert ([], []) == (watched.complaints, watched.requests)


CUSTOMER_PARTS: Sequence[str] = (
    ".verdict", "header .soft", "h2", ".facts dt", ".facts dd", ".grants p", ".grants .soft", "#grants > .soft", ".runs li",
    "#revoke code",
)  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["acme", "hooli", "wonka", "stark"])
def test_customer_page_is_readable_in_both_schemes(
    name: str, scheme: str, watched: Watched, opened: Callable[[str], Page]
) -> None:
    """Contrast of at least 4.5; nothing is loaded; at 390 pixels nothing has to be scrolled sideways."""
    watched.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page = opened(row_of(report_of(mixed_fleet()), name))
    found = contrasts_of(page, CUSTOMER_PARTS)
    watched.page.set_viewport_size({"width": 390, "height": 800})

    assert {} == {part: ratio for part, ratio in found.items() if ratio < 4.5}
    assert 390 >= page.evaluate("document.documentElement.scrollWidth")
    assert ([], []) == (watched.complaints, watched.requests)


def test_customer_page_is_complete_without_javascript(tmp_path: Path, browser: Browser) -> None:
    path = tmp_path / "acme.html"
    path.write_text(row_of(report_of(mixed_fleet()), "acme"), "utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())

    assert [True] * 5 == [page.locator(f"#{each}").is_visible() for each in ("todo", "role", "grants", "history", "revoke")]
    context.close()
