"""Conditions that compare keys with each other by policy variables, as in `${aws:username}`.

Whether such a relation holds is a dimension of its own, with the cells "does not hold" and "holds". It is independent of the
keys except that it can hold only where a value can match, and must hold where a value without variables matches. So a set
that is empty is empty in AWS; an example needs values that fit together, and the confirmation of the evaluator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from rolecall_generator.iam import Condition
from rolecall_generator.iam.matching import Automaton, OperatorUse, PolicyTemplate, Test, outlines_of
from rolecall_generator.proof.symbolic.boxes import FALSE, AllowedSet, Formula, Leaf, complement, conjunction, disjunction

HOLDS = 0b10
"""The mask of the cell "holds" in the dimension of a relation."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A condition that compares keys of different dimensions with each other."""

    condition: Condition
    test: Test
    use: OperatorUse
    dimension: str


class KeyValues(Protocol):
    """The values of keys in a space, see `RequestSpace`."""

    @property
    def index(self) -> Mapping[str, int]:
        """The positions of dimensions by name."""

    def values_where(self, key: str, holds: Callable[[tuple[str, ...]], bool]) -> Formula:
        """The requests in which the values of a key have a property, for certain."""

    def unclear_values(self, key: str) -> Formula:
        """The requests whose values of a key are not known."""


def relation_set(values: KeyValues, relation: Relation) -> AllowedSet:
    """As `compile_condition` evaluates it: by whether the relation holds, and which keys are present."""
    use, key = relation.use, relation.test.key
    variables = [v for value in relation.condition.values for v in PolicyTemplate(value).variables]
    names = [variable.key for variable in variables]
    related: Formula = Leaf({values.index[relation.dimension]: HOLDS})
    absent, one = values.values_where(key, _is_absent), values.values_where(key, _is_single)
    several = disjunction([values.values_where(key, _is_several), *(values.values_where(n, _is_several) for n in names)])
    several_variables = disjunction(values.values_where(name, _is_several) for name in names)
    missing = disjunction(values.values_where(v.key, _is_absent) for v in variables if v.default is None)
    rest = disjunction([values.unclear_values(key), *map(values.unclear_values, names)])
    exempt = absent if use.if_exists else FALSE
    decided = conjunction([complement(several_variables), complement(rest)])
    if use.operator.negated:
        holds = conjunction([decided, disjunction([absent, conjunction([one, complement(related)])])])
        unclear: Formula = FALSE
    else:
        # One value matches, another has a variable without a value: undocumented.
        unclear = conjunction([one, related, missing]) if len(relation.condition.values) > 1 else FALSE
        holds = conjunction([decided, one, related, complement(unclear)])
    sure = disjunction([exempt, holds])
    return AllowedSet(sure, disjunction([sure, rest, several, unclear]))


def impossible_relation(values: KeyValues, relation: Relation) -> Iterator[Formula]:
    """Combinations in which a relation holds although it cannot, or does not hold although it must."""
    index = values.index[relation.dimension]
    yield conjunction([Leaf({index: HOLDS}), complement(disjunction(_chances(values, relation)))])
    yield conjunction([Leaf({index: 0b01}), disjunction(_certainties(values, relation))])


def _chances(values: KeyValues, relation: Relation) -> Iterator[Formula]:
    """When the relation can hold: the key matches a value in its widest reading, and the value's variables are there."""
    for value in relation.condition.values:
        needed = [variable.key for variable in PolicyTemplate(value).variables if variable.default is None]
        present = (disjunction([values.values_where(key, _is_single), values.unclear_values(key)]) for key in needed)
        matching = disjunction([_matching(values, relation, value), values.unclear_values(relation.test.key)])
        yield conjunction([matching, *present])


def _certainties(values: KeyValues, relation: Relation) -> Iterator[Formula]:
    """When the relation must hold: the key matches a value without variables."""
    for value in relation.condition.values:
        if not PolicyTemplate(value).variables:
            yield _matching(values, relation, value)


def _matching(values: KeyValues, relation: Relation, value: str) -> Formula:
    condition = relation.condition
    automaton = Automaton(frozenset(outlines_of(Condition(condition.operator, condition.key, (value,)))))
    return values.values_where(
        relation.test.key,
        lambda found: len(found) == 1 and automaton.accepts(automaton.run(automaton.start, found[0])),
    )


def _is_absent(values: tuple[str, ...]) -> bool:
    return not values


def _is_single(values: tuple[str, ...]) -> bool:
    return len(values) == 1


def _is_several(values: tuple[str, ...]) -> bool:
    return len(values) > 1
