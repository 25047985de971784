"""The symbolic proof against the trust policies that were written to mislead the matrix, and against random ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from policy_pairs import document, seeded
from rolecall_generator.iam import Role
from rolecall_generator.iam.evaluation import ASSUME_ROLE, Evaluator, Request
from rolecall_generator.proof.symbolic import (
    Inclusion,
    InclusionState,
    SearchBudget,
    TrustIntent,
    compare,
    intent_document,
)
from trust_cases import FAILED, HARMLESS, HOSTILE
from trust_grammar import SESSION, random_requests, random_trust
from trust_worlds import CALLER, EXTERNAL_ID, ROLE, world

INTENT = intent_document([TrustIntent(ROLE, (CALLER,), (EXTERNAL_ID,))])
SAFE = {
    "of fifty infixes none": "every ARN of IAM has the infix am, and a provider does not use AssumeRole",
    "a session whose role has a path": "a session name has two characters at least",
    "a session by its name only": "a session name has two characters at least",
    "a source identity": "a source identity needs sts:SetSourceIdentity",
    "a request tag": "a tag needs sts:TagSession",
    "bytes": "a tag needs sts:TagSession",
    "an id that is too long": "AWS does not accept the external ID",
}
"""Trusts that the matrix cannot rule out, although no request is allowed that is not intended."""
OPEN = {"an identity provider of everybody": "whether an unsigned request has aws:PrincipalIsAWSService is not documented"}
"""Trusts that the matrix fails by the evaluator's reading of an undocumented key."""


def surplus(statements: Iterable[Mapping[str, Any]]) -> Inclusion:
    budget = SearchBudget(seconds=None)
    return compare(Role(ROLE, None), document(list(map(dict, statements))), INTENT, budget=budget).forward


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_trust_is_refuted_or_unknown(name: str) -> None:
    statements, verdict = HOSTILE[name]
    expected = InclusionState.REFUTED if verdict == FAILED else InclusionState.UNKNOWN
    if name in SAFE or name in OPEN:
        expected = InclusionState.PROVEN if name in SAFE else InclusionState.UNKNOWN

    assert expected is surplus(statements).state


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_trust_is_proven(name: str) -> None:
    assert InclusionState.PROVEN is surplus(HARMLESS[name]).state


_NAME = re.compile(r"arn:aws:iam::[0-9]{12}:(role|user)/([!-.0-~]+/)*[\w+=,.@-]+", re.ASCII)


def _is_real(request: Request) -> bool:
    """Whether AWS can see the request: the random ones also have invalid names and operations."""
    caller = request.principal
    if caller.arn == SESSION or (caller.arn.startswith("arn:aws:iam::") and ":saml-provider/" not in caller.arn):
        return caller.arn != SESSION and _NAME.fullmatch(caller.arn) is not None
    saml = ":saml-provider/" in caller.arn
    has_id = bool(request.context["sts:ExternalId"] or request.context["aws:MultiFactorAuthPresent"])
    return request.action == ("sts:AssumeRoleWithSAML" if saml else ASSUME_ROLE) and not (saml and has_id)


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
            if not meant and _is_real(request):
                assert not evaluator.may_assume(request).allowed, (seed, request)
    return proven


def test_no_request_contradicts_a_proof() -> None:
    assert _check(range(150), 60) > 20


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1_000, 5_000, 1_000))
def test_no_request_of_many_contradicts_a_proof(start: int) -> None:
    assert _check(range(start, start + 1_000), 150) > 150
