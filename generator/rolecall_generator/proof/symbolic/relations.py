"""Conditions that compare keys with each other by policy variables, as in `${aws:username}`.

Whether a key matches one value with variables is a dimension of its own, with the cells "does not hold" and "holds". It is
independent of the keys except that it can hold only where the value can match. So a set that is empty is empty in AWS; an
example needs values that fit together, and the confirmation of the evaluator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rolecall_generator.iam import Condition
from rolecall_generator.iam.matching import Automaton, OperatorUse, Pattern, PolicyTemplate, Test, outlines_of
from rolecall_generator.proof.symbolic.boxes import FALSE, AllowedSet, Formula, Leaf, complement, conjunction, disjunction
from rolecall_generator.proof.symbolic.cells import NotRepresentedError

if TYPE_CHECKING:
    from rolecall_generator.proof.symbolic.space import RequestSpace

HOLDS = 0b10
"""The mask of the cell "holds" in the dimension of a value with variables."""


@dataclass(frozen=True, slots=True)
class RelatedValue:
    """A value with variables. `dimension` is the same for equal values, whether the condition is negated or not."""

    value: str
    dimension: str
    outline: Pattern
    template: PolicyTemplate


@dataclass(frozen=True, slots=True)
class Relation:
    """A condition that compares keys of different dimensions with each other. `plain` are its values without variables."""

    condition: Condition
    test: Test
    use: OperatorUse
    related: tuple[RelatedValue, ...]
    plain: tuple[Pattern, ...]


def read_relation(condition: Condition, test: Test, use: OperatorUse) -> Relation:
    """The relation of a condition whose values have variables. Raises NotRepresentedError for one without representation."""
    if use.quantifier is not None:
        raise NotRepresentedError("a policy variable under a set operator")
    match = use.operator.text
    if match is None:
        raise NotRepresentedError("a policy variable in an operator that does not support it")
    related, plain = [], []
    for value, outline in zip(condition.values, outlines_of(condition), strict=True):
        template = PolicyTemplate(value)
        if template.variables:
            related.append(RelatedValue(value, f"Match {match.value}: {test.key} {value}", outline, template))
        else:
            plain.append(outline)
    return Relation(condition, test, use, tuple(related), tuple(plain))


def relation_set(space: RequestSpace, relation: Relation) -> AllowedSet:
    """As `compile_condition` evaluates it: by whether values match, and which keys are present."""
    use, key = relation.use, relation.test.key
    variables = [variable for each in relation.related for variable in each.template.variables]
    names = [variable.key for variable in variables]
    absent, one = space.values_where(key, _is_absent), space.values_where(key, _is_single)
    matching: Formula = conjunction([one, disjunction(_matches(space, relation))])
    several_variables = disjunction(space.values_where(name, _is_several) for name in names)
    several = disjunction([space.values_where(key, _is_several), several_variables])
    missing = disjunction(space.values_where(v.key, _is_absent) for v in variables if v.default is None)
    rest = disjunction([space.unclear_values(key), *map(space.unclear_values, names)])
    exempt = absent if use.if_exists else FALSE
    decided = conjunction([complement(several_variables), complement(rest)])
    if use.operator.negated:
        holds = conjunction([decided, disjunction([absent, conjunction([one, complement(matching)])])])
        unclear: Formula = FALSE
    else:
        # One value matches, another has a variable without a value: undocumented.
        unclear = conjunction([matching, missing]) if len(relation.condition.values) > 1 else FALSE
        holds = conjunction([decided, matching, complement(unclear)])
    sure = disjunction([exempt, holds])
    return AllowedSet(sure, disjunction([sure, rest, several, unclear]))


def _matches(space: RequestSpace, relation: Relation) -> Iterator[Formula]:
    """The requests in which each of the values matches."""
    for each in relation.related:
        yield Leaf({space.index[each.dimension]: HOLDS})
    for pattern in relation.plain:
        yield _fits(space, relation.test.key, pattern)


def impossible_relation(space: RequestSpace, relation: Relation) -> Iterator[Formula]:
    """Where a value with variables would match, but the key does not fit it, or a variable without default is absent."""
    key = relation.test.key
    for each in relation.related:
        fitting = disjunction([_fits(space, key, each.outline), space.unclear_values(key)])
        needed = [variable.key for variable in each.template.variables if variable.default is None]
        present = [disjunction([space.values_where(name, _is_single), space.unclear_values(name)]) for name in needed]
        chance = conjunction([fitting, *present])
        yield conjunction([Leaf({space.index[each.dimension]: HOLDS}), complement(chance)])


def _fits(space: RequestSpace, key: str, pattern: Pattern) -> Formula:
    automaton = Automaton(frozenset({pattern}))
    return space.values_where(key, lambda found: _is_single(found) and automaton.matches(found[0]))


def _is_absent(values: tuple[str, ...]) -> bool:
    return not values


def _is_single(values: tuple[str, ...]) -> bool:
    return len(values) == 1


def _is_several(values: tuple[str, ...]) -> bool:
    return len(values) > 1
