"""The dimensions of a request and their cells: finitely many representatives that stand for all values.

No condition of the compared policies distinguishes two values of one cell. So a decision about the representatives is a
decision about all requests. The representatives of keys that are compared as numbers, dates, addresses or bytes are one
value between two break points, which are the values in the policies.
"""

from __future__ import annotations

import base64
import ipaddress
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache
from itertools import pairwise

from rolecall_generator.iam import Condition
from rolecall_generator.iam.evaluation import Identity
from rolecall_generator.iam.matching import OPERATORS, Automaton, Context, Pattern, Patterns, outlines_of
from rolecall_generator.proof.symbolic.budget import BudgetShare, OutOfBudgetError, SearchBudget
from rolecall_generator.proof.symbolic.keys import (
    KEPT_SOURCE_IDENTITY,
    RESOURCE_TAGS,
    SOURCE_IDENTITY,
    CallerKind,
    KeyFacts,
    ValueType,
    key_facts,
)
from rolecall_generator.proof.symbolic.language import Shape, answers_of, fits, matches, walk

_DAY = 86_400.0
_NUMBER, _DATE = "NumericEquals", "DateEquals"


class NotRepresentedError(Exception):
    """A condition that the cells of a dimension cannot represent; the message is the reason."""


def representatives(
    family: str, values: Iterable[str], value_type: ValueType, smallest: int = 0, largest: int | None = None
) -> list[str]:
    """One value for each set of values that comparisons with `values` do not distinguish.

    `family` is the name of the operators' family. Unless all values of the key are of the family, also others. `smallest`,
    `largest`: bounds of integers.
    Raises NotRepresentedError for values that cannot be separated, or a family without representatives.
    """
    make = _FAMILIES.get(family)
    if make is None:
        raise NotRepresentedError(f"{family} operators are not represented")
    found = make(values, value_type)
    if value_type is ValueType.INTEGER and (smallest or largest is not None):
        bounds = {number for number in (smallest, largest) if number is not None}
        # A number of more than `_LONGEST` digits is written with an exponent.
        numbers = sorted({*map(int, map(Decimal, found)), *bounds})
        found = [str(n) for n in numbers if smallest <= n and (largest is None or n <= largest)]
    if _TYPES.get(family) is not value_type:
        # "!" is not a number, a date, an address, or base-64.
        found += ["!", ""]
    return found


def _parse(operator: str, value: str) -> object:
    parse = OPERATORS[operator].family.parse
    return None if parse is None else parse(value)


def parse_moment(value: str) -> float | None:
    """A date, or a number of seconds since 1970, in these seconds; None for any other value."""
    found = _parse(_DATE, value)
    return found if isinstance(found, float) else None


def _numbers(values: Iterable[str], value_type: ValueType) -> list[str]:
    points = sorted({number for value in values if isinstance(number := _parse(_NUMBER, value), Decimal)})
    if value_type is ValueType.INTEGER:
        near = {
            point.to_integral_value(rounding) + offset
            for point in points
            for rounding in (ROUND_FLOOR, ROUND_CEILING)
            for offset in (-1, 0, 1)
        }
        numbers = sorted(number for number in near if number >= 0)
    else:
        between = [(low + high) / 2 for low, high in pairwise(points)]
        if any(not low < number < high for number, (low, high) in zip(between, pairwise(points), strict=True)):
            raise NotRepresentedError("numbers that are too close to each other")
        numbers = sorted({points[0] - 1, *points, *between, points[-1] + 1})
        if not numbers[0] < points[0] or not points[-1] < numbers[-1]:
            raise NotRepresentedError("numbers that are too large")
    texts = [format(number, "f") if abs(number.adjusted()) < _LONGEST else str(number) for number in numbers]
    if [_parse(_NUMBER, text) for text in texts] != numbers:
        raise NotRepresentedError("numbers that are too large")
    return texts


_LONGEST = 40


def _dates(values: Iterable[str], value_type: ValueType) -> list[str]:
    whole = value_type is ValueType.INTEGER
    points = sorted({moment for value in values if isinstance(moment := _parse(_DATE, value), float)})
    between = [(low + high) / 2 for low, high in pairwise(points) if math.nextafter(low, high) < high]
    moments = sorted({points[0] - _DAY, *points, *between, points[-1] + _DAY})
    if whole:
        moments = sorted({float(bound(moment)) for moment in moments for bound in (math.floor, math.ceil)})
    texts = [moment_text(moment, whole=whole) for moment in moments]
    if [_parse(_DATE, text) for text in texts] != moments:
        raise NotRepresentedError("dates that cannot be written exactly")
    return texts


def moment_text(moment: float, *, whole: bool) -> str:
    """A moment in seconds since 1970 as a date, or with `whole` as the number of seconds."""
    if whole:
        return str(int(moment))
    try:
        return datetime.fromtimestamp(moment, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return format(Decimal(moment), "f")


def _addresses(values: Iterable[str], _value_type: ValueType) -> list[str]:
    """The first address of each range between the borders of the networks, for IPv4 and IPv6."""
    networks = [ipaddress.ip_network(value, strict=False) for value in values]
    found = []
    for make, bits in ((ipaddress.IPv4Address, 32), (ipaddress.IPv6Address, 128)):
        starts = {0}
        for network in networks:
            if network.max_prefixlen == bits:
                starts |= {int(network.network_address), int(network.broadcast_address) + 1}
        found += [str(make(start)) for start in sorted(starts) if start < 1 << bits]
    return found


def _bytes(values: Iterable[str], _value_type: ValueType) -> list[str]:
    wanted = {base64.b64decode(value, validate=True) for value in values}
    other = next(bytes([number]) for number in range(len(wanted) + 1) if bytes([number]) not in wanted)
    return [base64.b64encode(content).decode() for content in (other, *sorted(wanted))]


_TYPES = {"Numeric": ValueType.INTEGER, "Date": ValueType.DATE, "IpAddress": ValueType.IP}
_FAMILIES: dict[str, Callable[[Iterable[str], ValueType], list[str]]] = {
    "Numeric": _numbers,
    "Date": _dates,
    "IpAddress": _addresses,
    "Binary": _bytes,
}


Values = tuple[str, ...]
MAX_CELLS = 2_048
"""More cells than this are not examined: the rest becomes one cell of which nothing is known."""

DOUBTFUL = 10**7
"""Cost of a value that AWS may not accept; it is in no witness."""
UNKNOWN_REST = 10**8
"""Cost of the rest of a dimension that was not searched."""
PRESENT_COST = 200
"""Cost of a key that could be absent, so that the cheapest request sets as few keys as possible."""


@dataclass(frozen=True, slots=True)
class KeyCell:
    """A representative. `contexts` has the context keys that it sets: several if AWS does not document which it is.
    `caller` and `kind` are set in the dimension of callers, `action` in that of operations.

    `rest`: all values that were not reached within the budget; no test is decided for them. Values by key, in lower case.
    """

    contexts: tuple[Context, ...] = ({},)
    cost: int = 0
    caller: Identity | None = None
    kind: CallerKind | None = None
    action: str = ""
    rest: bool = False

    @property
    def context(self) -> Context:
        """The context that the evaluator uses."""
        return self.contexts[0]


@dataclass(frozen=True)
class Dimension:
    """One part of a request with its cells, in ascending order of cost."""

    name: str
    cells: tuple[KeyCell, ...]
    costs: tuple[int, ...] = field(init=False)
    full: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "costs", tuple([cell.cost for cell in self.cells]))
        object.__setattr__(self, "full", (1 << len(self.cells)) - 1)

    @classmethod
    def of(cls, name: str, cells: Iterable[KeyCell]) -> Dimension:
        """The dimension with these cells, sorted."""
        return cls(name, tuple(sorted(cells, key=lambda cell: cell.cost)))

    def where(self, holds: Callable[[KeyCell], bool]) -> int:
        """The cells for which `holds` is true, as a mask; never the rest."""
        mask = 0
        for position, cell in enumerate(self.cells):
            if not cell.rest and holds(cell):
                mask |= 1 << position
        return mask

    @property
    def rest(self) -> int:
        """The mask of the rest, 0 if all cells are known."""
        return sum(1 << position for position, cell in enumerate(self.cells) if cell.rest)


@dataclass(slots=True)
class Distinctions:
    """What conditions distinguish on a key: unions of patterns, and comparisons by the name of their family.

    `certain`: the values that AWS is certain to accept, see `Shape`.
    """

    certain: Patterns = frozenset()
    patterns: dict[Patterns, None] = field(default_factory=dict)
    ordered: dict[str, dict[str, None]] = field(default_factory=dict)
    tests: list[Callable[[str], bool]] = field(default_factory=list)

    def add_patterns(self, patterns: Patterns | Pattern) -> None:
        """Add a union of patterns, or one pattern."""
        self.patterns.setdefault(patterns if isinstance(patterns, frozenset) else frozenset({patterns}))

    def add_comparison(self, family: str, values: Iterable[str], matches: Callable[[str], bool]) -> None:
        """Add a comparison with the values; `matches` tells whether a value satisfies it, before negation."""
        self.ordered.setdefault(family, {}).update(dict.fromkeys(values))
        self.tests.append(matches)


def key_dimension(name: str, distinctions: Distinctions, budget: SearchBudget, facts: KeyFacts | None = None) -> Dimension:
    """The dimension of one key. `facts` default to those of AssumeRole requests (see `keys`).

    Raises NotRepresentedError if its conditions cannot be represented.
    """
    special = facts is not None and facts is not key_facts(name)
    if special or distinctions.patterns or distinctions.ordered or distinctions.certain:
        return _make_dimension(name, distinctions, BudgetShare(budget), facts or key_facts(name))
    return _undistinguished(name)


@lru_cache(maxsize=256)
def _undistinguished(name: str) -> Dimension:
    """The dimension of a key whose values no condition distinguishes. Every comparison has three of them."""
    return _make_dimension(name, Distinctions(), BudgetShare(SearchBudget(seconds=None)), key_facts(name))


def _make_dimension(name: str, distinctions: Distinctions, share: BudgetShare, facts: KeyFacts) -> Dimension:
    singles, complete = _single_values(facts, distinctions, share)
    values: list[Values] = [(text,) for text in singles]
    if facts.many and complete:
        several, complete = _several_values(singles, facts.shape, distinctions, share)
        values += several
    if len(values) > MAX_CELLS:
        values, complete = values[:MAX_CELLS], False
    cells = [_cell(name, each, distinctions.certain) for each in values]
    if len(facts.always) < len(CallerKind):
        cells.append(_cell(name, ()))
    if name == SOURCE_IDENTITY:
        cells = _with_kept_identity(cells)
    if not complete:
        cells.append(KeyCell(cost=UNKNOWN_REST, rest=True))
    return Dimension.of(name, cells)


def unsearched_dimension(name: str) -> Dimension:
    """The dimension of a key of which only absence is examined."""
    absent = [_cell(name, ())]
    cells = _with_kept_identity(absent) if name == SOURCE_IDENTITY else absent
    return Dimension.of(name, [*cells, KeyCell(cost=UNKNOWN_REST, rest=True)])


def _cell(name: str, values: Values, certain: Patterns = frozenset()) -> KeyCell:
    """The cell of these values. A role's tags have two keys."""
    doubt = 0 if not certain or all(matches(certain, value) for value in values) else DOUBTFUL
    spellings = [name]
    if name.startswith(RESOURCE_TAGS[0]):
        spellings.append(RESOURCE_TAGS[1] + name.removeprefix(RESOURCE_TAGS[0]))
    return KeyCell((dict.fromkeys(spellings, values),), doubt + PRESENT_COST * len(values) + sum(map(len, values)))


def _with_kept_identity(cells: Iterable[KeyCell]) -> list[KeyCell]:
    """Source identities of the request, and the same identity kept from the caller's session, which it cannot change."""
    found = []
    for cell in cells:
        values = cell.context[SOURCE_IDENTITY]
        found.append(KeyCell(({SOURCE_IDENTITY: values, KEPT_SOURCE_IDENTITY: ()},), cell.cost))
        if values:
            found.append(KeyCell(({SOURCE_IDENTITY: values, KEPT_SOURCE_IDENTITY: values},), cell.cost + PRESENT_COST))
    return found


def _single_values(facts: KeyFacts, distinctions: Distinctions, share: BudgetShare) -> tuple[list[str], bool]:
    """A string for each cell of single values, and whether they are complete."""
    if facts.values:
        return list(facts.values), True
    if facts.type is ValueType.BOOL:
        return ["false", "true"], True
    if distinctions.ordered:
        if distinctions.patterns or len(distinctions.ordered) > 1:
            raise NotRepresentedError("the key is compared in several ways: as a string, a number, a date or an address")
        ((family, values),) = distinctions.ordered.items()
        share.spend(len(values) * _STEPS_PER_VALUE)
        return representatives(family, values, facts.type, facts.smallest, facts.largest), True
    if facts.type is not ValueType.STRING and not distinctions.patterns:
        return [_EXAMPLES[facts.type]], True
    # Null and set operators treat a lone empty string as no value.
    patterns = (*distinctions.patterns, *(() if facts.shape.shortest else (NOT_EMPTY,)))
    if distinctions.certain:
        patterns = (*patterns, distinctions.certain)
    found = walk(patterns, facts.shape, share)
    return list(found.found.values()), found.complete


NOT_EMPTY: Patterns = frozenset(outlines_of(Condition("StringLike", "", ("?*",))))
_EXAMPLES = {ValueType.INTEGER: "3600", ValueType.DATE: "2026-01-01T00:00:00+00:00", ValueType.IP: "192.0.2.1"}


_STEPS_PER_VALUE = 8


def _several_values(
    singles: Sequence[str], shape: Shape, distinctions: Distinctions, share: BudgetShare
) -> tuple[list[Values], bool]:
    """A tuple of values for each combination of outcomes that several values can give, and whether they are complete.

    Set operators depend on what a test answers for all values and for any of them. Both follow from the single values by
    "and" and "or", so the combinations are the closure of the single values under these.
    """
    automata = [Automaton(patterns) for patterns in distinctions.patterns]

    def bits(text: str) -> int:
        answers = (*answers_of(automata, text), *(matches(text) for matches in distinctions.tests), text != "")
        return sum(1 << position for position, answer in enumerate(answers) if answer)

    by_bits: dict[int, str] = {}
    for text in singles:
        by_bits.setdefault(bits(text), text)
    found: dict[tuple[int, int], Values] = {}
    queue: deque[tuple[tuple[int, int], Values]] = deque()
    for each, text in by_bits.items():
        similar = (text + letter for letter in "xyz")
        second = next((other for other in similar if fits(other, shape) and bits(other) == each), text)
        found[each, each] = (text, second)
        queue.append(((each, each), (text,)))
    try:
        while queue:
            (every, some), values = queue.popleft()
            for each, text in by_bits.items():
                share.spend(1)
                joined = (every & each, some | each)
                if joined not in found:
                    found[joined] = (*values, text)
                    queue.append((joined, found[joined]))
    except OutOfBudgetError:
        return list(found.values()), False
    return list(found.values()), True


def merge_contexts(contexts: Iterable[Mapping[str, Values]]) -> dict[str, Values]:
    """The keys of all contexts in one."""
    found: dict[str, Values] = {}
    for context in contexts:
        found.update(context)
    return found
