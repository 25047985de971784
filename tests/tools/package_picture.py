"""The diagram of the packages in docs/images, generated from the table of the layout test.

Written by `python tests/tools/package_picture.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from project.test_layout import ORDER, ROOT, SOURCES

PICTURE = ROOT / "docs" / "images" / "packages.svg"

_WIDTH, _MARGIN, _TOP, _ROW, _BOX = 720, 20, 74, 26, 22
_COLUMNS = (_MARGIN, 550)
"""Left edges: the generator has rows with sub-packages."""
_NAME_WIDTH = 150
_CHARACTER = 6.6
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#263238}.t{font-weight:600;font-size:15px}.s{font-size:12px;fill:#546e7a}"
    ".p{fill:#e0f2f1;stroke:#00897b}.m{fill:#eceff1;stroke:#90a4ae}.i{fill:#fff;stroke:#00897b}"
)


def package_picture(order: Mapping[str, Sequence[str]], is_package: Mapping[str, bool]) -> str:
    """The SVG: a column for each of the two trees, the command line on top. `is_package`: false for a root module."""
    columns = [_rows(names) for names in order.values()]
    height = _TOP + _ROW * max(map(len, columns)) + _MARGIN
    title = "Packages of the generator and the runner; each imports only what is below it"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"><title>{title}</title>',
        f'<style>{_STYLE}</style><rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        _text(_MARGIN, 24, "Each package imports only what is below it. The runner also imports the generator.", "s"),
    ]
    for left, tree, rows in zip(_COLUMNS, order, columns, strict=False):
        parts.append(_text(left, 54, tree, "t"))
        for position, (name, inner) in enumerate(rows):
            top = _TOP + position * _ROW
            parts.extend(_row(left, top, name, inner, style="p" if is_package[f"{tree}.{name}"] else "m"))
    return "\n".join([*parts, "</svg>", ""])


def _rows(names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Top-level names, highest first, each with its sub-packages."""
    rows: dict[str, list[str]] = {}
    for name in reversed(names):
        package, _, inner = name.partition(".")
        rows.setdefault(package, []).extend([inner] if inner else [])
    return list(rows.items())


def _row(left: int, top: int, name: str, inner: Sequence[str], *, style: str) -> Iterator[str]:
    yield _box(left, top, _NAME_WIDTH, style)
    yield _text(left + 8, top + 15, name)
    at = left + _NAME_WIDTH + 6
    for each in inner:
        width = round(len(each) * _CHARACTER + 12)
        yield _box(at, top, width, "i")
        yield _text(at + 6, top + 15, each, "s")
        at += width + 4


def _box(left: int, top: int, width: int, style: str) -> str:
    return f'<rect x="{left}" y="{top}" width="{width}" height="{_BOX}" rx="4" class="{style}"/>'


def _text(left: int, baseline: int, text: str, style: str = "") -> str:
    attribute = f' class="{style}"' if style else ""
    return f'<text x="{left}" y="{baseline}"{attribute}>{escape(text)}</text>'


def current_picture() -> str:
    """The diagram of the current table and source tree."""
    is_package = {
        f"{tree}.{name}": (SOURCES[tree] / name.replace(".", "/")).is_dir()
        for tree, names in ORDER.items()
        for name in names
    }
    return package_picture(ORDER, is_package)


if __name__ == "__main__":
    PICTURE.write_text(current_picture(), "utf-8")
