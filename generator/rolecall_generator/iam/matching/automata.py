"""Sets of policy patterns as automata, to find strings that some patterns match and others do not.

A pattern with `*` and `?` is a sequence of tokens. The state of an automaton is a bit set of token positions, an integer,
so a step takes a few integer operations even for a union of many patterns. Matching is that of `wildcard` and `arn_like`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rolecall_generator.iam.matching.wildcards import ARN_COLONS

ANY: Final = "any"
NO_COLON: Final = "no colon"
EVERYTHING: Final = -1
"""The state that accepts every string."""


@dataclass(frozen=True, slots=True)
class Token:
    """The characters that a position matches: ANY, NO_COLON, or one of the letters. A star matches any number of them."""

    takes: str
    star: bool = False

    @property
    def is_wild(self) -> bool:
        """Whether the position matches characters that are not listed."""
        return self.takes in (ANY, NO_COLON)


Pattern = tuple[Token, ...]
Patterns = frozenset[Pattern]
"""A union of patterns."""


def literal(text: str) -> Pattern:
    """The pattern that matches only `text`."""
    return tuple(Token(letter) for letter in text)


_OTHER_FORMS = {"k": "\u212a"}
"""Letters that are not ASCII and whose lower case is: only the Kelvin sign."""


def ignoring_case(text: str) -> Pattern:
    """The pattern that matches `text` ignoring case, for ASCII characters."""
    return tuple(
        Token("".join(sorted({letter, letter.upper(), _OTHER_FORMS.get(letter, letter)})) if letter.isascii() else letter)
        for letter in text.lower()
    )


def glob(parts: Iterable[str], wild: str = ANY) -> Pattern:
    """The pattern of tokens as returned by `PolicyTemplate.fill`: `*`, `?`, and literal text after a NUL."""
    tokens: list[Token] = []
    for part in parts:
        if part == "*":
            if not (tokens and tokens[-1] == Token(wild, star=True)):
                tokens.append(Token(wild, star=True))
        elif part == "?":
            tokens.append(Token(wild))
        else:
            tokens += literal(part.removeprefix("\0"))
    return tuple(tokens)


def glob_of_components(components: Iterable[Iterable[str]]) -> Pattern:
    """The pattern of an ARN whose six components are globs; the last one can match further colons."""
    tokens: list[Token] = []
    for index, parts in enumerate(components):
        if index:
            tokens.append(Token(":"))
        tokens += glob(parts, ANY if index == ARN_COLONS else NO_COLON)
    return tuple(tokens)


class Automaton:
    """A union of patterns. A state is the set of positions, as bits of an integer, that the text read so far can reach."""

    __slots__ = (
        "_any",
        "_letters",
        "_next",
        "_no_colon",
        "_relevant",
        "_stars",
        "_stay",
        "_stay_colon",
        "_universal",
        "final",
        "start",
    )

    def __init__(self, patterns: Patterns) -> None:
        self._letters: dict[str, int] = {}
        self._any = self._no_colon = self._stay = self._stay_colon = self._stars = self._universal = 0
        self.final = self.start = 0
        self._next: dict[tuple[int, str], int] = {}
        self._relevant: dict[int, frozenset[str]] = {}
        at = 0
        for pattern in patterns:
            self.start |= 1 << at
            for index, token in enumerate(pattern):
                self._add(1 << at, token, last=index == len(pattern) - 1)
                at += 1
            self.final |= 1 << at
            at += 1
        self.start = self._close(self.start)

    def _add(self, bit: int, token: Token, *, last: bool) -> None:
        if token.star:
            self._stars |= bit
            self._stay |= bit
            if token.takes == ANY:
                self._stay_colon |= bit
                self._universal |= bit if last else 0
        elif token.takes == ANY:
            self._any |= bit
        elif token.takes == NO_COLON:
            self._no_colon |= bit
        else:
            for letter in token.takes:
                self._letters[letter] = self._letters.get(letter, 0) | bit

    def _close(self, state: int) -> int:
        """Add the positions after stars, which are reachable without reading a character."""
        reached = state | (state & self._stars) << 1
        while reached != state:
            state, reached = reached, reached | (reached & self._stars) << 1
        return EVERYTHING if state & self._universal else state

    def step(self, state: int, letter: str) -> int:
        """The state after one more character."""
        if state in (0, EVERYTHING):
            return state
        found = self._next.get((state, letter))
        if found is None:
            colon = letter == ":"
            moves = self._letters.get(letter, 0) | self._any | (0 if colon else self._no_colon)
            found = self._close(((state & moves) << 1) | (state & (self._stay_colon if colon else self._stay)))
            self._next[state, letter] = found
        return found

    def run(self, state: int, text: str) -> int:
        """The state after the text."""
        for letter in text:
            state = self.step(state, letter)
        return state

    def accepts(self, state: int) -> bool:
        """Whether any of the patterns matches the text read so far."""
        return state == EVERYTHING or state & self.final != 0

    def relevant(self, state: int) -> frozenset[str]:
        """The characters that this state distinguishes; all others lead to the same state."""
        if state in (0, EVERYTHING):
            return _NONE
        found = self._relevant.get(state)
        if found is None:
            colon = {":"} if state & (self._no_colon | (self._stay & ~self._stay_colon)) else set()
            found = frozenset(colon.union(letter for letter, bits in self._letters.items() if bits & state))
            self._relevant[state] = found
        return found


_NONE: frozenset[str] = frozenset()
