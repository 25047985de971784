"""Screenshots of a customer's security review in docs/images, light and dark.

Written by `python tests/tools/review_picture.py` (part of `make pictures`), with the Chromium of this machine. Each PNG
contains the SHA-256 of the page that it shows, so that a test finds an outdated one without a browser.
"""

from __future__ import annotations

import hashlib
import struct
import sys
import tempfile
import zlib
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from browser_rig import chromium
from docs_page import Page, Typed
from docs_runner import ROOT, run_page

THEMES = ("light", "dark")
_SIZE = (1000, 672)
_KEYWORD = b"page-sha256"
_SIGNATURE_BYTES = 8


def review_page(folder: Path) -> Path:
    """The review of account1 of the example manifest, from `gen bundle` run in an empty folder.

    Raises:
        RuntimeError: The command failed.
    """
    starts = (("examples/accounts.yaml", "accounts.yaml"),)
    (result,) = run_page(Page(starts, (Typed("gen bundle account1 --quiet", (), 1),)), folder)
    if result.code != 0:
        raise RuntimeError("\n".join(result.lines))
    return folder / "work" / "output" / "bundles" / "account1" / "review" / "review.html"


def path_of(theme: str) -> Path:
    """The file of a screenshot."""
    return ROOT / "docs" / "images" / f"review-{theme}.png"


def digest(page: Path) -> str:
    """The checksum of a page, as recorded in its screenshots."""
    return hashlib.sha256(page.read_bytes()).hexdigest()


def recorded_digest(png: bytes) -> str | None:
    """The checksum of the page that a screenshot shows; None if it has none."""
    place = _SIGNATURE_BYTES
    while place < len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        data = png[place + 8 : place + 8 + length]
        if kind == b"tEXt" and data.startswith(_KEYWORD + b"\0"):
            return data.partition(b"\0")[2].decode("ascii")
        place += 12 + length
    return None


def with_digest(png: bytes, value: str) -> bytes:
    """The screenshot with the checksum as a text chunk in front of its end."""
    data = b"tEXt" + _KEYWORD + b"\0" + value.encode("ascii")
    chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    end = png.rindex(b"IEND") - 4
    return png[:end] + chunk + png[end:]


def _update() -> None:
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        page = review_page(Path(folder))
        if all(path_of(each).exists() and recorded_digest(path_of(each).read_bytes()) == digest(page) for each in THEMES):
            return
        for theme in THEMES:
            context = browser.new_context(
                color_scheme=theme,  # type: ignore[arg-type]
                viewport={"width": _SIZE[0], "height": _SIZE[1]},
                device_scale_factor=1.5,
            )
            opened = context.new_page()
            opened.goto(page.as_uri())
            path_of(theme).write_bytes(with_digest(opened.screenshot(), digest(page)))
            context.close()


if __name__ == "__main__":
    _update()
