"""Changes of trust policies, and deviations from the intent, as sets of requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from policy_text import statement
from rolecall_generator.iam import Access, PolicyDocument, Role
from rolecall_generator.proof import Proof, TrustChange, access_changes, prove, trust_deviations
from rolecall_generator.proof.changes import AccessChanges, trust_changes
from trust_worlds import BACKEND, CALLER, EXTERNAL_ID, ORDINARY, ROLE, TRUSTS, WITH_ID, prove_role, world

STRANGER = "arn:aws:iam::444444444444:role/eve"
FROM_OFFICE = f"{WITH_ID} & IpAddress aws:SourceIp 192.0.2.0/24"


def changed(*statements: dict[str, Any], before: Mapping[str, Any] = ORDINARY) -> TrustChange:
    """The change from a trust policy with one statement to one with others."""
    (change,) = trust_changes(world([before]), world(statements))
    return change


def constraints(change: TrustChange) -> list[dict[str, str]]:
    """What each set of a change requires."""
    return [{each.name: each.description for each in found.constraints} for found in (*change.widens, *change.narrows)]


def test_equal_policies_have_no_change() -> None:
    assert [] == list(trust_changes(world([ORDINARY]), world([ORDINARY])))


def test_policy_written_differently_allows_the_same_requests() -> None:
    """A second statement that the first one covers changes nothing."""
    change = changed(ORDINARY, statement(CALLER, FROM_OFFICE))

    assert change.is_equivalent
    assert {
        "role": ROLE,
        "verdict": "equivalent",
        "complete": True,
        "reasons": [],
        "widens": [],
        "narrows": [],
    } == change.to_json()


def test_another_principal_widens() -> None:
    change = changed(ORDINARY, statement(STRANGER, WITH_ID))
    (found,) = change.widens

    assert found.is_certain
    assert found.witness is not None
    assert (STRANGER, ()) == (found.witness.request.principal.arn, change.narrows)
    assert [f"named by Principal {STRANGER}"] == [each["Caller"] for each in constraints(change)]
    assert ("sts:AssumeRole", f"caller: named by Principal {STRANGER}") == (found.action, found.conditions[0])


def test_another_condition_narrows() -> None:
    change = changed(statement(CALLER, FROM_OFFICE))

    assert ((), 1) == (change.widens, len(change.narrows))
    assert ["absent or not IpAddress 192.0.2.0/24"] == [each["aws:SourceIp"] for each in constraints(change)]


def test_another_external_id_widens_and_narrows() -> None:
    change = changed(statement(CALLER, "StringEquals sts:ExternalId another"))

    assert ((1, 1), ()) == ((len(change.widens), len(change.narrows)), change.reasons)
    assert ["StringEquals another", f"StringEquals {EXTERNAL_ID}"] == [
        each["sts:ExternalId"] for each in constraints(change)
    ]


def test_missing_key_is_part_of_the_set() -> None:
    """Without the condition, requests without the key are allowed too; the set says so, and its example is one."""
    change = changed(statement(CALLER))
    (found,) = change.widens

    assert [f"absent or not StringEquals {EXTERNAL_ID}"] == [each["sts:ExternalId"] for each in constraints(change)]
    assert found.witness is not None
    assert {} == found.witness.keys


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a b", '"a b"'),
        ("x aws:PrincipalTag/team y", '"x aws:PrincipalTag/team y"'),
        ("a,b", '"a,b"'),
        ("(", '"("'),
        ("", '""'),
        ("é:*", "é:*"),
    ],
)
def test_values_are_quoted_if_they_are_not_one_word(value: str, shown: str) -> None:
    """So that a value cannot look like a part of the description."""
    change = changed(statement(CALLER, f"{WITH_ID} & StringLike aws:PrincipalTag/team {value}"))

    assert [f"absent or not StringLike {shown}"] == [each["aws:PrincipalTag/team"] for each in constraints(change)]


def test_lists_of_values_are_in_brackets() -> None:
    """So that a value of a list is not read as the next condition, and presence is mentioned only once."""
    change = changed(
        ORDINARY, before=statement({"AWS": [CALLER, STRANGER]}, f"StringLike sts:ExternalId 0f0c*, {EXTERNAL_ID}")
    )
    shown = {each["sts:ExternalId"] for each in constraints(change)}

    assert f"StringLike [0f0c*, {EXTERNAL_ID}] and not StringEquals {EXTERNAL_ID}" in shown
    assert f"named by Principal [{CALLER}, {STRANGER}]" in {each["Caller"].split(" and ")[0] for each in constraints(change)}


def test_undocumented_decision_is_uncertain_with_its_reason() -> None:
    """AWS does not document a plain operator on several values."""
    change = changed(ORDINARY, before=statement(CALLER, f"{WITH_ID} & StringEquals example.com:k a"))

    assert [True, False] == [found.is_certain for found in change.widens]
    assert [False, True] == [bool(found.reasons) for found in change.widens]
    assert all("example.com:k" in reason for reason in change.widens[1].reasons)


def test_too_large_policy_is_unknown_with_the_reason() -> None:
    principals = [f"arn:aws:iam::444444444444:role/{'x' * 50}{number}" for number in range(500)]
    change = changed(ORDINARY, statement({"AWS": principals}, WITH_ID))

    assert ((), (), True) == (change.widens, change.narrows, bool(change.reasons))
    assert not change.is_equivalent


def test_more_sets_than_are_listed_are_a_reason() -> None:
    """Each account has its own external ID, so that no two sets can be joined."""
    pairs = [
        statement(f"arn:aws:iam::4444444444{number:02}:role/eve", f"StringEquals sts:ExternalId id-{number}")
        for number in range(1, 22)
    ]
    change = changed(ORDINARY, *pairs)

    assert (20, 1) == (len(change.widens), len(change.reasons))


@pytest.mark.parametrize("added", [True, False])
def test_added_or_removed_role_is_a_change_from_or_to_no_one(added: bool) -> None:
    with_role = world([ORDINARY])
    without = replace(with_role, roles={arn: role for arn, role in with_role.roles.items() if arn != ROLE})
    (change,) = trust_changes(without, with_role) if added else trust_changes(with_role, without)

    assert (added, not added) == (bool(change.widens), bool(change.narrows))
    assert [f"StringEquals {EXTERNAL_ID}"] == [each["sts:ExternalId"] for each in constraints(change)]


@pytest.mark.parametrize("first", [True, False])
def test_trust_policy_that_could_not_be_read_is_a_reason(first: bool) -> None:
    known = world([ORDINARY])
    unknown = replace(known, roles={**known.roles, ROLE: replace(known.roles[ROLE], trust=None)})
    (change,) = trust_changes(unknown, known) if first else trust_changes(known, unknown)

    assert ((), (), 1) == (change.widens, change.narrows, len(change.reasons))


def test_referenced_role_has_no_change() -> None:
    """The backend role exists outside the module, and its trust policy is not known."""
    known = world([ORDINARY])

    assert [] == list(trust_changes(Access(), replace(known, roles={CALLER: known.roles[CALLER]})))


@pytest.mark.parametrize(("condition", "depends"), [(WITH_ID, False), ("StringEquals aws:ResourceTag/team a", True)])
def test_changed_tags_matter_if_the_policy_depends_on_them(condition: str, depends: bool) -> None:
    """The policy is equal, but it allows everything with one tag and nothing with the other."""
    trust = [statement(CALLER, condition)]
    changes = list(trust_changes(world(trust, {"team": "a"}), world(trust, {"team": "b"})))

    assert depends is bool(changes)
    assert not any(change.is_equivalent for change in changes)


def test_proven_role_has_no_deviation() -> None:
    assert [] == list(trust_deviations(prove_role([ORDINARY])))


def test_deviations_are_what_is_allowed_and_not_intended_and_the_reverse() -> None:
    (change,) = trust_deviations(prove_role([statement(STRANGER, WITH_ID)]))

    assert [f"named by Principal {STRANGER}", f"named by Principal {CALLER}"] == [
        each["Caller"] for each in constraints(change)
    ]
    assert [STRANGER, CALLER] == [
        found.witness.request.principal.arn for found in (*change.widens, *change.narrows) if found.witness is not None
    ]


def test_role_without_intent_deviates_by_everything_that_it_allows() -> None:
    proof: Proof = prove(world([ORDINARY]), TRUSTS[1:])
    (change,) = trust_deviations(proof)

    assert (ROLE, 1, ()) == (change.role_arn, len(change.widens), change.narrows)


OTHER_SPELLING = statement(CALLER, f"StringEquals STS:externalid {EXTERNAL_ID}")
BY_CONDITION = statement(f"arn:aws:iam::{BACKEND}:root", f"{WITH_ID} & ArnEquals aws:PrincipalArn {CALLER}")


@pytest.mark.parametrize(
    "rewritten",
    [
        [OTHER_SPELLING],
        [BY_CONDITION],
        [ORDINARY, OTHER_SPELLING],
        [statement(CALLER, f"StringLike sts:ExternalId {EXTERNAL_ID}")],
        [statement(CALLER, f"StringEquals sts:ExternalId {EXTERNAL_ID}, {EXTERNAL_ID}")],
        [statement({"AWS": [CALLER, STRANGER]}, WITH_ID), statement(STRANGER, effect="Deny")],
        [ORDINARY, statement(STRANGER, f"{WITH_ID} & Null sts:ExternalId true")],
        [statement(CALLER, f"{WITH_ID} & Null sts:ExternalId false")],
    ],
    ids=["key", "account", "both", "like", "twice", "denied", "impossible", "null"],
)
@pytest.mark.parametrize("forward", [True, False])
def test_sentences_about_an_equivalent_policy_neither_widen_nor_narrow(
    rewritten: list[dict[str, Any]], forward: bool
) -> None:
    before, after = (world([ORDINARY]), world(rewritten)) if forward else (world(rewritten), world([ORDINARY]))
    found = access_changes(before.canonical(), after.canonical())

    assert found.changes or not found.trusts
    assert ["equivalent"] * len(found.trusts) == [trust.verdict for trust in found.trusts]
    assert {None} >= {change.widens for change in found.changes}
    assert all(found.is_equivalent(change) for change in found.changes)


@pytest.mark.parametrize(
    ("rewritten", "verdict", "marks"),
    [
        ([ORDINARY, statement(STRANGER, WITH_ID)], "wider", {True}),
        ([statement(CALLER, FROM_OFFICE)], "narrower", {False}),
        ([statement(CALLER, f"StringLike sts:ExternalId {EXTERNAL_ID[:4] + '*'}")], "wider", {True}),
        ([statement(STRANGER, WITH_ID)], "different", {True, False}),
        # Names another principal, but a statement denies it: only the address narrows.
        (
            [statement({"AWS": [CALLER, STRANGER]}, FROM_OFFICE), statement(STRANGER, effect="Deny")],
            "narrower",
            {None, False},
        ),
        # Has another condition on one principal, but a second statement has none.
        ([statement(CALLER, FROM_OFFICE), statement(CALLER)], "wider", {None, True}),
    ],
)
def test_sentences_have_the_direction_of_the_sets(
    rewritten: list[dict[str, Any]], verdict: str, marks: set[bool | None]
) -> None:
    found = access_changes(world([ORDINARY]).canonical(), world(rewritten).canonical())

    assert [verdict] == [trust.verdict for trust in found.trusts]
    assert marks == {change.widens for change in found.changes}


READ = "arn:aws:s3:::data/*"
IN_REGION = {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}


def allow(actions: Any, resources: Any = "*", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": actions, "Resource": resources, **more}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a": [allow("s3:GetObject", READ)]}, {"a": [allow("s3:getobject", READ)]}),
        ({"a": [allow("s3:Get*", READ)]}, {"a": [allow(["s3:Get*", "s3:GetObject"], READ)]}),
        ({"a": [allow("s3:GetObject", READ)]}, {"a": [allow("s3:GetObject", [READ, READ.replace("*", "x/*")])]}),
        (
            {"a": [allow(["s3:GetObject", "sqs:SendMessage"])]},
            {"a": [allow("s3:GetObject"), allow("sqs:SendMessage")]},
        ),
        (
            {"a": [allow("s3:*", Condition=IN_REGION)]},
            {"a": [allow("s3:*", Condition={"StringLike": {"AWS:requestedregion": ["eu-west-1"]}})]},
        ),
        ({"a": [allow("s3:GetObject")]}, {"b": [allow("s3:GetObject")]}),
        ({"a": [allow("*", effect="Deny")]}, {"a": [allow("*", effect="Deny"), allow("s3:*", effect="Deny")]}),
        ({"a": [allow("s3:*", READ, effect="Deny"), allow("s3:*", effect="Deny")]}, {"a": [allow("s3:*", effect="Deny")]}),
    ],
    ids=["case", "covered action", "covered resource", "split", "condition", "renamed", "denial", "removed denial"],
)
@pytest.mark.parametrize("partition", ["aws", "aws-cn"])
def test_permissions_written_differently_are_equivalent(before: Any, after: Any, partition: str) -> None:
    found = permission_changes(before, after, partition)

    assert {None} == {change.widens for change in found.changes}
    assert all(found.is_equivalent(change) for change in found.changes)


@pytest.mark.parametrize(
    ("before", "after", "marks"),
    [
        ({"a": [allow("s3:Get*")]}, {"a": [allow("s3:GetObject")]}, {None, False}),
        ({"a": [allow("s3:GetObject")]}, {"a": [allow("s3:Get*")]}, {True, False}),
        ({"a": [allow("s3:GetObject")]}, {"b": [allow("s3:*")]}, {True, False}),
        ({"a": [allow("s3:*")]}, {"b": [allow("s3:GetObject")]}, {None, False}),
        ({"a": [allow("s3:*", effect="Deny")]}, {"a": [allow("s3:Get*", effect="Deny")]}, {True, False}),
        # A denial applies to what other policies allow, even if this policy allows nothing of it.
        ({"a": [allow("sqs:*"), allow("s3:*", effect="Deny")]}, {"a": [allow("sqs:*")]}, {True}),
        (
            {"a": [allow("s3:*", Condition={"ArnLike": {"aws:PrincipalArn": "arn:aws-cn:iam::*:role/a"}})]},
            {"a": [allow("s3:*", Condition={"ArnLike": {"aws:PrincipalArn": "arn:aws-cn:iam::*:role/*"}})]},
            {None},
        ),
    ],
)
def test_other_permissions_are_not_equivalent(before: Any, after: Any, marks: set[bool | None]) -> None:
    found = permission_changes(before, after, "aws-cn")

    assert marks >= {change.widens for change in found.changes}
    assert not any(found.is_equivalent(change) for change in found.changes)
    assert (True in marks) is any(change.widens for change in found.changes)


def permission_changes(before: Any, after: Any, partition: str) -> AccessChanges:
    """The changes of a role's inline policies, each given by its statements."""
    arn = f"arn:{partition}:iam::222222222222:role/role1"
    sides = [
        Access.of(
            Role(arn, None, {
                name: PolicyDocument.from_json({"Version": "2012-10-17", "Statement": statements})
                for name, statements in inline.items()
            })
        ).canonical()
        for inline in (before, after)
    ]  # fmt: skip
    first, second = sides
    return access_changes(first, second)


def test_other_changes_of_the_role_keep_their_direction() -> None:
    before, after = world([ORDINARY]), world([BY_CONDITION])
    role = replace(after.roles[ROLE], max_session_seconds=7200)
    found = access_changes(before.canonical(), replace(after, roles={**after.roles, ROLE: role}).canonical())

    assert [True] == [change.widens for change in found.changes if not change.in_trust]
    assert {None} == {change.widens for change in found.changes if change.in_trust}


def test_unknown_policy_has_no_verdict() -> None:
    principals = [f"arn:aws:iam::444444444444:role/{'x' * 50}{number}" for number in range(500)]
    found = access_changes(
        world([ORDINARY]).canonical(), world([ORDINARY, statement({"AWS": principals}, WITH_ID)]).canonical()
    )

    assert ["unknown"] == [trust.verdict for trust in found.trusts]
    assert {True} == {change.widens for change in found.changes}
