"""Values of conditions as patterns, and sets of patterns as automata, to find strings that some of them match.

A pattern with `*` and `?` is a sequence of tokens. The state of an automaton is a bit set of token positions, an integer,
so a step takes a few integer operations even for a union of many patterns. Matching is that of `wildcard` and `arn_like`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rolecall_generator.iam import Condition
from rolecall_generator.iam.matching.conditions import TextMatch, UnsupportedError, arn_components, find_operator
from rolecall_generator.iam.matching.wildcards import ARN_COLONS, Context, PolicyTemplate

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
    return tuple(Token(character) for character in text)


_OTHER_FORMS = {"k": "\u212a"}
"""Letters that are not ASCII and whose lower case is: only the Kelvin sign."""


def ignoring_case(text: str) -> Pattern:
    """The pattern that matches `text` ignoring case, for ASCII characters."""
    return tuple(
        Token(
            "".join(sorted({character, character.upper(), _OTHER_FORMS.get(character, character)}))
            if character.isascii()
            else character
        )
        for character in text.lower()
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
            for character in token.takes:
                self._letters[character] = self._letters.get(character, 0) | bit

    def _close(self, state: int) -> int:
        """Add the positions after stars, which are reachable without reading a character."""
        reached = state | (state & self._stars) << 1
        while reached != state:
            state, reached = reached, reached | (reached & self._stars) << 1
        return EVERYTHING if state & self._universal else state

    def step(self, state: int, character: str) -> int:
        """The state after one more character."""
        if state in (0, EVERYTHING):
            return state
        found = self._next.get((state, character))
        if found is None:
            colon = character == ":"
            moves = self._letters.get(character, 0) | self._any | (0 if colon else self._no_colon)
            found = self._close(((state & moves) << 1) | (state & (self._stay_colon if colon else self._stay)))
            self._next[state, character] = found
        return found

    def run(self, state: int, text: str) -> int:
        """The state after the text."""
        for character in text:
            state = self.step(state, character)
        return state

    def accepts(self, state: int) -> bool:
        """Whether any of the patterns matches the text read so far."""
        return state == EVERYTHING or state & self.final != 0

    def matches(self, text: str) -> bool:
        """Whether any of the patterns matches the text."""
        return self.accepts(self.run(self.start, text))

    def relevant(self, state: int) -> frozenset[str]:
        """The characters that this state distinguishes; all others lead to the same state."""
        if state in (0, EVERYTHING):
            return _NONE
        found = self._relevant.get(state)
        if found is None:
            colon = {":"} if state & (self._no_colon | (self._stay & ~self._stay_colon)) else set()
            found = frozenset(colon.union(character for character, bits in self._letters.items() if bits & state))
            self._relevant[state] = found
        return found


_NONE: frozenset[str] = frozenset()


def patterns_of(condition: Condition, stated: Context, *, variables: bool) -> Patterns | None:
    """The patterns that the condition compares its key with, whether negated or not; None if it compares no strings.

    `stated` has the values of all policy variables. `variables`: the document's version supports policy variables.
    """
    use = find_operator(condition.operator)
    if use is None or (match := use.operator.text) is None:
        return None
    if not variables or not any("${" in value for value in condition.values):
        return _plain_patterns(match, condition.values)
    filled = (_filled(match, value, stated) for value in condition.values)
    return frozenset(pattern for pattern in filled if pattern is not None)


def outlines_of(condition: Condition) -> tuple[Pattern, ...]:
    """For each value the pattern with `*` in place of every variable: all strings that the value can match.

    Raises UnsupportedError for an operator without patterns, or an invalid variable.
    """
    use = find_operator(condition.operator)
    if use is None or use.operator.text is None:
        raise UnsupportedError(f"{condition.operator} has no patterns")
    try:
        return tuple(_outline(use.operator.text, value) for value in condition.values)
    except ValueError as error:
        raise UnsupportedError(str(error)) from error


def _outline(match: TextMatch, value: str) -> Pattern:
    if match is TextMatch.ARN:
        return glob_of_components(PolicyTemplate(part).outline(wildcards=True) for part in arn_components(value))
    tokens = PolicyTemplate(value).outline(wildcards=match is TextMatch.WILDCARDS)
    if match is not TextMatch.IGNORE_CASE:
        return glob(tokens)
    parts = (ignoring_case(token[1:]) if token.startswith("\0") else glob(token) for token in tokens)
    return tuple(each for part in parts for each in part)


@lru_cache(maxsize=4_096)
def _plain_patterns(match: TextMatch, values: tuple[str, ...]) -> Patterns:
    """Cached, so that 10,000 roles with the same condition share one set, which is hashed once."""
    return frozenset(_plain(match, value) for value in values)


def _plain(match: TextMatch, value: str) -> Pattern:
    if match is TextMatch.EXACT:
        return literal(value)
    if match is TextMatch.IGNORE_CASE:
        return ignoring_case(value)
    if match is TextMatch.WILDCARDS:
        return glob(_tokens(value))
    return glob_of_components(map(_tokens, value.split(":", ARN_COLONS)))


def _tokens(value: str) -> list[str]:
    return [character if character in "*?" else "\0" + character for character in value]


def _filled(match: TextMatch, value: str, stated: Context) -> Pattern | None:
    """The pattern of a value with variables; None if a variable has no value, so that nothing matches."""
    if match is TextMatch.ARN:
        parts = [PolicyTemplate(component).fill(stated) for component in arn_components(value)]
        return (
            None if any(part is None for part in parts) else glob_of_components(part for part in parts if part is not None)
        )
    if match is TextMatch.WILDCARDS:
        tokens = PolicyTemplate(value).fill(stated)
        return None if tokens is None else glob(tokens)
    text = PolicyTemplate(value).literal(stated)
    if text is None:
        return None
    return literal(text) if match is TextMatch.EXACT else ignoring_case(text)
