"""Documents of any content: no comparison raises, and what cannot be evaluated is proven neither way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall_generator.iam import PolicyDocument, Role
from rolecall_generator.iam.evaluation import Compiler, PolicyType
from rolecall_generator.iam.matching import OPERATORS
from rolecall_generator.proof.symbolic import InclusionState, SearchBudget, compare, difference
from symbolic_worlds import BACKEND, NO_CALLERS, ORDINARY_TRUST, ROLE

_STRINGS = st.one_of(
    st.sampled_from([
        "", "*", "?", "**", "${", "${}", "${*}", "${$}", "${aws:username}", "${aws:username, 'x'}", "${aws:PrincipalTag/a}*",
        "${ aws:TagKeys }", "\0", "a\0*", "\ud800", "\u212a", "true", "10", "1e99", "2026-01-01", "10.0.0.0/8", "QQ==",
        "arn:aws:iam::*:role/*", "arn:aws:iam::111111111111:user/\0", BACKEND, "x" * 300,
    ]),
    st.text(max_size=6),
)  # fmt: skip
_KEYS = st.sampled_from([
    "", ":", "aws:", "aws:PrincipalTag", "aws:PrincipalTag/", "aws:PrincipalTag/A", "aws:principaltag/a",
    "aws:RequestTag/\u00e9", "aws:RequestTag/a", "AWS:TAGKEYS", "aws:PrincipalArn", "aws:PrincipalType", "aws:username",
    "aws:userid", "aws:SourceIdentity", "sts:SourceIdentity", "sts:ExternalId", "sts:TransitiveTagKeys", "aws:CurrentTime",
    "aws:SourceIp", "aws:MultiFactorAuthPresent", "sts:DurationSeconds", "aws:ResourceTag/a", "iam:ResourceTag/A",
    "aws:ResourceAccount", "Caller", "accounts.google.com:aud", "a.b:c:sub",
])  # fmt: skip
_OPERATORS = st.builds(
    lambda prefix, name, suffix: prefix + name + suffix,
    st.sampled_from(["", "", "ForAnyValue:", "ForAllValues:", "forallvalues:"]),
    st.sampled_from([*OPERATORS, "stringequals", "Equals", ""]),
    st.sampled_from(["", "", "IfExists"]),
)
_CONDITIONS = st.dictionaries(
    _OPERATORS,
    st.dictionaries(_KEYS, st.one_of(_STRINGS, st.lists(_STRINGS, max_size=3), st.booleans(), st.integers()), max_size=2),
    max_size=2,
)
_PRINCIPALS = st.one_of(
    st.just("*"),
    st.dictionaries(
        st.sampled_from(["AWS", "AWS", "Service", "Federated", "CanonicalUser", "*"]),
        st.one_of(_STRINGS, st.just("111111111111"), st.just("arn:aws:sts::111111111111:assumed-role/r/s1")),
        min_size=1,
        max_size=2,
    ),
    _STRINGS,
)
_STATEMENTS = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Allow", "Deny", "allow"]), "Principal": _PRINCIPALS, "Condition": _CONDITIONS},
    optional={
        "Action": st.sampled_from(["sts:AssumeRole", "sts:*", "*", "STS:ASSUMEROLE*", "s3:GetObject", "${aws:username}"]),
        "NotAction": st.sampled_from(["sts:TagSession", "*"]),
        "Resource": st.just("*"),
    },
)
_DOCUMENTS = st.builds(
    lambda statements, version: PolicyDocument.from_json({"Version": version, "Statement": statements}),
    st.lists(_STATEMENTS, max_size=3),
    st.sampled_from(["2012-10-17", "2012-10-17", "2012-10-17", "2008-10-17", "2020-01-01"]),
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(_DOCUMENTS, _DOCUMENTS, st.sampled_from([{}, {"a": "x"}]), st.booleans())
def test_any_documents_are_compared(
    one: PolicyDocument, other: PolicyDocument, tags: dict[str, Any], existing: bool
) -> None:
    role = Role(ROLE.arn, None, tags=tags, existing=existing)
    budget = SearchBudget(60_000, None)
    found = compare(role, one, other, budget=budget)
    again = compare(role, one, one, budget=SearchBudget(60_000, None))

    assert InclusionState.REFUTED not in (again.forward.state, again.backward.state)
    for inclusion in (found.forward, found.backward):
        assert (inclusion.witness is not None) is (inclusion.state is InclusionState.REFUTED)
        assert bool(inclusion.reasons) is (inclusion.state is InclusionState.UNKNOWN)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(_DOCUMENTS)
def test_statement_that_is_not_evaluated_proves_nothing(document: PolicyDocument) -> None:
    """What may allow is not shown to allow nothing, and what may deny is not shown to allow the ordinary requests."""
    unclear = [each for each in Compiler().compile(document, PolicyType.TRUST).statements if each.refusal is not None]
    budget = SearchBudget(60_000, None)
    for each in unclear:
        concerned = PolicyDocument((each.source,), document.version)
        if "*" in each.source.not_actions:
            continue
        if not each.source.actions or "sts:*" in each.source.actions or "*" in each.source.actions:
            if each.source.effect != "Deny":
                assert compare(ROLE, concerned, NO_CALLERS, budget=budget).forward.state is not InclusionState.PROVEN
            if each.source.effect != "Allow" and document.version == PolicyDocument.VERSION:
                both = PolicyDocument((*ORDINARY_TRUST.statements, each.source), document.version)
                assert compare(ROLE, ORDINARY_TRUST, both, budget=budget).forward.state is not InclusionState.PROVEN


@settings(max_examples=40, deadline=None, derandomize=True)
@given(_DOCUMENTS)
def test_any_difference_is_described(document: PolicyDocument) -> None:
    for found in difference(ROLE, document, NO_CALLERS, budget=SearchBudget(400_000, None)):
        assert all(each.description for each in found.constraints)
        assert found.witness is None or found.is_certain


@pytest.mark.parametrize("number", ["1e99", "1e9999", "-1e99"])
@pytest.mark.parametrize("operator", ["NumericLessThan", "NumericEquals", "NumericGreaterThan"])
def test_numbers_beyond_the_bounds_of_a_key(operator: str, number: str) -> None:
    """The duration of a session is from 900 to 43,200 seconds."""
    body = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": BACKEND}}
    limited = {**body, "Condition": {operator: {"sts:DurationSeconds": number}}}
    trust = PolicyDocument.from_json({"Version": "2012-10-17", "Statement": [limited]})
    reached = (operator == "NumericLessThan" and number[0] != "-") or (operator == "NumericGreaterThan" and number[0] == "-")
    found = compare(ROLE, trust, NO_CALLERS).forward

    assert (InclusionState.REFUTED if reached else InclusionState.PROVEN) is found.state
