"""The verify report in a real browser: content, filter, copying, and no external resources."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from browser_rig import Watched
from page_contrasts import contrasts_of
from proof_worlds import HOSTILE, customers
from rolecall_generator.reports.graph.graph_model import access_graph, describe
from rolecall_generator.reports.graph.svg import to_svg
from rolecall_runner.reports.formatters.html import run_html
from rolecall_runner.verify.customer_message import customer_message
from rolecall_runner.verify.verdict import Check, Diagnosis, Mark, Step, Verdict
from verdict_worlds import INFO, MESSAGE, REFUSAL, many, mixed, without_external_id

pytestmark = pytest.mark.browser

WORST_FIRST = ["account2", "account3", "globex", "acme-production-europe", "account1", "reena-in-sumesh", "initech"]


def page_of(verdicts: Iterable[Verdict]) -> str:
    """The report with the diagram of a small world."""
    graph = access_graph(*customers(2))
    return "".join(run_html(INFO, verdicts, picture_svg=to_svg(graph), words=describe(graph)))


@pytest.fixture
def opened(watched: Watched, tmp_path: Path) -> Callable[[Iterable[Verdict]], Page]:
    """A function that opens the report of verdicts."""

    def show(verdicts: Iterable[Verdict]) -> Page:
        path = tmp_path / "rollcall.html"
        path.write_text(page_of(verdicts), "utf-8")
        return watched.open(path)

    return show


def names(page: Page) -> list[str]:
    return page.locator("tbody th b").all_text_contents()


def test_page_is_self_contained(watched: Watched, opened: Callable[..., Page]) -> None:
    """The page loads nothing, complies with its Content-Security-Policy and throws no error, also while it is used."""
    page = opened(many(150, 3))
    page.fill("#filter", "customer")
    page.select_option("#show", "failed")
    page.click("summary >> nth=0")
    page.select_option("#show", "")
    page.click("#next")

    assert ([], []) == (watched.complaints, watched.requests)


def test_header_shows_the_number_of_verified_accounts(opened: Callable[..., Page]) -> None:
    """Title and header show the verdict, the other results and the run."""
    page = opened(mixed())

    assert "✗ 2 of 6 accounts passed" == page.inner_text("#verdict")
    assert "Verification of accounts.yaml: 2 of 6 accounts passed" == page.title()
    assert "2 failed, 1 unreachable, 1 inconclusive, 1 skipped" == page.inner_text(".summary")
    assert all(fact in page.inner_text("header") for fact in ("2026-11-24 09:00:00 UTC", INFO.run_id, INFO.caller_arn))


def test_passed_run_is_shown_as_passed(opened: Callable[..., Page]) -> None:
    """The header is green, no failure is shown, and the diagram has its own styles."""
    page = opened(many(3))

    assert "✓ All 3 accounts passed" == page.inner_text("#verdict")
    assert (1, 0) == (page.locator("header.good").count(), page.locator("article").count())
    assert "1.6px" == page.locator(".rc-edge").first.evaluate("edge => getComputedStyle(edge).strokeWidth")


def test_failures_come_first(opened: Callable[..., Page]) -> None:
    """Failed, unreachable, inconclusive, then passed and skipped, each kind in its order."""
    assert WORST_FIRST == names(opened(mixed()))


def test_failure_is_shown_with_cause_and_customer_message(opened: Callable[..., Page]) -> None:
    """The attempt, AWS's reply, the likely cause for the vendor, and the message to the customer."""
    page = opened(mixed())
    article = page.locator("article").nth(1)

    assert REFUSAL in article.inner_text()
    assert "Likely cause The role does not exist yet, or trusts another principal. not-applied" in article.inner_text()
    assert ["Message to account2", "Message to account3"] == page.locator(".message h3").all_inner_texts()
    assert MESSAGE == page.locator(".message pre").first.text_content()


def test_details_are_collapsed_and_open_for_print(opened: Callable[..., Page]) -> None:
    """The checks of every account can be opened, and are open in print."""
    page = opened(many(2))
    last = page.locator("tbody details pre").first
    hidden = last.is_visible()
    page.click("summary >> nth=0")
    unfolded = last.is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    assert (False, True) == (hidden, unfolded)
    assert [True] * 2 == [item.is_visible() for item in page.locator("tbody details pre").all()]
    assert [9] * 2 == [len(re.findall(r"^\S", text, re.MULTILINE)) for text in page.locator("tbody pre").all_text_contents()]


def test_customer_message_can_be_copied(watched: Watched, opened: Callable[..., Page]) -> None:
    """The button copies only the message to the clipboard and confirms it."""
    watched.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = opened([without_external_id()])
    page.click(".copy")
    page.wait_for_function("document.querySelector('.copy').textContent === 'Copied'")

    assert MESSAGE == page.evaluate("navigator.clipboard.readText()")


def test_message_is_selected_when_the_clipboard_is_denied(watched: Watched, opened: Callable[..., Page]) -> None:
    """A browser may deny clipboard access to a file; the user can then copy the selection."""
    page = opened([without_external_id()])
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.click(".copy")
    page.wait_for_function("document.querySelector('.copy').textContent !== 'Copy'")

    assert MESSAGE == page.evaluate("getSelection().toString()")
    assert [] == watched.complaints


def test_filter_keeps_accounts_with_every_word(opened: Callable[..., Page]) -> None:
    """The filter matches name, kind, role, cause and AWS's error; the counter shows the remaining accounts."""
    page = opened(mixed())
    found = {}
    for words in ("ACCOUNT 222222222223", "no-external-id-condition", "throttling rate", "switch role", "nobody"):
        page.fill("#filter", words)
        found[words] = names(page)

    assert {
        "ACCOUNT 222222222223": ["account2"],
        "no-external-id-condition": ["account2"],
        "throttling rate": ["acme-production-europe"],
        "switch role": ["reena-in-sumesh"],
        "nobody": [],
    } == found
    assert page.locator("#no-match").is_visible()
    assert "0 of 7 accounts, 0 not ok" == page.inner_text("#status")


def test_accounts_can_be_filtered_by_mark(opened: Callable[..., Page]) -> None:
    """Each mark that occurs is offered with its count, and one option selects all that are not ok."""
    page = opened(mixed())
    offered = page.locator("#show option").all_inner_texts()
    page.select_option("#show", label="not ok (4)")
    troubles = names(page)
    page.select_option("#show", "skipped")

    assert ["all (7)", "not ok (4)", "failed (2)", "unreachable (1)", "inconclusive (1)", "ok (2)", "skipped (1)"] == offered
    assert (WORST_FIRST[:4], ["initech"]) == (troubles, names(page))


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_thousands_of_accounts_are_paged(opened: Callable[..., Page], count: int) -> None:
    """100 per page, failures first; the filter finds rows of all pages."""
    page = opened(many(count, 1))

    first = (100, f"Page 1 of {count // 100}", f"customer-{count - 1}")
    assert first == (len(names(page)), page.inner_text("#page"), names(page)[0])
    page.click("#next")
    assert [f"customer-{number}" for number in range(99, 199)] == names(page)
    page.fill("#filter", f"customer-{count - 289}")
    assert [f"customer-{count - 289}"] == names(page)


def test_hostile_texts_are_shown_as_text(watched: Watched, opened: Callable[..., Page]) -> None:
    """Names and replies that would end a script or open an element are displayed literally and have no effect."""
    check = Check(Step.ASSUME, Mark.FAILED, HOSTILE, HOSTILE, HOSTILE, {HOSTILE: HOSTILE})
    verdict = Verdict(HOSTILE, HOSTILE, HOSTILE, HOSTILE, (check,), (Diagnosis(HOSTILE, HOSTILE, HOSTILE),))
    page = opened([verdict])
    page.fill("#filter", "onerror")

    assert [HOSTILE] == names(page)
    assert customer_message(verdict).rstrip() == page.locator(".message pre").text_content()
    assert "<img src=x" in customer_message(verdict)
    assert ("Verification of accounts.yaml: 0 of 1 account passed", 0) == (
        page.title(),
        page.locator("img").count(),
    )
    assert ([], []) == (watched.complaints, watched.requests)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_both_schemes(scheme: str, watched: Watched, opened: Callable[..., Page]) -> None:
    """Contrast between text and background is at least 4.5 (WCAG 2.2, 1.4.3)."""
    watched.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page = opened(mixed())
    page.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")
    found = contrasts_of(page, [
        ".verdict", ".summary", "header .soft", "thead th", ".failing th b", ".failing th code", ".doubtful th b",
        ".doubtful th code", "td.ok", "td.failed i", "td.doubtful i", "td.none", "summary", "#status", "article b",
        "article code", "article small", ".message h3", ".message pre", ".copy", ".failing details pre",
        ".doubtful details pre", "tbody:not([class]) details pre", "tbody:not([class]) summary",
    ])  # fmt: skip

    assert {} == {name: ratio for name, ratio in found.items() if ratio < 4.5}


def test_phone_needs_no_horizontal_scrolling(watched: Watched, opened: Callable[..., Page]) -> None:
    """At 400 pixels the table becomes a list, including all details; only the diagram scrolls, in its own frame."""
    watched.page.set_viewport_size({"width": 400, "height": 800})
    page = opened(mixed())
    page.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")

    assert 400 >= page.evaluate("document.documentElement.scrollWidth")
    assert page.evaluate("(box => box.scrollWidth <= box.clientWidth)(document.querySelector('table').parentElement)")


def test_page_is_complete_without_javascript(tmp_path: Path, browser: Browser) -> None:
    """The page has all accounts, failures first, with messages and details that open, and no control without effect."""
    path = tmp_path / "rollcall.html"
    path.write_text(page_of(many(150, 1)), "utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())

    page.locator("tbody summary").last.click()

    others = [f"customer-{number}" for number in range(149)]
    assert ["customer-149", *others] == page.locator("tbody th b").all_text_contents()
    assert page.locator("tbody details pre").last.is_visible()
    assert MESSAGE == page.locator(".message pre").text_content()
    hidden = [page.locator(control).is_hidden() for control in ("#controls", ".copy", "#pager")]
    assert [True] * 3 == hidden
    context.close()
