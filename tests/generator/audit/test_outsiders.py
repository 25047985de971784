"""Who can assume a role, and what a request needs: decided by the proof and the evaluator, not by the text of the policy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit_accounts import (
    ACCOUNT,
    CLOUDHEALTH,
    DATADOG,
    EKS,
    GITHUB,
    GOOD_ID,
    ORGANIZATION,
    OTHER_ID,
    SAML,
    UNKNOWN,
    by_id,
    caller,
    document,
    root,
    trust,
)
from rolecall_generator.audit.outsider_reader import OutsiderReader, outsiders_of
from rolecall_generator.audit.outsiders import (
    PRINCIPAL_KINDS,
    Outsider,
    OutsiderKind,
    OwnAccounts,
    Requirement,
)
from rolecall_generator.iam import Access, PolicyDocument, Role
from rolecall_generator.iam.evaluation import Caller, Evaluator, IdentitySide, Request

ARN = f"arn:aws:iam::{ACCOUNT}:role/app/role1"
OWN = OwnAccounts(frozenset({ACCOUNT}))
TRANSFER = "transfer.amazonaws.com"
WEB, BY_SAML = "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML"
SUB, AUD = "token.actions.githubusercontent.com:sub", "token.actions.githubusercontent.com:aud"


def role_with(*statements: dict[str, Any], **more: Any) -> Role:
    return Role(ARN, PolicyDocument.from_json(document(*statements)), **more)


def outsiders(*statements: dict[str, Any], own: OwnAccounts = OWN) -> tuple[Outsider, ...]:
    return outsiders_of(role_with(*statements), own)


def kinds(*statements: dict[str, Any]) -> list[tuple[OutsiderKind, str]]:
    return [(each.kind, each.name) for each in outsiders(*statements)]


def like(key: str, *values: str) -> dict[str, Any]:
    return {"StringLike": {key: list(values)}}


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        (root(UNKNOWN), [(OutsiderKind.ACCOUNT, UNKNOWN)]),
        ({"AWS": UNKNOWN}, [(OutsiderKind.ACCOUNT, UNKNOWN)]),
        (caller(UNKNOWN), [(OutsiderKind.ROLE, f"arn:aws:iam::{UNKNOWN}:role/integration")]),
        (caller(UNKNOWN, "user/x/ann"), [(OutsiderKind.USER, f"arn:aws:iam::{UNKNOWN}:user/x/ann")]),
        (
            {"AWS": f"arn:aws:sts::{UNKNOWN}:assumed-role/r/session"},
            [(OutsiderKind.SESSION, f"arn:aws:sts::{UNKNOWN}:assumed-role/r/session")],
        ),
        ("*", [(OutsiderKind.ANYONE, "*")]),
        ({"AWS": "*"}, [(OutsiderKind.ANYONE, "*")]),
        ({"Service": "lambda.amazonaws.com"}, [(OutsiderKind.SERVICE, "lambda.amazonaws.com")]),
        ({"AWS": "AIDAEXAMPLEEXAMPLE123"}, [(OutsiderKind.DELETED, "AIDAEXAMPLEEXAMPLE123")]),
        (root(ACCOUNT), []),
        (caller(ACCOUNT), []),
        # Roles delegate access within one partition only.
        ({"AWS": f"arn:aws-cn:iam::{UNKNOWN}:root"}, []),
        (
            {"AWS": [f"arn:aws:iam::{UNKNOWN}:root", f"arn:aws:iam::{UNKNOWN}:role/a", f"arn:aws:iam::{ACCOUNT}:role/b"]},
            [(OutsiderKind.ACCOUNT, UNKNOWN), (OutsiderKind.ROLE, f"arn:aws:iam::{UNKNOWN}:role/a")],
        ),
    ],
)
def test_outsider_of_a_principal(principal: Any, expected: list[tuple[OutsiderKind, str]]) -> None:
    assert expected == kinds(trust(principal))


@pytest.mark.parametrize(
    ("principal", "action", "expected"),
    [
        ({"Federated": SAML}, BY_SAML, [(OutsiderKind.SAML, SAML)]),
        ({"Federated": GITHUB}, WEB, [(OutsiderKind.OIDC, GITHUB)]),
        ({"Federated": "cognito-identity.amazonaws.com"}, WEB, [(OutsiderKind.OIDC, "cognito-identity.amazonaws.com")]),
        ({"Federated": GITHUB}, "sts:AssumeRole", []),
        ({"Federated": SAML}, WEB, []),
        ({"Service": "ec2.amazonaws.com"}, WEB, []),
        (root(UNKNOWN), "sts:TagSession", []),
        ({"Federated": GITHUB}, "sts:*", [(OutsiderKind.OIDC, GITHUB)]),
    ],
)
def test_a_provider_needs_its_action(principal: Any, action: str, expected: list[tuple[OutsiderKind, str]]) -> None:
    assert expected == kinds(trust(principal, action=action))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/ci"}}, (OutsiderKind.ANYONE, "*")),
        ({"StringLike": {"aws:PrincipalArn": "*"}}, (OutsiderKind.ANYONE, "*")),
        ({"StringLike": {"aws:PrincipalAccount": "3*"}}, (OutsiderKind.ANYONE, "*")),
        ({"StringEquals": {"aws:PrincipalAccount": UNKNOWN}}, (OutsiderKind.ACCOUNT, UNKNOWN)),
        (
            {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{UNKNOWN}:role/ci"}},
            (OutsiderKind.PRINCIPALS, f"arn:aws:iam::{UNKNOWN}:role/ci"),
        ),
        (
            {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{UNKNOWN}:role/ci-*"}},
            (OutsiderKind.PRINCIPALS, f"arn:aws:iam::{UNKNOWN}:role/ci-*"),
        ),
        ({"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}, (OutsiderKind.ORGANIZATION, ORGANIZATION)),
        ({"StringLike": {"aws:PrincipalOrgID": "o-*"}}, (OutsiderKind.ANYONE, "*")),
        ({"StringNotEquals": {"aws:PrincipalOrgID": ORGANIZATION}}, (OutsiderKind.ANYONE, "*")),
        (
            {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": f"{ORGANIZATION}/r-ab12/ou-ab12-1/*"}},
            (OutsiderKind.ORGANIZATION, ORGANIZATION),
        ),
        ({"Bool": {"aws:PrincipalIsAWSService": "true"}}, (OutsiderKind.SERVICE, "any service")),
        ({"StringLike": {"aws:PrincipalServiceName": "*.amazonaws.com"}}, (OutsiderKind.SERVICE, "any service")),
        ({"StringEquals": {"aws:PrincipalServiceName": TRANSFER}}, (OutsiderKind.SERVICE, TRANSFER)),
        ({"StringLike": {"aws:PrincipalServiceName": TRANSFER}}, (OutsiderKind.SERVICE, TRANSFER)),
        # Only services send a source account.
        ({"StringEquals": {"aws:SourceAccount": ACCOUNT}}, (OutsiderKind.SERVICE, "any service")),
    ],
)
def test_everyone_is_reduced_to_what_the_conditions_leave(condition: Any, expected: tuple[OutsiderKind, str]) -> None:
    assert [expected] == kinds(trust("*", condition))


@pytest.mark.parametrize(
    ("condition", "guarded"),
    [
        ({"StringEquals": {"sts:ExternalId": GOOD_ID}}, Requirement.MISSING),
        ({"StringEquals": {"aws:PrincipalTag/team": "x"}}, Requirement.MISSING),
        ({"StringLike": {"sts:RoleSessionName": "x*"}}, Requirement.MISSING),
        ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, Requirement.MISSING),
        ({"StringLike": {"aws:UserAgent": "x*"}}, Requirement.MISSING),
        ({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, Requirement.MISSING),
        ({"StringLike": {"aws:SourceVpc": "vpc-*"}}, Requirement.MISSING),
        ({"StringEqualsIfExists": {"aws:SourceVpce": "vpce-1"}}, Requirement.MISSING),
        ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, Requirement.REQUIRED),
        ({"StringEquals": {"aws:SourceVpc": "vpc-1"}}, Requirement.REQUIRED),
        ({"StringLike": {"aws:userid": "AROAEXAMPLEEXAMPLE123:*"}}, Requirement.REQUIRED),
        ({"StringLike": {"aws:userid": "*:ci"}}, Requirement.MISSING),
        ({"StringLike": {"aws:userid": "AROA*"}}, Requirement.MISSING),
        ({"StringEquals": {"aws:PrincipalOrgMasterAccountId": UNKNOWN}}, Requirement.REQUIRED),
        ({"StringLike": {"aws:PrincipalOrgMasterAccountId": "3*"}}, Requirement.MISSING),
        ({"StringLike": {"aws:PrincipalOrgID": "o-a*"}}, Requirement.MISSING),
        ({"StringEquals": {"aws:FederatedProvider": "accounts.google.com"}}, Requirement.MISSING),
        ({"StringEquals": {"aws:FederatedProvider": SAML}}, Requirement.REQUIRED),
        ({"ArnLike": {"lambda:SourceFunctionArn": f"arn:aws:lambda:*:{ACCOUNT}:function:*"}}, Requirement.REQUIRED),
        ({"ArnLike": {"lambda:SourceFunctionArn": "arn:aws:lambda:*:*:function:*"}}, Requirement.MISSING),
    ],
)
def test_only_what_a_stranger_cannot_choose_guards_a_role(condition: Any, guarded: Requirement) -> None:
    (anyone,) = outsiders(trust("*", condition))

    assert (OutsiderKind.ANYONE, guarded) == (anyone.kind, anyone.guarded)


@pytest.mark.parametrize("operator", ["ForAnyValue:StringLike", "ForAnyValue:StringEquals"])
def test_a_stranger_is_only_in_its_own_organization(operator: str) -> None:
    """The key of the paths can have several values, but none of another organization."""
    (found,) = outsiders(trust("*", {operator: {"aws:PrincipalOrgPaths": f"{ORGANIZATION}/r-ab12/*"}}))

    assert (OutsiderKind.ORGANIZATION, Requirement.REQUIRED) == (found.kind, found.guarded)


@pytest.mark.parametrize(
    ("statements", "state", "others"),
    [
        ([trust(caller(DATADOG))], Requirement.MISSING, False),
        ([trust(caller(DATADOG), by_id(GOOD_ID))], Requirement.REQUIRED, False),
        ([trust(caller(DATADOG), by_id(GOOD_ID, OTHER_ID))], Requirement.REQUIRED, False),
        ([trust(caller(DATADOG), {"StringEqualsIgnoreCase": {"sts:ExternalId": GOOD_ID}})], Requirement.REQUIRED, False),
        ([trust(caller(DATADOG), {"StringLike": {"sts:ExternalId": GOOD_ID}})], Requirement.REQUIRED, False),
        ([trust(caller(DATADOG), {"StringLike": {"sts:ExternalId": "acme-?"}})], Requirement.REQUIRED, True),
        ([trust(caller(DATADOG), {"StringLike": {"sts:ExternalId": "*"}})], Requirement.REQUIRED, True),
        ([trust(caller(DATADOG), {"Null": {"sts:ExternalId": "false"}})], Requirement.REQUIRED, True),
        ([trust(caller(DATADOG), {"StringEqualsIfExists": {"sts:ExternalId": GOOD_ID}})], Requirement.IGNORED, False),
        ([trust(caller(DATADOG), {"StringNotEquals": {"sts:ExternalId": "x1"}})], Requirement.IGNORED, False),
        ([trust(caller(DATADOG), {"ForAllValues:StringEquals": {"sts:ExternalId": GOOD_ID}})], Requirement.IGNORED, False),
        ([trust(caller(DATADOG), by_id(GOOD_ID)), trust(root(DATADOG))], Requirement.IGNORED, False),
        (
            [
                trust(caller(DATADOG), {"StringLike": {"sts:ExternalId": "*"}}),
                {**trust(caller(DATADOG), {"StringNotEquals": {"sts:ExternalId": GOOD_ID}}), "Effect": "Deny"},
            ],
            Requirement.REQUIRED,
            False,
        ),
        (
            [
                trust(caller(DATADOG)),
                {**trust("*", {"StringNotEquals": {"sts:ExternalId": GOOD_ID}}), "Effect": "Deny"},
            ],
            Requirement.REQUIRED,
            False,
        ),
        (
            [trust(caller(DATADOG), {"StringEquals": {"sts:ExternalId": "${aws:PrincipalTag/customer}"}})],
            Requirement.REQUIRED,
            True,
        ),
    ],
)
def test_external_id_is_decided_over_all_statements(
    statements: list[dict[str, Any]], state: Requirement, others: bool
) -> None:
    """A Deny without the right id requires it as well as an Allow with it; the text of one statement decides nothing."""
    of_role = next(each for each in outsiders(*statements) if each.kind is OutsiderKind.ROLE)

    assert of_role.external_id is not None
    assert (state, others) == (of_role.external_id.state, of_role.external_id.accepts_others)


def test_both_ids_of_a_rotation_are_listed() -> None:
    (outsider,) = outsiders(trust(caller(DATADOG), by_id(GOOD_ID, OTHER_ID)))

    assert outsider.external_id is not None
    assert {GOOD_ID, OTHER_ID} == set(outsider.external_id.values)


@pytest.mark.parametrize(
    ("condition", "mfa"),
    [
        ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, True),
        ({"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}, True),
        ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}, False),
        ({"Bool": {"aws:MultiFactorAuthPresent": "false"}}, False),
        (None, False),
    ],
)
def test_mfa_is_required_if_requests_without_it_are_denied(condition: Any, mfa: bool) -> None:
    (outsider,) = outsiders(trust(caller(UNKNOWN, "user/ann"), condition))

    assert mfa is outsider.mfa


GITHUB_CLAIM = SUB.removesuffix("sub")
EKS_CLAIM = f"{EKS.partition('/')[2]}:"
COGNITO = "cognito-identity.amazonaws.com"
COGNITO_POOL = {"StringEquals": {f"{COGNITO}:aud": "us-east-1:12345678-dead-beef-cafe-123456790ab"}}
COGNITO_KNOWN = {"ForAnyValue:StringLike": {f"{COGNITO}:amr": "authenticated"}}


def subject(*values: str) -> dict[str, Any]:
    return {"StringEquals": {AUD: "sts.amazonaws.com"}, **like(SUB, *values)}


@pytest.mark.parametrize(
    ("provider", "condition", "guarded"),
    [
        # A pattern that leaves the name of the organization open lets everyone register a matching one.
        (GITHUB, {"StringEquals": {AUD: "sts.amazonaws.com"}}, Requirement.MISSING),
        (GITHUB, subject("*"), Requirement.MISSING),
        (GITHUB, subject("repo:*"), Requirement.MISSING),
        (GITHUB, subject("repo:*/app:ref:refs/heads/main"), Requirement.MISSING),
        (GITHUB, subject("repo:acme*"), Requirement.MISSING),
        (GITHUB, subject("repo:acme*/app:*"), Requirement.MISSING),
        (GITHUB, subject("repo:acme/app:*", "repo:*:environment:prod"), Requirement.MISSING),
        (GITHUB, subject("repo:acme/*"), Requirement.REQUIRED),
        (GITHUB, subject("repo:acme/app-*:*"), Requirement.REQUIRED),
        (GITHUB, subject("repo:acme/app:ref:refs/heads/main"), Requirement.REQUIRED),
        (GITHUB, subject("repo:acme/app:ref:refs/heads/*", "repo:acme/lib:pull_request"), Requirement.REQUIRED),
        # Other claims of the tenant.
        (GITHUB, {"StringEquals": {f"{GITHUB_CLAIM}repository_id": "12345678"}}, Requirement.REQUIRED),
        (GITHUB, {"StringEqualsIfExists": {f"{GITHUB_CLAIM}repository_id": "12345678"}}, Requirement.MISSING),
        (GITHUB, {"StringEquals": {f"{GITHUB_CLAIM}ref": "refs/heads/main"}}, Requirement.MISSING),
        (GITHUB, {"StringEquals": {f"{GITHUB_CLAIM}actor": "ann"}}, Requirement.MISSING),
        # AWS does not document such a key.
        (GITHUB, {"StringEquals": {f"{GITHUB_CLAIM}repository_owner": "acme"}}, Requirement.UNKNOWN),
        (EKS, None, Requirement.MISSING),
        (EKS, like(f"{EKS_CLAIM}aud", "sts.amazonaws.com"), Requirement.MISSING),
        (EKS, like(f"{EKS_CLAIM}sub", "*"), Requirement.MISSING),
        (EKS, like(f"{EKS_CLAIM}sub", "system:serviceaccount:*:*"), Requirement.MISSING),
        (EKS, like(f"{EKS_CLAIM}sub", "system:serviceaccount:prod:*"), Requirement.REQUIRED),
        # The audience is the tenant there, not the subject.
        (COGNITO, COGNITO_POOL, Requirement.REQUIRED),
        (COGNITO, COGNITO_KNOWN, Requirement.MISSING),
    ],
)
def test_a_provider_needs_the_tenant(provider: str, condition: Any, guarded: Requirement) -> None:
    (found,) = outsiders(trust({"Federated": provider}, condition, WEB))

    assert guarded is found.guarded


def test_the_identity_pool_of_cognito_is_a_guard() -> None:
    (found,) = outsiders(trust({"Federated": COGNITO}, {**COGNITO_POOL, **COGNITO_KNOWN}, WEB))

    assert f"{COGNITO}:aud" in found.guards


@pytest.mark.parametrize(
    ("condition", "guarded"),
    [
        (None, Requirement.MISSING),
        ({"StringEquals": {"aws:SourceAccount": ACCOUNT}}, Requirement.REQUIRED),
        ({"ArnLike": {"aws:SourceArn": f"arn:aws:ec2:*:{ACCOUNT}:vpc-flow-log/*"}}, Requirement.REQUIRED),
        ({"StringEquals": {"aws:SourceOrgID": ORGANIZATION}}, Requirement.REQUIRED),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:ec2:*:*:vpc-flow-log/*"}}, Requirement.MISSING),
        ({"StringLike": {"aws:SourceArn": "*"}}, Requirement.MISSING),
        ({"StringLike": {"aws:SourceArn": "arn:aws:ec2:*"}}, Requirement.MISSING),
        ({"StringEqualsIfExists": {"aws:SourceAccount": ACCOUNT}}, Requirement.MISSING),
        ({"StringNotEquals": {"aws:SourceAccount": UNKNOWN}}, Requirement.MISSING),
    ],
)
def test_a_service_must_act_for_this_account(condition: Any, guarded: Requirement) -> None:
    (service,) = outsiders(trust({"Service": "vpc-flow-logs.amazonaws.com"}, condition))

    assert guarded is service.guarded


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "NotPrincipal": root(UNKNOWN), "Action": "sts:AssumeRole"},
        trust({"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}),
        trust(root(UNKNOWN), {"StringMatches": {"aws:PrincipalArn": "x"}}),
        trust({"AWS": f"arn:aws:iam::{UNKNOWN}:role/*"}),
        trust(caller(UNKNOWN), {"NumericEquals": {"sts:ExternalId": "1234"}}),
        trust(root(UNKNOWN), {"StringLike": {"aws:PrincipalArn": "*a??????????????????" * 3}}),
    ],
)
def test_what_cannot_be_decided_is_unknown(statement: dict[str, Any]) -> None:
    found = outsiders(statement)

    assert found
    assert not any(each.decided for each in found)


SESSION = f"arn:aws:sts::{UNKNOWN}:assumed-role/deploy/ann@example.com"


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([trust({"AWS": SESSION})], [SESSION]),
        ([trust({"AWS": [SESSION, f"{SESSION}.de"]})], [SESSION, f"{SESSION}.de"]),
        ([trust({"AWS": [SESSION, f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/x"]})], [SESSION]),
        ([trust({"AWS": SESSION}), trust(caller(UNKNOWN, "role/ci"))], [f"arn:aws:iam::{UNKNOWN}:role/ci", SESSION]),
        ([trust({"AWS": SESSION}, {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{UNKNOWN}:role/deploy"}})], [SESSION]),
        ([trust({"AWS": SESSION}, like("aws:userid", "*:ann@example.com"))], [SESSION]),
        ([trust({"AWS": SESSION}, {"StringEquals": {"aws:PrincipalType": "AssumedRole"}})], [SESSION]),
        # aws:PrincipalArn has the ARN of the session's role.
        ([trust({"AWS": SESSION}, {"ArnEquals": {"aws:PrincipalArn": SESSION}})], []),
        ([trust({"AWS": SESSION}, like("aws:userid", "*:bob@example.com"))], []),
        ([trust({"AWS": SESSION}, {"StringEquals": {"aws:PrincipalType": "User"}})], []),
        ([trust({"AWS": SESSION}), {**trust(caller(UNKNOWN, "role/deploy")), "Effect": "Deny"}], []),
        ([trust({"AWS": SESSION}), {**trust({"AWS": SESSION}), "Effect": "Deny"}], []),
        ([trust({"AWS": f"arn:aws-cn:sts::{UNKNOWN}:assumed-role/deploy/ann"})], []),
        # A federated user can call no other action than GetCallerIdentity.
        ([trust({"AWS": f"arn:aws:sts::{UNKNOWN}:federated-user/ann"})], []),
    ],
)
def test_session_as_principal_is_decided(statements: list[dict[str, Any]], expected: list[str]) -> None:
    found = outsiders(*statements)

    assert [each.name for each in found] == expected
    assert all(each.decided and each.account_id == UNKNOWN for each in found)


@pytest.mark.parametrize(
    ("principal", "action", "expected"),
    [
        ({"Service": "*"}, "sts:AssumeRole", [(OutsiderKind.SERVICE, "any service")]),
        ({"Service": "*.amazonaws.com"}, "sts:AssumeRole", [(OutsiderKind.SERVICE, "any service")]),
        ({"Federated": "*"}, WEB, [(OutsiderKind.OIDC, "any OIDC provider")]),
        ({"Federated": "*"}, BY_SAML, [(OutsiderKind.SAML, "any SAML provider")]),
    ],
)
def test_wildcard_for_services_or_providers_is_one_outsider(principal: Any, action: str, expected: Any) -> None:
    assert expected == kinds(trust(principal, action=action))
    assert not any(each.decided for each in outsiders(trust(principal, action=action)))


def test_wildcard_of_each_type_is_kept() -> None:
    found = kinds(trust({"Service": "*", "AWS": f"arn:aws:iam::{UNKNOWN}:root"}), trust({"AWS": "*"}))

    assert (OutsiderKind.ANYONE, "*") in found


def test_an_unknown_trust_is_unknown() -> None:
    (unknown,) = outsiders_of(Role(ARN, None), OWN)

    assert (OutsiderKind.UNKNOWN, False) == (unknown.kind, unknown.decided)


def test_a_variable_that_no_role_has_allows_none() -> None:
    assert [] == kinds(trust(caller(DATADOG), {"StringEquals": {"sts:ExternalId": "${aws:username}"}}))


def test_a_denied_outsider_is_left_out() -> None:
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sts:*"}

    assert () == outsiders(trust(root(UNKNOWN)), {**deny, "Condition": {"Bool": {"aws:PrincipalIsAWSService": "false"}}})
    assert () == outsiders(trust("*"), {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:*"})


OUTSIDE = st.sampled_from([DATADOG, CLOUDHEALTH, UNKNOWN])
PRINCIPALS = st.one_of(
    st.just("*"),
    OUTSIDE.map(root),
    OUTSIDE.map(caller),
    st.just(root(ACCOUNT)),
    st.just({"Service": "vpc-flow-logs.amazonaws.com"}),
    st.just({"Federated": GITHUB}),
)
IDS = st.sampled_from([GOOD_ID, OTHER_ID, "abc"])
CONDITIONS = st.one_of(
    st.none(),
    st.builds(
        lambda operator, value: {operator: {"sts:ExternalId": value}},
        st.sampled_from(["StringEquals", "StringLike", "StringNotEquals", "StringEqualsIfExists"]),
        IDS | st.just("a*"),
    ),
    OUTSIDE.map(lambda account: {"StringEquals": {"aws:PrincipalAccount": account}}),
    OUTSIDE.map(lambda account: {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{account}:role/int*"}}),
    st.just({"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}),
    st.just({"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
    st.just(like(SUB, "repo:acme/*")),
    st.just({"StringEquals": {"aws:SourceAccount": ACCOUNT}}),
)
STATEMENTS = st.builds(
    lambda principal, condition, action, effect: {**trust(principal, condition, action), "Effect": effect},
    PRINCIPALS,
    CONDITIONS,
    st.sampled_from(["sts:AssumeRole", "sts:*", WEB, ["sts:AssumeRole", "sts:TagSession"]]),
    st.sampled_from(["Allow", "Allow", "Allow", "Deny"]),
)
TRUSTS = st.lists(STATEMENTS, min_size=1, max_size=3)
RELAXED = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@RELAXED
@given(TRUSTS, st.data())
def test_no_request_of_an_unlisted_outsider_is_allowed(statements: list[dict[str, Any]], data: st.DataObject) -> None:
    """Any caller and context: if the evaluator allows an outsider, it is listed, and its requirements hold."""
    role = role_with(*statements)
    found = outsiders_of(role, OWN)
    account = data.draw(OUTSIDE | st.just("555555555555"))
    arn = f"arn:aws:iam::{account}:role/{data.draw(st.sampled_from(['integration', 'x']))}"
    external_id = data.draw(st.none() | IDS | st.just("a-z"))
    mfa = data.draw(st.booleans())
    context: dict[str, str | tuple[str, ...]] = {
        "sts:ExternalId": external_id if external_id is not None else (),
        "aws:MultiFactorAuthPresent": "true" if mfa else (),
        "aws:PrincipalOrgID": data.draw(st.sampled_from([ORGANIZATION, "o-zzzzzzzzzz"])),
        "aws:SourceAccount": (),
        SUB: (),
    }
    decision = Evaluator(Access({ARN: role})).may_assume(Request(Caller(arn, IdentitySide.ALLOWS_ALL), ARN, context=context))
    if not decision.allowed:
        return
    possible = [
        each
        for each in found
        if each.kind in PRINCIPAL_KINDS
        and (each.account_id in {"", account})
        and (each.kind is not OutsiderKind.ROLE or each.name == arn)
    ]
    assert possible
    assert any(_fits(each, external_id, mfa) for each in possible)


def _fits(outsider: Outsider, external_id: str | None, mfa: bool) -> bool:
    if not outsider.decided:
        return True
    required = outsider.external_id
    assert required is not None
    needs_id = required.state is Requirement.REQUIRED
    accepted = not needs_id or external_id in required.values or (required.accepts_others and external_id is not None)
    return accepted and (mfa or not outsider.mfa)


@RELAXED
@given(TRUSTS)
def test_sharing_by_shape_changes_nothing(statements: list[dict[str, Any]]) -> None:
    """Roles whose trust differs only in names share one search; the result is that of a search for each."""
    reader = OutsiderReader(OWN)
    names = (GOOD_ID, OTHER_ID, DATADOG, UNKNOWN)
    for others in (names, (OTHER_ID, GOOD_ID, DATADOG, UNKNOWN), (GOOD_ID, OTHER_ID, UNKNOWN, DATADOG)):
        text = json.dumps(statements)
        for number, name in enumerate(names):
            text = text.replace(name, f"<{number}>")
        for number, name in enumerate(others):
            text = text.replace(f"<{number}>", name)
        role = role_with(*json.loads(text))

        assert outsiders_of(role, OWN) == reader.read(role)


@pytest.mark.parametrize(
    ("statement", "number", "guarded", "external_id"),
    [
        (
            trust({"Federated": GITHUB}, like(SUB, *(f"*{n}*:*{n}?*" for n in range(700))), WEB),
            1, Requirement.MISSING, None,
        ),
        (
            trust({"Federated": GITHUB}, like(SUB, *(f"repo:acme/{n}*:*" for n in range(700))), WEB),
            1, Requirement.REQUIRED, None,
        ),
        (
            trust({"Federated": GITHUB}, like(SUB, *(f"repo:*{n}/acme:*" for n in range(700)), "repo:acme/x"), "sts:*"),
            1, Requirement.MISSING, None,
        ),
        (
            trust(root(UNKNOWN), like("sts:ExternalId", *(f"*{n}a*b?{n}" for n in range(400)))),
            1, Requirement.MISSING, Requirement.UNKNOWN,
        ),
        (
            trust({"AWS": [f"arn:aws:iam::{UNKNOWN}:role/r{n}" for n in range(300)]}, by_id(GOOD_ID)),
            300, Requirement.MISSING, Requirement.REQUIRED,
        ),
    ],
    ids=["open subjects", "subjects", "open organizations", "external IDs", "roles"],
)  # fmt: skip
def test_a_policy_with_hundreds_of_values_is_examined_or_unknown(
    statement: dict[str, Any], number: int, guarded: Requirement, external_id: Requirement | None
) -> None:
    """The number of requests is limited; what is not examined is unknown."""
    found = outsiders(statement)

    assert number == len(found)
    assert {(guarded, external_id)} == {
        (each.guarded, each.external_id.state if each.external_id is not None else None) for each in found
    }
