"""The built documentation site and the references of its pages."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
_RESOURCES = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


def build_site(folder: Path, configuration: Path = ROOT / "mkdocs.yml") -> subprocess.CompletedProcess[str]:
    """Build the site as `make docs` does."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]  # with --quiet nothing counts as a warning
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        [*command, "--config-file", str(configuration), "--site-dir", str(folder)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def shared_site(factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built once for all processes of a parallel run; tests only read it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "site"
    with folder.with_name("site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            done = build_site(partial := folder.with_name("site-partial"))
            assert 0 == done.returncode, done.stderr
            partial.rename(folder)
    return folder


@dataclass
class _Reader(HTMLParser):
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)
    images: list[dict[str, str | None]] = field(default_factory=list)
    headings: list[int] = field(default_factory=list)
    """Levels, in order."""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.ids |= {value for key in ("id", "name") if (value := attributes.get(key))}
        if tag == "a" and (target := attributes.get("href")) is not None:
            self.links.append(target)
        if tag in _RESOURCES and (target := attributes.get(_RESOURCES[tag])):
            self.resources.append(target)
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self.headings.append(int(tag[1]))
        if tag == "img":
            self.images.append(attributes)


class Site:
    """All pages of a built site, parsed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages: dict[Path, _Reader] = {}
        for path in sorted(folder.rglob("*.html")):
            self.pages[path] = reader = _Reader()
            reader.feed(path.read_text("utf-8"))

    def broken(self) -> Iterator[str]:
        """Broken links and resources inside the site: missing files, missing anchors."""
        for path, page in self.pages.items():
            for target in dict.fromkeys([*page.links, *page.resources]):
                parts = urlsplit(target)
                if parts.scheme or parts.netloc:
                    continue
                # References of the 404 page are relative to the site's root.
                base = self.folder if parts.path.startswith("/") else path.parent
                file = path if not parts.path else (base / unquote(parts.path).lstrip("/")).resolve()
                file = file / "index.html" if file.is_dir() else file
                anchor = unquote(parts.fragment)
                if not file.is_file():
                    yield f"{path.relative_to(self.folder)}: {target}: no such file"
                elif anchor and not anchor.startswith("__") and file in self.pages and anchor not in self.pages[file].ids:
                    yield f"{path.relative_to(self.folder)}: {target}: no such anchor"

    def foreign(self) -> Iterator[str]:
        """External resources that pages load when they are displayed."""
        for path, page in self.pages.items():
            for target in page.resources:
                if urlsplit(target).netloc:
                    yield f"{path.relative_to(self.folder)}: {target}"
