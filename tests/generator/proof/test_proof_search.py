"""The proof against trust policies that were written to mislead it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from policy_pairs import seeded
from policy_text import statement
from rolecall_generator.iam.evaluation.evaluator import Evaluator
from rolecall_generator.proof import Case, CellState, RoleState, counterexample_sentences, role_state
from rolecall_generator.proof.symbolic import InclusionState, SearchBudget
from trust_cases import FAILED, HARMLESS, HOSTILE, UNKNOWN
from trust_grammar import is_real, random_requests, random_trust
from trust_worlds import CALLER, EXTERNAL_ID, ORDINARY, ROLE, WITH_ID, prove_role, world


@pytest.fixture
def _without_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only steps limit a search: a garbage collection over all collected tests takes longer than a search may take."""
    defaults = SearchBudget.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "clock", lambda: 0.0)


@pytest.mark.usefixtures("_without_clock")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_trust_is_never_proven(name: str) -> None:
    """A trust policy that lets in someone who is not meant fails by a counterexample, or is undecided where none can be."""
    statements, verdict = HOSTILE[name]
    proof = prove_role(statements)
    found = {FAILED if cell.state is CellState.FAILED else UNKNOWN for cell in proof.failures if not cell.expected}

    assert not proof.ok
    assert (FAILED in found) is (verdict == FAILED)
    assert found
    assert (InclusionState.REFUTED if verdict == FAILED else InclusionState.UNKNOWN) is proof.roles[
        0
    ].comparison.forward.state


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_trust_is_proven(name: str) -> None:
    """A trust policy that lets in the backend role with its external ID and no one else: no unintended request is allowed,
    and an intended one fails only if the policy is narrower than intended.
    """
    proof = prove_role(HARMLESS[name])
    (role,) = proof.roles

    assert InclusionState.PROVEN is role.comparison.forward.state
    assert (set() if role.comparison.is_equal else {Case.INTENDED}) == {cell.case for cell in proof.failures}


@pytest.mark.parametrize(
    "more",
    [
        "IpAddress aws:SourceIp 192.0.2.0/24",
        "NotIpAddress aws:SourceIp 192.0.2.0/24",
        "StringLike sts:RoleSessionName rolecall*",
        "Null aws:PrincipalTag/old true",
    ],
)
def test_narrower_trust_fails_for_the_intended_caller(more: str) -> None:
    """The simplest request may be allowed: what is proven is that all intended requests are."""
    proof = prove_role([statement(CALLER, f"{WITH_ID} & {more}")])
    (cell,) = proof.failures

    assert (Case.INTENDED, CellState.FAILED, CALLER) == (cell.case, cell.state, cell.caller)
    assert RoleState.NARROWER is role_state(proof.roles[0])
    assert cell.witness is not None
    assert CALLER in counterexample_sentences(cell, ROLE)[0]


def test_there_are_sixty_of_each() -> None:
    """The tables are as long as the project asks for."""
    assert min(len(HOSTILE), len(HARMLESS)) >= 60


def test_a_trust_of_thousands_of_statements_is_not_proven() -> None:
    """A policy that names more than can be decided ends undecided, after a bounded number of steps."""
    statements = [
        ORDINARY,
        *(statement(f"{300_000_000_000 + number}", f"StringLike aws:PrincipalArn *{number}?") for number in range(3_000)),
    ]

    assert CellState.UNDECIDED in {cell.state for cell in prove_role(statements).failures}


def test_a_search_beyond_its_budget_is_undecided() -> None:
    """Patterns with exponentially many states end undecided for callers that were not reached."""
    hidden = {"StringLike": {"aws:PrincipalArn": f"*:role/*a{'?' * 24}b"}, "StringNotLike": {"aws:PrincipalArn": "*r*b"}}
    failures = prove_role([ORDINARY, statement("*", hidden)]).failures

    assert CellState.UNDECIDED in {cell.state for cell in failures}


def test_proofs_of_one_policy_are_equal() -> None:
    """Two proofs of one policy are equal, so that reports can be compared."""
    statements = [ORDINARY, statement("*", "StringNotLike aws:PrincipalArn *b*, *a*")]

    assert prove_role(statements) == prove_role(statements)


def check_proofs(seeds: Iterable[int], requests: int) -> int:
    """How many of the seeds' random trust policies are proven; no random request made from their patterns gets in then,
    unless it is meant to.
    """
    proven = 0
    for seed in seeds:
        rng = seeded(seed)
        statements = random_trust(rng)
        if prove_role(statements).roles[0].comparison.forward.state is not InclusionState.PROVEN:
            continue
        proven += 1
        evaluator = Evaluator(world(statements))
        for request in random_requests(rng, statements, requests):
            meant = request.principal.arn == CALLER and request.context["sts:ExternalId"] == EXTERNAL_ID
            if not meant and is_real(request):
                assert not evaluator.may_assume(request).allowed, (seed, request)
    return proven


@pytest.mark.usefixtures("_without_clock")
def test_a_proof_that_holds_admits_no_request_but_the_intended() -> None:
    assert check_proofs(range(300), 60) > 40


@pytest.mark.slow
@pytest.mark.usefixtures("_without_clock")
@pytest.mark.parametrize("start", range(1_000, 5_000, 1_000))
def test_many_proofs_that_hold_admit_no_request_but_the_intended(start: int) -> None:
    assert check_proofs(range(start, start + 1_000), 150) > 150
