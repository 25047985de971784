"""The evaluator decides as documented by AWS, and returns the reason.

The tables are the modules `tests/support/*_cases.py`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from assume_cases import ASSUME_CASES, STATEMENT_CASES
from condition_cases import CONDITION_CASES, ConditionCase
from policy_vocabulary import (
    AWS_CALLER,
    CALLER,
    FEDERATED,
    GROUP,
    IP,
    OTHER,
    POLICY,
    ROLE,
    ROOT,
    SESSION,
    USER,
    AssumeCase,
    document,
    grant,
    trust,
)
from rolecall_generator.iam.evaluation.compiled import identity_of
from rolecall_generator.iam.evaluation.evaluator import Effect, Evaluator, Request
from rolecall_generator.iam.evaluation.request_context import Caller, IdentitySide, principal_context
from rolecall_generator.iam.model import Access, Group, ManagedPolicy, Role, User
from session_cases import SESSION_CASES, TAG_CASES

EFFECTS = {True: Effect.ALLOW, False: Effect.IMPLICIT_DENY, None: Effect.REFUSED}


@pytest.mark.parametrize("case", CONDITION_CASES, ids=lambda case: f"{case.operator}-{case.values}-{case.context}")
def test_condition_decides_as_documented(case: ConditionCase) -> None:
    """A statement with this condition allows exactly what the cited page documents."""
    body = grant(action="s3:ListBucket", resource="*", Condition={case.operator: {case.key: case.values}})
    policy = document(body, version=case.version)
    access = Access.of(User(USER, inline={"p": policy}), Role(CALLER, None, inline={"p": policy}))
    request = Request(Caller(case.caller), "arn:aws:s3:::bucket", "s3:ListBucket", case.context)

    assert EFFECTS[case.expected] is Evaluator(access).may(request).effect, case.page


ASSUMES = (*ASSUME_CASES, *STATEMENT_CASES, *SESSION_CASES, *TAG_CASES)


def evaluator_of(case: AssumeCase) -> tuple[Evaluator, Caller]:
    role = Role(ROLE, document(*case.trust), tags=case.tags)
    parts: list[Any] = []
    arn = case.caller.replace(":sts:", ":iam:").replace(":assumed-role/", ":role/").removesuffix("/s1")
    inline = {"p": document(*case.identity)} if case.identity else {}
    boundary = POLICY if case.boundary is not None else None
    if case.boundary is not None:
        parts.append(ManagedPolicy(POLICY, document(*case.boundary)))
    if arn == ROLE:
        role = replace(role, inline=inline)
    elif case.identity is not None and ":user/" in arn:
        parts.append(User(arn, inline=inline, boundary=boundary))
    elif case.identity is not None and ":role/" in arn:
        parts.append(Role(arn, None, inline=inline, boundary=boundary))
    side = IdentitySide.ALLOWS_ALL if case.identity is None else IdentitySide.KNOWN
    return Evaluator(Access.of(role, *parts)), Caller(case.caller, side)


@pytest.mark.parametrize("case", ASSUMES, ids=lambda case: case.name)
def test_assume_role_decides_as_documented(case: AssumeCase) -> None:
    """The decision with these policies on both sides equals the one on the cited page."""
    evaluator, caller = evaluator_of(case)
    decision = evaluator.may_assume(Request(caller, ROLE, case.action, case.context))

    assert case.expected is decision.effect, f"{case.page}: {decision.reason}"


def test_tables_have_at_least_150_cases_with_pages() -> None:
    """Every row cites a page."""
    rows: list[ConditionCase | AssumeCase] = [*CONDITION_CASES, *ASSUMES]

    assert len(rows) >= 150
    assert all(row.page for row in rows)


def test_cases_are_distinct() -> None:
    """Each row has its own content and its own name."""
    rows = [repr(row) for row in CONDITION_CASES] + [repr(replace(row, name="", page="")) for row in ASSUMES]
    names = [row.name for row in ASSUMES]

    assert [] == [row for row, count in Counter(rows).items() if count > 1]
    assert [] == [name for name, count in Counter(names).items() if count > 1]


@pytest.mark.parametrize(
    ("arn", "principal_type", "user_name"),
    [
        (ROOT, "Account", ()),
        (USER, "User", ("reena",)),
        (FEDERATED, "FederatedUser", ()),
        (SESSION, "AssumedRole", ()),
    ],
)
def test_principal_key_values_follow_the_caller(arn: str, principal_type: str, user_name: tuple[str, ...]) -> None:
    """aws:PrincipalType and aws:username equal the table of principal key values (Variables and tags)."""
    context = principal_context(identity_of(arn), {}, known=True)

    assert ((principal_type,), user_name) == (context["aws:principaltype"], context["aws:username"])


def test_decision_has_the_deciding_statement_and_policy() -> None:
    deny = document(trust(AWS_CALLER), {**trust("*", "Deny"), "Sid": "No"})
    decision = Evaluator(Access.of(Role(ROLE, deny))).may_assume(Request(Caller(CALLER, IdentitySide.ALLOWS_ALL), ROLE))

    assert decision.statement is not None
    assert ("No", f"trust policy of {ROLE}") == (decision.statement.sid, decision.policy)


def test_group_and_managed_policies_apply() -> None:
    """A user has the permissions of its group's inline, attached and AWS managed policies."""
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    for group in (
        Group(GROUP, {"p": document(grant())}),
        Group(GROUP, attached=frozenset({POLICY})),
        Group(GROUP, attached=frozenset({admin})),
    ):
        parts = (
            Role(ROLE, document(trust({"AWS": USER}))),
            group,
            ManagedPolicy(POLICY, document(grant())),
            User(USER, frozenset({GROUP})),
        )
        assert Effect.ALLOW is Evaluator(Access.of(*parts)).may_assume(Request(Caller(USER), ROLE)).effect


def test_unknown_managed_policies_grant_nothing_and_are_listed() -> None:
    unknown = "arn:aws:iam::aws:policy/SomethingElse"
    access = Access.of(Role(ROLE, document(trust({"AWS": USER}))), User(USER, attached=frozenset({unknown})))
    decision = Evaluator(access).may_assume(Request(Caller(USER), ROLE))

    assert (Effect.IMPLICIT_DENY, (unknown,)) == (decision.effect, decision.unknown_policies)


@pytest.mark.parametrize("access", [Access(), Access.of(Role(ROLE, None, existing=True))])
def test_unknown_trust_policy_is_refused(access: Access) -> None:
    """The effect is REFUSED, because the evaluator makes no claim about an unknown policy."""
    assert Effect.REFUSED is Evaluator(access).may_assume(Request(Caller(CALLER, IdentitySide.ALLOWS_ALL), ROLE)).effect


def test_unknown_boundary_is_refused() -> None:
    """The effect is REFUSED, because the boundary could deny the request."""
    access = Access.of(
        Role(ROLE, document(trust(AWS_CALLER))), Role(CALLER, None, {"p": document(grant())}, boundary=POLICY)
    )

    assert Effect.REFUSED is Evaluator(access).may_assume(Request(Caller(CALLER), ROLE)).effect


def test_free_keys_satisfy_allow_and_avoid_deny() -> None:
    """Unset keys of a free request satisfy an Allow and avoid a Deny, and the decision lists the assumptions."""
    body = document(
        trust("*", Condition={"IpAddress": {IP: "203.0.113.0/24"}}),
        trust("*", "Deny", Condition={"StringLike": {"aws:SourceVpc": "*"}}),
    )
    evaluator = Evaluator(Access.of(Role(ROLE, body)))
    stranger = Caller(f"arn:aws:iam::{OTHER}:user/x", IdentitySide.ALLOWS_ALL)

    assert Effect.IMPLICIT_DENY is evaluator.may_assume(Request(stranger, ROLE)).effect
    assert ("aws:sourceip",) == evaluator.may_assume(Request(stranger, ROLE, free=True)).assumed
    assert Effect.IMPLICIT_DENY is evaluator.may_assume(Request(stranger, ROLE, context={IP: ()}, free=True)).effect
