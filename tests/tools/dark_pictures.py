"""Dark variants of the drawings in docs/images: the same drawing with other colors.

Written by `python tests/tools/dark_pictures.py` (part of `make pictures`).
"""

from __future__ import annotations

import re
from pathlib import Path

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
DRAWINGS = ("architecture", "packages", "peers", "trust")

_INK = "#e6edf3"
_DARK = {
    "#fff": "#0f141a", "#ffffff": "#0f141a",  # paper
    "#263238": _INK, "#000000": _INK,  # text and axes
    "#546e7a": "#a9b6c2", "#607d8b": "#8fa3b0", "#90a4ae": "#5c6b78", "#cfd8dc": "#3a4652", "#eceff1": "#1b232c",
    "#00796b": "#4db6ac", "#00897b": "#4db6ac", "#80cbc4": "#2f6f69", "#e0f2f1": "#12302e", "#c62828": "#ff7b72",
    "#1b6e53": "#3fb68b", "#8a94a6": "#6b7688",
}  # fmt: skip
_COLOR = re.compile(r'(?<=[:"\s])#[0-9a-f]{3}(?:[0-9a-f]{3})?\b')


def dark(svg: str) -> str:
    """The drawing in dark colors.

    Raises:
        KeyError: A color has no dark counterpart.
    """
    drawn = _COLOR.sub(lambda found: _DARK[found.group()], svg)
    # Matplotlib draws letters as paths without a fill, which is black unless it is inherited.
    return drawn.replace("<svg ", f'<svg fill="{_INK}" ', 1)


def paths_of(name: str) -> tuple[Path, Path]:
    """The light and the dark file of a drawing."""
    return IMAGES / f"{name}.svg", IMAGES / f"{name}-dark.svg"


if __name__ == "__main__":
    for each in DRAWINGS:
        light, target = paths_of(each)
        target.write_text(dark(light.read_text("utf-8")), "utf-8")
