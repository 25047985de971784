"""Marks on a PDF page as the operators of its content stream, and the text that the built-in fonts can show.

reportlab keeps the file (see `pdf_file`). Its text calls cost ten times as much as all the rest of a page
(measured, 16 microseconds each), so text goes in as literal operators, most of which customers share.

The built-in fonts need no embedding and hold Windows-1252. Every other character is written as its number, as in <U+65E5>:
nothing is dropped, and nothing is drawn that a reader could take for something else.
"""

from __future__ import annotations

import re
from functools import lru_cache

PAGE = (595.28, 841.89)
"""A4 in points."""

REGULAR, BOLD, MONO = "Helvetica", "Helvetica-Bold", "Courier"
FACES = (REGULAR, BOLD, MONO)
"""Fonts of every document, in the order in which `pdf_file` makes them known."""

_RESOURCES = {face: f"F{number}" for number, face in enumerate(FACES, 1)}
"""The name by which pages call each font; reportlab counts them."""

_COURIER_WIDTH = 0.6

Colour = tuple[float, float, float]


@lru_cache(maxsize=4_096)
def shown(text: str) -> str:
    """The text with every character that the fonts cannot show, or nobody could see, as its number."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(sign if _fits(sign) else f"<U+{ord(sign):04X}>" for sign in text)


def _fits(sign: str) -> bool:
    return sign.isprintable() and len(sign.encode("cp1252", errors="ignore")) == 1


@lru_cache(maxsize=4_096)
def width(text: str, face: str) -> float:
    """Width of text that was through `shown`, in units of the font size."""
    if face == MONO:
        return _COURIER_WIDTH * len(text)
    from reportlab.pdfbase.pdfmetrics import stringWidth  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

    return float(stringWidth(text, face, 1))


_ESCAPES = {ord(sign): f"\\{sign}" for sign in "()\\"}
_OCTAL = re.compile("[^\x20-\x7e]")


@lru_cache(maxsize=4_096)
def string(text: str) -> str:
    """A PDF string of text that was through `shown`: ASCII alone, brackets and backslashes escaped."""
    plain = text.translate(_ESCAPES)
    return f"({plain})" if plain.isascii() else f"({_OCTAL.sub(_octal, plain)})"


def _octal(found: re.Match[str]) -> str:
    return f"\\{found.group().encode('cp1252')[0]:03o}"


def run(text: str, face: str, size: float) -> str:
    """Text in a font, to stand within `line`."""
    return f"/{_RESOURCES[face]} {size:g} Tf {string(text)} Tj"


def line(runs: str, x: float, y: float) -> str:
    """Runs on one baseline."""
    return f"BT 1 0 0 1 {x:.2f} {y:.2f} Tm {runs} ET"


def lines(strings: list[str], face: str, size: float, leading: float, at: tuple[float, float]) -> str:
    """Lines of PDF strings one below the other, the first with its baseline at `at`."""
    x, y = at
    body = "' ".join(strings)
    return f"BT /{_RESOURCES[face]} {size:g} Tf {leading:g} TL 1 0 0 1 {x:.2f} {y + leading:.2f} Tm {body}' ET"


def fill(colour: Colour) -> str:
    """The colour of text and areas from here on."""
    return "{:g} {:g} {:g} rg".format(*colour)


def stroke(colour: Colour, thickness: float) -> str:
    """Colour and thickness of lines from here on."""
    return "{:g} {:g} {:g} RG {:g} w".format(*colour, thickness)


def rectangle(x: float, y: float, wide: float, high: float, paint: str) -> str:
    """A rectangle by its lower left corner; `paint` is f (filled), S (stroked) or B (both)."""
    return f"{x:.2f} {y:.2f} {wide:.2f} {high:.2f} re {paint}"
