"""Sentences whose values stay apart from our own words, so that every form escapes them in its own way.

A `Phrase` is what a text says; Markdown, HTML and PDF are ways of writing it down. Our own words are trusted, a value never
is: it may hold whatever stands in a manifest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rolecall_generator.html_page import escape
from rolecall_generator.render import markdown


@dataclass(frozen=True, slots=True)
class Value:
    """A part of a phrase that comes from the manifest: a name, an ARN, an id, a condition's value.

    `prose`: whole sentences with such values in them, which are set as text where a form can do that safely.
    """

    text: str
    prose: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence or a part of one: our own words, and values between them."""

    parts: tuple[str | Value, ...]

    def __str__(self) -> str:
        return "".join(part.text if isinstance(part, Value) else part for part in self.parts)

    def __html__(self) -> str:
        """HTML, values as code. Jinja2 takes it as escaped already."""
        return "".join(map(_element, self.parts))

    @property
    def md(self) -> str:
        """Markdown for running text and lists, values as code spans."""
        # The bar is escaped for tables alone: within a code span elsewhere the backslash would show.
        return self.cell.replace("\\|", "|")

    @property
    def cell(self) -> str:
        """Markdown for a cell of a table."""
        return "".join(_markdown(part.text) if isinstance(part, Value) else part for part in self.parts)


# What customers share stays in these however many there are: it is asked for again with each of them.
_html = lru_cache(maxsize=4_096)(escape)
_markdown = lru_cache(maxsize=4_096)(markdown)


def _element(part: str | Value) -> str:
    if isinstance(part, Value):
        return _html(part.text) if part.prose else f"<code>{_html(part.text)}</code>"
    return _html(part)


def say(pattern: str, *values: str | Phrase) -> Phrase:
    """A phrase of our own words with each `{}` replaced: by a value, or by the parts of another phrase."""
    words = _split(pattern)
    if len(words) != len(values) + 1:
        raise ValueError(f"{pattern!r} has {len(words) - 1} places for {len(values)} values")
    parts: list[str | Value] = [words[0]]
    for value, word in zip(values, words[1:], strict=True):
        if isinstance(value, Phrase):
            parts += value.parts
        else:
            parts.append(Value(value))
        parts.append(word)
    return Phrase(tuple(part for part in parts if part))


@lru_cache(maxsize=1_024)
def _split(pattern: str) -> tuple[str, ...]:
    return tuple(pattern.split("{}"))


def listed(values: Iterable[str | Phrase], last: str = "and") -> Phrase:
    """Values as people list them: `a`, `b` and `c`. `last` is a word, or a sign that stands before each further value."""
    items = list(values)
    if not items:
        return Phrase(())
    separators = ["", *[", "] * (len(items) - 2), f" {last} " if last.isalpha() else f"{last} "][: len(items)]
    return say("".join(f"{separator}{{}}" for separator in separators), *items)


def sentence(phrases: Sequence[Phrase]) -> Phrase:
    """Phrases one after the other, a space between them."""
    return say(" ".join(["{}"] * len(phrases)), *phrases)


def capital(phrase: Phrase) -> Phrase:
    """The phrase as the beginning of a sentence; a value at its head stays as it is."""
    first = phrase.parts[0] if phrase.parts else ""
    if not first or isinstance(first, Value):
        return phrase
    return Phrase((first[0].upper() + first[1:], *phrase.parts[1:]))


_UNITS = (("hour", 3_600), ("minute", 60), ("second", 1))


@lru_cache(maxsize=256)
def duration(seconds: int) -> str:
    """A length of time in the largest unit that fits without a rest: `1 hour`, `90 minutes`."""
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0)
    return counted(seconds // size, unit)


def counted(number: int, thing: str) -> str:
    """`1 role`, `2 roles`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
