"""The symbolic proof against the trust policies that were written to mislead the matrix, and against random ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from policy_pairs import seeded
from policy_text import document
from rolecall_generator.iam import Role
from rolecall_generator.iam.evaluation import Evaluator
from rolecall_generator.proof.symbolic import (
    Inclusion,
    InclusionState,
    SearchBudget,
    Trust,
    compare,
)
from rolecall_generator.proof.symbolic.world import intent_document
from trust_cases import FAILED, HARMLESS, HOSTILE
from trust_grammar import is_real, random_requests, random_trust
from trust_worlds import CALLER, EXTERNAL_ID, ROLE, world

INTENT = intent_document([Trust("account1", ROLE, (CALLER,), EXTERNAL_ID)])


def surplus(statements: Iterable[Mapping[str, Any]]) -> Inclusion:
    budget = SearchBudget(seconds=None)
    return compare(Role(ROLE, None), document(list(map(dict, statements))), INTENT, budget=budget).forward


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_trust_is_refuted_or_unknown(name: str) -> None:
    statements, verdict = HOSTILE[name]
    expected = InclusionState.REFUTED if verdict == FAILED else InclusionState.UNKNOWN

    assert expected is surplus(statements).state


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_trust_is_proven(name: str) -> None:
    assert InclusionState.PROVEN is surplus(HARMLESS[name]).state


def _check(seeds: Iterable[int], requests: int) -> int:
    """How many of the trusts are proven; none of their requests is a counterexample."""
    proven = 0
    for seed in seeds:
        rng = seeded(seed)
        statements = random_trust(rng)
        if surplus(statements).state is not InclusionState.PROVEN:
            continue
        proven += 1
        evaluator = Evaluator(world(statements))
        for request in random_requests(rng, statements, requests):
            meant = request.principal.arn == CALLER and request.context["sts:ExternalId"] == EXTERNAL_ID
            if not meant and is_real(request):
                assert not evaluator.may_assume(request).allowed, (seed, request)
    return proven


def test_no_request_contradicts_a_proof() -> None:
    assert _check(range(150), 60) > 20


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1_000, 5_000, 1_000))
def test_no_request_of_many_contradicts_a_proof(start: int) -> None:
    assert _check(range(start, start + 1_000), 150) > 150
