"""One witness for each kind of user, role or external id that a set of patterns can tell apart.

All automata are walked together over the texts that AWS accepts (12 digits; a path; a name of 1 to 64 characters). Two texts
that give every automaton the same answer are decided alike, and the shortest text of each combination of answers is its
witness. When the walk ends within its budget, the witnesses together stand for everybody; when it does not, this is said.

Formats: botocore 1.44.5 service models (iam, sts), November 2026.
"""

from __future__ import annotations

import string
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from rolecall_generator.iam import parse_arn
from rolecall_generator.iam.evaluation import Automaton, Patterns

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
"""The kind of principal (role or user), and what each automaton answers."""
_States = tuple[int, ...]


@dataclass(slots=True)
class Budget:
    """Steps that a search may still take; below zero it must stop."""

    left: int

    @property
    def spent(self) -> bool:
        """True when no step is left."""
        return self.left < 0


@dataclass(frozen=True)
class CallerViews:
    """The sets of patterns that are held against a caller's ARN, its account id, and a user's or role's plain name.

    `by_name` are for users alone where they come from `aws:username`; a role answers them too, which only makes cells finer.
    """

    by_arn: tuple[Patterns, ...] = ()
    by_account: tuple[Patterns, ...] = ()
    by_name: tuple[Patterns, ...] = ()

    @cached_property
    def automata(self) -> tuple[tuple[Automaton, ...], tuple[Automaton, ...], tuple[Automaton, ...]]:
        """Automata of the whole ARN, the account id and the plain name."""
        arn, account, name = (tuple(map(Automaton, sets)) for sets in (self.by_arn, self.by_account, self.by_name))
        return arn, account, name

    @cached_property
    def text(self) -> str:
        """All patterns in one text, which is the same in every run."""
        sets = (patterns for view in (self.by_arn, self.by_account, self.by_name) for patterns in view)
        return "\n".join(
            " | ".join(sorted("".join(token.takes + "*" * token.star for token in pattern) for pattern in patterns))
            for patterns in sets
        )

    def cell_of(self, arn: str) -> Cell | None:
        """The cell of a user's or role's ARN; None for anybody else."""
        parsed = parse_arn(arn)
        if parsed is None or parsed.service != "iam" or parsed.kind not in KINDS:
            return None
        read = ((self.automata[0], arn), (self.automata[1], parsed.account_id), (self.automata[2], parsed.name))
        answers = tuple(each.accepts(each.run(each.start, text)) for automata, text in read for each in automata)
        return parsed.kind, answers


@dataclass(slots=True)
class Witnesses:
    """What a walk found: the witness of each cell, and whether all cells were reached."""

    found: dict[Cell, str] = field(default_factory=dict)
    complete: bool = True


def find_callers(views: CallerViews, partition: str, budget: Budget) -> Witnesses:
    """A user or role of every cell that has one.

    A witness of which it is not known whether AWS accepts it is left in where the cell has no better one: see `fits`. Usual
    paths come first: they are quick to walk, since no part of an ARN's head can occur in them.
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
    """Whether AWS surely accepts path and name of a user's or role's ARN: neither is too long, no part is empty."""
    parsed = parse_arn(arn)
    return (
        parsed is not None
        and "//" not in parsed.resource
        and len(parsed.name) <= LONGEST_NAME
        and len(parsed.path) <= LONGEST_PATH
    )


def _shortened(arn: str, cell: Cell, views: CallerViews) -> str:
    """The ARN, with a slash where that makes too long a name a path and changes no answer."""
    tail = len(arn) - arn.rfind("/") - 1
    if tail <= LONGEST_NAME:
        return arn
    for place in range(len(arn) - LONGEST_NAME - 1, len(arn) - 1):
        other = f"{arn[:place]}/{arn[place + 1 :]}"
        if fits(other) and views.cell_of(other) == cell:
            return other
    return arn


def _accounts(views: CallerViews, prefix: str, budget: Budget) -> Iterator[tuple[_States, Answers, str]]:
    """An account id for each combination of states that twelve digits can reach, with its ARN so far."""
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
    """The place behind one more letter; None where it does not belong there.

    Without `any_path` there are no empty segments and no colons: IAM's documentation has both in paths, hardly anybody else.
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
    """Walk path and name behind each account: segments between slashes, of which the last one is the name."""
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
    """The letters to try: those of names first, the slash last. One letter stands for all that nothing tells apart."""
    choices = _choices(known, _NAME)
    yield from choices
    if all(letter in known for letter in choices):
        yield from _choices(known, _PATH_ONLY)
    else:
        yield from sorted(known.intersection(_PATH_ONLY))
    yield "/"


def find_external_ids(patterns: Sequence[Patterns], budget: Budget) -> Witnesses:
    """An external id of every cell; the kind of the cell is empty. Ids that are too long are left in."""
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
    """One letter that nothing tells apart, where there is one, and each letter that is told apart."""
    other = next((letter for letter in alphabet if letter not in known), None)
    return [*([other] if other else []), *sorted(known.intersection(alphabet))]
