"""A headless Chromium installed on the machine, and pages that record unwanted activity."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser. Without one on PATH the test skips, under ROLECALL_REQUIRE_BROWSER it fails."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        if os.environ.get("ROLECALL_REQUIRE_BROWSER"):
            pytest.fail(f"none of {', '.join(NAMES)} is on PATH, and ROLECALL_REQUIRE_BROWSER is set")
        pytest.skip(f"none of {', '.join(NAMES)} is on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass(slots=True)
class Watched:
    """A page with its console messages, errors and network requests."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._asked(request))  # noqa: PLW0108 - a bound method would be kept on it

    def open(self, path: Path) -> Page:
        """Load a file; loading it is not counted as a request."""
        self.page.goto(path.as_uri())
        return self.page

    def _asked(self, request: Request) -> None:
        if not request.is_navigation_request():
            self.requests.append(request.url)
