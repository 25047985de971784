"""Sets of requests as formulas over boxes, and their decomposition into disjoint boxes, the cheapest first.

A box is a product: for each dimension of a request a set of its cells, as a bit mask. A formula combines boxes. Under a box
every part of a formula simplifies: a leaf that covers the box is true, one that is disjoint from it is false. What remains
undecided splits the box.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rolecall_generator.proof.symbolic.budget import SearchBudget


@dataclass(frozen=True, slots=True)
class Leaf:
    """A box: the allowed cells by dimension. A dimension that is not listed is unrestricted."""

    masks: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class And:
    """The intersection of the parts; without parts, all requests."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """The union of the parts; without parts, no request."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The complement of the part."""

    part: Formula


Formula = Leaf | And | Or | Not
TRUE: Formula = And(())
FALSE: Formula = Or(())


def leaf(masks: Mapping[int, int]) -> Formula:
    """A box; FALSE if any of its masks is empty, TRUE if it restricts nothing."""
    return FALSE if not all(masks.values()) else Leaf(masks) if masks else TRUE


def conjunction(parts: Iterable[Formula]) -> Formula:
    """The intersection of formulas."""
    kept: list[Formula] = []
    for part in parts:
        if part is FALSE:
            return FALSE
        if isinstance(part, And):
            kept += part.parts
        else:
            kept.append(part)
    return TRUE if not kept else kept[0] if len(kept) == 1 else And(tuple(kept))


def disjunction(parts: Iterable[Formula]) -> Formula:
    """The union of formulas."""
    kept: list[Formula] = []
    for part in parts:
        if part is TRUE:
            return TRUE
        if isinstance(part, Or):
            kept += part.parts
        else:
            kept.append(part)
    return FALSE if not kept else kept[0] if len(kept) == 1 else Or(tuple(kept))


def complement(part: Formula) -> Formula:
    """The complement of a formula."""
    if part is TRUE:
        return FALSE
    if part is FALSE:
        return TRUE
    return part.part if isinstance(part, Not) else Not(part)


def restrict(formula: Formula, box: Sequence[int]) -> Formula:
    """The formula as it reads within the box: TRUE or FALSE where the box decides it."""
    if isinstance(formula, Leaf):
        cut = {}
        for dimension, mask in formula.masks.items():
            have = box[dimension]
            if not have & mask:
                return FALSE
            if have & ~mask:
                cut[dimension] = mask
        return Leaf(cut) if cut else TRUE
    if isinstance(formula, Not):
        return complement(restrict(formula.part, box))
    kept: list[Formula] = []
    ends = FALSE if isinstance(formula, And) else TRUE
    for part in formula.parts:
        restricted = restrict(part, box)
        if restricted is ends:
            return ends
        kept.append(restricted)
    return conjunction(kept) if ends is FALSE else disjunction(kept)


@dataclass(frozen=True, slots=True)
class Solution:
    """A box all of whose requests satisfy a formula: a mask for each dimension. `cost` is that of its cheapest request."""

    cost: int
    masks: tuple[int, ...]


def solutions(formula: Formula, costs: Sequence[Sequence[int]], budget: SearchBudget) -> Iterator[Solution]:
    """Disjoint boxes whose union is the set of requests that satisfy the formula, in the order of their cheapest requests.

    `costs` has, for each dimension, the costs of its cells in ascending order; the cost of a request is their sum. So the
    first box contains a request of minimal cost. Raises OutOfBudgetError.
    """
    full = tuple((1 << len(cells)) - 1 for cells in costs)
    if not all(full):
        return
    number = 0
    # Among equal costs the latest entry comes first, as in a search by depth, which keeps the queue short.
    queue: list[tuple[int, int, tuple[int, ...], Formula]] = [(sum(cells[0] for cells in costs), number, full, formula)]
    while queue:
        cost, _, box, rest = heapq.heappop(queue)
        budget.spend(len(box))
        rest = restrict(rest, box)
        if rest is FALSE:
            continue
        if rest is TRUE:
            yield Solution(cost, box)
            continue
        dimension, mask = _split(rest)
        have = box[dimension]
        before = costs[dimension][_lowest(have)]
        for part in (have & ~mask, have & mask):
            if part:
                number -= 1
                half = (*box[:dimension], part, *box[dimension + 1 :])
                heapq.heappush(queue, (cost - before + costs[dimension][_lowest(part)], number, half, rest))


def merge_boxes(boxes: Iterable[Solution]) -> list[Solution]:
    """The same set in fewer boxes: boxes that differ in one dimension only are joined, until there are none."""
    found = list(boxes)
    joined = True
    while joined and found:
        joined = False
        for dimension in range(len(found[0].masks)):
            groups: dict[tuple[int, ...], Solution] = {}
            for box in found:
                others = (*box.masks[:dimension], *box.masks[dimension + 1 :])
                first = groups.setdefault(others, box)
                if first is not box:
                    mask = first.masks[dimension] | box.masks[dimension]
                    masks = (*box.masks[:dimension], mask, *box.masks[dimension + 1 :])
                    groups[others] = Solution(min(first.cost, box.cost), masks)
                    joined = True
            found = list(groups.values())
    return sorted(found, key=lambda box: box.cost)


def _split(formula: Formula) -> tuple[int, int]:
    """The dimension and mask to split along: the narrowest of the smallest leaf near the root."""
    while not isinstance(formula, Leaf):
        formula = formula.part if isinstance(formula, Not) else min(formula.parts, key=_size)
    return min(formula.masks.items(), key=lambda item: item[1].bit_count())


_LARGE = 1_000


def _size(formula: Formula) -> int:
    if isinstance(formula, Not):
        formula = formula.part
    return len(formula.masks) if isinstance(formula, Leaf) else _LARGE


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def members(mask: int) -> Iterator[int]:
    """The positions of the bits of a mask, in ascending order."""
    while mask:
        yield _lowest(mask)
        mask &= mask - 1


def is_member(formula: Formula, cells: Sequence[int]) -> bool:
    """Whether the request with these cells, one position for each dimension, belongs to the set."""
    return restrict(formula, [1 << cell for cell in cells]) is TRUE


@dataclass(frozen=True, slots=True)
class AllowedSet:
    """A set of requests of which not everything is known: those that belong to it for certain, and those that may.

    What AWS does not document, and what cannot be represented, is only in `maybe`.
    """

    sure: Formula
    maybe: Formula

    @classmethod
    def exact(cls, formula: Formula) -> AllowedSet:
        """A set of which everything is known."""
        return cls(formula, formula)

    @classmethod
    def of_masks(cls, dimension: int, sure: int, maybe: int) -> AllowedSet:
        """The requests with these cells of one dimension."""
        certain = leaf({dimension: sure})
        return cls(certain, certain if maybe == sure else leaf({dimension: maybe}))

    @classmethod
    def intersection(cls, parts: Iterable[AllowedSet]) -> AllowedSet:
        """The intersection of sets."""
        return cls._combine(conjunction, list(parts))

    @classmethod
    def union(cls, parts: Iterable[AllowedSet]) -> AllowedSet:
        """The union of sets."""
        return cls._combine(disjunction, list(parts))

    @classmethod
    def _combine(cls, combine: Callable[[Iterable[Formula]], Formula], parts: list[AllowedSet]) -> AllowedSet:
        sure = combine([part.sure for part in parts])
        if all(part.sure is part.maybe for part in parts):
            return cls(sure, sure)
        return cls(sure, combine([part.maybe for part in parts]))

    @property
    def inverse(self) -> AllowedSet:
        """The complement."""
        sure = complement(self.maybe)
        return AllowedSet(sure, sure if self.sure is self.maybe else complement(self.sure))


EVERYTHING = AllowedSet.exact(TRUE)
NOTHING = AllowedSet.exact(FALSE)
OPEN = AllowedSet(FALSE, TRUE)
"""A set of which nothing is known."""
