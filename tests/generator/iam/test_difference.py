"""Differences of two Access values as sentences, with properties that hold for all values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategies_access
from rolecall_generator.iam.difference import differences, plain_label
from rolecall_generator.iam.model import Access, ConsolePassword, Group, InstanceProfile, ManagedPolicy, Role, User
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement

BACKEND = "arn:aws:iam::111111111111:role/backend_role"
STRANGER = "arn:aws:iam::999999999999:root"
EXTERNAL_ID = Condition("StringEquals", "sts:ExternalId", ("0f0c",))
MFA = Condition("Bool", "aws:MultiFactorAuthPresent", ("true",))
TRUST = Statement("Allow", ("sts:AssumeRole",), principals=(Principal("AWS", BACKEND),), conditions=(EXTERNAL_ID,))
READ = Statement("Allow", ("s3:GetObject",), ("arn:aws:s3:::example-bucket/*",), sid="Read")
POLICY = "arn:aws:iam::222222222222:policy/extra"
ROLE = Role("arn:aws:iam::222222222222:role/role1", PolicyDocument((TRUST,)), {"main": PolicyDocument((READ,))})
GROUP = Group("arn:aws:iam::078352025563:group/reena-switchers", attached=frozenset({POLICY}))
USER = User("arn:aws:iam::078352025563:user/reena", groups=frozenset({GROUP.arn}))
MANAGED = ManagedPolicy(POLICY, PolicyDocument((READ,)))
PROFILE = InstanceProfile("arn:aws:iam::111111111111:instance-profile/backend_role", BACKEND)
MAIN = " (inline policy main)"


def label(arn: str) -> str:
    return plain_label(arn).replace("222222222222", "account1").replace("078352025563", "reena")


def said(before: Any, after: Any) -> list[tuple[str, bool | None]]:
    changes = differences(Access.of(before), Access.of(after), label=label)
    assert {after.arn} == {change.subject for change in changes}
    return [(change.text, change.widens) for change in changes]


def trusting(*statements: Statement) -> Role:
    return replace(ROLE, trust=PolicyDocument(statements))


def allowing(*statements: Statement) -> Role:
    return replace(ROLE, inline={"main": PolicyDocument(statements)})


@pytest.mark.parametrize(
    ("before", "after", "text", "widens"),
    [
        (ROLE, trusting(replace(TRUST, principals=(*TRUST.principals, Principal("AWS", STRANGER)))),
         "account1/role1 also trusts 999999999999:root", True),
        (ROLE, trusting(TRUST, replace(TRUST, principals=(Principal("AWS", STRANGER),), conditions=())),
         "account1/role1 also trusts 999999999999:root", True),
        (ROLE, trusting(TRUST, Statement("Allow", ("sts:AssumeRole",), principals=(Principal("*", "*"),))),
         "account1/role1 also trusts everyone", True),
        (ROLE, trusting(replace(TRUST, conditions=())), "account1/role1 no longer requires external ID 0f0c", True),
        (trusting(replace(TRUST, conditions=())), ROLE, "account1/role1 now requires external ID 0f0c", False),
        (ROLE, trusting(replace(TRUST, conditions=(replace(EXTERNAL_ID, values=("0f0c", "11aa")),))),
         "account1/role1 also accepts external ID 11aa", True),
        (ROLE, trusting(replace(TRUST, conditions=(replace(EXTERNAL_ID, values=("11aa",)),))),
         "account1/role1 now requires external ID 11aa instead of external ID 0f0c", None),
        (ROLE, trusting(replace(TRUST, conditions=(replace(EXTERNAL_ID, key="STS:externalid"),))),
         "account1/role1 writes condition key sts:ExternalId as STS:externalid", None),
        (trusting(replace(TRUST, conditions=(MFA,))),
         trusting(replace(TRUST, conditions=(replace(MFA, operator="BoolIfExists"),))),
         "account1/role1 now requires aws:MultiFactorAuthPresent BoolIfExists true instead of MFA", True),
        (ROLE, trusting(replace(TRUST, actions=("sts:AssumeRole", "sts:TagSession"))),
         "account1/role1 now also allows sts:TagSession to 111111111111/backend_role", True),
        (ROLE, allowing(replace(READ, actions=("s3:GetObject", "s3:PutObject"))),
         f"account1/role1 may now also s3:PutObject on arn:aws:s3:::example-bucket/*{MAIN}", True),
        (ROLE, allowing(replace(READ, resources=("*", *READ.resources))),
         f"account1/role1 may now also s3:GetObject on *{MAIN}", True),
        (ROLE, allowing(), f"account1/role1 may no longer s3:GetObject on arn:aws:s3:::example-bucket/*{MAIN}", False),
        (ROLE, allowing(READ, Statement("Deny", ("iam:*",), ("*",))),
         f"account1/role1 is now denied iam:* on *{MAIN}", False),
        (ROLE, replace(ROLE, attached=frozenset({POLICY})), "account1/role1 gains policy account1/extra", True),
        (ROLE, replace(ROLE, boundary=POLICY),
         "account1/role1 now has the permissions boundary policy account1/extra", False),
        (ROLE, replace(ROLE, max_session_seconds=7200), "account1/role1 allows sessions of 7200 s instead of 3600 s", True),
        (ROLE, replace(ROLE, tags={"team": "x"}), "account1/role1 gains tag team='x'", None),
        (ROLE, replace(ROLE, trust=None), "account1/role1 has a trust policy that is no longer known", None),
        (MANAGED, replace(MANAGED, document=PolicyDocument((replace(READ, actions=("s3:*",)),))), None, None),
        (GROUP, replace(GROUP, attached=frozenset()), "group reena/reena-switchers loses policy account1/extra", False),
        (USER, replace(USER, groups=frozenset()), "user reena/reena leaves group reena/reena-switchers", False),
        (USER, replace(USER, console_password=ConsolePassword()), "user reena/reena gains a console password", True),
        (PROFILE, replace(PROFILE, role=ROLE.arn),
         "instance-profile 111111111111/backend_role has account1/role1 instead of 111111111111/backend_role", None),
    ],
)  # fmt: skip
def test_one_change_is_one_sentence(before: Any, after: Any, text: str | None, widens: bool | None) -> None:
    """Each kind of change is one sentence with its effect on access."""
    if text is None:
        assert len(said(before, after)) == 2
    else:
        assert [(text, widens)] == said(before, after)


def test_new_role_is_reported_with_its_access() -> None:
    """A new role is reported with its trust and permissions."""
    changes = differences(Access(), Access.of(ROLE), label=label)
    assert [
        "account1/role1 is new",
        f"account1/role1 may s3:GetObject on arn:aws:s3:::example-bucket/*{MAIN}",
        "account1/role1 trusts 111111111111/backend_role with external ID 0f0c",
    ] == [change.text for change in changes]


def test_removed_role_is_one_sentence() -> None:
    """The trust and permissions of a removed role are not listed."""
    assert ["account1/role1 is removed"] == [change.text for change in differences(Access.of(ROLE), Access(), label=label)]


def test_order_of_statements_is_no_difference() -> None:
    """Documents are compared in canonical form."""
    other = Statement("Allow", ("ec2:DescribeInstances",), ("*",))
    one, two = allowing(READ, other), allowing(other, replace(READ, actions=READ.actions * 2))
    assert () == differences(Access.of(one), Access.of(two))


def test_repeated_condition_counts_once() -> None:
    """Repeated values do not prevent the canonical form from merging a repeated condition."""
    twice = (EXTERNAL_ID, replace(EXTERNAL_ID, values=EXTERNAL_ID.values * 2))
    assert () == differences(Access.of(ROLE), Access.of(trusting(replace(TRUST, conditions=twice))))


@settings(max_examples=40, deadline=None)
@given(strategies_access.accesses())
def test_equal_access_has_no_differences(access: Access) -> None:
    """An access equals itself and its canonical form."""
    assert () == differences(access, access.canonical())


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_differences_means_equal_access(data: st.DataObject) -> None:
    """Two values of the same ARN differ exactly when there is a sentence, and every change has a subject and a text."""
    kinds = (strategies_access.roles, strategies_access.managed_policies, strategies_access.groups, strategies_access.users,
             strategies_access.instance_profiles)  # fmt: skip
    kind: Any = data.draw(st.sampled_from(kinds))
    one = data.draw(kind())
    other = replace(data.draw(kind()), arn=one.arn)
    before, after = Access.of(one), Access.of(other)
    changes = differences(before, after)
    assert (before.canonical() == after.canonical()) is (not changes)
    assert all(change.subject == one.arn and change.text.strip() == change.text for change in changes)
    assert not any("no words" in change.text for change in changes)


@settings(max_examples=40, deadline=None)
@given(strategies_access.accesses(), strategies_access.accesses())
def test_whole_accesses_differ_exactly_when_reported(before: Access, after: Access) -> None:
    """The property holds for whole values too, and no sentence is repeated."""
    changes = differences(before, after)
    assert (before.canonical() == after.canonical()) is (not changes)
