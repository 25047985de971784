"""Statements that are easy to misread: the answers agree with the rules of AWS, written by hand, and with the evaluator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from guardrail_policies import BACKEND, FULL, ROLE, Judge, deny, policy
from rolecall_generator.findings import Severity
from rolecall_generator.guardrails import (
    CustomerModule,
    GuardrailQuestion,
    Guardrails,
    ReviewSettings,
    review_guardrails,
)
from rolecall_generator.iam import PolicyDocument
from rolecall_generator.iam.evaluation import PolicyOutcome
from rolecall_generator.proof.symbolic import LimitState

Rails = Callable[..., Guardrails]
ALL, PART, NONE, UNKNOWN = LimitState.ALL, LimitState.PART, LimitState.NONE, LimitState.UNKNOWN
OTHER_ROLE = "arn:aws:iam::222222222222:role/other"
OTHER_CALLER = "arn:aws:iam::111111111111:role/backend_role2"
SESSION = "arn:aws:sts::111111111111:assumed-role/backend_role/*"


def when(**conditions: Any) -> dict[str, Any]:
    """A denial of AssumeRole under conditions; `__` in the name of an operator is a colon."""
    return deny("S", "sts:AssumeRole", Condition={name.replace("__", ":"): keys for name, keys in conditions.items()})


HOSTILE: list[tuple[dict[str, Any], LimitState]] = [
    # Actions: wildcards anywhere, case does not matter.
    (deny("S", "sts:Assume*"), ALL),
    (deny("S", "STS:assumerole"), ALL),
    (deny("S", "sts:*Role"), ALL),
    (deny("S", "sts:A*e?ole"), ALL),
    (deny("S", "s?s:Assume*"), ALL),
    (deny("S", "*:AssumeRole"), ALL),
    (deny("S", "sts:AssumeRole?"), NONE),
    (deny("S", ["sts:AssumeRoleWith*", "sts:Assume"]), NONE),
    (deny("S", "sts:TagSession"), NONE),
    # Resources: an ARN is matched as a string with wildcards.
    (deny("S", "sts:*", "arn:aws:iam::*:role/*"), ALL),
    (deny("S", "sts:*", "arn:aws:iam::222222222222:role/role?"), ALL),
    (deny("S", "sts:*", "arn:aws:iam::222222222222:role/ROLE1"), NONE),
    (deny("S", "sts:*", "arn:aws:iam::222222222222:role/*/role1"), NONE),
    (deny("S", "sts:*", "arn:aws:sts::222222222222:assumed-role/role1/*"), NONE),
    ({"Sid": "S", "Effect": "Deny", "Action": "sts:*", "NotResource": "arn:aws:iam::222222222222:role/rol*"}, NONE),
    ({"Sid": "S", "Effect": "Deny", "Action": "sts:*", "NotResource": ["arn:aws:s3:::*", OTHER_ROLE]}, ALL),
    # Keys in any case, several at once, and the same key in two operators: all must hold.
    (when(StringNotEquals={"AWS:PrincipalORGid": "o-customer01"}), ALL),
    (when(StringNotEquals={"aws:PrincipalAccount": "111111111111"}), NONE),
    (when(StringNotEquals={"aws:PrincipalAccount": ["999999999999", "111111111111"]}), NONE),
    (when(StringNotEquals={"aws:PrincipalOrgID": "o-customer01", "aws:PrincipalAccount": "111111111111"}), NONE),
    (when(StringNotEquals={"aws:PrincipalOrgID": "o-1"}, StringNotLike={"aws:PrincipalOrgID": "o-*"}), ALL),
    # Absent keys: aws:PrincipalOrgID and its paths are absent for a backend in no organization.
    (when(StringEquals={"aws:PrincipalOrgID": "o-customer01"}), NONE),
    (when(StringEqualsIfExists={"aws:PrincipalOrgID": "o-customer01"}), ALL),
    (when(StringNotEqualsIfExists={"aws:PrincipalOrgID": "o-customer01"}), ALL),
    (when(Null={"aws:PrincipalOrgID": "true"}), ALL),
    (when(Null={"aws:PrincipalOrgID": "false"}), NONE),
    (when(Null={"aws:PrincipalArn": "true"}), NONE),
    (when(ForAllValues__StringLike={"aws:PrincipalOrgPaths": "o-customer01/*"}), ALL),
    (when(ForAllValues__StringNotLike={"aws:PrincipalOrgPaths": "o-customer01/*"}), ALL),
    (when(ForAnyValue__StringLike={"aws:PrincipalOrgPaths": "o-customer01/*"}), NONE),
    (when(ForAnyValue__StringNotLike={"aws:PrincipalOrgPaths": "o-customer01/*"}), NONE),
    (when(ForAllValues__StringEquals={"aws:TagKeys": "team"}), ALL),
    # Whether a role can send a request with MFA is not documented.
    (when(Bool={"aws:MultiFactorAuthPresent": "true"}), UNKNOWN),
    (when(BoolIfExists={"aws:MultiFactorAuthPresent": "false"}), PART),
    (when(BoolIfExists={"aws:PrincipalIsAWSService": "False"}), ALL),
    (when(Bool={"aws:PrincipalIsAWSService": "true"}), NONE),
    (when(StringNotEquals={"aws:SourceAccount": "222222222222"}), ALL),
    (when(StringNotEquals={"aws:SourceOrgID": "o-customer01"}, Null={"aws:SourceOrgID": "false"}), NONE),
    # aws:PrincipalArn is the ARN of the role, never that of its session.
    (when(ArnNotLike={"aws:PrincipalArn": SESSION}), ALL),
    (when(ArnNotLike={"aws:PrincipalArn": "arn:aws:iam::*:role/backend_*"}), NONE),
    (when(ArnNotLike={"aws:PrincipalArn": "arn:aws:iam::111111111111:*"}), NONE),
    (when(StringNotLike={"aws:PrincipalArn": "arn:*backend_role"}), NONE),
    (when(StringNotEquals={"aws:PrincipalArn": "arn:aws:iam::111111111111:role/backend_*"}), ALL),
    (when(ArnNotEquals={"aws:PrincipalArn": "arn:aws:iam::111111111111:role/BACKEND_ROLE"}), ALL),
    (when(StringEqualsIgnoreCase={"aws:PrincipalArn": BACKEND.upper()}), ALL),
    # Policy variables for keys that follow from the caller, or from caller and role.
    (when(StringNotEquals={"aws:PrincipalAccount": "${aws:ResourceAccount}"}), ALL),
    (when(StringEquals={"aws:ResourceAccount": "${aws:PrincipalAccount}"}), NONE),
    (when(StringNotEquals={"aws:ResourceAccount": "${aws:PrincipalAccount}"}), ALL),
    (when(StringEqualsIgnoreCase={"aws:ResourceAccount": "${aws:PrincipalAccount}"}), NONE),
    (when(StringNotEquals={"aws:PrincipalAccount": "${aws:ResourceTag/owner, '111111111111'}"}), NONE),
    (when(StringLike={"aws:PrincipalArn": "arn:aws:iam::${aws:PrincipalAccount}:role/*"}), ALL),
    (when(ArnNotLike={"aws:PrincipalArn": "arn:aws:iam::${aws:PrincipalAccount}:role/backend_role"}), NONE),
    (when(ArnNotLike={"aws:PrincipalArn": "arn:aws:iam::${AWS:PRINCIPALACCOUNT}:role/other"}), ALL),
    (when(StringNotEquals={"aws:PrincipalArn": "arn:aws:iam::${aws:PrincipalAccount}:role/backend_role"}), NONE),
    (when(StringEquals={"aws:PrincipalArn": "arn:aws:iam::${aws:PrincipalAccount}:role/backend_*"}), NONE),
    (when(ArnLike={"aws:PrincipalArn": "arn:aws:iam::*:role/${aws:PrincipalAccount}*"}), NONE),
    (when(ArnNotLikeIfExists={"aws:PrincipalArn": "arn:aws:iam::*:role/${aws:PrincipalAccount}*"}), ALL),
    (when(StringNotLike={"aws:PrincipalArn": "*:${aws:PrincipalAccount}:*/${aws:username, 'backend_role'}"}), NONE),
    (when(ArnLike={"aws:PrincipalArn": "arn:aws:iam::*:role/${aws:PrincipalTag/team}"}), UNKNOWN),
    ({**when(), "Resource": "arn:aws:iam::*:role/${aws:PrincipalAccount}"}, NONE),
    ({**when(), "Resource": "arn:aws:iam::*:role/r*${aws:ResourceAccount}"}, NONE),
    ({**when(), "Resource": "arn:aws:iam::*:role/${aws:PrincipalTag/team}"}, PART),
    ({**when(), "Resource": "arn:aws:iam::*:role/${aws:PrincipalTag/team, 'role1'}"}, PART),
    ({**when(), "Resource": "arn:aws:iam::*:role/${aws:username, 'role'}1"}, ALL),
    ({**when(), "Resource": "arn:aws:iam::*:role/${aws:PrincipalTag/a}${aws:PrincipalTag/b}"}, UNKNOWN),
    ({**when(), "Resource": "arn:aws:iam::${aws:ResourceAccount}:role/*"}, UNKNOWN),
    # What the request states.
    (when(StringNotEquals={"sts:ExternalId": "0f0c4f7c1e6b4a1d9a52b7c3d8e9f101"}), NONE),
    (when(StringNotLike={"sts:RoleSessionName": "audit-*"}), PART),
    (when(DateGreaterThan={"aws:CurrentTime": "2030-01-01T00:00:00Z"}), PART),
    # The backend role cannot ask for more than an hour, since a role assumes another one.
    (when(NumericGreaterThan={"sts:DurationSeconds": "3600"}), NONE),
    (when(NumericGreaterThanEquals={"sts:DurationSeconds": "3600"}), PART),
    (when(NumericLessThan={"sts:DurationSeconds": "3601"}), PART),
    (when(NumericEquals={"sts:DurationSeconds": "7200"}), NONE),
    (when(NumericNotEquals={"sts:DurationSeconds": ["900", "7200"]}), PART),
    (when(NumericLessThanEqualsIfExists={"sts:DurationSeconds": "43200"}), ALL),
    (when(StringLike={"sts:DurationSeconds": "43*"}), UNKNOWN),
    # A key of another service, a key that AWS does not list, and keys that several services have.
    (when(NumericLessThan={"s3:TlsVersion": "1.3"}), NONE),
    (when(Null={"s3:TlsVersion": "true"}), ALL),
    (when(StringLike={"s3:unlisted": "*"}), UNKNOWN),
    (when(Null={"ec2:SourceInstanceArn": "false"}), PART),
    (when(NotIpAddress={"aws:SourceIp": ["192.0.2.0/24", "2001:db8::/32"]}), PART),
    (when(StringResembles={"aws:PrincipalOrgID": "o-1"}), UNKNOWN),
]
CONTEXT: dict[str, tuple[str, ...]] = {
    "aws:principalarn": (BACKEND,),
    "aws:principalaccount": ("111111111111",),
    "aws:principaltype": ("AssumedRole",),
    "aws:principalisawsservice": ("false",),
    "aws:resourceaccount": ("222222222222",),
    "aws:multifactorauthpresent": ("false",),
    "aws:currenttime": ("2026-11-30T12:00:00Z",),
    "aws:sourceip": ("198.51.100.7",),
    "sts:externalid": ("0f0c4f7c1e6b4a1d9a52b7c3d8e9f101",),
    "sts:rolesessionname": ("rolecall",),
}


def denied(body: Any, caller: str = BACKEND, resource: str = ROLE) -> bool:
    """Whether the evaluator denies a caller to assume a role."""
    statements = [{key: value for key, value in each.items() if key != "Principal"} for each in body["Statement"]]
    document = PolicyDocument.from_json({**body, "Statement": statements})
    context = {**CONTEXT, "aws:principalarn": (caller,)}
    return Judge().outcome([document], "sts:AssumeRole", resource, context) is PolicyOutcome.DENY


def ids() -> list[str]:
    return [str(number) for number in range(len(HOSTILE))]


@pytest.mark.parametrize(("statement", "state"), HOSTILE, ids=ids())
@pytest.mark.parametrize("side", ["customer", "backend"])
def test_statements_that_are_easy_to_misread(
    account1: CustomerModule, rails: Rails, side: str, statement: dict[str, Any], state: LimitState
) -> None:
    """As an RCP of the customer and as an SCP of the backend; an exemption lets the backend role pass, and no one else."""
    body = policy({**statement, "Principal": "*"} if side == "customer" else statement)
    levels = rails(rcps={"root": body}) if side == "customer" else rails({"root": body})
    backend = Guardrails() if side == "customer" else levels
    settings = ReviewSettings(backend, backend_organization="none")
    review = review_guardrails(account1, levels if side == "customer" else Guardrails(), settings)
    (answer,) = [each for each in review.answers if each.question is GuardrailQuestion.ASSUME]

    assert state is answer.state
    assert state is not UNKNOWN or any(answer.reasons)
    if state in {ALL, NONE}:
        assert denied(body) is (state is ALL)
    if state in {ALL, PART}:
        (exemption,) = [each for each in review.exemptions if each.side == side]
        assert LimitState.NONE is review.after[0].state
        assert not denied(exemption.after)
        for caller, resource in ((OTHER_CALLER, ROLE), (OTHER_CALLER, OTHER_ROLE), (BACKEND, OTHER_ROLE)):
            if exemption.is_exact or caller is OTHER_CALLER:
                assert denied(exemption.after, caller, resource) is denied(body, caller, resource)


@pytest.mark.parametrize(
    ("allow", "state"),
    [
        ({"Action": "sts:*", "Resource": "*"}, NONE),
        ({"NotAction": "sts:*", "Resource": "*"}, ALL),
        ({"NotAction": ["iam:*", "STS:Get*"], "Resource": "*"}, NONE),
        ({"Action": "*", "NotResource": "arn:aws:iam::222222222222:*"}, ALL),
        ({"Action": "*", "NotResource": OTHER_ROLE}, NONE),
        ({"Action": "sts:Assume*", "Resource": "arn:aws:iam::*:role/role*"}, NONE),
        ({"Action": "*", "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceAccount": "222222222222"}}}, NONE),
        # AWS STS is only reached by HTTPS.
        ({"Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}, NONE),
        ({"Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:ViaAWSService": "true"}}}, PART),
        ({"Action": "*", "Resource": "*", "Condition": {"ArnLike": {"aws:PrincipalArn": SESSION}}}, ALL),
        ({"Action": "*", "Resource": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-vendor00001"}}}, ALL),
    ],
)
def test_allow_statements_with_full_language(
    account1: CustomerModule, rails: Rails, allow: dict[str, Any], state: LimitState
) -> None:
    """SCPs accept NotAction, NotResource and conditions with Allow (September 2025); every level must allow."""
    levels = rails({"root": FULL, "Unit": policy({"Sid": "Some", "Effect": "Allow", **allow}), "account": FULL})
    review = review_guardrails(account1, Guardrails(), ReviewSettings(levels, backend_organization="none"))
    (answer,) = [each for each in review.answers if each.question is GuardrailQuestion.ASSUME]

    assert state is answer.state
    assert [("Unit", None)] * bool(answer.stops) == [(stop.level, stop.policy) for stop in answer.stops]
    if state is not NONE:
        (exemption,) = review.exemptions
        assert exemption.is_exact is True
        assert LimitState.NONE is review.after[0].state


def test_duplicate_sids_are_refused(account1: CustomerModule, rails: Rails) -> None:
    """AWS refuses such a policy; the exemption still changes the statement that stops, not the other one."""
    body = policy(deny("Same", "s3:*", Principal="*"), deny("Same", "sts:AssumeRole", Principal="*"))
    review = review_guardrails(account1, rails(rcps={"root": body}), ReviewSettings(backend_organization="none"))
    sids = [each["Sid"] for each in review.exemptions[0].after["Statement"]]

    assert ["Same"] == [finding.message.rpartition(" ")[2] for finding in review.findings]
    assert len(set(sids)) == len(sids)


@pytest.mark.parametrize("action", ["", "s3", "s3.GetObject"])
def test_action_without_service_prefix_is_finding(action: str, account1: CustomerModule, rails: Rails) -> None:
    """AWS refuses such a policy: it is no guard rail that lets the hand-over work."""
    review = review_guardrails(account1, rails(scps={"root": policy(deny("Broken", action))}), ReviewSettings())

    assert [Severity.ERROR] == [finding.severity for finding in review.findings]
    assert not review.works
