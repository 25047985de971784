"""Walks over strings: the shortest string for every combination of answers that a set of automata can give.

The automata are read in parallel, breadth first. At a state only the characters that one of them distinguishes are tried,
and one more for all others. The walk ends when no character leads to a new state, so every string of the domain gives the
answers of one of the strings found.
"""

from __future__ import annotations

import string
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from rolecall_generator.iam.catalog import regions_of
from rolecall_generator.iam.matching import Automaton, Pattern, Patterns, literal
from rolecall_generator.proof.symbolic.budget import BudgetShare, OutOfBudgetError

NAME_CHARACTERS = (
    "x" + "".join(sorted(set(string.ascii_lowercase) - {"x"})) + string.ascii_uppercase + string.digits + "_+=,.@-"
)
"""Characters of names in IAM and STS, `[\\w+=,.@-]` in ASCII. The first ones are preferred in examples."""
_PRINTABLE = NAME_CHARACTERS + " !#%&()/:;<>[]^{|}~\"'`\\$*?"
_FIRST_UNCOMMON, _LAST = 0xA1, 0x10FFFF


def _is_tag_character(letter: str) -> bool:
    """`[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]`, the characters of tag keys and values (STS API: Tag)."""
    return letter in "_.:/=+-@" or unicodedata.category(letter)[0] in "LZN"


@dataclass(frozen=True, slots=True, eq=False)
class Alphabet:
    """A set of characters. `preferred` are those for examples; `is_open`: there are others beyond them."""

    preferred: str
    accepts: Callable[[str], bool]
    is_open: bool = False

    @classmethod
    def of(cls, characters: str) -> Alphabet:
        """The set of exactly these characters."""
        return cls(characters, frozenset(characters).__contains__)

    def choices(self, distinguished: frozenset[str]) -> list[str]:
        """One character that is not distinguished, if there is one, and all that are distinguished, lower case first."""
        found = sorted(filter(self.accepts, distinguished), key=str.swapcase)
        for letter in self.preferred:
            if letter not in distinguished:
                return [letter, *found]
        if self.is_open:
            codes = range(_FIRST_UNCOMMON, _LAST)
            other = next((chr(c) for c in codes if chr(c) not in distinguished and self.accepts(chr(c))), None)
            return found if other is None else [other, *found]
        return found


ALPHABETS = {
    "any": Alphabet(_PRINTABLE, lambda _letter: True, is_open=True),
    "name": Alphabet.of(NAME_CHARACTERS),
    "external-id": Alphabet.of(NAME_CHARACTERS + ":/"),
    "tag": Alphabet(NAME_CHARACTERS.replace(",", "") + ":/ ", _is_tag_character, is_open=True),
    "digits": Alphabet.of("9876543210"),
}
"""The sets of characters that the values of keys consist of, by their name in the table of keys."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The strings that AWS accepts as values of a key. `pattern`: what all of them match, None for any string.

    `certain`: AWS is certain to accept only the values that one of these patterns matches; others are in no example. Empty:
    all values. `regions`: only names of Regions of the role's partition are certain.
    """

    alphabet: Alphabet = ALPHABETS["any"]
    shortest: int = 0
    longest: int | None = None
    pattern: Pattern | None = None
    certain: Patterns = frozenset()
    regions: bool = False

    def certain_in(self, partition: str) -> Patterns:
        """The patterns of values that AWS is certain to accept for a role of the partition; empty if it accepts all."""
        return _regions(partition) if self.regions else self.certain


@lru_cache(maxsize=16)
def _regions(partition: str) -> Patterns:
    return frozenset(map(literal, regions_of(partition)))


def matches(patterns: Patterns, text: str) -> bool:
    """Whether any of the patterns matches the text."""
    return _automaton(patterns).matches(text)


@lru_cache(maxsize=64)
def _automaton(patterns: Patterns) -> Automaton:
    return Automaton(patterns)


Answers = tuple[bool, ...]


def answers_of(automata: Iterable[Automaton], text: str) -> Answers:
    """For each automaton whether it matches the text."""
    return tuple([automaton.matches(text) for automaton in automata])


@dataclass(slots=True)
class Walk:
    """The shortest string for each combination of answers. `complete`: they cover all strings of the shape."""

    found: dict[Answers, str] = field(default_factory=dict)
    complete: bool = True


def walk(patterns: Sequence[Patterns], shape: Shape, share: BudgetShare) -> Walk:
    """Find the strings of the shape that the sets of patterns distinguish.

    If the budget is not sufficient, the walk is incomplete, and has an instance of each pattern in addition.
    """
    automata = [Automaton(union) for union in patterns]
    if shape.pattern is not None:
        automata.append(Automaton(frozenset({shape.pattern})))
    found = Walk()
    try:
        for states, text in _reachable(automata, shape, share):
            _add(found, automata, states, text, shape)
    except OutOfBudgetError:
        found.complete = False
        for text in (*instances(patterns), *SAMPLES):
            if fits(text, shape):
                _add(found, automata, [automaton.run(automaton.start, text) for automaton in automata], text, shape)
    return found


def _add(found: Walk, automata: Sequence[Automaton], states: Sequence[int], text: str, shape: Shape) -> None:
    answers = tuple([automaton.accepts(state) for automaton, state in zip(automata, states, strict=True)])
    if shape.pattern is None:
        found.found.setdefault(answers, text)
    elif answers[-1]:
        found.found.setdefault(answers[:-1], text)


def _reachable(automata: Sequence[Automaton], shape: Shape, share: BudgetShare) -> Iterator[tuple[tuple[int, ...], str]]:
    """The combinations of states that strings of the shape lead to, each with its shortest string."""
    weight = 1 + step_weight(automata)
    start = (0, tuple([automaton.start for automaton in automata]))
    seen, queue = {start}, deque([(start, "")])
    while queue:
        (length, states), text = queue.popleft()
        if length >= shape.shortest:
            yield states, text
        if len(text) == shape.longest:
            continue
        length = min(length + 1, shape.shortest)
        for letter in shape.alphabet.choices(relevant(automata, states)):
            step = (length, advance(automata, states, letter))
            share.spend(weight)
            if step not in seen:
                seen.add(step)
                queue.append((step, text + letter))


def step_weight(automata: Iterable[Automaton]) -> int:
    """The steps of a budget for one character. Long states take longer: about four times for 1,000 positions."""
    return sum(1 + (automaton.final.bit_length() >> _WIDE_BITS) for automaton in automata)


_WIDE_BITS = 8


def relevant(automata: Iterable[Automaton], states: Iterable[int]) -> frozenset[str]:
    """The characters that any of the automata distinguishes in these states."""
    return _NO_CHARACTERS.union(*[a.relevant(state) for a, state in zip(automata, states, strict=True)])


_NO_CHARACTERS: frozenset[str] = frozenset()


def advance(automata: Iterable[Automaton], states: Iterable[int], letter: str) -> tuple[int, ...]:
    """The states after one more character."""
    return tuple([a.step(state, letter) for a, state in zip(automata, states, strict=True)])


def fits(text: str, shape: Shape) -> bool:
    """Whether the text has the length and the characters of the shape; its pattern is not checked."""
    return (
        len(text) >= shape.shortest
        and (shape.longest is None or len(text) <= shape.longest)
        and all(map(shape.alphabet.accepts, text))
    )


def instances(patterns: Iterable[Patterns]) -> Iterator[str]:
    """One string that each pattern matches."""
    for union in patterns:
        for pattern in sorted(union, key=repr):
            yield instance(pattern)


SAMPLES = ("", "x", "xx", "x" * 64)
"""Strings to try where a walk was not completed; 64 characters are the longest name."""


def instance(pattern: Pattern) -> str:
    """A string that the pattern matches: `*` matches nothing, `?` matches `x`."""
    return "".join("" if token.star else "x" if token.is_wild else token.takes[0] for token in pattern)
