"""Questions that a symbolic proof can answer wrongly: each was a fault of a prototype, or would be one."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from policy_pairs import document
from rolecall_generator.iam import PolicyDocument, Role, Statement
from rolecall_generator.proof.symbolic import InclusionState, Trust, compare
from rolecall_generator.proof.symbolic.world import intent_document
from symbolic_worlds import (
    BACKEND,
    EXTERNAL_ID,
    NO_CALLERS,
    ORDINARY,
    ORDINARY_TRUST,
    ROLE,
    WITH_ID,
    inclusion,
    is_proven,
    statement,
    surplus_of,
    witness_of,
)

ACCOUNT = {"AWS": "111111111111"}
USER = {"AWS": "arn:aws:iam::111111111111:user/ann"}


# Policy variables


def test_plain_value_next_to_a_variable_is_distinguished() -> None:
    """One automaton for all values of the condition would be "any string", and `ab` had no cell of its own."""
    one = document([statement({"AWS": BACKEND}, {"StringEquals": {"sts:RoleSessionName": "ab"}})])
    other = document([statement({"AWS": BACKEND}, {"StringNotEquals": {"sts:RoleSessionName": ["ab", "${aws:username}"]}})])

    assert {"sts:RoleSessionName": ("ab",)} == dict(witness_of(inclusion(one, other)).keys)


def test_plain_value_next_to_a_variable_has_a_cell_of_its_own() -> None:
    """No other condition distinguishes `ab`."""
    other = document([statement({"AWS": BACKEND}, {"StringNotEquals": {"sts:RoleSessionName": ["ab", "${aws:username}"]}})])

    assert ("ab",) == witness_of(inclusion(document([statement({"AWS": BACKEND})]), other)).keys["sts:RoleSessionName"]


def test_relation_holds_for_a_plain_value() -> None:
    one = document([statement(USER, {"StringEquals": {"sts:RoleSessionName": "ab"}})])
    other = document([statement(USER, {"StringEquals": {"sts:RoleSessionName": ["ab", "${aws:username}"]}})])

    assert is_proven(inclusion(one, other))


def test_value_next_to_a_variable_without_a_value_is_unknown() -> None:
    """A role has no aws:username: true by one sentence of the documentation, false by another."""
    one = document([statement({"AWS": BACKEND}, {"StringEquals": {"sts:RoleSessionName": "ab"}})])
    other = document([statement({"AWS": BACKEND}, {"StringEquals": {"sts:RoleSessionName": ["ab", "${aws:username}"]}})])

    assert InclusionState.UNKNOWN is inclusion(one, other).state
    assert InclusionState.UNKNOWN is inclusion(other, NO_CALLERS).state


def test_relation_is_the_same_in_both_policies() -> None:
    trust = document([statement(ACCOUNT, {"StringLike": {"sts:RoleSessionName": "${aws:username}-*"}})])
    narrower = document([statement(USER, {"StringLike": {"sts:RoleSessionName": "${aws:username}-*"}})])

    assert is_proven(inclusion(trust, trust))
    assert is_proven(inclusion(narrower, trust))
    witness_of(inclusion(trust, narrower))


def test_negated_relation_is_the_complement() -> None:
    """Both conditions have one relation between them."""
    name = {"sts:RoleSessionName": "${aws:username}"}
    one = document([statement(USER, {"StringEquals": name})])
    other = document([statement(USER), statement(USER, {"StringNotEquals": name}, "Deny")])

    assert is_proven(inclusion(one, other))
    assert is_proven(inclusion(other, one))


def test_more_values_make_a_relation_wider() -> None:
    values = ["${aws:username}", "${aws:username}-x", "ab"]
    trusts = [document([statement(USER, {"StringLike": {"sts:RoleSessionName": values[:count]}})]) for count in (1, 2, 3)]

    for narrow, wide in itertools.pairwise(trusts):
        assert is_proven(inclusion(narrow, wide))
        witness_of(inclusion(wide, narrow))


def test_variable_without_a_value_matches_nothing() -> None:
    """A role has no aws:username."""
    trust = document([statement({"AWS": BACKEND}, {"StringEquals": {"sts:RoleSessionName": "${aws:username}"}})])

    assert is_proven(inclusion(trust, NO_CALLERS))


def test_variables_are_text_in_an_earlier_version() -> None:
    body = {
        "Version": "2008-10-17",
        "Statement": [statement(USER, {"StringLike": {"sts:RoleSessionName": "*{aws:username}"}})],
    }

    assert is_proven(inclusion(PolicyDocument.from_json(body), NO_CALLERS))


def test_variable_under_a_set_operator_is_unknown() -> None:
    trust = document([statement(USER, {"ForAnyValue:StringEquals": {"aws:TagKeys": "${aws:username}"}})])
    found = inclusion(trust, NO_CALLERS)

    assert InclusionState.UNKNOWN is found.state
    assert any("policy variable" in reason for reason in found.reasons)


TAG = "${aws:ResourceTag/team}"


def test_absent_tag_of_the_role_is_known_to_be_absent() -> None:
    """A request cannot give the role a tag."""
    trust = document([statement("*", {"StringEquals": {"aws:PrincipalTag/team": TAG}})])

    assert is_proven(inclusion(trust, NO_CALLERS))


@pytest.mark.parametrize(
    ("key", "value"),
    [("aws:PrincipalTag/team", TAG), ("aws:ResourceTag/team", "${aws:PrincipalTag/team}"), ("iam:ResourceTag/team", "red")],
)
def test_tag_of_the_role_is_a_constant(key: str, value: str) -> None:
    role = replace(ROLE, tags={"team": "red"})
    trust = document([statement({"AWS": BACKEND}, {"StringEquals": {key: value}})])
    witness = witness_of(inclusion(trust, NO_CALLERS, role))

    assert {("red",)} >= set(witness.keys.values())
    assert not any("ResourceTag" in name for name in witness.keys)
    assert not any(name.lower().startswith(("aws:resourcetag", "iam:resourcetag")) for name in witness.request.context)


def test_unknown_tags_of_an_existing_role_refute_nothing() -> None:
    role = Role(ROLE.arn, None, existing=True)
    trust = document([statement({"AWS": BACKEND}, {"StringEquals": {"aws:ResourceTag/team": "red"}})])

    assert InclusionState.UNKNOWN is inclusion(trust, NO_CALLERS, role).state
    assert is_proven(inclusion(trust, trust, role))


def test_unknown_organization_of_the_role_refutes_nothing() -> None:
    trust = document([statement({"AWS": BACKEND}, {"StringEquals": {"aws:ResourceOrgID": "o-abc"}})])

    assert InclusionState.UNKNOWN is inclusion(trust, NO_CALLERS).state
    assert is_proven(inclusion(trust, trust))


# Callers


@pytest.mark.parametrize(
    "principal", ["arn:aws:iam::111111111111:role/p/backend", "arn:aws:sts::111111111111:assumed-role/q/s"]
)
def test_role_with_a_path_is_not_the_role_of_the_same_name(principal: str) -> None:
    """The evaluator takes the ARN of a session whose role is unknown as pathless, where it must not."""
    name = "role/backend" if ":role/" in principal else "role/p/other"
    conditions = {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::111111111111:{name}"}}
    sessions = statement({"AWS": "arn:aws:sts::111111111111:assumed-role/z/z"}, {"Null": {"aws:PrincipalArn": "true"}})

    assert is_proven(inclusion(document([statement({"AWS": principal}, conditions), sessions]), NO_CALLERS))


def test_session_principal_is_a_session_of_a_role_with_any_path() -> None:
    conditions = {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/deep/path/*"}}
    trust = document([statement({"AWS": "arn:aws:sts::111111111111:assumed-role/q/ci"}, conditions)])
    witness = witness_of(inclusion(trust, NO_CALLERS))

    assert "arn:aws:sts::111111111111:assumed-role/q/ci" == witness.request.principal.arn
    assert "arn:aws:iam::111111111111:role/deep/path/q" == witness.request.principal.role


def test_sessions_of_several_principals_are_not_mixed() -> None:
    sessions = [f"arn:aws:sts::111111111111:assumed-role/{name}/{session}" for name, session in (("a", "s1"), ("b", "s2"))]
    mixed = [f"arn:aws:sts::111111111111:assumed-role/{name}/{session}" for name, session in (("a", "s2"), ("b", "s1"))]
    one, other = document([statement({"AWS": sessions})]), document([statement({"AWS": mixed})])

    witness_of(inclusion(one, other))
    assert is_proven(inclusion(one, document([statement({"AWS": [*sessions, *mixed]})])))


def test_everyone_includes_services() -> None:
    trust = document(
        [statement("*", {"StringNotLike": {"aws:PrincipalArn": "arn:*"}, "Bool": {"aws:PrincipalIsAWSService": "true"}})]
    )

    assert witness_of(inclusion(trust, NO_CALLERS)).request.principal.arn.endswith(".amazonaws.com")


@pytest.mark.parametrize("service", ["ec2.c2s.ic.gov", "ec2.amazonaws.com.cn", "odd.example.com"])
def test_service_is_what_a_policy_names_as_one(service: str) -> None:
    """Services of other partitions have other domains; all of them use AssumeRole."""
    trust = document([statement({"Service": service})])

    assert service == witness_of(inclusion(trust, NO_CALLERS)).request.principal.arn
    assert is_proven(inclusion(document([statement({"Federated": service})]), NO_CALLERS))


def test_roles_anywhere_has_principal_tags() -> None:
    """A service whose requests have the subject of a certificate as principal tags."""
    service = {"Service": "rolesanywhere.amazonaws.com"}
    condition = {"StringEquals": {"aws:PrincipalTag/x509Subject/CN": "web"}}
    witness = witness_of(inclusion(document([statement(service, condition)]), NO_CALLERS))

    assert {"aws:PrincipalTag/x509Subject/CN": ("web",)} == dict(witness.keys)


def test_claims_of_a_provider_are_also_in_requests_of_its_sessions() -> None:
    condition = {"StringEquals": {"accounts.google.com:sub": "x"}}

    assert not is_proven(inclusion(document([statement({"AWS": BACKEND}, condition)]), NO_CALLERS))


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("StringEquals", "111111111111", InclusionState.PROVEN),
        ("StringNotEquals", "111111111111", InclusionState.REFUTED),
        ("StringEqualsIfExists", "111111111111", InclusionState.UNKNOWN),
        ("Null", "true", InclusionState.UNKNOWN),
    ],
)
def test_account_of_a_service_is_not_documented(operator: str, value: str, expected: InclusionState) -> None:
    trust = document([statement({"Service": "ec2.amazonaws.com"}, {operator: {"aws:PrincipalAccount": value}})])

    assert expected is inclusion(trust, NO_CALLERS).state


@pytest.mark.parametrize(
    ("key", "variable"), [("example.com:k", "${aws:PrincipalAccount}"), ("aws:PrincipalAccount", "${sts:RoleSessionName}")]
)
def test_undocumented_key_of_a_provider_in_a_relation_is_unknown(key: str, variable: str) -> None:
    condition = {"StringEquals": {key: variable}}
    trust = document([statement({"Federated": "accounts.google.com"}, condition, Action="sts:*")])

    assert InclusionState.UNKNOWN is inclusion(trust, NO_CALLERS).state


def test_unsigned_request_of_a_provider_is_unknown() -> None:
    """Whether it has aws:PrincipalIsAWSService is not documented."""
    conditions = {"StringNotLike": {"aws:PrincipalArn": "arn:*"}, "Bool": {"aws:PrincipalIsAWSService": "false"}}
    trust = document([statement("*", conditions, Action="sts:*")])

    assert InclusionState.UNKNOWN is inclusion(trust, NO_CALLERS).state


@pytest.mark.parametrize(
    "principal", ["AROAEXAMPLEEXAMPLE12", "arn:aws:iam::111111111111:group/x", "1234", "arn:aws:iam::1:root"]
)
def test_unclear_principal_is_unknown(principal: str) -> None:
    trust = document([statement({"AWS": principal})])

    assert InclusionState.UNKNOWN is inclusion(trust, NO_CALLERS).state
    assert InclusionState.UNKNOWN is inclusion(ORDINARY_TRUST, trust).state


def test_not_principal_is_unknown_and_proves_nothing() -> None:
    body = {"Effect": "Allow", "Action": "sts:AssumeRole", "NotPrincipal": {"AWS": BACKEND}}
    denial = {**body, "Effect": "Deny"}

    assert InclusionState.UNKNOWN is inclusion(document([body]), NO_CALLERS).state
    assert InclusionState.UNKNOWN is inclusion(ORDINARY_TRUST, document([ORDINARY, denial])).state


@pytest.mark.parametrize("effect", ["Permit", "deny", ""])
def test_unknown_effect_may_allow_and_deny(effect: str) -> None:
    trust = PolicyDocument((Statement(effect, ("sts:AssumeRole",), principals=ORDINARY_TRUST.statements[0].principals),))

    assert InclusionState.UNKNOWN is inclusion(trust, NO_CALLERS).state
    both = PolicyDocument((*ORDINARY_TRUST.statements, *trust.statements))
    assert InclusionState.UNKNOWN is inclusion(ORDINARY_TRUST, both).state


def test_unknown_version_is_unknown() -> None:
    trust = replace(ORDINARY_TRUST, version="2030-01-01")

    assert InclusionState.UNKNOWN is inclusion(trust, NO_CALLERS).state


# Values


@pytest.mark.parametrize(
    ("key", "pattern"),
    [("sts:ExternalId", "?"), ("sts:RoleSessionName", "?" * 65), ("sts:ExternalId", "a b"), ("aws:PrincipalOrgID", "r-*")],
)
def test_value_that_aws_does_not_accept_is_no_value(key: str, pattern: str) -> None:
    trust = document([statement({"AWS": BACKEND}, {"StringLike": {key: pattern}})])

    assert is_proven(inclusion(trust, NO_CALLERS))


@pytest.mark.parametrize(("length", "accepted"), [(1_224, True), (1_225, False)])
def test_longest_external_id_is_respected(length: int, accepted: bool) -> None:
    trust = document([statement({"AWS": BACKEND}, {"StringEquals": {"sts:ExternalId": "a" * length}})])

    assert accepted is not is_proven(inclusion(trust, NO_CALLERS))


def test_name_that_is_too_long_is_unknown() -> None:
    trust = document([statement("*", {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::*:role/{'?' * 65}b"}}, "Allow")])
    exact = document([statement("*", {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::111111111111:role/{'b' * 65}"}})])

    assert "/" in witness_of(inclusion(trust, NO_CALLERS)).request.principal.arn.partition("role/")[2]
    assert InclusionState.UNKNOWN is inclusion(exact, NO_CALLERS).state


def test_absent_key_makes_a_negation_true() -> None:
    trust = document([statement({"AWS": BACKEND}, {"StringNotEquals": {"sts:ExternalId": EXTERNAL_ID}})])

    assert {} == dict(witness_of(inclusion(trust, NO_CALLERS)).keys)


def test_three_conditions_that_only_three_values_satisfy() -> None:
    """Values that are only joined in pairs do not satisfy them."""
    names = ("alpha", "beta", "gamma")
    each = [
        statement("*", {"ForAllValues:StringNotEquals": {"aws:TagKeys": name}}, "Deny", Action="sts:TagSession")
        for name in names
    ]
    allow = statement({"AWS": BACKEND}, {"Null": {"aws:TagKeys": "false"}}, Action=["sts:AssumeRole", "sts:TagSession"])
    found = witness_of(inclusion(document([allow, *each]), NO_CALLERS))

    assert set(names) == set(found.keys["aws:TagKeys"])


def test_unlisted_key_can_have_several_values() -> None:
    conditions = {"ForAnyValue:StringEquals": {"example.com:k": "a"}}
    one = document([statement({"AWS": BACKEND}, conditions)])
    other = document([statement({"AWS": BACKEND}, {**conditions, "ForAllValues:StringEquals": {"example.com:k": "a"}})])
    witness = witness_of(inclusion(one, other))

    assert 2 == len(witness.keys["example.com:k"])


def test_lone_empty_string_counts_as_no_value() -> None:
    """A set operator ignores it, Null takes it as absent."""
    one = document(
        [
            statement(
                {"AWS": BACKEND}, {"ForAllValues:StringEquals": {"example.com:k": "a"}, "Null": {"example.com:k": "true"}}
            )
        ]
    )
    other = document([statement({"AWS": BACKEND}, {"Null": {"example.com:k": "true"}})])

    assert is_proven(inclusion(one, other))


def test_kelvin_sign_is_a_letter_k_without_case() -> None:
    trust = document([statement({"AWS": BACKEND}, {"StringEqualsIgnoreCase": {"aws:UserAgent": "k"}})])
    ascii_only = document([statement({"AWS": BACKEND}, {"StringEquals": {"aws:UserAgent": ["k", "K"]}})])

    assert {"aws:UserAgent": ("\u212a",)} == dict(witness_of(inclusion(trust, ascii_only)).keys)


def test_ignoring_case_beyond_ascii_is_unknown() -> None:
    trust = document([statement({"AWS": BACKEND}, {"StringEqualsIgnoreCase": {"aws:UserAgent": "\u00e9"}})])

    assert InclusionState.UNKNOWN is inclusion(trust, NO_CALLERS).state


def test_wildcard_of_an_arn_operator_matches_no_colon() -> None:
    service = {"Service": "s3.amazonaws.com"}
    pattern = "arn:aws:*:bucket"
    one = document([statement(service, {"StringLike": {"aws:SourceArn": pattern}})])
    other = document([statement(service, {"ArnLike": {"aws:SourceArn": "arn:aws:*:::bucket"}})])

    assert witness_of(inclusion(one, other)).keys["aws:SourceArn"][0].count(":") >= 5
    assert is_proven(inclusion(other, one))


def test_colon_is_distinguished_where_only_a_wildcard_excludes_it() -> None:
    one, other = (
        document([statement({"AWS": BACKEND}, {operator: {"example.com:k": "arn:a?s:s3:::b"}})])
        for operator in ("StringLike", "ArnLike")
    )

    assert {"example.com:k": ("arn:a:s:s3:::b",)} == dict(witness_of(inclusion(one, other)).keys)


def test_numbers_between_break_points_are_examined() -> None:
    conditions = {"NumericGreaterThan": {"example.com:n": "10"}, "NumericLessThan": {"example.com:n": "11"}}
    trust = document([statement({"AWS": BACKEND}, conditions)])
    whole = {
        "NumericGreaterThan": {"aws:MultiFactorAuthAge": "10"},
        "NumericLessThan": {"aws:MultiFactorAuthAge": "11"},
    }

    assert {"example.com:n": ("10.5",)} == dict(witness_of(inclusion(trust, NO_CALLERS)).keys)
    assert is_proven(inclusion(document([statement("*", whole)]), NO_CALLERS))


@pytest.mark.parametrize(
    ("operator", "values"),
    [
        ("DateEquals", ["9999-12-31T23:59:59Z", "99999999999999"]),
        ("DateLessThan", ["0001-01-01T00:00:00Z"]),
        ("NumericEquals", ["1e4000", "1e-4000", "1"]),
        ("NumericGreaterThan", ["123456789012345678901234567890.123456789", "123456789012345678901234567890.12345678901"]),
        ("IpAddress", ["255.255.255.255", "::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]),
        ("BinaryEquals", ["QQ==", "QR==", ""]),
    ],
)
def test_extreme_values_are_proven_or_unknown(operator: str, values: list[str]) -> None:
    trust = document(
        [statement({"AWS": BACKEND}, {operator: {"example.com:x": values}, "Null": {"example.com:x": "false"}})]
    )

    assert InclusionState.REFUTED is not inclusion(trust, trust).state
    assert InclusionState.PROVEN is not inclusion(trust, NO_CALLERS).state


def test_operator_of_another_type_than_the_key_matches_nothing() -> None:
    """A date is no number, so neither denial applies."""
    denials = [
        statement("*", {operator: {"aws:CurrentTime": "10"}}, "Deny")
        for operator in ("NumericLessThan", "NumericGreaterThanEquals")
    ]

    assert not is_proven(inclusion(document([ORDINARY, *denials]), NO_CALLERS))


def test_string_and_ordered_operators_on_one_key_are_unknown() -> None:
    conditions = {"StringLike": {"aws:SourceIp": "10.*"}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    found = inclusion(document([statement({"AWS": BACKEND}, conditions)]), NO_CALLERS)

    assert InclusionState.UNKNOWN is found.state
    assert any("several ways" in reason for reason in found.reasons)


@pytest.mark.parametrize(
    "key", ["sts:SourceIdentity", "aws:SourceIdentity", "aws:TagKeys", "aws:CurrentTime", "aws:ResourceTag/a"]
)
def test_key_that_is_compared_in_several_ways_is_unknown(key: str) -> None:
    conditions = {"StringLike": {key: "1*"}, "NumericLessThan": {key: "10"}}
    trust = document([statement({"AWS": BACKEND}, conditions, Action="sts:*")])

    assert InclusionState.UNKNOWN is inclusion(trust, NO_CALLERS, Role(ROLE.arn, None, existing=True)).state


@pytest.mark.parametrize("key", ["caller", "Caller", "action", "ProvidedContexts", "match exact: k v", ""])
def test_key_with_an_internal_name_is_a_key_that_no_request_has(key: str) -> None:
    trust = document([statement({"AWS": BACKEND}, {"StringEquals": {key: "x"}})])
    absent = document([statement({"AWS": BACKEND}, {"Null": {key: "true"}})])

    assert InclusionState.UNKNOWN is inclusion(trust, NO_CALLERS).state
    assert BACKEND == witness_of(inclusion(absent, NO_CALLERS)).request.principal.arn


@pytest.mark.parametrize(
    "conditions",
    [
        {"StringEquals": {"aws:PrincipalOrgID": "o-a"}, "ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-b/*"}},
        {"StringEquals": {"aws:SourceAccount": "111111111111"}, "ArnLike": {"aws:SourceArn": "arn:aws:s3::222222222222:*"}},
        {"DateLessThan": {"aws:CurrentTime": "2026-01-01"}, "NumericGreaterThan": {"aws:EpochTime": "1900000000"}},
        {"Bool": {"aws:MultiFactorAuthPresent": "true"}, "StringEquals": {"aws:PrincipalType": "AssumedRole"}},
        {"StringLike": {"aws:userid": "AIDA*"}, "StringEquals": {"aws:PrincipalType": "AssumedRole"}},
    ],
)
def test_keys_that_disagree_refute_nothing(conditions: dict[str, dict[str, str]]) -> None:
    """Such keys are independent in the search, but not in AWS."""
    assert InclusionState.UNKNOWN is inclusion(document([statement("*", conditions)]), NO_CALLERS).state


def test_transitive_tags_are_among_the_tags() -> None:
    conditions = {"ForAnyValue:StringEquals": {"sts:TransitiveTagKeys": "a"}, "Null": {"aws:TagKeys": "true"}}
    trust = document([statement({"AWS": BACKEND}, conditions, Action=["sts:AssumeRole", "sts:TagSession"])])

    assert InclusionState.UNKNOWN is inclusion(trust, NO_CALLERS).state


# Facts


@pytest.mark.parametrize(
    ("conditions", "action", "fact"),
    [
        (
            {"NumericLessThan": {"aws:MultiFactorAuthAge": "60"}, "Null": {"aws:MultiFactorAuthPresent": "true"}},
            "sts:AssumeRole",
            "age of MFA",
        ),
        ({"StringEquals": {"aws:RequestTag/a": "b"}, "Null": {"aws:TagKeys": "true"}}, "sts:*", "request tags"),
        (
            {"StringEquals": {"aws:SourceAccount": "111111111111", "aws:PrincipalType": "User"}},
            "sts:AssumeRole",
            "presence of aws:sourceaccount",
        ),
        (
            {"StringEquals": {"aws:SourceIdentity": "ab", "aws:PrincipalType": "User"}},
            "sts:*",
            "source identity of sessions",
        ),
        ({"Null": {"aws:userid": "true", "aws:username": "false"}}, "sts:AssumeRole", "presence of aws:userid"),
    ],
)
def test_proof_names_the_facts_it_needs(conditions: dict[str, dict[str, str]], action: str, fact: str) -> None:
    found = inclusion(document([statement("*", conditions, Action=action)]), NO_CALLERS)

    assert InclusionState.PROVEN is found.state
    assert (fact,) == found.facts


def test_operation_of_a_provider_is_a_fact() -> None:
    found = inclusion(document([statement({"Federated": "token.actions.githubusercontent.com"})]), NO_CALLERS)

    assert (InclusionState.PROVEN, ("operations",)) == (found.state, found.facts)


def test_proof_without_facts_names_none() -> None:
    found = inclusion(ORDINARY_TRUST, document([statement({"AWS": BACKEND})]))

    assert (InclusionState.PROVEN, ()) == (found.state, found.facts)


# Intents


def test_intent_has_session_tags_and_source_identity() -> None:
    """Without them in the intent every role that allows them would be wider than intended."""
    trust = document(
        [statement({"AWS": BACKEND}, WITH_ID, Action=["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"])]
    )
    plain = Trust("customer", ROLE.arn, (BACKEND,), EXTERNAL_ID)
    full = replace(plain, session_tags=True, source_identity=True)

    assert compare(ROLE, trust, intent_document([full])).is_equal
    assert InclusionState.REFUTED is compare(ROLE, trust, intent_document([plain])).forward.state


def test_intent_accepts_each_external_id_during_a_rotation() -> None:
    both = {"StringEquals": {"sts:ExternalId": [EXTERNAL_ID, "the-previous-one"]}}
    intents = [Trust("customer", ROLE.arn, (BACKEND,), each) for each in (EXTERNAL_ID, "the-previous-one")]

    assert 2 == len(intent_document(intents).statements)
    assert compare(ROLE, document([statement({"AWS": BACKEND}, both)]), intent_document(intents)).is_equal


def test_account_principal_with_an_arn_condition_equals_the_role() -> None:
    """Both ways to trust one role, as far as names go."""
    conditions = {"ArnEquals": {"aws:PrincipalArn": BACKEND}, **WITH_ID}
    trust = document([statement({"AWS": "arn:aws:iam::111111111111:root"}, conditions)])

    assert compare(ROLE, trust, ORDINARY_TRUST).is_equal


def test_surplus_next_to_the_intent_is_refuted_in_one_direction() -> None:
    assert InclusionState.REFUTED is surplus_of(statement(ACCOUNT)).state


def test_oidc_provider_is_not_a_saml_provider_because_of_its_path() -> None:
    provider = "arn:aws:iam::222222222222:oidc-provider/example.com/a:saml-provider/b"
    trust = document([statement({"Federated": provider}, Action="sts:AssumeRoleWithWebIdentity")])

    assert provider == witness_of(inclusion(trust, document([]))).request.principal.arn
    assert compare(ROLE, trust, intent_document([Trust("customer", ROLE.arn, (provider,))])).is_equal
