"""Impossible requests: keys that caller or resource determine, sessions of roles with a path; and session policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from policy_vocabulary import AWS_CALLER, BACKEND, CALLER, CUSTOMER, OTHER, ROLE, ROOT, SESSION, USER, document, grant, trust
from rolecall_generator.iam.evaluation.evaluator import Effect, Evaluator, Request
from rolecall_generator.iam.evaluation.request_context import Caller, IdentitySide
from rolecall_generator.iam.model import Access, Role, User

ALLOW, DENY, NO, REFUSED = Effect.ALLOW, Effect.EXPLICIT_DENY, Effect.IMPLICIT_DENY, Effect.REFUSED
NAME = CALLER.rpartition("/")[2]
WITH_PATH = f"arn:aws:iam::{BACKEND}:role/p/{NAME}"
LOCAL_ROLE = f"arn:aws:iam::{CUSTOMER}:role/local"
LOCAL_SESSION = f"arn:aws:sts::{CUSTOMER}:assumed-role/local/s"


def assume(statements: list[Mapping[str, Any]], caller: Caller, said: dict[str, Any] | None = None, **role: Any) -> Effect:
    access = Access.of(Role(ROLE, document(*statements), **role))
    return Evaluator(access).may_assume(Request(caller, ROLE, context=said or {})).effect


def worst(arn: str, **more: Any) -> Caller:
    return Caller(arn, IdentitySide.ALLOWS_ALL, **more)


DETERMINED = {
    "aws:PrincipalArn": (CALLER, f"arn:aws:iam::{OTHER}:role/x"),
    "aws:PrincipalAccount": (BACKEND, OTHER),
    "aws:PrincipalType": ("AssumedRole", "User"),
    "aws:PrincipalIsAWSService": ("false", "true"),
    "aws:ResourceAccount": (CUSTOMER, OTHER),
    "aws:ResourceTag/Team": ("red", "blue"),
    "iam:ResourceTag/team": ("red", "blue"),
}


@pytest.mark.parametrize("key", DETERMINED)
def test_request_cannot_override_caller_and_resource_keys(key: str) -> None:
    """The request's value of such a key is ignored: the condition uses the actual value."""
    real, claimed = DETERMINED[key]
    for wanted, expected in ((real, ALLOW), (claimed, NO)):
        body = [trust("*", Condition={"StringEquals": {key: wanted}})]
        assert expected is assume(body, worst(CALLER), {key: claimed}, tags={"team": "red"})
        assert expected is assume(body, worst(CALLER), {key.upper(): claimed}, tags={"team": "red"})


def test_role_has_no_username() -> None:
    """A role has no aws:username, even if the request sets it."""
    body = [trust("*", Condition={"StringEquals": {"aws:username": "reena"}})]

    assert NO is assume(body, worst(CALLER), {"aws:username": "reena"})


def test_request_cannot_set_resource_tags_of_a_known_role() -> None:
    """A declared role has exactly its declared tags; for other roles the tags of the request are used."""
    body = document(grant(action="iam:GetRole", resource="*", Condition={"StringEquals": {"aws:ResourceTag/x": "y"}}))
    declared, found = Role(ROLE, document(trust("*"))), Role(CALLER, None, existing=True)
    evaluator = Evaluator(Access.of(declared, found, User(USER, inline={"p": body})))
    said = {"aws:ResourceTag/x": "y"}

    assert (NO, ALLOW) == tuple(
        evaluator.may(Request(Caller(USER), arn, "iam:GetRole", said)).effect for arn in (declared.arn, found.arn)
    )


BLUE = {"aws:PrincipalTag/TEAM": "blue"}


@pytest.mark.parametrize(
    ("arn", "said", "expected"), [(USER, BLUE, NO), (CALLER, BLUE, ALLOW), (SESSION, BLUE, ALLOW), (SESSION, {}, NO)]
)
def test_session_tags_override_only_role_tags(arn: str, said: dict[str, str], expected: Effect) -> None:
    """Tags of a user cannot be overridden; a session tag replaces the role's tag, ignoring the case of the key."""
    body = document(trust("*", Condition={"StringEquals": {"aws:PrincipalTag/team": "blue"}}))
    policy = {"p": document(grant())}
    access = Access.of(
        Role(ROLE, body), Role(CALLER, None, policy, tags={"Team": "red"}), User(USER, inline=policy, tags={"Team": "red"})
    )

    assert expected is Evaluator(access).may_assume(Request(Caller(arn), ROLE, context=said)).effect


SESSION_OF_A_PATH: dict[str, tuple[list[Mapping[str, Any]], Effect]] = {
    "named with its path": ([trust({"AWS": WITH_PATH})], ALLOW),
    "named, and compared without the path": (
        [trust({"AWS": WITH_PATH}, Condition={"ArnEquals": {"aws:PrincipalArn": CALLER}})],
        NO,
    ),
    "named, and compared with the path": (
        [trust({"AWS": WITH_PATH}, Condition={"ArnEquals": {"aws:PrincipalArn": WITH_PATH}})],
        ALLOW,
    ),
    "named in one statement, compared in another": (
        [trust({"AWS": WITH_PATH}, "Deny"), trust({"AWS": ROOT}, Condition={"ArnEquals": {"aws:PrincipalArn": CALLER}})],
        DENY,
    ),
    "two paths, of which one can be": ([trust({"AWS": WITH_PATH}), trust({"AWS": CALLER}, "Deny")], REFUSED),
    "two paths, alike": ([trust({"AWS": [WITH_PATH, CALLER]})], ALLOW),
    "not named": ([trust({"AWS": ROOT}, Condition={"ArnEquals": {"aws:PrincipalArn": CALLER}})], ALLOW),
    "another account's role of that name": ([trust({"AWS": f"arn:aws:iam::{OTHER}:role/p/{NAME}"})], NO),
}


@pytest.mark.parametrize("name", SESSION_OF_A_PATH)
def test_session_has_one_role_arn(name: str) -> None:
    """If the role is not in the access, Principal and aws:PrincipalArn use the same ARN."""
    statements, expected = SESSION_OF_A_PATH[name]

    assert expected is assume(statements, worst(SESSION))


def test_caller_can_set_the_role_arn_of_a_session() -> None:
    """The given role ARN provides the path; the ARN of another role is ignored."""
    body = [trust({"AWS": ROOT}, Condition={"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/p/*"}})]

    assert (NO, ALLOW, NO) == (
        assume(body, worst(SESSION)),
        assume(body, worst(SESSION, role=WITH_PATH)),
        assume(body, worst(SESSION, role=f"arn:aws:iam::{BACKEND}:role/p/another")),
    )


S3 = (grant(action="s3:*", resource="*"),)
STS = (grant(action="sts:*", resource="*"),)
DENYING = (grant(resource="*"), grant("Deny", resource=ROLE))
TWO = (*S3, *STS)


@pytest.mark.parametrize(
    ("policies", "caller", "principal", "expected"),
    [
        pytest.param(STS, SESSION, AWS_CALLER, ALLOW, id="across accounts, allowed"),
        pytest.param(S3, SESSION, AWS_CALLER, NO, id="across accounts, not allowed"),
        pytest.param(S3, SESSION, {"AWS": SESSION}, NO, id="across accounts, the session itself"),
        pytest.param(DENYING, SESSION, AWS_CALLER, DENY, id="across accounts, denied"),
        pytest.param(TWO, SESSION, AWS_CALLER, ALLOW, id="several policies add up"),
        pytest.param(STS, LOCAL_SESSION, {"AWS": LOCAL_ROLE}, ALLOW, id="one account, role, allowed"),
        pytest.param(S3, LOCAL_SESSION, {"AWS": LOCAL_ROLE}, NO, id="one account, role, not allowed"),
        pytest.param(S3, LOCAL_SESSION, {"AWS": LOCAL_SESSION}, ALLOW, id="one account, the session itself"),
        pytest.param(DENYING, LOCAL_SESSION, {"AWS": LOCAL_SESSION}, DENY, id="one account, the session itself, denied"),
        pytest.param(S3, LOCAL_SESSION, {"AWS": CUSTOMER}, NO, id="one account, by the account"),
    ],
)
def test_session_policies_limit_the_session(
    policies: tuple[Mapping[str, Any], ...], caller: str, principal: dict[str, str], expected: Effect
) -> None:
    """Actions outside the session policy are denied, unless the trust policy names the session itself in its account."""
    granted = {"p": document(grant(resource="*"))}
    access = Access.of(Role(ROLE, document(trust(principal))), Role(CALLER, None, granted), Role(LOCAL_ROLE, None, granted))
    who = Caller(caller, session_policies=tuple(map(document, policies)))

    assert expected is Evaluator(access).may_assume(Request(who, ROLE)).effect


def test_session_policies_limit_other_actions() -> None:
    """Identity and session policy must both allow; an assumed identity policy is limited as well."""
    access = Access.of(Role(CALLER, None, {"p": document(grant(action="*", resource="*"))}))
    evaluator, policies = Evaluator(access), (document(grant(action="s3:ListBucket", resource="*")),)

    def may(caller: Caller, action: str) -> Effect:
        return evaluator.may(Request(caller, "arn:aws:s3:::bucket", action)).effect

    for side in IdentitySide:
        who = Caller(SESSION, side, session_policies=policies)
        assert (ALLOW, NO) == (may(who, "s3:ListBucket"), may(who, "s3:DeleteBucket"))
    assert ALLOW is may(Caller(SESSION), "s3:DeleteBucket")
