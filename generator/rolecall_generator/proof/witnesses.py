"""Finds a witness for each class of users, roles or external IDs that a set of patterns distinguishes.

The search runs the automata of all patterns in parallel over the strings that AWS accepts (12 digits; a path; a name of 1 to
64 characters). Strings with equal answers of all automata have the same decision, so the shortest string of each combination
of answers is its witness. The witnesses cover all strings if the search completes within its budget (`Witnesses.complete`).

Formats: botocore 1.44.5 service models (iam, sts), November 2026.
"""

from __future__ import annotations

import string
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from rolecall_generator.iam import Arn
from rolecall_generator.iam.matching import Automaton, Patterns

LONGEST_NAME = 64
LONGEST_PATH = 512
LONGEST_EXTERNAL_ID = 1_224
SHORTEST_EXTERNAL_ID = 2
_ACCOUNT_DIGITS = 12
_DIGITS = "9876543210"
_NAME = "x" + "".join(letter for letter in string.ascii_letters + string.digits + "_+=,.@-" if letter != "x")
_PATH_ONLY = "".join(chr(code) for code in range(0x21, 0x80) if chr(code) not in _NAME and chr(code) != "/")
_EXTERNAL_ID = _NAME + ":/"
KINDS = ("role", "user")

Answers = tuple[bool, ...]
Cell = tuple[str, Answers]
"""The kind of principal (role or user), and whether each automaton accepts it."""
_States = tuple[int, ...]


@dataclass(slots=True)
class Budget:
    """Remaining steps of a search. The search stops when `left` is negative."""

    left: int

    @property
    def is_exhausted(self) -> bool:
        """True if the search must stop."""
        return self.left < 0


@dataclass(frozen=True)
class CallerViews:
    """The patterns that a policy compares with a caller's ARN, account ID, and name without path.

    `aws:username` patterns in `by_name` only apply to users. Testing them on roles too is harmless: it only splits cells.
    """

    by_arn: tuple[Patterns, ...] = ()
    by_account: tuple[Patterns, ...] = ()
    by_name: tuple[Patterns, ...] = ()

    @cached_property
    def automata(self) -> tuple[tuple[Automaton, ...], tuple[Automaton, ...], tuple[Automaton, ...]]:
        """Automata for the ARN, the account ID and the name."""
        arn, account, name = (tuple(map(Automaton, sets)) for sets in (self.by_arn, self.by_account, self.by_name))
        return arn, account, name

    @cached_property
    def text(self) -> str:
        """All patterns as one string, independent of the order within a set."""
        sets = (patterns for view in (self.by_arn, self.by_account, self.by_name) for patterns in view)
        return "\n".join(
            " | ".join(sorted("".join(token.takes + "*" * token.star for token in pattern) for pattern in patterns))
            for patterns in sets
        )

    def cell_of(self, arn: str) -> Cell | None:
        """The cell of a user's or role's ARN; None for any other principal."""
        parsed = Arn.parse(arn)
        if parsed is None or parsed.service != "iam" or parsed.kind not in KINDS:
            return None
        read = ((self.automata[0], arn), (self.automata[1], parsed.account_id), (self.automata[2], parsed.name))
        answers = tuple(
            automaton.accepts(automaton.run(automaton.start, text)) for automata, text in read for automaton in automata
        )
        return parsed.kind, answers


@dataclass(slots=True)
class Witnesses:
    """Result of a search: the witness of each cell, and whether all cells were reached."""

    found: dict[Cell, str] = field(default_factory=dict)
    complete: bool = True


def find_callers(views: CallerViews, partition: str, budget: Budget) -> Witnesses:
    """Find the ARN of a user or role for every cell that has one.

    A cell also has a witness if AWS may reject all its ARNs (see `fits`). Ordinary paths are searched first, which is
    faster.
    """
    found = Witnesses()
    heads = list(_accounts(views, f"arn:{partition}:iam::", budget))
    for any_path in (False, True):
        for kind in KINDS:
            for cell, arn in _tails(heads, views, kind, budget, any_path=any_path):
                if cell not in found.found:
                    found.found[cell] = _with_shorter_name(arn, cell, views)
    found.complete = not budget.is_exhausted
    return found


def fits(arn: str) -> bool:
    """Whether AWS is certain to accept the path and name of a user's or role's ARN: neither too long, no empty segment."""
    parsed = Arn.parse(arn)
    return (
        parsed is not None
        and "//" not in parsed.resource
        and len(parsed.name) <= LONGEST_NAME
        and len(parsed.path) <= LONGEST_PATH
    )


def _with_shorter_name(arn: str, cell: Cell, views: CallerViews) -> str:
    """Split a name that is too long into path and name by replacing a character with a slash, if the cell stays the same."""
    tail = len(arn) - arn.rfind("/") - 1
    if tail <= LONGEST_NAME:
        return arn
    for position in range(len(arn) - LONGEST_NAME - 1, len(arn) - 1):
        other = f"{arn[:position]}/{arn[position + 1 :]}"
        if fits(other) and views.cell_of(other) == cell:
            return other
    return arn


def _accounts(views: CallerViews, prefix: str, budget: Budget) -> Iterator[tuple[_States, Answers, str]]:
    """Yield ARN states, answers and ARN prefix for each combination of states that an account ID can reach."""
    whole, accounts, _ = views.automata
    level: dict[tuple[_States, _States], str] = {
        (
            tuple(automaton.run(automaton.start, prefix) for automaton in whole),
            tuple(automaton.start for automaton in accounts),
        ): prefix
    }
    for _ in range(_ACCOUNT_DIGITS):
        next_level: dict[tuple[_States, _States], str] = {}
        for (arn, account), text in level.items():
            distinguished = _relevant(whole, arn).union(_relevant(accounts, account))
            for character in _choices(distinguished, _DIGITS):
                budget.left -= len(whole) + len(accounts) + 1
                next_level.setdefault((_step(whole, arn, character), _step(accounts, account, character)), text + character)
            if budget.is_exhausted:
                return
        level = next_level
    for (arn, account), text in level.items():
        yield arn, tuple(automaton.accepts(state) for automaton, state in zip(accounts, account, strict=True)), text


class _Place(Enum):
    """Position of the search in `PATH/NAME`. A path is a slash, any printable characters, and a slash."""

    START = 0
    LEADING_SLASH = 1
    SEGMENT = 2
    SEGMENT_OF_PATH = 3
    AFTER_SLASH = 4


def _next_place(place: _Place, character: str, *, any_path: bool) -> _Place | None:
    """The place after one more character; None if the character is not allowed.

    Without `any_path`, paths have no empty segments and no colons, which IAM allows but which are rare.
    """
    if character == "/":
        if place in {_Place.SEGMENT, _Place.SEGMENT_OF_PATH}:
            return _Place.AFTER_SLASH
        if not any_path:
            return None
        return _Place.LEADING_SLASH if place is _Place.START else _Place.AFTER_SLASH
    if character == ":" and not any_path:
        return None
    if character not in _NAME or place in {_Place.LEADING_SLASH, _Place.SEGMENT_OF_PATH}:
        return _Place.SEGMENT_OF_PATH
    return _Place.SEGMENT


def _tails(
    heads: Iterable[tuple[_States, Answers, str]], views: CallerViews, kind: str, budget: Budget, *, any_path: bool
) -> Iterator[tuple[Cell, str]]:
    """Search the paths and names of each account: segments between slashes, the last of which is the name."""
    whole, _, names = views.automata
    fresh = tuple(automaton.start for automaton in names)
    queue: deque[tuple[tuple[_States, Answers, _States, _Place], str]] = deque()
    seen = set()
    for arn, account, text in heads:
        arn = tuple(automaton.run(at, f":{kind}/") for automaton, at in zip(whole, arn, strict=True))  # noqa: PLW2901
        state = (arn, account, fresh, _Place.START)
        if state not in seen:
            seen.add(state)
            queue.append((state, f"{text}:{kind}/"))
    while queue and not budget.is_exhausted:
        (arn, account, name, place), text = queue.popleft()
        if place is _Place.SEGMENT:
            answers = (
                *(automaton.accepts(state) for automaton, state in zip(whole, arn, strict=True)),
                *account,
                *(automaton.accepts(state) for automaton, state in zip(names, name, strict=True)),
            )
            yield (kind, answers), text
        for character in _path_characters(_relevant(whole, arn).union(_relevant(names, name))):
            next_place = _next_place(place, character, any_path=any_path)
            if next_place is None:
                continue
            budget.left -= len(whole) + len(names) + 1
            moved = fresh if character == "/" else _step(names, name, character)
            step = (_step(whole, arn, character), account, moved, next_place)
            if step not in seen:
                seen.add(step)
                queue.append((step, text + character))


def _path_characters(distinguished: frozenset[str]) -> Iterator[str]:
    """The characters to try: those of names first, the slash last. One represents all that no automaton distinguishes."""
    choices = _choices(distinguished, _NAME)
    yield from choices
    if all(character in distinguished for character in choices):
        yield from _choices(distinguished, _PATH_ONLY)
    else:
        yield from sorted(distinguished.intersection(_PATH_ONLY))
    yield "/"


def find_external_ids(patterns: Sequence[Patterns], budget: Budget) -> Witnesses:
    """Find an external ID for every cell, whose kind is "". IDs may be longer than LONGEST_EXTERNAL_ID."""
    automata = tuple(map(Automaton, patterns))
    found = Witnesses()
    start = (0, tuple(automaton.start for automaton in automata))
    queue, seen = deque([(start, "")]), {start}
    while queue and not budget.is_exhausted:
        (length, states), text = queue.popleft()
        if length >= SHORTEST_EXTERNAL_ID:
            answers = tuple(automaton.accepts(state) for automaton, state in zip(automata, states, strict=True))
            found.found.setdefault(("", answers), text)
        for character in _choices(_relevant(automata, states), _EXTERNAL_ID):
            budget.left -= len(automata) + 1
            step = (min(length + 1, SHORTEST_EXTERNAL_ID), _step(automata, states, character))
            if step not in seen:
                seen.add(step)
                queue.append((step, text + character))
    found.complete = not budget.is_exhausted
    return found


def _step(automata: Sequence[Automaton], states: _States, character: str) -> _States:
    return tuple([automaton.step(state, character) for automaton, state in zip(automata, states, strict=True)])


def _relevant(automata: Sequence[Automaton], states: _States) -> frozenset[str]:
    return frozenset().union(*(automaton.relevant(state) for automaton, state in zip(automata, states, strict=True)))


def _choices(distinguished: frozenset[str], alphabet: str) -> list[str]:
    """Each distinguished character of the alphabet, after one that represents all others if there are any."""
    other = next((character for character in alphabet if character not in distinguished), None)
    return [*([other] if other else []), *sorted(distinguished.intersection(alphabet))]
