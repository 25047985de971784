"""Phrases in lines of a given width: values in the fixed-width font, long ones broken where they must be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from rolecall_generator.handover.pdf_ink import BOLD, MONO, REGULAR, run, shown, string, width
from rolecall_generator.handover.words import Phrase, Value

_MONO_SHARE = 0.92
"""Courier looks larger than Helvetica of the same size."""

_WORD = re.compile(" *[^ ]+| +$")

Piece = tuple[str, str]
"""A piece of text and its face."""


@lru_cache(maxsize=4_096)
def wrapped(phrase: Phrase, wide: float, size: float, *, bold: bool = False) -> tuple[str, ...]:
    """The phrase in lines no wider than `wide` points, each as runs for `pdf_ink.line`; in bold, values are bold too."""
    limit = wide / size
    found: list[list[Piece]] = [[]]
    used = 0.0
    faces = (BOLD, BOLD) if bold else (REGULAR, MONO)
    for word in _words(phrase, faces):
        if used and used + sum(map(_wide, word)) > limit:
            found.append([])
            used = 0.0
        fitting = word if found[-1] else _without_blanks(word)
        if used + sum(map(_wide, fitting)) <= limit:
            found[-1] += fitting
            used += sum(map(_wide, fitting))
            continue
        for piece in _broken(fitting, limit):
            long = _wide(piece)
            if used + long > limit:
                found.append([])
                used = 0.0
            found[-1].append(piece)
            used += long
    return tuple(_runs(pieces, size) for pieces in found)


def _wide(piece: Piece) -> float:
    text, face = piece
    return width(text, face) * (_MONO_SHARE if face == MONO else 1.0)


def _words(phrase: Phrase, faces: tuple[str, str]) -> Iterator[list[Piece]]:
    """Pieces that must not be parted: a line breaks at blanks alone."""
    word: list[Piece] = []
    for part in phrase.parts:
        text, face = (part.text, faces[not part.prose]) if isinstance(part, Value) else (part, faces[0])
        for piece in _WORD.findall(shown(text)):
            if piece.startswith(" ") and word:
                yield word
                word = []
            word.append((piece, face))
    if word:
        yield word


def _without_blanks(word: list[Piece]) -> list[Piece]:
    text, face = word[0]
    return [(text.lstrip(" "), face), *word[1:]]


def _broken(word: list[Piece], limit: float) -> Iterator[Piece]:
    """A word that is longer than a line, in pieces of half a line at most."""
    for text, face in word:
        signs = max(1, int(limit / 2 / _wide(("m", face))))
        yield from ((text[at : at + signs], face) for at in range(0, len(text), signs))


def _runs(pieces: list[Piece], size: float) -> str:
    """Neighbours of one face as one run, so that what is copied from the page has no gaps."""
    merged: list[Piece] = []
    for text, face in pieces:
        if merged and merged[-1][1] == face:
            merged[-1] = (merged[-1][0] + text, face)
        else:
            merged.append((text, face))
    return " ".join(run(text, face, size * _MONO_SHARE if face == MONO else size) for text, face in merged)


@lru_cache(maxsize=512)
def fixed(text: str, signs: int) -> tuple[str, ...]:
    """Text with line breaks as PDF strings, lines that are longer than so many characters broken and indented."""
    found = []
    for row in text.split("\n"):
        rest = shown(row)
        indent = " " * min(len(rest) - len(rest.lstrip(" ")) + 4, signs // 2)
        while len(rest) > signs:
            found.append(string(rest[:signs]))
            rest = indent + rest[signs:]
        found.append(string(rest))
    return tuple(found)


@lru_cache(maxsize=1_024)
def shortened(text: str, face: str, limit: float) -> str:
    """Text that fits into `limit` (in units of the font size), its middle left out where it must be."""
    plain = shown(text)
    fitted, keep = plain, len(plain)
    while keep > 1 and width(fitted, face) > limit:
        keep = min(keep - 1, int(keep * limit / width(fitted, face)) + 1)
        half = keep // 2
        fitted = f"{plain[: keep - half]}…{plain[len(plain) - half :]}"
    return fitted
