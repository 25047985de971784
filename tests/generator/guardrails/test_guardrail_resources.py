"""RCPs around the resources that the role uses, the owner of resources, and the requests of `terraform apply`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from guardrail_policies import (
    ACCOUNT_RESOURCES,
    CONFUSED_DEPUTY,
    NETWORK,
    ORGANIZATION,
    ORGANIZATION_RESOURCES,
    PERIMETER,
    RESOURCE_PERIMETER,
    ROLE,
    SESSION_TAGS,
    deny,
    policy,
)
from rolecall_generator.guardrails import (
    CustomerModule,
    GuardrailAnswer,
    GuardrailQuestion,
    GuardrailReview,
    Guardrails,
    ReviewSettings,
    find_customer,
    review_guardrails,
)
from rolecall_generator.guardrails.policies import RCP_SERVICES
from rolecall_generator.iam.catalog import services
from rolecall_generator.proof.symbolic import LimitState

Rails = Callable[..., Guardrails]
INSIDE = ReviewSettings(backend_organization=ORGANIZATION)
KEY = "arn:aws:kms:eu-central-1:{}:key/1"
MANIFEST = """\
version: 1
backend:
  account_id: "111111111111"
  role: {{name: backend_role, existing: true}}
permission_sets:
  own:
    statements:
      - {{sid: Own, actions: [{actions}], resources: ["{resource}"]}}
suppress: [{{rule: RC213, reason: a shared key}}]
defaults: {{regions: [eu-central-1], permissions: [own]}}
customers:
  - {{name: account1, account_id: "222222222222", role: role1, external_id: "0f0c4f7c1e6b4a1d9a52b7c3d8e9f101"{more}}}
"""


@pytest.fixture
def customer(tmp_path: Path) -> Callable[..., CustomerModule]:
    def make(
        actions: Sequence[str] = ("s3:GetObject",), resource: str = "arn:aws:s3:::data/*", more: str = ""
    ) -> CustomerModule:
        path = tmp_path / "accounts.yaml"
        path.write_text(MANIFEST.format(actions=", ".join(actions), resource=resource, more=more), "utf-8")
        return find_customer(path, tmp_path / "output", "account1")

    return make


def permission(review: GuardrailReview) -> GuardrailAnswer:
    (found,) = [each for each in review.answers if each.question is GuardrailQuestion.PERMISSION]
    return found


def apply_states(review: GuardrailReview) -> dict[str, LimitState]:
    return {each.subject: each.state for each in review.answers if each.question is GuardrailQuestion.APPLY}


def test_services_with_rcps_exist() -> None:
    assert RCP_SERVICES <= services()


@pytest.mark.parametrize(
    ("action", "resource", "state"),
    [
        ("s3:GetObject", "arn:aws:s3:::data/*", LimitState.ALL),
        ("s3:GetObject", "*", LimitState.PART),
        ("s3:ListAllMyBuckets", "*", LimitState.NONE),
        ("sqs:ListQueues", "*", LimitState.NONE),
        ("kms:Decrypt", KEY.format("222222222222"), LimitState.ALL),
        ("kms:Decrypt", KEY.format("*"), LimitState.ALL),
        ("kms:Decrypt", KEY.format("444444444444"), LimitState.NONE),
        ("kms:RetireGrant", "*", LimitState.NONE),
        ("ec2:StartInstances", "*", LimitState.NONE),
        ("iam:GetRole", "*", LimitState.NONE),
    ],
)
def test_rcps_restrict_resources_of_account(
    customer: Callable[..., CustomerModule], rails: Rails, action: str, resource: str, state: LimitState
) -> None:
    """Only requests of services with RCPs that name a resource of the account: neither lists of all, nor other accounts'.

    AWS lists no resource type of s3:GetObject as required, so a request without a resource is not excluded.
    """
    rcp = policy(deny("NoData", ["s3:*", "sqs:*", "kms:*", "ec2:*", "iam:*"], Principal="*"))
    found = permission(review_guardrails(customer([action], resource), rails(rcps={"root": rcp}), INSIDE))

    assert state is found.state
    assert bool(found.stops) is (state is not LimitState.NONE)


def test_rcp_on_part_of_actions_names_them(customer: Callable[..., CustomerModule], rails: Rails) -> None:
    found = permission(
        review_guardrails(
            customer(["s3:GetObject", "ec2:StartInstances"], "*"),
            rails({"root": policy(deny("Other", "rds:*"))}, {"root": policy(deny("NoData", "s3:*", Principal="*"))}),
            INSIDE,
        )
    )
    (stop,) = found.stops

    assert LimitState.PART is found.state
    assert ("RCP", "NoData") == (stop.kind.value, stop.policy and stop.policy.document.statements[0].sid)
    assert ("s3:GetObject",) == stop.sets[0].actions


def test_exemption_of_rcp_for_role_is_exact(customer: Callable[..., CustomerModule], rails: Rails) -> None:
    review = review_guardrails(customer(), rails(rcps={"root": policy(deny("NoData", "s3:*", Principal="*"))}), INSIDE)
    (exemption,) = review.exemptions

    assert exemption.opens == (f"requests of {ROLE}",)
    assert exemption.is_exact is True
    assert [LimitState.NONE] == [answer.state for answer in review.after]


@pytest.mark.parametrize("rcp", [PERIMETER, CONFUSED_DEPUTY], ids=["identity", "confused deputy"])
def test_perimeter_does_not_concern_role_inside(customer: Callable[..., CustomerModule], rails: Rails, rcp: Any) -> None:
    """The role's sessions are principals of the organization that the policy names."""
    levels = rails(rcps={"root": rcp})
    known = review_guardrails(customer(), replace(levels, organization_id=ORGANIZATION), INSIDE)
    other = review_guardrails(customer(), replace(levels, organization_id="o-another0001"), INSIDE)

    assert LimitState.NONE is permission(known).state
    assert (LimitState.PART if rcp is PERIMETER else LimitState.NONE) is permission(other).state


def test_customer_in_unknown_organization_is_reason(customer: Callable[..., CustomerModule], rails: Rails) -> None:
    review = review_guardrails(customer(), rails(rcps={"root": PERIMETER}), INSIDE)

    assert LimitState.UNKNOWN is permission(review).state
    assert any("--organization" in reason for reason in permission(review).reasons)
    assert () == review.exemptions


@pytest.mark.parametrize(
    "scp", [RESOURCE_PERIMETER, ORGANIZATION_RESOURCES, ACCOUNT_RESOURCES], ids=["ID", "variable", "account"]
)
def test_resource_perimeter_lets_accounts_own_resources_pass(
    customer: Callable[..., CustomerModule], rails: Rails, scp: Any
) -> None:
    """The role's resources are in its account, unless the permission names another one."""
    levels = replace(rails({"root": scp}), organization_id=ORGANIZATION)
    own = review_guardrails(customer(["s3:GetObject", "kms:Decrypt"], "*"), levels, INSIDE)
    elsewhere = permission(review_guardrails(customer(["kms:Decrypt"], KEY.format("444444444444")), levels, INSIDE))

    assert own.works
    # Whether the other account is in the organization is not known, but that it is another account is.
    assert (LimitState.ALL if scp is ACCOUNT_RESOURCES else LimitState.PART) is elsewhere.state


def test_actions_without_owner_key_are_stopped_by_resource_perimeter(
    customer: Callable[..., CustomerModule], rails: Rails
) -> None:
    """AWS lists actions whose requests do not have aws:ResourceAccount: they can fail."""
    levels = replace(rails({"root": ACCOUNT_RESOURCES}), organization_id=ORGANIZATION)
    states = [
        permission(review_guardrails(customer([action], "*"), levels, INSIDE)).state
        for action in ("ec2:StartInstances", "ec2:CreateVolume")
    ]

    assert [LimitState.NONE, LimitState.PART] == states


def test_network_perimeter_names_network(customer: Callable[..., CustomerModule], rails: Rails) -> None:
    review = review_guardrails(customer(), replace(rails(rcps={"root": NETWORK}), organization_id=ORGANIZATION), INSIDE)
    states = {each.question: each.state for each in review.answers}
    names = {each.name for requests in permission(review).stops[0].sets for each in requests.constraints}

    assert LimitState.PART is states[GuardrailQuestion.ASSUME]
    assert LimitState.PART is states[GuardrailQuestion.PERMISSION]
    assert {"aws:SourceIp", "aws:SourceVpc"} < names
    assert all(exemption.is_exact for exemption in review.exemptions)
    assert {LimitState.NONE} == {answer.state for answer in review.after}


@pytest.mark.parametrize(("more", "state"), [("", LimitState.NONE), (", session_tags: true", LimitState.PART)])
def test_protected_session_tags_stop_only_backend_that_passes_tags(
    customer: Callable[..., CustomerModule], rails: Rails, more: str, state: LimitState
) -> None:
    """sts:TagSession is an action of its own on the role."""
    outside = ReviewSettings(backend_organization="none")
    review = review_guardrails(customer(more=more), rails(rcps={"root": SESSION_TAGS}), outside)

    assert state is next(each.state for each in review.answers if each.question is GuardrailQuestion.ASSUME)


@pytest.mark.parametrize(
    ("condition", "create", "write"),
    [
        ({"Null": {"aws:RequestTag/CostCenter": "true"}}, LimitState.ALL, LimitState.ALL),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["CostCenter"]}}, LimitState.NONE, LimitState.NONE),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["CostCenter"]}}, LimitState.ALL, LimitState.ALL),
        ({"StringNotEquals": {"aws:ResourceTag/team": "platform"}}, LimitState.PART, LimitState.ALL),
        ({"StringEquals": {"iam:ResourceTag/team": "platform"}}, LimitState.PART, LimitState.NONE),
        ({"StringNotEquals": {"aws:ResourceAccount": "222222222222"}}, LimitState.NONE, LimitState.NONE),
        ({"StringNotEquals": {"aws:PrincipalOrgID": ORGANIZATION}}, LimitState.NONE, LimitState.NONE),
        ({"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}, LimitState.NONE, LimitState.NONE),
        ({"Null": {"iam:PermissionsBoundary": "true"}}, LimitState.ALL, LimitState.ALL),
        ({"ArnLike": {"iam:PolicyARN": "arn:aws:iam::aws:policy/*"}}, LimitState.PART, LimitState.PART),
    ],
)
def test_requests_of_terraform_apply(
    customer: Callable[..., CustomerModule],
    rails: Rails,
    condition: dict[str, Any],
    create: LimitState,
    write: LimitState,
) -> None:
    """The tags, the account and the Region of these requests are known; a role without tags passes none."""
    scp = policy(deny("Apply", ["iam:CreateRole", "iam:PutRolePolicy"], Condition=condition))
    levels = replace(rails({"root": scp}), organization_id=ORGANIZATION)
    states = apply_states(review_guardrails(customer(), levels, INSIDE))

    assert (create, write) == (states["create the role"], states["write its inline policies"])


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ("ec2:DescribeInstances", LimitState.NONE),
        ("iam:ListUsers", LimitState.ALL),
        ("cloudfront:ListDistributions", LimitState.PART),
    ],
)
def test_global_service_is_not_in_regions_of_manifest(
    customer: Callable[..., CustomerModule], rails: Rails, action: str, state: LimitState
) -> None:
    """Requests of IAM go to us-east-1, whatever the Regions: a denial of other Regions stops them, and the hand-over."""
    scp = policy(deny("Regions", "*", Condition={"StringNotEquals": {"aws:RequestedRegion": "eu-central-1"}, **_NOT_APPLY}))
    admin = replace(INSIDE, administrator="arn:aws:iam::222222222222:role/x")
    review = review_guardrails(customer([action], "*"), rails({"root": scp}), admin)
    found = permission(review)

    assert state is found.regions.get("eu-central-1", found.state)
    assert review.works is (state is LimitState.NONE)


_NOT_APPLY = {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::222222222222:role/x"}}
