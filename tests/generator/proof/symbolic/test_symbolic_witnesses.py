"""Trusts that allow more than intended: each is refuted by the cheapest request, which the evaluator confirms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policy_text import Body, document, statement
from rolecall_generator.iam import Access
from rolecall_generator.iam.evaluation import Evaluator
from rolecall_generator.proof.symbolic import InclusionState, SearchBudget, compare, difference
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

ID: dict[str, tuple[str, ...]] = {"sts:ExternalId": (EXTERNAL_ID,)}
ACCOUNT = "111111111111"
SURPLUS: dict[str, tuple[Body, str, dict[str, tuple[str, ...]]]] = {
    "names excluded by pattern": (
        statement(
            "*", "StringNotLike aws:PrincipalArn *rolecall*, *backend_role*, *role1* & Bool aws:PrincipalIsAWSService false"
        ),
        "arn:aws:iam::999999999999:role/x",
        {},
    ),
    "one name of the account excluded": (
        statement(ACCOUNT, f"ArnNotLike aws:PrincipalArn arn:aws:iam::*:*/rolecall* & {WITH_ID}"),
        f"arn:aws:iam::{ACCOUNT}:role/x",
        ID,
    ),
    "path of a certain depth": (
        statement(ACCOUNT, f"StringLike aws:PrincipalArn */*/*/* & {WITH_ID}"),
        f"arn:aws:iam::{ACCOUNT}:role/x/x/x",
        ID,
    ),
    "external id only if it exists": (statement(BACKEND, f"StringEqualsIfExists sts:ExternalId {EXTERNAL_ID}"), BACKEND, {}),
    "tag keys": (
        statement(
            ACCOUNT,
            f"ForAllValues:StringLike aws:TagKeys team-* & ForAnyValue:StringLike aws:TagKeys team-?x & {WITH_ID}",
            Action=["sts:AssumeRole", "sts:TagSession"],
        ),
        f"arn:aws:iam::{ACCOUNT}:role/x",
        {"aws:TagKeys": ("team-xx",), **ID},
    ),
    "policy variables": (
        statement(
            ACCOUNT,
            {
                "StringLike": {"sts:RoleSessionName": "${aws:username}-?*"},
                "StringEquals": {"aws:PrincipalTag/team": "${aws:RequestTag/team, 'x'}", "sts:ExternalId": EXTERNAL_ID},
            },
        ),
        f"arn:aws:iam::{ACCOUNT}:user/x",
        {"sts:RoleSessionName": ("x-x",), "aws:PrincipalTag/team": ("x",), **ID},
    ),
    "user id, account pattern and networks": (
        statement(
            "*",
            "StringLike aws:userid AROA?*:ci & StringLike aws:PrincipalArn arn:aws:iam::1*9:role/*/x? & "
            "IpAddress aws:SourceIp 10.0.0.0/8 & NotIpAddress aws:SourceIp 10.0.0.0/9, 10.128.0.0/10",
        ),
        "arn:aws:iam::188888888889:role/x/xx",
        {"aws:userid": ("AROAx:ci",), "aws:SourceIp": ("10.192.0.0",)},
    ),
    "a named session": (
        statement(f"arn:aws:sts::{ACCOUNT}:assumed-role/other/ci", WITH_ID),
        f"arn:aws:sts::{ACCOUNT}:assumed-role/other/ci",
        ID,
    ),
}


@pytest.mark.parametrize(("more", "caller", "keys"), SURPLUS.values(), ids=SURPLUS)
def test_surplus_is_refuted_by_the_cheapest_request(more: Body, caller: str, keys: dict[str, tuple[str, ...]]) -> None:
    """The evaluator confirms it, and the ordinary trust is included in the wider one."""
    trust = document([ORDINARY, more])
    witness = witness_of(inclusion(trust, ORDINARY_TRUST))
    decisions = [
        Evaluator(Access.of(replace(ROLE, trust=each))).may_assume(witness.request).allowed
        for each in (trust, ORDINARY_TRUST)
    ]

    assert (caller, keys) == (witness.request.principal.arn, dict(witness.keys))
    assert [True, False] == decisions
    assert is_proven(inclusion(ORDINARY_TRUST, trust))


HARMLESS: dict[str, Body] = {
    "the same with TLS": statement(BACKEND, f"{WITH_ID} & Bool aws:SecureTransport true"),
    "a denial of tags": statement("*", None, "Deny", Action="sts:TagSession"),
    "a shorter network": statement(BACKEND, f"{WITH_ID} & IpAddress aws:SourceIp 10.0.0.0/8"),
    "no value satisfies both": statement(
        "*", "ArnLike aws:PrincipalArn arn:aws:iam::*:user/* & StringEquals aws:PrincipalType AssumedRole"
    ),
    "a contradiction of numbers": statement(
        "*", "NumericLessThan aws:MultiFactorAuthAge 10 & NumericGreaterThan aws:MultiFactorAuthAge 9"
    ),
    "another partition": statement("arn:aws-cn:iam::111111111111:role/x"),
    "an account of another partition": statement("arn:aws-cn:iam::111111111111:root"),
    "the root user": statement("*", "ArnLike aws:PrincipalArn arn:aws:iam::*:root"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_statement_without_effect_is_proven(name: str) -> None:
    comparison = compare(ROLE, document([ORDINARY, HARMLESS[name]]), ORDINARY_TRUST)

    assert comparison.is_equal, comparison


def test_command_has_the_options_of_the_request() -> None:
    conditions = (
        f"StringEquals sts:SourceIdentity alice & StringEquals aws:RequestTag/team blue team & {WITH_ID} & "
        "Bool aws:MultiFactorAuthPresent true"
    )
    actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    user = "arn:aws:iam::111111111111:user/staff/ann"
    witness = witness_of(surplus_of(statement(user, conditions, Action=actions)))

    assert (
        "aws sts assume-role --role-arn arn:aws:iam::222222222222:role/role1 --role-session-name rolecall "
        f"--external-id {EXTERNAL_ID} --source-identity alice --tags 'Key=team,Value=blue team' "
        "--serial-number arn:aws:iam::111111111111:mfa/ann --token-code 123456"
    ) == witness.shell_command
    assert [f"Run it with credentials of the user {user}."] == list(witness.remarks)


@pytest.mark.parametrize(
    ("principal", "operation"),
    [
        ({"Federated": "arn:aws:iam::222222222222:saml-provider/idp"}, "assume-role-with-saml"),
        ({"Federated": "token.actions.githubusercontent.com"}, "assume-role-with-web-identity"),
    ],
)
def test_provider_uses_the_operation_of_its_protocol(principal: Any, operation: str) -> None:
    witness = witness_of(surplus_of(statement(principal, Action="sts:*")))

    assert operation == witness.command[2]


def test_a_role_can_look_like_a_user_to_a_string_operator() -> None:
    """A path can have a colon, so only an ARN operator tells users from roles."""
    conditions = {"StringLike": {"aws:PrincipalArn": "*:user/*"}, "StringEquals": {"aws:PrincipalType": "AssumedRole"}}
    witness = witness_of(surplus_of(statement("*", conditions)))

    assert "arn:aws:iam::999999999999:role/:user/x" == witness.request.principal.arn


def test_shell_command_quotes_values() -> None:
    hostile = "a;$(touch x)'b"
    trust = trust_policy("*", f"StringEquals aws:UserAgent {hostile}")
    witness = witness_of(inclusion(trust, NO_CALLERS))

    assert hostile not in witness.shell_command
    assert {"aws:UserAgent": (hostile,)} == dict(witness.keys)


def test_remarks_name_what_the_command_cannot_set() -> None:
    conditions = {
        "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
        "StringEquals": {"aws:PrincipalOrgID": "o-abc", "aws:PrincipalTag/team": "red"},
        "DateGreaterThan": {"aws:CurrentTime": "2027-01-01"},
    }
    witness = witness_of(inclusion(trust_policy("*", conditions), NO_CALLERS))
    text = " ".join(witness.remarks)

    for value in ("10.0.0.0", "o-abc", "red", "2027-01-0"):
        assert value in text
        assert value not in witness.shell_command


def test_remarks_mention_the_absent_address_that_the_difference_needs() -> None:
    """Without it, the command of a caller with an address would not show the difference."""
    absent = {"Null": {"aws:SourceIp": "true"}}
    with_address = witness_of(inclusion(trust_policy("*", "Null aws:SourceIp false"), NO_CALLERS))
    without = witness_of(inclusion(trust_policy("*", absent), NO_CALLERS))
    other = witness_of(inclusion(trust_policy("*"), NO_CALLERS))

    assert with_address.keys
    assert not without.keys
    assert len(without.remarks) == len(other.remarks) + 1
    assert "aws:SourceIp" in without.remarks[-1]


def test_difference_is_one_box_for_a_single_surplus() -> None:
    """What a pattern leaves of the account, with the external ID: one set with one witness."""
    more = SURPLUS["one name of the account excluded"][0]
    found = list(difference(ROLE, document([ORDINARY, more]), ORDINARY_TRUST))

    assert [True] == [each.is_certain for each in found]
    assert found[0].witness is not None
    assert {"Caller", "Action", "sts:ExternalId"} <= {each.name for each in found[0].constraints}


def test_provided_contexts_need_a_permission() -> None:
    """ProvidedContexts need sts:SetContext, so a wildcard in the action allows more than its operations."""
    narrow = statement(BACKEND, WITH_ID, Action=["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"])
    wide = statement(BACKEND, WITH_ID, Action="sts:*")
    witness = witness_of(inclusion(document([wide]), document([narrow])))

    assert is_proven(inclusion(document([narrow]), document([wide])))
    assert "--provided-contexts" in witness.command
    assert "sts:SetContext" not in witness.command


def test_difference_joins_sets_that_differ_in_one_part() -> None:
    """A surplus does not depend on the external ID of another statement."""
    more = SURPLUS["names excluded by pattern"][0]
    found = list(difference(ROLE, document([ORDINARY, more]), ORDINARY_TRUST))

    assert 1 == len(found)
    assert "sts:ExternalId" not in {each.name for each in found[0].constraints}


def test_difference_lists_open_sets_after_certain_ones() -> None:
    plain = statement(BACKEND, "StringEquals example.com:k a")
    found = list(difference(ROLE, document([plain]), NO_CALLERS))

    assert [True, False] == [each.is_certain for each in found]
    assert [False, True] == [each.witness is None for each in found]
    assert {c.name: c.description for c in found[1].constraints}["example.com:k"].startswith("several values")
    assert ((), True) == (found[0].reasons, bool(found[1].reasons))


def test_difference_of_equal_policies_is_empty() -> None:
    assert [] == list(difference(ROLE, ORDINARY_TRUST, document([ORDINARY, ORDINARY])))


def test_unknown_has_reasons() -> None:
    plain = statement(BACKEND, "StringEquals example.com:k a")
    found = inclusion(document([plain]), document([plain]))

    assert InclusionState.UNKNOWN is found.state
    assert any("example.com:k" in reason for reason in found.reasons)


def test_a_cheaper_request_is_found_in_a_later_statement() -> None:
    """The witness is the cheapest of the whole surplus, not of the first statement."""
    dear = statement(ACCOUNT, "StringEquals sts:ExternalId some-other-id & StringEquals aws:PrincipalTag/a b")
    cheap = statement(f"arn:aws:iam::{ACCOUNT}:role/z")
    for statements in ([dear, cheap], [cheap, dear]):
        assert f"arn:aws:iam::{ACCOUNT}:role/z" == witness_of(surplus_of(*statements)).request.principal.arn


def test_budget_is_one_object_for_a_comparison() -> None:
    budget = SearchBudget()
    before = budget.left
    compare(ROLE, ORDINARY_TRUST, ORDINARY_TRUST, budget=budget)

    assert budget.left < before
