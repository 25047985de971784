"""The page of an audit in a real browser: what it shows, how it filters, and that it is self-contained."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from audit_accounts import EXAMPLE, NOW, generated_account
from browser_rig import Watched
from page_contrasts import contrasts_of
from rolecall_generator.audit import audit_accounts
from rolecall_generator.audit.account import AccountBuilder
from rolecall_generator.reports import AuditReport, audit_formats

pytestmark = pytest.mark.browser


def written(folder: Path, details: dict[str, object]) -> Path:
    builder = AccountBuilder("account.json")
    builder.add_page(details, "account.json")
    path = folder / "audit.html"
    path.write_text(audit_formats()["html"](AuditReport(audit_accounts(builder.build(), NOW), "account.json")), "utf-8")
    return path


def names(page: Page) -> list[str]:
    return page.locator("tbody th b").all_text_contents()


def test_page_is_self_contained(watched: Watched, tmp_path: Path) -> None:
    """It loads nothing and complies with its Content-Security-Policy, also while it is used."""
    page = watched.open(written(tmp_path, generated_account(250)))
    page.fill("#filter", "datadog")
    page.select_option("#show", "error warning")
    page.select_option("#show", "")
    page.fill("#filter", "")
    page.click("#next")
    page.click("tbody summary >> nth=0")

    assert ([], []) == (watched.complaints, watched.requests)


def test_filter_finds_roles_vendors_and_rules(watched: Watched, tmp_path: Path) -> None:
    page = watched.open(written(tmp_path, EXAMPLE))

    page.fill("#filter", "cloudhealth")
    assert ["cloudhealth"] == names(page)
    page.fill("#filter", "RA402")
    assert ["passes-roles"] == names(page)
    page.fill("#filter", "")
    page.select_option("#show", "none")
    assert "datadog" in names(page)
    assert "anyone" not in names(page)


def test_roles_with_errors_come_first_and_have_their_hints(watched: Watched, tmp_path: Path) -> None:
    page = watched.open(written(tmp_path, EXAMPLE))

    assert "administrator" == names(page)[0]
    assert "RA401" in (page.locator("tbody >> nth=0").text_content() or "")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable(browser: Browser, tmp_path: Path, scheme: Literal["light", "dark"]) -> None:
    context = browser.new_context(color_scheme=scheme)
    try:
        page = Watched(context.new_page()).open(written(tmp_path, EXAMPLE))
        found = contrasts_of(page, [".verdict", ".failing .findings b", ".doubtful .findings b", ".hint", "td.doubtful i"])
    finally:
        context.close()

    assert [] == [name for name, contrast in found.items() if contrast < 4.5]


def test_a_narrow_screen_needs_no_sideways_scrolling(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800})
    try:
        page = Watched(context.new_page()).open(written(tmp_path, EXAMPLE))
        width = page.evaluate("document.documentElement.scrollWidth")
    finally:
        context.close()

    assert width <= 390
