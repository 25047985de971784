"""Comparisons of trust policies over all requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice

from rolecall_generator.iam import Access, PolicyDocument, Role
from rolecall_generator.proof.symbolic.boxes import (
    Formula,
    Solution,
    complement,
    conjunction,
    disjunction,
    merge_boxes,
    solutions,
)
from rolecall_generator.proof.symbolic.budget import OutOfBudgetError, SearchBudget
from rolecall_generator.proof.symbolic.cells import DOUBTFUL
from rolecall_generator.proof.symbolic.facts import SpaceFact, facts_of
from rolecall_generator.proof.symbolic.intent import TrustIntent, intent_document
from rolecall_generator.proof.symbolic.policies import PolicySets, TrustSide, WorldPolicies
from rolecall_generator.proof.symbolic.requests import RequestWitness
from rolecall_generator.proof.symbolic.shapes import NameExchange, RoleShape, shape_of
from rolecall_generator.proof.symbolic.space import RequestSpace
from rolecall_generator.proof.symbolic.witness import WitnessFinder, confirm
from rolecall_generator.proof.symbolic.wording import BoxConstraint, constraints_of
from rolecall_generator.proof.symbolic.world import WORST_CASE, World

_BOXES_TRIED = 40
_BOXES_MERGED = 512
_TOO_LARGE = "the policies distinguish more requests than the budget allows to examine"


class InclusionState(Enum):
    """Whether everything that one policy allows is allowed by another."""

    PROVEN = "proven"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Whether every request that one policy allows is allowed by another.

    PROVEN: for every request; `facts` are the facts about AWS that the proof needs besides the policies. REFUTED: `witness`
    is a request that shows the opposite. UNKNOWN: `reasons` say why.
    """

    state: InclusionState
    facts: tuple[str, ...] = ()
    witness: RequestWitness | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrustComparison:
    """Two policies compared in both directions: what `one` allows within `other`, and the reverse.

    With the trust policy as `one` and the intent as `other`: `forward` is refuted if something is allowed that is not
    intended, `backward` if something is intended that is not allowed.
    """

    forward: Inclusion
    backward: Inclusion

    @property
    def is_equal(self) -> bool:
        """Whether both policies are proven to allow exactly the same requests."""
        return self.forward.state is self.backward.state is InclusionState.PROVEN


@dataclass(frozen=True, slots=True)
class RequestDifference:
    """A set of requests that one policy allows and another does not, as a product of constraints.

    `is_certain`: False if AWS does not document the decision, or it could not be represented. `witness` is None if no
    request of the set could be confirmed.
    """

    constraints: tuple[BoxConstraint, ...]
    is_certain: bool
    witness: RequestWitness | None


@dataclass(frozen=True, slots=True)
class RoleProof:
    """The comparison of a role's trust policy (`one`) with its intent (`other`)."""

    role_arn: str
    comparison: TrustComparison


def compare(
    role: Role,
    one: PolicyDocument,
    other: PolicyDocument,
    *,
    world: World = WORST_CASE,
    other_world: World | None = None,
    budget: SearchBudget | None = None,
) -> TrustComparison:
    """Compare two trust policies on a role, over all requests. The trust policy of `role` itself is not used.

    `world` has the policies that limit `one`, and `other_world` those that limit `other`; None: the same. So an intent is
    compared with what is left of a trust policy within an organization by `other_world=WORST_CASE`.
    """
    try:
        question = TrustQuestion(role, (one, other), (world, other_world or world), budget or SearchBudget())
    except OutOfBudgetError:
        unknown = _unknown([_TOO_LARGE])
        return TrustComparison(unknown, unknown)
    return TrustComparison(question.inclusion(0, 1), question.inclusion(1, 0))


def difference(
    role: Role,
    one: PolicyDocument,
    other: PolicyDocument,
    *,
    world: World = WORST_CASE,
    other_world: World | None = None,
    budget: SearchBudget | None = None,
) -> Iterator[RequestDifference]:
    """Disjoint sets whose union is everything that `one` allows and `other` does not, first those that are certain.

    Arguments as in `compare`. Raises OutOfBudgetError, also between two sets.
    """
    yield from TrustQuestion(role, (one, other), (world, other_world or world), budget or SearchBudget()).differences()


def prove_roles(
    access: Access, intents: Mapping[str, Iterable[TrustIntent]], *, world: World = WORST_CASE
) -> Iterator[RoleProof]:
    """Compare the trust policy of each role with its intent. A role of `access` that is not in `intents` is for no one.

    The world does not limit the intents: what it prevents is intended and not allowed. Roles whose policies differ only in
    names are decided once.
    """
    shared: dict[object, tuple[RoleShape, TrustComparison]] = {}
    for arn in dict.fromkeys((*intents, *access.roles)):
        role = access.roles.get(arn)
        if role is None or role.trust is None:
            if arn in intents:
                unknown = _unknown(["the trust policy of the role is not known"])
                yield RoleProof(arn, TrustComparison(unknown, unknown))
            continue
        intended = intent_document(intents.get(arn, ()))
        shape = shape_of(role, (role.trust, intended)) if world.is_worst_case else None
        found = None if shape is None else _shared(shared, shape, role, role.trust, intended)
        if found is None:
            found = compare(role, role.trust, intended, world=world, other_world=WORST_CASE)
            if shape is not None:
                shared[shape.key] = shape, found
        yield RoleProof(arn, found)


def _shared(
    shared: Mapping[object, tuple[RoleShape, TrustComparison]],
    shape: RoleShape,
    role: Role,
    trust: PolicyDocument,
    intended: PolicyDocument,
) -> TrustComparison | None:
    """The comparison of an earlier role with the same shape, its witnesses with the names of this role; None if there is
    none, or if the evaluator does not confirm a witness with these names.
    """
    if (known := shared.get(shape.key)) is None:
        return None
    first, found = known
    if found.forward.witness is found.backward.witness is None:
        return found
    names = first.exchange(shape)
    forward = _rename(found.forward, names, role, trust, intended)
    backward = _rename(found.backward, names, role, intended, trust)
    return None if forward is None or backward is None else TrustComparison(forward, backward)


def _rename(
    found: Inclusion, names: NameExchange, role: Role, one: PolicyDocument, other: PolicyDocument
) -> Inclusion | None:
    if found.witness is None:
        return found
    point = names.rename(found.witness.point)
    witness = None if point is None else confirm(point, role, one, other)
    return None if witness is None else replace(found, witness=witness)


def _unknown(reasons: Iterable[str]) -> Inclusion:
    return Inclusion(InclusionState.UNKNOWN, reasons=tuple(dict.fromkeys(reasons)))


class TrustQuestion:
    """The space of requests for two trust policies on one role, and questions about them. Raises OutOfBudgetError.

    The methods name a policy by its position in `trusts`: 0 or 1.
    """

    def __init__(self, role: Role, trusts: Sequence[PolicyDocument], worlds: Sequence[World], budget: SearchBudget) -> None:
        limits = {id(world): WorldPolicies.of(world) for world in worlds}
        self.sides = [TrustSide(trust, limits[id(world)]) for trust, world in zip(trusts, worlds, strict=True)]
        self._budget = budget
        documents = (document for side in self.sides for document in side.documents)
        self.space = RequestSpace(role, documents, worlds, budget)
        self.sets = [PolicySets(self.space, side).allowed_set() for side in self.sides]
        self.finder = WitnessFinder(self.space)
        self.facts: list[SpaceFact] = facts_of(self.space)
        self._possible = complement(disjunction(fact.impossible for fact in self.facts))
        self._costs = [dimension.costs for dimension in self.space.dimensions]

    def inclusion(self, one: int, other: int) -> Inclusion:
        """Whether every request that one policy allows is allowed by the other."""
        try:
            return self._inclusion(one, other)
        except OutOfBudgetError:
            return _unknown([_TOO_LARGE, *self.space.reasons])

    def _inclusion(self, one: int, other: int) -> Inclusion:
        allowed, limit = self.sets[one], self.sets[other]
        surplus = conjunction([allowed.maybe, complement(limit.sure)])
        if self._first(surplus) is None:
            return Inclusion(InclusionState.PROVEN)
        open_box = self._first(conjunction([surplus, self._possible]))
        if open_box is None:
            return Inclusion(InclusionState.PROVEN, self._needed_facts(surplus))
        certain = conjunction([allowed.sure, complement(limit.maybe), self._possible])
        self.finder.rejections.clear()
        for box in islice(self._solve(certain), _BOXES_TRIED):
            if box.cost >= DOUBTFUL:
                self.finder.rejections.setdefault("AWS may not accept any of the requests in question")
                break
            if (witness := self.finder.find(box.masks, self.sides[one], self.sides[other])) is not None:
                return Inclusion(InclusionState.REFUTED, witness=witness)
        return _unknown([*self.finder.rejections, *self._open_at(open_box)])

    def differences(self) -> Iterator[RequestDifference]:
        """See `difference`."""
        allowed, limit = self.sets
        certain = conjunction([allowed.sure, complement(limit.maybe), self._possible])
        for box in self._boxes(certain):
            witness = self.finder.find(box.masks, *self.sides)
            yield RequestDifference(constraints_of(self.space, box.masks), True, witness)
        if allowed.sure is allowed.maybe and limit.sure is limit.maybe:
            return
        surplus = conjunction([allowed.maybe, complement(limit.sure), complement(certain), self._possible])
        for box in self._boxes(surplus):
            yield RequestDifference(constraints_of(self.space, box.masks), False, None)

    def _boxes(self, formula: Formula) -> Iterator[Solution]:
        """Boxes of a set, the first ones merged."""
        boxes = self._solve(formula)
        yield from merge_boxes(islice(boxes, _BOXES_MERGED))
        yield from boxes

    def _solve(self, formula: Formula) -> Iterator[Solution]:
        return solutions(formula, self._costs, self._budget)

    def _first(self, formula: Formula) -> Solution | None:
        return next(self._solve(formula), None)

    def _needed_facts(self, surplus: Formula) -> tuple[str, ...]:
        """Names of facts that together make the surplus empty; without any of them it is not."""
        needed = list(dict.fromkeys(fact.name for fact in self.facts))
        for name in list(needed):
            others = [fact.impossible for fact in self.facts if fact.name in needed and fact.name != name]
            if self._first(conjunction([surplus, complement(disjunction(others))])) is None:
                needed.remove(name)
        return tuple(needed)

    def _open_at(self, box: Solution) -> Iterator[str]:
        """Why the decision about the cheapest request of a box is open."""
        cells = [(mask & -mask).bit_length() - 1 for mask in box.masks]
        yield from self.space.open_conditions(cells)
        yield from self.space.reasons
