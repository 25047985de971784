"""The symbolic proof against trust policies that look intended, over the whole language of IAM."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policy_text import document
from rolecall_generator.iam import Access, Condition, PolicyDocument, Principal, Role, Statement
from rolecall_generator.iam.evaluation import Evaluator
from rolecall_generator.proof.symbolic import (
    InclusionState,
    RequestWitness,
    compare,
)
from trust_worlds import CALLER, EXTERNAL_ID, INTENT, ROLE, surplus
from unintended_trusts import NO_MORE, OPEN, UNINTENDED, WIDER

STATES = {WIDER: InclusionState.REFUTED, NO_MORE: InclusionState.PROVEN, OPEN: InclusionState.UNKNOWN}


@pytest.mark.parametrize("name", UNINTENDED)
def test_unintended_requests_are_found(name: str) -> None:
    statements, verdict = UNINTENDED[name]
    found = surplus(statements)

    assert STATES[verdict] is found.state
    assert (found.witness is not None) == (verdict == WIDER)
    if found.witness is not None:
        assert [True, False] == [is_allowed(found.witness, trust) for trust in (document(statements), INTENT)]


def is_allowed(witness: RequestWitness, trust: PolicyDocument) -> bool:
    """Whether the evaluator allows the request, with the action for provided contexts, which it does not look for itself."""
    evaluator = Evaluator(Access.of(Role(ROLE, trust)))
    actions = (witness.request.action, *["sts:SetContext"] * ("--provided-contexts" in witness.command))
    return all(evaluator.may_assume(replace(witness.request, action=action)).allowed for action in actions)


def test_two_conditions_of_one_operator_and_key_are_unknown() -> None:
    """In JSON they are one list of values, of which one is sufficient; as two conditions both would have to hold."""
    ids = [Condition("StringEquals", "sts:ExternalId", (EXTERNAL_ID, other)) for other in ("first", "second")]
    caller = Principal("AWS", CALLER)
    trust = PolicyDocument((Statement("Allow", ("sts:AssumeRole",), principals=(caller,), conditions=tuple(ids)),))

    assert InclusionState.UNKNOWN is compare(Role(ROLE, None), trust, INTENT).forward.state
    assert (
        InclusionState.REFUTED is compare(Role(ROLE, None), PolicyDocument.from_json(trust.to_json()), INTENT).forward.state
    )


ANYONE = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}


@pytest.mark.parametrize(
    "body",
    [
        {"statement": [ANYONE]},
        {"Statement": [{**ANYONE, "principal": "*"}]},
        {"Statement": [{**ANYONE, "Action": [["sts:AssumeRole"]]}]},
        {"Statement": [{**ANYONE, "Principal": {"AWS": [None]}}]},
        {"Statement": [{**ANYONE, "Condition": {"StringEquals": {"sts:ExternalId": [None]}}}]},
        {"Statement": [{**ANYONE, "Condition": {"StringEquals": {"sts:ExternalId": {"a": "b"}}}}]},
        {"Statement": [{**ANYONE, "Condition": {"StringEquals": [{"sts:ExternalId": "a"}]}}]},
    ],
)
def test_malformed_document_is_not_read(body: dict[str, object]) -> None:
    """Read in part, it could seem to allow no one."""
    with pytest.raises(ValueError, match=r".+"):
        PolicyDocument.from_json({"Version": "2012-10-17", **body})
