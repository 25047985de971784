"""Random policies: the sets agree with the evaluator on points, cells and requests that were not made from cells."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from policy_pairs import ROLE, PolicyGenerator, seeded
from policy_text import document
from rolecall_generator.iam import Condition, PolicyDocument, Principal, Role, Statement
from rolecall_generator.proof.symbolic import Inclusion, InclusionState, OutOfBudgetError, SearchBudget, compare
from rolecall_generator.proof.symbolic.question import TrustQuestion
from rolecall_generator.proof.symbolic.world import WORST_CASE
from symbolic_checks import request_between, uncovered_values, wrong_points
from symbolic_worlds import trust_policy


def _question(generator: PolicyGenerator, *, worlds: bool = False) -> TrustQuestion:
    rng = generator.rng
    one, other = generator.pair()
    world = generator.world() if worlds else WORST_CASE
    role = Role(ROLE, None, tags={"team": "ab"} if rng.random() < 0.5 else {})
    return TrustQuestion(role, (one, other), (world, rng.choice([world, WORST_CASE])), SearchBudget(seconds=None))


def _check(seed: int, count: int, *, variables: bool) -> None:
    states: Counter[InclusionState] = Counter()
    rng = seeded(seed)
    generator = PolicyGenerator(rng, variables=variables)
    for _ in range(count):
        question = _question(generator)
        found = question.inclusion(0, 1)
        states[found.state] += 1
        assert [] == list(wrong_points(question, rng, 20))
        assert [] == list(uncovered_values(question, rng, 20))
        if found.state is InclusionState.PROVEN:
            assert request_between(question, generator, 40) is None
    assert min(states[InclusionState.PROVEN], states[InclusionState.REFUTED]) > count / 10


@pytest.mark.parametrize(("seed", "variables"), [(1, False), (2, False), (3, False), (4, True), (5, True)])
def test_sets_agree_with_the_evaluator(seed: int, variables: bool) -> None:
    _check(seed, 40, variables=variables)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 106))
def test_sets_agree_with_the_evaluator_on_many_policies(seed: int) -> None:
    """100,000 sampled requests and more: 20 points in two policies, 20 values for each key, 40 requests for each pair."""
    _check(seed, 800, variables=seed % 2 == 0)


@pytest.mark.parametrize("seed", [6, 7])
def test_sets_agree_with_the_evaluator_in_a_known_world(seed: int) -> None:
    """Service and resource control policies, and organizations."""
    rng = seeded(seed)
    generator = PolicyGenerator(rng, variables=False)
    for _ in range(25):
        question = _question(generator, worlds=True)
        question.inclusion(0, 1)
        assert [] == list(wrong_points(question, rng, 40))


def test_small_budget_gives_no_wrong_answer() -> None:
    """What the budget does not allow to examine is unknown; every other answer is that of an unlimited search."""
    incomplete = decided = 0
    for seed in range(60):
        answers: list[Inclusion | None] = []
        for steps in (60, 400, 200_000):
            generator = PolicyGenerator(seeded(seed))
            one, other = generator.pair()
            budget = SearchBudget(2_000_000, None, steps_per_key=steps)
            question = TrustQuestion(Role(ROLE, None), (one, other), (WORST_CASE, WORST_CASE), budget)
            incomplete += steps < 1_000 and any(dimension.rest for dimension in question.space.dimensions)
            answers.append(question.inclusion(0, 1))
            assert [] == list(wrong_points(question, seeded(seed), 10, exact=False))
        for small, full in itertools.product(answers[:2], answers[2:]):
            assert small is not None
            assert full is not None
            assert small.state in {InclusionState.UNKNOWN, full.state}
            decided += small.state is not InclusionState.UNKNOWN
    assert incomplete > 20
    assert decided > 20


@pytest.mark.parametrize("steps", [0, 1, 50, 500, 3_000])
def test_small_budget_for_the_decision_gives_no_wrong_answer(steps: int) -> None:
    for seed in range(25):
        found = []
        for total in (steps, 2_000_000):
            generator = PolicyGenerator(seeded(seed))
            trusts = generator.pair()
            try:
                question = TrustQuestion(Role(ROLE, None), trusts, (WORST_CASE, WORST_CASE), SearchBudget(total, None))
                found.append(question.inclusion(0, 1).state)
            except OutOfBudgetError:
                found.append(InclusionState.UNKNOWN)
        assert found[0] in {InclusionState.UNKNOWN, found[1]}


@pytest.mark.parametrize("key", ["aws:PrincipalArn", "sts:RoleSessionName", "aws:TagKeys", "example.com:k"])
def test_values_beyond_the_budget_are_not_proven(key: str) -> None:
    """A value that was not examined may be allowed."""
    conditions = {"ForAnyValue:StringLike": {key: f"*a{'?' * 20}b"}, "ForAllValues:StringNotLike": {key: f"*a{'?' * 20}c"}}
    trust = trust_policy("*", conditions, Action="sts:*")
    found = compare(Role(ROLE, None), trust, document([]), budget=SearchBudget(200_000, None, steps_per_key=2_000))

    assert InclusionState.PROVEN is not found.forward.state
    assert InclusionState.REFUTED is not compare(Role(ROLE, None), trust, trust).forward.state


@pytest.mark.parametrize("key", ["aws:UserAgent", "aws:PrincipalArn"])
def test_values_beyond_the_largest_dimension_are_not_proven(key: str) -> None:
    """Twelve independent conditions make 4,096 cells, and only the last one found satisfies them all."""
    conditions = tuple(Condition("StringLike", key, (f"*{letter}*",)) for letter in "bcdfghjkpqtv")
    trust = PolicyDocument(
        (Statement("Allow", ("sts:AssumeRole",), principals=(Principal("*", "*"),), conditions=conditions),)
    )
    budget = SearchBudget(40_000_000, None, steps_per_key=20_000_000)

    assert InclusionState.PROVEN is not compare(Role(ROLE, None), trust, document([]), budget=budget).forward.state
