"""The callers of a request as one dimension: users, roles and their sessions, AWS services, identity providers.

The ARN of a user or role is read as one string, and its account ID and name without path are read on the way. So the keys
that follow from the caller (aws:PrincipalArn, aws:PrincipalAccount, aws:username) agree with each other by construction.

The root user and federated users assume no role, and no principal assumes a role of another partition, so they are not
callers. Formats: botocore 1.44.5 service models (iam, sts), November 2026.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import islice

from rolecall_generator.iam import Arn
from rolecall_generator.iam.evaluation import Identity, PrincipalKind, identity_of, principal_context
from rolecall_generator.iam.matching import Automaton, Context, Pattern, Patterns
from rolecall_generator.proof.symbolic.budget import BudgetShare, OutOfBudgetError, SearchBudget
from rolecall_generator.proof.symbolic.cells import DOUBTFUL, MAX_CELLS, UNKNOWN_REST, Dimension, KeyCell
from rolecall_generator.proof.symbolic.keys import (
    CALLER,
    SESSION_NAME,
    CallerKind,
    is_service,
    key_facts,
)
from rolecall_generator.proof.symbolic.language import (
    ALPHABETS,
    NAME_CHARACTERS,
    SAMPLES,
    advance,
    answers_of,
    instances,
    matches,
    relevant,
    step_weight,
    walk,
)

LONGEST_NAME = 64
LONGEST_PATH = 512
_ACCOUNT_DIGITS = 12
_NAME = frozenset(NAME_CHARACTERS)
_PATH_ONLY = "".join(chr(code) for code in range(0x21, 0x80) if chr(code) not in _NAME and chr(code) != "/")
_RANKS = {CallerKind.ROLE: 0, CallerKind.USER: 1, CallerKind.SERVICE: 3, CallerKind.PROVIDER: 4}
_RANK_COST = 100_000
_INSTANCE_STEPS = 10_000
"""ARNs times automata that are tried where the search was not completed."""
_SESSION_COST = 2 * _RANK_COST
_ACCOUNT_OF_AWS = "0" * _ACCOUNT_DIGITS
"""An account that no policy names."""


@dataclass(slots=True)
class CallerDistinctions:
    """What policies distinguish on callers: unions of patterns for the ARN, the account ID, the name without path and the
    name of a session; and the services and identity providers that they name.
    """

    arns: dict[Patterns, None] = field(default_factory=dict)
    accounts: dict[Patterns, None] = field(default_factory=dict)
    names: dict[Patterns, None] = field(default_factory=dict)
    sessions: dict[Patterns, None] = field(default_factory=dict)
    services: dict[str, None] = field(default_factory=dict)
    providers: dict[str, None] = field(default_factory=dict)

    def add(self, part: str, patterns: Patterns | Pattern) -> None:
        """Add a union of patterns, or one pattern, for `part`: arns, accounts, names or sessions."""
        found: dict[Patterns, None] = getattr(self, part)
        found.setdefault(patterns if isinstance(patterns, frozenset) else frozenset({patterns}))


def caller_dimension(distinctions: CallerDistinctions, role_arn: str, budget: SearchBudget) -> Dimension:
    """The dimension of all callers of a role."""
    partition = role_arn.split(":")[1]
    names: list[str] | None = None
    complete = True
    if distinctions.sessions:
        shape = key_facts(SESSION_NAME).shape
        sessions = walk((*distinctions.sessions, shape.certain), shape, BudgetShare(budget))
        names, complete = list(sessions.found.values()), sessions.complete
    search = _CallerSearch(distinctions, partition)
    cells: list[KeyCell] = []
    for arn in islice(search.run(BudgetShare(budget)), MAX_CELLS + 1):
        who = identity_of(arn)
        kind = CallerKind.ROLE if who.kind is PrincipalKind.ROLE else CallerKind.USER
        if kind is CallerKind.ROLE and names is not None:
            cells += [caller_cell(_session(who, name), kind) for name in names]
        else:
            cells.append(caller_cell(who, kind))
    if len(cells) > MAX_CELLS:
        cells, complete = cells[:MAX_CELLS], False
    cells += [caller_cell(identity_of(name), kind) for name, kind in _externals(distinctions, role_arn)]
    if not complete or not search.complete:
        cells.append(KeyCell(cost=UNKNOWN_REST, rest=True))
    return Dimension.of(CALLER, cells)


def _session(role: Identity, name: str) -> Identity:
    arn = f"arn:{role.partition}:sts::{role.account_id}:assumed-role/{role.name}/{name}"
    return Identity(arn, PrincipalKind.SESSION, role.account_id, role.partition, name, role.arn)


def _externals(distinctions: CallerDistinctions, role_arn: str) -> Iterator[tuple[str, CallerKind]]:
    """The services and providers that are named, and one other of each kind. A SAML provider is in the role's account."""
    _, partition, _, _, account, _ = role_arn.split(":", 5)
    known = {**distinctions.services, **distinctions.providers}
    yield from ((name, CallerKind.SERVICE) for name in distinctions.services)
    yield from ((name, CallerKind.PROVIDER) for name in distinctions.providers)
    for form, kind in (
        ("rolecall-other{}.amazonaws.com", CallerKind.SERVICE),
        (f"arn:{partition}:iam::{account}:saml-provider/rolecall-other{{}}", CallerKind.PROVIDER),
        ("rolecall-other{}.example.com", CallerKind.PROVIDER),
    ):
        numbered = map(form.format, ("", *range(len(known))))
        yield next((name, kind) for name in numbered if name not in known)


def caller_cell(who: Identity, kind: CallerKind) -> KeyCell:
    """The cell of one caller."""
    cost = _RANKS[kind] * _RANK_COST + len(who.role or who.arn) + (_SESSION_COST if who.kind is PrincipalKind.SESSION else 0)
    if not is_certain_caller(who):
        cost += DOUBTFUL
    return KeyCell(_contexts(who, kind), cost, who, kind)


def _contexts(who: Identity, kind: CallerKind) -> tuple[Context, ...]:
    """The keys that follow from the caller.

    AWS does not document whether unsigned requests, as those of identity providers, have aws:PrincipalIsAWSService,
    aws:PrincipalType and aws:PrincipalAccount ("Anonymous requests return anonymous.", AWS global condition context keys).
    The same page has aws:PrincipalAccount in "all requests", but no value for a service: an account of AWS, if any. The
    policy that names a service with an unusual name decides that it is one.
    """
    context: Context = {"aws:principaltype": (), **principal_context(who, {}, known=False)}
    if kind is CallerKind.SERVICE:
        in_account = {**context, "aws:principalaccount": (_ACCOUNT_OF_AWS,)}
        unusual = () if is_service(who.arn) else ({**context, "aws:principalisawsservice": ("true",)},)
        return context, in_account, *unusual
    if kind is not CallerKind.PROVIDER:
        return (context,)
    unsigned = {"aws:principalaccount": ("anonymous",), "aws:principaltype": ("Anonymous",)}
    return (
        context,
        {**context, **unsigned, "aws:principalisawsservice": ("false",)},
        {**context, "aws:principalisawsservice": ()},
    )


def is_certain_caller(who: Identity) -> bool:
    """Whether AWS is certain to accept the names of a caller."""
    if who.kind is PrincipalKind.SESSION and not matches(key_facts(SESSION_NAME).shape.certain, who.name):
        return False
    return who.kind is PrincipalKind.EXTERNAL or is_certain_name(who.role or who.arn)


def is_certain_name(arn: str) -> bool:
    """Whether AWS is certain to accept the path and name of a user's or role's ARN: neither too long, no empty segment."""
    parsed = Arn.parse(arn)
    return (
        parsed is not None
        and "//" not in parsed.resource
        and len(parsed.name) <= LONGEST_NAME
        and len(parsed.path) <= LONGEST_PATH
    )


class _Place(IntEnum):
    """Position in `PATH/NAME`. A path is a slash, or printable characters between two slashes."""

    START = 0
    SEGMENT = 1
    SEGMENT_OF_PATH = 2
    AFTER_SLASH = 3


_States = tuple[int, ...]
_TailState = tuple[_States, tuple[bool, ...], _States, _Place]
"""States of the ARN's automata, answers for the account, states of the name's automata, and the place."""


def _next_place(place: _Place, letter: str) -> tuple[_Place, bool]:
    """The place after one more character, and whether it makes the path unusual: an empty segment or a colon, which IAM
    accepts but which are rare.

    A name after two slashes at the start of the path is included, which IAM does not accept: it would double the search to
    tell it apart, and an empty segment is in no example.
    """
    if letter == "/":
        return _Place.AFTER_SLASH, place in {_Place.START, _Place.AFTER_SLASH}
    if letter not in _NAME or place is _Place.SEGMENT_OF_PATH:
        return _Place.SEGMENT_OF_PATH, letter == ":"
    return _Place.SEGMENT, False


class _TailQueue:
    """States to visit, each with its shortest string. States with an ordinary path come before all others."""

    def __init__(self) -> None:
        self._ordinary: deque[tuple[_TailState, str]] = deque()
        self._unusual: deque[tuple[_TailState, str]] = deque()
        self._seen: set[_TailState] = set()
        self._seen_unusual: set[_TailState] = set()

    def push(self, state: _TailState, text: str, *, unusual: bool) -> None:
        """Add a state, unless it is known with an ordinary path."""
        if state in self._seen:
            return
        if not unusual:
            self._seen.add(state)
            self._ordinary.append((state, text))
        elif state not in self._seen_unusual:
            self._seen_unusual.add(state)
            self._unusual.append((state, text))

    def drain(self) -> Iterator[tuple[_TailState, str, bool]]:
        """Each state with its string, and whether its path is unusual, until none is left."""
        while self._ordinary or self._unusual:
            if self._ordinary:
                yield *self._ordinary.popleft(), False
            else:
                state, text = self._unusual.popleft()
                if state not in self._seen:
                    yield state, text, True


class _CallerSearch:
    """A walk over the ARNs of users and roles. `complete` is valid after `run` is exhausted."""

    def __init__(self, distinctions: CallerDistinctions, partition: str) -> None:
        self.complete = True
        self._distinctions = distinctions
        self._prefix = f"arn:{partition}:iam::"
        self._arns = tuple(map(Automaton, distinctions.arns))
        self._accounts = tuple(map(Automaton, distinctions.accounts))
        self._names = tuple(map(Automaton, distinctions.names))
        self._found: set[tuple[str, tuple[bool, ...]]] = set()
        self._weight = 1 + step_weight((*self._arns, *self._accounts, *self._names))

    def run(self, share: BudgetShare) -> Iterator[str]:
        """Yield one ARN for each combination of answers."""
        try:
            heads = self._account_ids(share)
            for kind in ("role", "user"):
                yield from self._tails(heads, kind, share)
        except OutOfBudgetError:
            self.complete = False
            automata = len(self._arns) + len(self._accounts) + len(self._names)
            yield from filter(self._is_new, islice(self._instances(), _INSTANCE_STEPS // max(1, automata)))

    def _is_new(self, arn: str) -> bool:
        return self._add(arn.split(":", 5)[5].partition("/")[0], self._answers_of(arn))

    def _add(self, kind: str, answers: tuple[bool, ...]) -> bool:
        before = len(self._found)
        self._found.add((kind, answers))
        return len(self._found) > before

    def _instances(self) -> Iterator[str]:
        """ARNs that match single patterns, where the search was not completed."""
        accounts = [
            text for text in instances(self._distinctions.accounts) if len(text) == _ACCOUNT_DIGITS and text.isdigit()
        ]
        names = [text for text in (*SAMPLES, *instances(self._distinctions.names)) if text and set(text) <= _NAME]
        for account in ("9" * _ACCOUNT_DIGITS, *accounts):
            for kind in ("role", "user"):
                for name in names:
                    yield f"{self._prefix}{account}:{kind}/{name}"
        for text in instances(self._distinctions.arns):
            parsed = Arn.parse(text)
            if parsed is not None and text.startswith(self._prefix) and is_certain_name(text) and _is_caller(parsed):
                yield text

    def _account_ids(self, share: BudgetShare) -> list[tuple[_States, tuple[bool, ...], str]]:
        """ARN states, answers and ARN prefix for each combination of states that an account ID can lead to."""
        level: dict[tuple[_States, _States], str] = {
            (tuple(a.run(a.start, self._prefix) for a in self._arns), tuple(a.start for a in self._accounts)): self._prefix
        }
        for _ in range(_ACCOUNT_DIGITS):
            following: dict[tuple[_States, _States], str] = {}
            for (arn, account), text in level.items():
                distinguished = relevant(self._arns, arn) | relevant(self._accounts, account)
                for letter in ALPHABETS["digits"].choices(distinguished):
                    share.spend(self._weight)
                    states = advance(self._arns, arn, letter), advance(self._accounts, account, letter)
                    following.setdefault(states, text + letter)
            level = following
        return [(arn, _answers(self._accounts, account), text) for (arn, account), text in level.items()]

    def _tails(self, heads: Iterable[tuple[_States, tuple[bool, ...], str]], kind: str, share: BudgetShare) -> Iterator[str]:
        """Walk over the paths and names in each account."""
        fresh = tuple(a.start for a in self._names)
        queue = _TailQueue()
        for arn, account, text in heads:
            states = tuple(a.run(at, f":{kind}/") for a, at in zip(self._arns, arn, strict=True))
            queue.push((states, account, fresh, _Place.START), f"{text}:{kind}/", unusual=False)
        for state, text, unusual in queue.drain():
            if state[-1] is _Place.SEGMENT:
                answers = (*_answers(self._arns, state[0]), *state[1], *_answers(self._names, state[2]))
                if self._add(kind, answers):
                    yield self._with_short_name(text, kind, answers)
            for step, letter, makes_unusual in self._steps(state, fresh, share):
                queue.push(step, text + letter, unusual=unusual or makes_unusual)

    def _steps(self, state: _TailState, fresh: _States, share: BudgetShare) -> Iterator[tuple[_TailState, str, bool]]:
        """The states after one more character, the character, and whether it makes the path unusual."""
        arn, account, name, place = state
        for letter in _path_characters(relevant(self._arns, arn) | relevant(self._names, name)):
            following, makes_unusual = _next_place(place, letter)
            share.spend(self._weight)
            moved = fresh if letter == "/" else advance(self._names, name, letter)
            yield (advance(self._arns, arn, letter), account, moved, following), letter, makes_unusual

    def _with_short_name(self, arn: str, kind: str, answers: tuple[bool, ...]) -> str:
        """Split a name that is too long into path and name by replacing a character with a slash, if no answer changes."""
        if len(arn) - arn.rfind("/") - 1 <= LONGEST_NAME:
            return arn
        head = arn.rfind("/") + 1
        for position in range(max(head + 1, len(arn) - LONGEST_NAME - 1), len(arn) - 1):
            other = f"{arn[:position]}/{arn[position + 1 :]}"
            if is_certain_name(other) and self._answers_of(other) == answers and f":{kind}/" in other:
                return other
        return arn

    def _answers_of(self, arn: str) -> tuple[bool, ...]:
        account, name = arn.split(":", 5)[4], arn.rpartition("/")[2]
        return (*answers_of(self._arns, arn), *answers_of(self._accounts, account), *answers_of(self._names, name))


def _is_caller(arn: Arn) -> bool:
    return (
        arn.kind in {"role", "user"}
        and len(arn.account_id) == _ACCOUNT_DIGITS
        and arn.account_id.isdigit()
        and arn.account_id.isascii()
        and bool(arn.name)
        and "/" in arn.resource
        and set(arn.name) <= _NAME
        and all("!" <= letter <= "\x7f" for letter in arn.resource)
    )


def _answers(automata: Iterable[Automaton], states: Iterable[int]) -> tuple[bool, ...]:
    return tuple([a.accepts(state) for a, state in zip(automata, states, strict=True)])


def _path_characters(distinguished: frozenset[str]) -> Iterator[str]:
    """The characters to try: those of names first, the slash last. One represents all that no automaton distinguishes."""
    other = next((letter for letter in NAME_CHARACTERS if letter not in distinguished), None)
    if other is not None:
        yield other
    yield from sorted(distinguished & _NAME)
    if other is None:
        # No character of a name represents the others that only a path can have.
        rest = next((letter for letter in _PATH_ONLY if letter not in distinguished), None)
        if rest is not None:
            yield rest
    yield from sorted(distinguished.intersection(_PATH_ONLY))
    yield "/"
