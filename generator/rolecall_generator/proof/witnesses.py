"""A witness for each class of users, roles or external IDs that a set of patterns distinguishes.

Walks the automata of all patterns in parallel over the strings that AWS accepts (12 digits; a path; a name of 1 to 64
characters). Strings for which every automaton has the same answer have the same decision; the shortest string of each
combination of answers is its witness. The witnesses cover all strings if the walk is complete within its budget
(`Witnesses.complete`).

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
"""The kind of principal (role or user), and the answer of each automaton."""
_States = tuple[int, ...]


@dataclass(slots=True)
class Budget:
    """Remaining steps of a search, which stops below zero."""

    left: int

    @property
    def spent(self) -> bool:
        """True if the search must stop."""
        return self.left < 0


@dataclass(frozen=True)
class CallerViews:
    """The patterns that a policy compares with a caller's ARN, its account ID, and its name without path.

    Patterns of `aws:username` in `by_name` only concern users; applying them to roles as well only splits cells.
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
        """All patterns as one string, the same in every run."""
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
        answers = tuple(each.accepts(each.run(each.start, text)) for automata, text in read for each in automata)
        return parsed.kind, answers


@dataclass(slots=True)
class Witnesses:
    """Result of a walk: the witness of each cell, and whether all cells were reached."""

    found: dict[Cell, str] = field(default_factory=dict)
    complete: bool = True


def find_callers(views: CallerViews, partition: str, budget: Budget) -> Witnesses:
    """The ARN of a user or role for every cell that has one.

    If AWS is not certain to accept any ARN of a cell (see `fits`), the cell still gets a witness. Ordinary paths are
    searched first, which is faster.
    """
    found = Witnesses()
    heads = list(_accounts(views, f"arn:{partition}:iam::", budget))
    for any_path in (False, True):
        for kind in KINDS:
            for cell, arn in _tails(heads, views, kind, budget, any_path=any_path):
                if cell not in found.found:
                    found.found[cell] = _shortened(arn, cell, views)
    found.complete = not budget.spent
    return found


def fits(arn: str) -> bool:
    """Whether AWS is certain to accept path and name of a user's or role's ARN: neither is too long, no part is empty."""
    parsed = Arn.parse(arn)
    return (
        parsed is not None
        and "//" not in parsed.resource
        and len(parsed.name) <= LONGEST_NAME
        and len(parsed.path) <= LONGEST_PATH
    )


def _shortened(arn: str, cell: Cell, views: CallerViews) -> str:
    """The ARN, with a slash inserted to split an overlong name into path and name if that does not change the cell."""
    tail = len(arn) - arn.rfind("/") - 1
    if tail <= LONGEST_NAME:
        return arn
    for place in range(len(arn) - LONGEST_NAME - 1, len(arn) - 1):
        other = f"{arn[:place]}/{arn[place + 1 :]}"
        if fits(other) and views.cell_of(other) == cell:
            return other
    return arn


def _accounts(views: CallerViews, prefix: str, budget: Budget) -> Iterator[tuple[_States, Answers, str]]:
    """An account ID for each combination of states reachable with twelve digits: ARN states, answers, ARN so far."""
    whole, accounts, _ = views.automata
    level: dict[tuple[_States, _States], str] = {
        (tuple(each.run(each.start, prefix) for each in whole), tuple(each.start for each in accounts)): prefix
    }
    for _ in range(_ACCOUNT_DIGITS):
        following: dict[tuple[_States, _States], str] = {}
        for (arn, account), text in level.items():
            known = _relevant(whole, arn).union(_relevant(accounts, account))
            for letter in _choices(known, _DIGITS):
                budget.left -= len(whole) + len(accounts) + 1
                following.setdefault((_step(whole, arn, letter), _step(accounts, account, letter)), text + letter)
            if budget.spent:
                return
        level = following
    for (arn, account), text in level.items():
        yield arn, tuple(each.accepts(state) for each, state in zip(accounts, account, strict=True)), text


class _Place(Enum):
    """Where in `PATH/NAME` the walk is. A path is a slash, any printable characters, and a slash."""

    START = 0
    LEADING_SLASH = 1
    SEGMENT = 2
    SEGMENT_OF_PATH = 3
    AFTER_SLASH = 4


def _next_place(place: _Place, letter: str, *, any_path: bool) -> _Place | None:
    """The place after one more letter; None if the letter is not allowed.

    Without `any_path`, paths have no empty segments and no colons, which IAM allows but which are rare.
    """
    if letter == "/":
        if place in {_Place.SEGMENT, _Place.SEGMENT_OF_PATH}:
            return _Place.AFTER_SLASH
        if not any_path:
            return None
        return _Place.LEADING_SLASH if place is _Place.START else _Place.AFTER_SLASH
    if letter == ":" and not any_path:
        return None
    if letter not in _NAME or place in {_Place.LEADING_SLASH, _Place.SEGMENT_OF_PATH}:
        return _Place.SEGMENT_OF_PATH
    return _Place.SEGMENT


def _tails(
    heads: Iterable[tuple[_States, Answers, str]], views: CallerViews, kind: str, budget: Budget, *, any_path: bool
) -> Iterator[tuple[Cell, str]]:
    """Walk path and name after each account: segments between slashes, the last one being the name."""
    whole, _, names = views.automata
    fresh = tuple(each.start for each in names)
    todo: deque[tuple[tuple[_States, Answers, _States, _Place], str]] = deque()
    seen = set()
    for arn, account, text in heads:
        arn = tuple(each.run(at, f":{kind}/") for each, at in zip(whole, arn, strict=True))  # noqa: PLW2901
        state = (arn, account, fresh, _Place.START)
        if state not in seen:
            seen.add(state)
            todo.append((state, f"{text}:{kind}/"))
    while todo and not budget.spent:
        (arn, account, name, place), text = todo.popleft()
        if place is _Place.SEGMENT:
            answers = (
                *(each.accepts(state) for each, state in zip(whole, arn, strict=True)),
                *account,
                *(each.accepts(state) for each, state in zip(names, name, strict=True)),
            )
            yield (kind, answers), text
        for letter in _letters_of_path(_relevant(whole, arn).union(_relevant(names, name))):
            following = _next_place(place, letter, any_path=any_path)
            if following is None:
                continue
            budget.left -= len(whole) + len(names) + 1
            moved = fresh if letter == "/" else _step(names, name, letter)
            step = (_step(whole, arn, letter), account, moved, following)
            if step not in seen:
                seen.add(step)
                todo.append((step, text + letter))


def _letters_of_path(known: frozenset[str]) -> Iterator[str]:
    """The letters to try: those of names first, the slash last. One letter represents all undistinguished ones."""
    choices = _choices(known, _NAME)
    yield from choices
    if all(letter in known for letter in choices):
        yield from _choices(known, _PATH_ONLY)
    else:
        yield from sorted(known.intersection(_PATH_ONLY))
    yield "/"


def find_external_ids(patterns: Sequence[Patterns], budget: Budget) -> Witnesses:
    """An external ID for every cell, whose kind is empty. IDs longer than LONGEST_EXTERNAL_ID are included."""
    automata = tuple(map(Automaton, patterns))
    found = Witnesses()
    start = (0, tuple(each.start for each in automata))
    todo, seen = deque([(start, "")]), {start}
    while todo and not budget.spent:
        (length, states), text = todo.popleft()
        if length >= SHORTEST_EXTERNAL_ID:
            answers = tuple(each.accepts(state) for each, state in zip(automata, states, strict=True))
            found.found.setdefault(("", answers), text)
        for letter in _choices(_relevant(automata, states), _EXTERNAL_ID):
            budget.left -= len(automata) + 1
            step = (min(length + 1, SHORTEST_EXTERNAL_ID), _step(automata, states, letter))
            if step not in seen:
                seen.add(step)
                todo.append((step, text + letter))
    found.complete = not budget.spent
    return found


def _step(automata: Sequence[Automaton], states: _States, letter: str) -> _States:
    return tuple([each.step(state, letter) for each, state in zip(automata, states, strict=True)])


def _relevant(automata: Sequence[Automaton], states: _States) -> frozenset[str]:
    return frozenset().union(*(each.relevant(state) for each, state in zip(automata, states, strict=True)))


def _choices(known: frozenset[str], alphabet: str) -> list[str]:
    """Each distinguished letter of the alphabet, after one that represents all others if there are any."""
    other = next((letter for letter in alphabet if letter not in known), None)
    return [*([other] if other else []), *sorted(known.intersection(alphabet))]
