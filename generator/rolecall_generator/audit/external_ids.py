"""Weaknesses of external IDs: short, guessable, or an example of the documentation.

An external ID is not a secret, but another customer of the vendor must not be able to guess it (IAM User Guide, "Access to
AWS accounts owned by third parties", November 2026). The bits are upper bounds: an attacker who knows how the vendor creates
external IDs needs fewer attempts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from rolecall_generator.audit.tables import example_external_ids, predictable_words
from rolecall_generator.text import join_words

SHORT_CHARACTERS = 16
STRONG_BITS = 64.0
"""A shorter ID than `SHORT_CHARACTERS` is strong enough if its characters have this many bits."""
GUESSABLE_BITS = 32.0
"""An ID is guessable if the characters that are not predictable have fewer bits."""

_CLASSES = (("0123456789", 10), ("abcdef", 6), ("ghijklmnopqrstuvwxyz", 20), ("ABCDEF", 6), ("GHIJKLMNOPQRSTUVWXYZ", 20))
_SYMBOLS = 9
_ACCOUNT = re.compile(r"(?<![0-9])[0-9]{12}(?![0-9])", re.ASCII)
_DATE = re.compile(
    r"(?<![0-9])(?:19|20)[0-9]{2}[-_/.]?(?:0[1-9]|1[0-2])(?:[-_/.]?(?:0[1-9]|[12][0-9]|3[01]))?(?![0-9])", re.ASCII
)
_YEAR = re.compile(r"(?<![0-9])(?:19|20)[0-9]{2}(?![0-9])", re.ASCII)
_TIME_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", re.ASCII)
_RUN = 4
_SHORTEST_WORD = 3


class WeaknessKind(StrEnum):
    """Kinds of weakness."""

    SHORT = "short"
    GUESSABLE = "guessable"


@dataclass(frozen=True, slots=True)
class Weakness:
    """A weakness of an external ID. `reason` completes "the external ID ..." and does not contain the ID."""

    kind: WeaknessKind
    reason: str


@lru_cache(maxsize=4_096)
def weaknesses_of(value: str, known: tuple[str, ...] = ()) -> tuple[Weakness, ...]:
    """The weaknesses of an external ID.

    `known`: names that an attacker can know, such as those of the role, the vendor and the company.
    """
    found = []
    bits = estimated_bits(value)
    if len(value) < SHORT_CHARACTERS and bits < STRONG_BITS:
        found.append(Weakness(WeaknessKind.SHORT, f"has {len(value)} characters, at most {bits:.0f} bits"))
    if reason := _guessable_reason(value, known):
        found.append(Weakness(WeaknessKind.GUESSABLE, reason))
    return tuple(found)


def estimated_bits(text: str) -> float:
    """Upper bound of the information in a string, if its characters are chosen at random from those classes it uses."""
    size = sum(count for letters, count in _CLASSES if any(letter in letters for letter in text))
    size += _SYMBOLS if any(not letter.isalnum() for letter in text) else 0
    return len(text) * math.log2(size) if size > 1 else 0.0


def _guessable_reason(value: str, known: Iterable[str]) -> str:
    """Why an external ID is guessable; empty if it is not."""
    if value.lower() in example_external_ids():
        return "is an example of documentation or templates"
    if _TIME_UUID.fullmatch(value):
        return "is a UUID of version 1, which consists of a time and a network address"
    parts: list[str] = []
    rest = value
    for pattern, name in ((_ACCOUNT, "12 digits as in account IDs"), (_DATE, "a date"), (_YEAR, "a year")):
        if pattern.search(rest):
            parts.append(name)
            rest = pattern.sub("", rest)
    names = {word for text in known for word in _words(text)}
    unpredictable, word_parts = _without_words(rest, names)
    parts += word_parts
    shortened = _without_runs(unpredictable)
    if shortened != unpredictable:
        parts.append("a sequence or repetition")
    if not parts:
        return ""
    bits = estimated_bits(re.sub(r"[^A-Za-z0-9]", "", shortened))
    if bits >= GUESSABLE_BITS:
        return ""
    return f"consists of {join_words(dict.fromkeys(parts))}" + (f"; the rest has at most {bits:.0f} bits" if bits else "")


def _words(text: str) -> Iterable[str]:
    words = [word.lower() for word in _WORD.findall(text)]
    yield from (word for word in words if len(word) >= _SHORTEST_WORD)
    joined = re.sub(r"[^a-z0-9]", "", text.lower())
    if len(joined) >= _SHORTEST_WORD:
        yield joined


def _without_words(text: str, names: set[str]) -> tuple[str, list[str]]:
    """The string without words that an attacker can know, and what was removed.

    A word counts only if it is a whole word, by case or separators, so that random letters are not mistaken for one.
    """
    parts: list[str] = []
    joined = re.sub(r"[^a-z0-9]", "", text.lower())
    if joined in names:
        return "", ["a known name"]

    def replace(found: re.Match[str]) -> str:
        word = found[0].lower()
        if word in names:
            parts.append("a known name")
            return ""
        if word in predictable_words() or _is_compound(word, names | predictable_words()):
            parts.append("common words")
            return ""
        return found[0]

    return _WORD.sub(replace, text), parts


def _is_compound(word: str, known: Set[str]) -> bool:
    """Whether the string consists only of known words of at least `_SHORTEST_WORD` letters: `acmeprod`."""
    ends = [True] + [False] * len(word)
    for end in range(_SHORTEST_WORD, len(word) + 1):
        ends[end] = any(ends[start] and word[start:end] in known for start in range(end - _SHORTEST_WORD + 1))
    return ends[-1]


def _without_runs(text: str) -> str:
    """The string with each run of equal or consecutive characters shortened to its first character: `1234`, `aaaa`."""
    kept: list[str] = []
    index = 0
    while index < len(text):
        length = max(_run_length(text, index, step) for step in (-1, 0, 1))
        kept.append(text[index])
        index += length if length >= _RUN else 1
    return "".join(kept)


def _run_length(text: str, start: int, step: int) -> int:
    end = start + 1
    while end < len(text) and text[end].isalnum() and ord(text[end]) - ord(text[end - 1]) == step:
        end += 1
    return end - start
