"""Drift as read by the role itself: what differs, in which direction, and what could not be read; over HTTP with boto3."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from rolecall_generator.iam.model import Access, ManagedPolicy, Role
from rolecall_generator.iam.policy import PolicyDocument, Principal, Statement
from rolecall_runner.aws.retry import deadline
from rolecall_runner.inventory.targets import Target
from rolecall_runner.live import NotCheckable, RoleReading
from rolecall_runner.verify.context import VerifyContext
from rolecall_runner.verify.drift import compare, drift_of, mark_drift
from rolecall_runner.verify.verdict import Check, Mark
from sandbox_rig import allow
from verify_rig import BACKEND_ROLE, CUSTOMER, EXTERNAL_ID, TRUST, Stage
from verify_worlds import document

SELF = (
    "iam:GetRole", "iam:ListRolePolicies", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:GetPolicy",
    "iam:GetPolicyVersion",
)  # fmt: skip
OWN = f"arn:aws:iam::{CUSTOMER}:policy/own"
AUDIT = "arn:aws:iam::aws:policy/SecurityAudit"
ARN = f"arn:aws:iam::{CUSTOMER}:role/vendor"


def ask(stage: Stage, target: Target, context: VerifyContext) -> Check:
    return drift_of(target, stage.credentials(target), context)[0]


def test_role_as_in_manifest_has_no_drift(stage: Stage) -> None:
    """The role reads its own trust policy, policies and settings."""
    target = stage.role("same", *SELF)
    check, changes = drift_of(target, stage.credentials(target), stage.agreed(target, *SELF))

    assert (Mark.OK, "the role is as agreed", ()) == (check.mark, check.what, changes)


def policy(body: Any, name: str = "main") -> dict[str, str]:
    return {"PolicyName": name, "PolicyDocument": json.dumps(body)}


def trusted(**changes: Any) -> dict[str, str]:
    """The trust policy of the manifest with some members of its statement replaced; None removes one."""
    statement = {key: value for key, value in (TRUST["Statement"][0] | changes).items() if value is not None}
    return {"PolicyDocument": json.dumps({**TRUST, "Statement": [statement]})}


@pytest.mark.parametrize(
    ("method", "parameters", "kind", "words"),
    [
        ("put_role_policy", policy(allow("s3:*"), "more"), "wider", "s3:*"),
        ("attach_role_policy", {"PolicyArn": AUDIT}, "wider", "SecurityAudit"),
        ("put_role_policy", policy(allow(*SELF)), "narrower", "sqs:ListQueues"),
        ("put_role_policy", policy(allow(*SELF, "sqs:ListQueues", "sqs:SendMessage")), "wider", "sqs:SendMessage"),
        (
            "update_assume_role_policy",
            trusted(Principal={"AWS": [BACKEND_ROLE, f"arn:aws:iam::{CUSTOMER}:root"]}),
            "wider",
            f"{CUSTOMER}:root",
        ),
        ("update_assume_role_policy", trusted(Condition=None), "wider", "no longer requires external ID"),
        ("update_role", {"MaxSessionDuration": 7200}, "wider", "7200 s"),
        (
            "put_role_permissions_boundary",
            {"PermissionsBoundary": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
            "narrower",
            "now has the permissions boundary",
        ),
        ("detach_role_policy", {"PolicyArn": AUDIT}, "narrower", "SecurityAudit"),
        ("delete_role_policy", {"PolicyName": "extra"}, "narrower", "kms:ListKeys"),
    ],
)
def test_each_kind_of_drift_is_classified(
    request: pytest.FixtureRequest, stage: Stage, method: str, parameters: dict[str, Any], kind: str, words: str
) -> None:
    """Ten changes by the customer each fail, and are reported as wider or narrower access."""
    name = f"drift{request.node.callspec.indices['method']}"
    agreed = {"main": document(allow(*SELF, "sqs:ListQueues")), "extra": document(allow("kms:ListKeys"))}
    target = stage.role(name, *SELF, "sqs:ListQueues", extra=allow("kms:ListKeys"))
    iam = stage.rig.administrator(CUSTOMER)
    attached = frozenset({AUDIT}) if method == "detach_role_policy" else frozenset()
    for arn in attached:
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    getattr(iam, method)(RoleName=name, **parameters)
    check = ask(stage, target, stage.agreed(target, inline=agreed, attached=attached))

    assert Mark.FAILED == check.mark
    assert {kind} == check.evidence.keys() - {"notes", "other"}
    assert any(words in text for text in check.evidence[kind]), check.evidence
    assert ("allows more" in check.what) == (kind == "wider")
    assert ("allows less than was agreed" in check.what) == (kind == "narrower")


@pytest.mark.parametrize(
    "changes",
    [
        {"Condition": {"StringEquals": {"STS:externalid": EXTERNAL_ID}}},
        {
            "Principal": {"AWS": BACKEND_ROLE.partition(":role/")[0] + ":root"},
            "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}, "ArnEquals": {"aws:PrincipalArn": BACKEND_ROLE}},
        },
    ],
)
def test_equivalent_trust_is_drift_but_neither_wider_nor_narrower(changes: dict[str, Any]) -> None:
    written = document(json.loads(trusted(**changes)["PolicyDocument"]))
    drift = compare(RoleReading("vendor", settings(written), {}, frozenset()), AGREED, ARN)

    assert {"other"} == drift.evidence.keys()


def test_tags_and_descriptions_are_notes_not_drift(stage: Stage) -> None:
    """They grant nothing: the check is ok and mentions them."""
    target = stage.role("tagged", *SELF)
    iam = stage.rig.administrator(CUSTOMER)
    iam.tag_role(RoleName="tagged", Tags=[{"Key": "cost", "Value": "7"}])
    iam.update_role(RoleName="tagged", Description="ours")
    check = ask(stage, target, stage.agreed(target, *SELF))

    assert Mark.OK == check.mark
    assert 2 == len(check.evidence["notes"])


def test_role_without_read_permission_is_not_checkable(stage: Stage) -> None:
    """The check is skipped with IAM's reason, and never reported as free of drift."""
    target = stage.role("blind", "sqs:ListQueues")
    check = ask(stage, target, stage.agreed(target, "sqs:ListQueues"))

    assert (Mark.SKIPPED, "AccessDenied") == (check.mark, check.code)
    assert "not checkable" in check.what
    assert "iam:GetRole: AccessDenied" in check.evidence["not_checkable"]


def test_unreadable_parts_are_reported_with_matching_ones(stage: Stage) -> None:
    """A partial read is not ok: the message names the missing part."""
    target = stage.role("half", "iam:GetRole")
    check = ask(stage, target, stage.agreed(target, "iam:GetRole"))

    assert Mark.OK == check.mark
    assert "not checkable: iam:ListRolePolicies: AccessDenied" in check.what


def test_changed_customer_managed_policy_is_drift(stage: Stage) -> None:
    """Customer managed policies are compared by document."""
    target = stage.role("own", *SELF)
    iam = stage.rig.administrator(CUSTOMER)
    iam.create_policy(PolicyName="own", PolicyDocument=json.dumps(allow("ec2:*")))
    iam.attach_role_policy(RoleName="own", PolicyArn=OWN)
    role = Role(target.role_arn, document(TRUST), {"main": document(allow(*SELF))}, frozenset({OWN}))
    agreed = Access.of(role, ManagedPolicy(OWN, document(allow("ec2:DescribeInstances"))))
    check = ask(stage, target, stage.intending(target, agreed))

    assert Mark.FAILED == check.mark
    assert any("ec2:*" in text for text in check.evidence["wider"])


def test_unique_id_of_deleted_principal_is_identified(stage: Stage) -> None:
    """The trust policy has the unique ID of a backend role that was deleted and created again."""
    backend = stage.rig.role("111111111111", "shortlived", {**TRUST, "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}]})  # fmt: skip
    body = json.loads(json.dumps(TRUST))
    body["Statement"][0]["Principal"]["AWS"] = [BACKEND_ROLE, backend]
    target = stage.role("stale", *SELF)
    iam = stage.rig.administrator(CUSTOMER)
    iam.update_assume_role_policy(RoleName="stale", PolicyDocument=json.dumps(body))
    stage.rig.administrator("111111111111").delete_role(RoleName="shortlived")
    check = ask(stage, target, stage.agreed(target, *SELF, trust=document(body)))

    assert Mark.FAILED == check.mark
    assert 1 == len(check.evidence["stale_principals"])
    assert check.evidence["stale_principals"][0].startswith("AROA")
    assert "the unique ID of a deleted role or user" in check.what


def test_deadline_during_drift_check_is_inconclusive(stage: Stage) -> None:
    """No exception is raised and no drift is reported."""
    target = stage.role("late", *SELF)
    credentials = stage.credentials(target)
    with deadline(1.0, lambda: 2.0):
        check, changes = drift_of(target, credentials, stage.agreed(target, *SELF))

    assert (Mark.INCONCLUSIVE, ()) == (check.mark, changes)


def test_role_missing_from_manifest_is_skipped(stage: Stage) -> None:
    """There is no intended access to compare with."""
    target = stage.role("stranger", *SELF)

    assert Mark.SKIPPED == ask(stage, target, stage.context).mark


def settings(trust: PolicyDocument) -> Role:
    return Role(ARN, trust)


AGREED = Access.of(Role(ARN, document(TRUST)))
REFUSED = NotCheckable("iam:GetRolePolicy", "AccessDenied")


def test_unreadable_extra_policy_is_wider_access() -> None:
    """Its name is enough to know that the role has more than the manifest grants."""
    reading = RoleReading("vendor", settings(document(TRUST)), {"more": REFUSED}, frozenset())
    drift = compare(reading, AGREED, ARN)

    assert [(True, True)] == [(change.widens is True, "inline policy more" in change.text) for change in drift.changes]
    assert Mark.FAILED == mark_drift(reading, drift)[0]


def test_throttled_read_is_inconclusive() -> None:
    """A part whose read was throttled is neither matching nor denied."""
    reading = RoleReading(
        "vendor", settings(document(TRUST)), NotCheckable("iam:ListRolePolicies", "Throttling"), frozenset()
    )

    assert Mark.INCONCLUSIVE == mark_drift(reading, compare(reading, AGREED, ARN))[0]


def test_deleted_role_fails() -> None:
    """IAM answers NoSuchEntity for the role itself."""
    gone = NotCheckable("iam:GetRole", "NoSuchEntity")
    reading = RoleReading("vendor", gone, gone, gone)
    drift = compare(reading, AGREED, ARN)

    assert (Mark.FAILED, True) == (mark_drift(reading, drift)[0], drift.gone)


def test_other_resources_of_the_module_are_not_drift() -> None:
    """Only the role itself and its policies are compared."""
    other = Role(f"{ARN}-other", document(TRUST))
    reading = RoleReading("vendor", settings(document(TRUST)), {}, frozenset())
    drift = compare(reading, Access(roles={**AGREED.roles, other.arn: other}), ARN)

    assert () == drift.changes


def test_stale_id_of_user_is_detected() -> None:
    """AIDA is the prefix of users, AROA of roles; a similar external ID is not a principal."""
    trust = PolicyDocument(
        (Statement("Allow", ("sts:AssumeRole",), principals=(Principal("AWS", "AIDAABCDEFGHIJKLMNOP"),)),)
    )
    reading = RoleReading("vendor", replace(settings(trust)), {}, frozenset())

    assert ("AIDAABCDEFGHIJKLMNOP",) == compare(reading, AGREED, ARN).stale
    assert EXTERNAL_ID not in compare(reading, AGREED, ARN).stale


def test_document_of_policy_named_by_arn_is_not_compared() -> None:
    """A customer managed policy of the manifest may have any document; one that is not in the manifest is drift."""
    text = ManagedPolicy(OWN, PolicyDocument((Statement("Allow", ("s3:GetObject",), ("*",)),)))
    reading = RoleReading("vendor", Role(ARN, document(TRUST)), {}, frozenset({OWN}), {OWN: text})
    agreed = Access.of(Role(ARN, document(TRUST), attached=frozenset({OWN})))

    assert () == compare(reading, agreed, ARN).changes
    assert compare(reading, Access.of(Role(ARN, document(TRUST))), ARN).changes
