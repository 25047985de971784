"""One Chromium per process for all browser tests, and a new page for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from browser_rig import Watched, chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser; it starts with the first test that uses it."""
    with chromium() as running:
        yield running


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    """A page with its own storage."""
    context = browser.new_context()
    yield Watched(context.new_page())
    context.close()
