"""Questions that a symbolic proof can answer wrongly: each was a fault of a prototype, or would be one."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from policy_text import document, statement
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
    surplus_of,
    trust_policy,
    witness_of,
)

PROVEN, REFUTED, UNKNOWN = InclusionState.PROVEN, InclusionState.REFUTED, InclusionState.UNKNOWN
ACCOUNT, USER = "111111111111", "arn:aws:iam::111111111111:user/ann"
SERVICE, PROVIDER = {"Service": "s3.amazonaws.com"}, {"Federated": "accounts.google.com"}
SESSIONS = [f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}" for name in ("a/s1", "b/s2", "a/s2", "b/s1")]
NAME = "sts:RoleSessionName"
AB, AB_OR_USER = f"StringEquals {NAME} ab", f"StringEquals {NAME} ab, ${{aws:username}}"
NOT_AB_OR_USER = AB_OR_USER.replace("StringEquals", "StringNotEquals")
WITH_USER = f"StringLike {NAME} ${{aws:username}}-*"
ANN = f"StringEquals {NAME} ${{aws:username}}"
TAG = "${aws:ResourceTag/team}"
EXISTING = Role(ROLE.arn, None, existing=True)
MFA_AGE = "aws:MultiFactorAuthAge"
ORGANIZATION, OF_ROLE = "StringEquals aws:ResourceOrgID o-abc", "StringEquals aws:PrincipalType AssumedRole"
NO_NUMBER = [
    statement("*", f"{operator} aws:CurrentTime 10", "Deny") for operator in ("NumericLessThan", "NumericGreaterThanEquals")
]

PAIRS = {
    PROVEN: {
        "a plain value is one of several": (trust_policy(USER, AB), trust_policy(USER, AB_OR_USER)),
        "the same relation": (trust_policy(ACCOUNT, WITH_USER), trust_policy(ACCOUNT, WITH_USER)),
        "the same relation of a user": (trust_policy(USER, WITH_USER), trust_policy(ACCOUNT, WITH_USER)),
        "the organization of the role": (trust_policy(BACKEND, ORGANIZATION), trust_policy(BACKEND, ORGANIZATION)),
        "sessions of two roles": (trust_policy({"AWS": SESSIONS[:2]}), trust_policy({"AWS": SESSIONS})),
        # A set operator ignores a lone empty string, Null takes it as absent.
        "a lone empty string": (
            trust_policy(BACKEND, "ForAllValues:StringEquals example.com:k a & Null example.com:k true"),
            trust_policy(BACKEND, "Null example.com:k true"),
        ),
        "a wildcard of an ARN operator matches no colon": (
            trust_policy(SERVICE, "ArnLike aws:SourceArn arn:aws:*:::bucket"),
            trust_policy(SERVICE, "StringLike aws:SourceArn arn:aws:*:bucket"),
        ),
    },
    REFUTED: {
        "the same relation of others": (trust_policy(ACCOUNT, WITH_USER), trust_policy(USER, WITH_USER)),
        "sessions of two roles, mixed": (trust_policy({"AWS": SESSIONS[:2]}), trust_policy({"AWS": SESSIONS[2:]})),
    },
    # A role has no aws:username: true by one sentence of the documentation, false by another.
    UNKNOWN: {"a value next to a variable without one": (trust_policy(BACKEND, AB), trust_policy(BACKEND, AB_OR_USER))},
}
ANYONE = {
    PROVEN: {
        "a variable without a value": trust_policy(BACKEND, ANN),
        "variables are text in an earlier version": document(
            [statement(USER, f"StringLike {NAME} *{{aws:username}}")], version="2008-10-17"
        ),
        # A request cannot give the role a tag.
        "an absent tag of the role": trust_policy("*", f"StringEquals aws:PrincipalTag/team {TAG}"),
        "a provider named as a service": trust_policy({"Federated": "odd.example.com"}),
        "the account of a service": trust_policy(SERVICE, f"StringEquals aws:PrincipalAccount {ACCOUNT}"),
        "an external ID of one character": trust_policy(BACKEND, "StringLike sts:ExternalId ?"),
        "an external ID with a space": trust_policy(BACKEND, "StringLike sts:ExternalId a b"),
        "an external ID of 1,225 characters": trust_policy(BACKEND, f"StringEquals sts:ExternalId {'a' * 1_225}"),
        "a session name of 65 characters": trust_policy(BACKEND, f"StringLike {NAME} {'?' * 65}"),
        "an organization that is none": trust_policy(BACKEND, "StringLike aws:PrincipalOrgID r-*"),
        "no whole number between two": trust_policy("*", f"NumericGreaterThan {MFA_AGE} 10 & NumericLessThan {MFA_AGE} 11"),
    },
    REFUTED: {
        "an external ID of 1,224 characters": trust_policy(BACKEND, f"StringEquals sts:ExternalId {'a' * 1_224}"),
        "another account of a service": trust_policy(SERVICE, f"StringNotEquals aws:PrincipalAccount {ACCOUNT}"),
    },
    UNKNOWN: {
        "a value, or a variable without one": trust_policy(BACKEND, AB_OR_USER),
        "the organization of the role": trust_policy(BACKEND, ORGANIZATION),
        "the account of a service, if it exists": trust_policy(
            SERVICE, f"StringEqualsIfExists aws:PrincipalAccount {ACCOUNT}"
        ),
        "a service without an account": trust_policy(SERVICE, "Null aws:PrincipalAccount true"),
        "a key of a provider in a relation": trust_policy(
            PROVIDER, "StringEquals example.com:k ${aws:PrincipalAccount}", Action="sts:*"
        ),
        "the account of a provider in a relation": trust_policy(
            PROVIDER, f"StringEquals aws:PrincipalAccount ${{{NAME}}}", Action="sts:*"
        ),
        # Whether it has aws:PrincipalIsAWSService is not documented.
        "an unsigned request of a provider": trust_policy(
            "*", "StringNotLike aws:PrincipalArn arn:* & Bool aws:PrincipalIsAWSService false", Action="sts:*"
        ),
        "an unknown version": replace(ORDINARY_TRUST, version="2030-01-01"),
        "a name that is too long": trust_policy("*", f"ArnEquals aws:PrincipalArn arn:aws:iam::{ACCOUNT}:role/{'b' * 65}"),
        "ignoring case beyond ASCII": trust_policy(BACKEND, {"StringEqualsIgnoreCase": {"aws:UserAgent": "\u00e9"}}),
        # A date is no number, so neither denial applies; but AWS writes no such date.
        "a date that is compared as a number": document([ORDINARY, *NO_NUMBER]),
        "transitive tags without tags": trust_policy(
            BACKEND, "ForAnyValue:StringEquals sts:TransitiveTagKeys a & Null aws:TagKeys true", Action="sts:*"
        ),
        # Such keys are independent in the search, but not in AWS.
        "organization and path disagree": trust_policy(
            "*", "StringEquals aws:PrincipalOrgID o-a & ForAnyValue:StringLike aws:PrincipalOrgPaths o-b/*"
        ),
        "account and source ARN disagree": trust_policy(
            "*", f"StringEquals aws:SourceAccount {ACCOUNT} & ArnLike aws:SourceArn arn:aws:s3::222222222222:*"
        ),
        "two times disagree": trust_policy(
            "*", "DateLessThan aws:CurrentTime 2026-01-01 & NumericGreaterThan aws:EpochTime 1900000000"
        ),
        "a role with MFA": trust_policy("*", f"Bool aws:MultiFactorAuthPresent true & {OF_ROLE}"),
        "a role with the ID of a user": trust_policy("*", f"StringLike aws:userid AIDA* & {OF_ROLE}"),
    },
}
COMPARISONS = [
    pytest.param(one, other, state, id=name)
    for state in InclusionState
    for name, (one, other) in (
        *PAIRS[state].items(),
        *((f"anyone: {name}", (trust, NO_CALLERS)) for name, trust in ANYONE[state].items()),
    )
]


@pytest.mark.parametrize(("one", "other", "state"), COMPARISONS)
def test_comparison_has_its_result(one: PolicyDocument, other: PolicyDocument, state: InclusionState) -> None:
    assert state is inclusion(one, other).state


WITNESSES = {
    "a plain value next to a variable": (trust_policy(BACKEND, AB), trust_policy(BACKEND, NOT_AB_OR_USER), {NAME: ("ab",)}),
    # No other condition distinguishes `ab`.
    "a plain value next to a variable only": (trust_policy(BACKEND), trust_policy(BACKEND, NOT_AB_OR_USER), {NAME: ("ab",)}),
    # A service whose requests have the subject of a certificate as principal tags.
    "Roles Anywhere": (
        trust_policy({"Service": "rolesanywhere.amazonaws.com"}, "StringEquals aws:PrincipalTag/x509Subject/CN web"),
        NO_CALLERS,
        {"aws:PrincipalTag/x509Subject/CN": ("web",)},
    ),
    "an absent key makes a negation true": (
        trust_policy(BACKEND, f"StringNotEquals sts:ExternalId {EXTERNAL_ID}"),
        NO_CALLERS,
        {},
    ),
    "the Kelvin sign is a letter k without case": (
        trust_policy(BACKEND, "StringEqualsIgnoreCase aws:UserAgent k"),
        trust_policy(BACKEND, "StringEquals aws:UserAgent k, K"),
        {"aws:UserAgent": ("\u212a",)},
    ),
    "a colon that only a wildcard excludes": (
        trust_policy(BACKEND, "StringLike example.com:k arn:a?s:s3:::b"),
        trust_policy(BACKEND, "ArnLike example.com:k arn:a?s:s3:::b"),
        {"example.com:k": ("arn:a:s:s3:::b",)},
    ),
    "a number between break points": (
        trust_policy(BACKEND, "NumericGreaterThan example.com:n 10 & NumericLessThan example.com:n 11"),
        NO_CALLERS,
        {"example.com:n": ("10.5",)},
    ),
}


@pytest.mark.parametrize(("one", "other", "keys"), WITNESSES.values(), ids=WITNESSES)
def test_witness_has_the_values_that_differ(
    one: PolicyDocument, other: PolicyDocument, keys: dict[str, tuple[str, ...]]
) -> None:
    assert keys == dict(witness_of(inclusion(one, other)).keys)


# Policy variables


def test_negated_relation_is_the_complement() -> None:
    """Both conditions have one relation between them."""
    denied = document([statement(USER), statement(USER, ANN.replace("StringEquals", "StringNotEquals"), "Deny")])

    assert is_proven(inclusion(trust_policy(USER, ANN), denied))
    assert is_proven(inclusion(denied, trust_policy(USER, ANN)))


def test_more_values_make_a_relation_wider() -> None:
    values = ["${aws:username}", "${aws:username}-x", "ab"]
    trusts = [trust_policy(USER, {"StringLike": {NAME: values[:count]}}) for count in (1, 2, 3)]

    for narrow, wide in itertools.pairwise(trusts):
        assert is_proven(inclusion(narrow, wide))
        witness_of(inclusion(wide, narrow))


def test_variable_under_a_set_operator_is_unknown() -> None:
    found = inclusion(trust_policy(USER, "ForAnyValue:StringEquals aws:TagKeys ${aws:username}"), NO_CALLERS)

    assert UNKNOWN is found.state
    assert any("policy variable" in reason for reason in found.reasons)


@pytest.mark.parametrize(
    ("key", "value"),
    [("aws:PrincipalTag/team", TAG), ("aws:ResourceTag/team", "${aws:PrincipalTag/team}"), ("iam:ResourceTag/team", "red")],
)
def test_tag_of_the_role_is_a_constant(key: str, value: str) -> None:
    role = replace(ROLE, tags={"team": "red"})
    witness = witness_of(inclusion(trust_policy(BACKEND, f"StringEquals {key} {value}"), NO_CALLERS, role))

    assert {("red",)} >= set(witness.keys.values())
    assert not any("ResourceTag" in name for name in witness.keys)
    assert not any(name.lower().startswith(("aws:resourcetag", "iam:resourcetag")) for name in witness.request.context)


def test_unknown_tags_of_an_existing_role_refute_nothing() -> None:
    trust = trust_policy(BACKEND, "StringEquals aws:ResourceTag/team red")

    assert UNKNOWN is inclusion(trust, NO_CALLERS, EXISTING).state
    assert is_proven(inclusion(trust, trust, EXISTING))


# Callers


def test_session_without_an_arn_proves_nothing_about_roles() -> None:
    """The evaluator takes the ARN of a session whose role is unknown as pathless, where it must not."""
    for principal, name in (
        (f"arn:aws:iam::{ACCOUNT}:role/p/backend", "backend"),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/q/s", "p/other"),
    ):
        sessions = statement(f"arn:aws:sts::{ACCOUNT}:assumed-role/z/z", "Null aws:PrincipalArn true")
        named = statement(principal, f"ArnEquals aws:PrincipalArn arn:aws:iam::{ACCOUNT}:role/{name}")

        assert is_proven(inclusion(document([named, sessions]), NO_CALLERS))


def test_session_principal_is_a_session_of_a_role_with_any_path() -> None:
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/q/ci"
    witness = witness_of(
        inclusion(trust_policy(session, "ArnLike aws:PrincipalArn arn:aws:iam::*:role/deep/path/*"), NO_CALLERS)
    )

    assert session == witness.request.principal.arn
    assert f"arn:aws:iam::{ACCOUNT}:role/deep/path/q" == witness.request.principal.role


def test_everyone_includes_services() -> None:
    trust = trust_policy("*", "StringNotLike aws:PrincipalArn arn:* & Bool aws:PrincipalIsAWSService true")

    assert witness_of(inclusion(trust, NO_CALLERS)).request.principal.arn.endswith(".amazonaws.com")


@pytest.mark.parametrize("service", ["ec2.c2s.ic.gov", "ec2.amazonaws.com.cn", "odd.example.com"])
def test_service_is_what_a_policy_names_as_one(service: str) -> None:
    """Services of other partitions have other domains; all of them use AssumeRole."""
    assert service == witness_of(inclusion(trust_policy({"Service": service}), NO_CALLERS)).request.principal.arn
    assert is_proven(inclusion(trust_policy({"Federated": service}), NO_CALLERS))


def test_claims_of_a_provider_are_also_in_requests_of_its_sessions() -> None:
    assert not is_proven(inclusion(trust_policy(BACKEND, "StringEquals accounts.google.com:sub x"), NO_CALLERS))


UNCLEAR = {
    **{
        name: {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": name}}
        for name in ("AROAEXAMPLEEXAMPLE12", f"arn:aws:iam::{ACCOUNT}:group/x", "1234", "arn:aws:iam::1:root")
    },
    "NotPrincipal": {"Effect": "Allow", "Action": "sts:AssumeRole", "NotPrincipal": {"AWS": BACKEND}},
}


@pytest.mark.parametrize("body", UNCLEAR.values(), ids=UNCLEAR)
def test_unclear_principal_is_unknown(body: dict[str, object]) -> None:
    """It proves nothing either, if it is denied."""
    denied = document([ORDINARY, {**body, "Effect": "Deny"}])

    assert UNKNOWN is inclusion(document([body]), NO_CALLERS).state
    assert UNKNOWN is inclusion(ORDINARY_TRUST, denied).state
    assert UNKNOWN is inclusion(ORDINARY_TRUST, document([body])).state


@pytest.mark.parametrize("effect", ["Permit", "deny", ""])
def test_unknown_effect_may_allow_and_deny(effect: str) -> None:
    trust = PolicyDocument((Statement(effect, ("sts:AssumeRole",), principals=ORDINARY_TRUST.statements[0].principals),))
    both = PolicyDocument((*ORDINARY_TRUST.statements, *trust.statements))

    assert UNKNOWN is inclusion(trust, NO_CALLERS).state
    assert UNKNOWN is inclusion(ORDINARY_TRUST, both).state


# Values


def test_long_name_is_split_into_path_and_name() -> None:
    trust = trust_policy("*", f"ArnLike aws:PrincipalArn arn:aws:iam::*:role/{'?' * 65}b")

    assert "/" in witness_of(inclusion(trust, NO_CALLERS)).request.principal.arn.partition("role/")[2]


def test_three_conditions_that_only_three_values_satisfy() -> None:
    """Values that are only joined in pairs do not satisfy them."""
    names = ("alpha", "beta", "gamma")
    denials = [
        statement("*", f"ForAllValues:StringNotEquals aws:TagKeys {name}", "Deny", Action="sts:TagSession") for name in names
    ]
    allow = statement(BACKEND, "Null aws:TagKeys false", Action=["sts:AssumeRole", "sts:TagSession"])

    assert set(names) == set(witness_of(inclusion(document([allow, *denials]), NO_CALLERS)).keys["aws:TagKeys"])


def test_unlisted_key_can_have_several_values() -> None:
    some = "ForAnyValue:StringEquals example.com:k a"
    witness = witness_of(
        inclusion(trust_policy(BACKEND, some), trust_policy(BACKEND, f"{some} & ForAllValues:StringEquals example.com:k a"))
    )

    assert 2 == len(witness.keys["example.com:k"])


def test_wildcard_of_a_string_operator_matches_colons() -> None:
    one = trust_policy(SERVICE, "StringLike aws:SourceArn arn:aws:*:bucket")
    other = trust_policy(SERVICE, "ArnLike aws:SourceArn arn:aws:*:::bucket")

    assert witness_of(inclusion(one, other)).keys["aws:SourceArn"][0].count(":") >= 5


LONG = "123456789012345678901234567890"


@pytest.mark.parametrize(
    "condition",
    [
        "DateEquals example.com:x 9999-12-31T23:59:59Z, 99999999999999",
        "DateLessThan example.com:x 0001-01-01T00:00:00Z",
        "NumericEquals example.com:x 1e4000, 1e-4000, 1",
        f"NumericGreaterThan example.com:x {LONG}.123456789, {LONG}.12345678901",
        "IpAddress example.com:x 255.255.255.255, ::/0, ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "BinaryEquals example.com:x QQ==, QR==, ",
    ],
)
def test_extreme_values_are_proven_or_unknown(condition: str) -> None:
    trust = trust_policy(BACKEND, f"{condition} & Null example.com:x false")

    assert REFUTED is not inclusion(trust, trust).state
    assert PROVEN is not inclusion(trust, NO_CALLERS).state


@pytest.mark.parametrize(
    "conditions",
    [
        "StringLike aws:SourceIp 10.* & IpAddress aws:SourceIp 10.0.0.0/8",
        *(
            f"StringLike {key} 1* & NumericLessThan {key} 10"
            for key in ("sts:SourceIdentity", "aws:SourceIdentity", "aws:TagKeys", "aws:CurrentTime", "aws:ResourceTag/a")
        ),
    ],
)
def test_key_that_is_compared_in_several_ways_is_unknown(conditions: str) -> None:
    found = inclusion(trust_policy(BACKEND, conditions, Action="sts:*"), NO_CALLERS, EXISTING)

    assert UNKNOWN is found.state
    assert any("several ways" in reason for reason in found.reasons)


@pytest.mark.parametrize("key", ["caller", "Caller", "action", "ProvidedContexts", "match exact: k v", ""])
def test_key_with_an_internal_name_is_a_key_that_no_request_has(key: str) -> None:
    absent = trust_policy(BACKEND, {"Null": {key: "true"}})

    assert UNKNOWN is inclusion(trust_policy(BACKEND, {"StringEquals": {key: "x"}}), NO_CALLERS).state
    assert BACKEND == witness_of(inclusion(absent, NO_CALLERS)).request.principal.arn


# Facts


@pytest.mark.parametrize(
    ("principal", "conditions", "action", "facts"),
    [
        ("*", f"NumericLessThan {MFA_AGE} 60 & Null aws:MultiFactorAuthPresent true", "sts:AssumeRole", ("age of MFA",)),
        ("*", "StringEquals aws:RequestTag/a b & Null aws:TagKeys true", "sts:*", ("request tags",)),
        (
            "*",
            f"StringEquals aws:SourceAccount {ACCOUNT} & StringEquals aws:PrincipalType User",
            "sts:AssumeRole",
            ("presence of aws:sourceaccount",),
        ),
        (
            "*",
            "StringEquals aws:SourceIdentity ab & StringEquals aws:PrincipalType User",
            "sts:*",
            ("source identity of sessions",),
        ),
        ("*", "Null aws:userid true & Null aws:username false", "sts:AssumeRole", ("presence of aws:userid",)),
        ({"Federated": "token.actions.githubusercontent.com"}, None, "sts:AssumeRole", ("operations",)),
    ],
)
def test_proof_names_the_facts_it_needs(
    principal: object, conditions: str | None, action: str, facts: tuple[str, ...]
) -> None:
    found = inclusion(trust_policy(principal, conditions, Action=action), NO_CALLERS)

    assert (PROVEN, facts) == (found.state, found.facts)


def test_proof_without_facts_names_none() -> None:
    found = inclusion(ORDINARY_TRUST, trust_policy(BACKEND))

    assert (PROVEN, ()) == (found.state, found.facts)


# Intents


def test_intent_has_session_tags_and_source_identity() -> None:
    """Without them in the intent every role that allows them would be wider than intended."""
    trust = trust_policy(BACKEND, WITH_ID, Action=["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"])
    plain = Trust("customer", ROLE.arn, (BACKEND,), EXTERNAL_ID)
    full = replace(plain, session_tags=True, source_identity=True)

    assert compare(ROLE, trust, intent_document([full])).is_equal
    assert REFUTED is compare(ROLE, trust, intent_document([plain])).forward.state


def test_intent_accepts_each_external_id_during_a_rotation() -> None:
    intents = [Trust("customer", ROLE.arn, (BACKEND,), each) for each in (EXTERNAL_ID, "the-previous-one")]
    trust = trust_policy(BACKEND, f"StringEquals sts:ExternalId {EXTERNAL_ID}, the-previous-one")

    assert 2 == len(intent_document(intents).statements)
    assert compare(ROLE, trust, intent_document(intents)).is_equal


def test_account_principal_with_an_arn_condition_equals_the_role() -> None:
    """Both ways to trust one role, as far as names go."""
    trust = trust_policy(f"arn:aws:iam::{ACCOUNT}:root", f"ArnEquals aws:PrincipalArn {BACKEND} & {WITH_ID}")

    assert compare(ROLE, trust, ORDINARY_TRUST).is_equal


def test_surplus_next_to_the_intent_is_refuted_in_one_direction() -> None:
    assert REFUTED is surplus_of(statement(ACCOUNT)).state


def test_oidc_provider_is_not_a_saml_provider_because_of_its_path() -> None:
    provider = "arn:aws:iam::222222222222:oidc-provider/example.com/a:saml-provider/b"
    trust = trust_policy({"Federated": provider}, Action="sts:AssumeRoleWithWebIdentity")

    assert provider == witness_of(inclusion(trust, NO_CALLERS)).request.principal.arn
    assert compare(ROLE, trust, intent_document([Trust("customer", ROLE.arn, (provider,))])).is_equal
