"""The proof against trust policies that were written to mislead it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall_generator.iam.evaluation.evaluator import Effect, Evaluator, Request
from rolecall_generator.proof.prove import Case
from trust_cases import FAILED, HARMLESS, HOSTILE, UNKNOWN
from trust_grammar import random_requests, random_trust
from trust_worlds import BACKEND, CALLER, EXTERNAL_ID, ORDINARY, prove_role, statement, world


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_trust_is_never_proven(name: str) -> None:
    """A trust policy that lets in someone who is not meant fails by a counterexample, or is undecided where none can be."""
    statements, verdict = HOSTILE[name]
    proof = prove_role(statements)
    found = {FAILED if cell.decision.effect is Effect.ALLOW else UNKNOWN for cell in proof.failures if not cell.expected}

    assert not proof.ok
    assert (FAILED in found) is (verdict == FAILED)
    assert found


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_trust_is_proven(name: str) -> None:
    """A trust policy that lets in the backend role with its external ID and no one else is proven in every cell."""
    assert [] == [
        (cell.case, cell.request.principal.arn, cell.decision.reason) for cell in prove_role(HARMLESS[name]).failures
    ]


def test_there_are_sixty_of_each() -> None:
    """The tables are as long as the project asks for."""
    assert min(len(HOSTILE), len(HARMLESS)) >= 60


def test_a_trust_of_thousands_of_statements_is_not_proven() -> None:
    """A policy that names more than can be decided ends undecided, after a bounded number of steps."""
    statements = [
        ORDINARY,
        *(
            statement({"AWS": f"{300_000_000_000 + number}"}, {"StringLike": {"aws:PrincipalArn": f"*{number}?"}})
            for number in range(3_000)
        ),
    ]
    gaps = [cell for cell in prove_role(statements).failures if cell.decision.effect is Effect.REFUSED]

    assert [Case.OTHER] == [cell.case for cell in gaps]


def test_a_search_beyond_its_budget_is_undecided() -> None:
    """Patterns with exponentially many states end undecided for callers that were not reached."""
    hidden = {"StringLike": {"aws:PrincipalArn": f"*:role/*a{'?' * 24}b"}, "StringNotLike": {"aws:PrincipalArn": "*r*b"}}
    failures = prove_role([ORDINARY, statement("*", hidden)]).failures

    assert Effect.REFUSED in {cell.decision.effect for cell in failures}


def test_invented_names_change_with_the_policy() -> None:
    """A policy that excludes the names which the proof of it invented is another policy, with other names."""
    names: set[str] = set()
    for _ in range(4):
        excluded = {"StringNotLike": {"aws:PrincipalArn": [CALLER, *(f"*{name}" for name in sorted(names))]}}
        cells = prove_role([ORDINARY, statement({"AWS": BACKEND}, excluded)]).cells
        invented = {cell.request.principal.arn.rpartition("/")[2] for cell in cells if cell.case is Case.OTHER_PRINCIPAL}
        assert invented.isdisjoint(names)
        names |= invented
    assert len(names) == 4


def test_invented_names_are_the_same_in_every_run() -> None:
    """Two proofs of one policy are equal, so that reports can be compared."""
    statements = [ORDINARY, statement("*", {"StringNotLike": {"aws:PrincipalArn": ["*b*", "*a*"]}})]

    assert prove_role(statements) == prove_role(statements)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**48))
def test_a_proof_that_holds_admits_no_request_but_the_intended(seed: int) -> None:
    """Where a random trust policy is proven, no random request made from its patterns gets in unless it is meant to."""
    assert unmeant(seed) is None


def unmeant(seed: int, requests: int = 60) -> Request | None:
    """A request that is allowed and not meant, although the proof of the seed's trust policy holds."""
    rng = Random(seed)  # noqa: S311 - no secret
    statements = random_trust(rng)
    access = world(statements)
    if prove_role(statements).failures:  # where the intended caller is refused, other external IDs are not searched
        return None
    evaluator = Evaluator(access)
    for request in random_requests(rng, statements, requests):
        meant = request.principal.arn == CALLER and request.context["sts:ExternalId"] == EXTERNAL_ID
        if not meant and evaluator.may_assume(request).allowed:
            return request
    return None
