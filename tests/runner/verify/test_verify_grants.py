"""Granted actions are tried with safe calls, and other actions must be refused; over HTTP with boto3."""

from __future__ import annotations

import pytest

from rolecall_generator.iam.arn import iam_arn
from rolecall_generator.iam.catalog.actions import action_of
from rolecall_runner.inventory.targets import Target
from rolecall_runner.verify.context import VerifyContext
from rolecall_runner.verify.grants import try_grants, try_outside
from rolecall_runner.verify.probe_call import is_excluded, is_read_only
from rolecall_runner.verify.verdict import Check, Mark
from sandbox_rig import REGION, statement_of
from verify_rig import CUSTOMER, Stage
from verify_worlds import document

EC2_READ = iam_arn("aws", "aws", "policy", "/", "AmazonEC2ReadOnlyAccess")
AUDIT = iam_arn("aws", "aws", "policy", "/", "SecurityAudit")


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """The shared sandbox with an empty log, and the default options."""
    stage.sent.clear()
    stage.with_options(actions="sample", all_regions=False, outside_actions=5)
    return stage


def grants(stage: Stage, target: Target, context: VerifyContext) -> dict[str, Check]:
    """The checks by action, "" for one without an action."""
    return {str(r.evidence.get("action", "")): r for r in try_grants(target, stage.credentials(target), context)}


def outside(stage: Stage, target: Target, context: VerifyContext) -> list[Check]:
    return list(try_outside(target, stage.credentials(target), context))


def test_role_with_exactly_the_granted_actions_passes(stage: Stage) -> None:
    """Each granted read succeeds, and each action of the sample is refused."""
    actions = ("ec2:DescribeInstances", "sqs:ListQueues", "kms:ListKeys", "organizations:DescribeOrganization")
    target = stage.role("exact", *actions)
    context = stage.agreed(target, *actions)

    assert dict.fromkeys(actions, Mark.OK) == {name: check.mark for name, check in grants(stage, target, context).items()}
    assert [Mark.REFUSED] * 5 == [check.mark for check in outside(stage, target, context)]


def test_refused_granted_action_fails_with_message_of_aws(stage: Stage) -> None:
    """A role without one of the granted actions fails only for that action."""
    target = stage.role("lacking", "ec2:DescribeVpcs")
    checks = grants(stage, target, stage.agreed(target, "ec2:DescribeVpcs", "sns:ListTopics", "ec2:DescribeSubnets"))

    assert {"ec2:DescribeVpcs": Mark.OK, "sns:ListTopics": Mark.FAILED, "ec2:DescribeSubnets": Mark.FAILED} == {
        name: check.mark for name, check in checks.items()
    }
    assert "UnauthorizedOperation" == checks["ec2:DescribeSubnets"].code
    assert checks["sns:ListTopics"].code in {"AuthorizationError", "AccessDenied"}
    assert "sns:ListTopics" in checks["sns:ListTopics"].message
    assert "sns:ListTopics in us-east-1 was granted, but is refused" == checks["sns:ListTopics"].what


def test_wider_permissions_are_detected(stage: Stage) -> None:
    """A role with all read permissions fails each action of the sample."""
    target = stage.role("wide", "*")
    context = stage.agreed(target, "s3:ListAllMyBuckets")
    checks = outside(stage, target, context)

    assert 5 == len(checks)
    assert {Mark.FAILED} == {check.mark for check in checks}
    assert all("was not granted" in check.what for check in checks)


def test_sample_is_stable_within_a_run(stage: Stage) -> None:
    """A resumed run tries the same actions and gives the same report."""
    target = stage.role("same", "ec2:Describe*", "iam:List*")
    context = stage.agreed(target, "ec2:Describe*", "iam:List*")

    assert list(grants(stage, target, context)) == list(grants(stage, target, context))
    assert 6 == len(grants(stage, target, context))
    assert [check.evidence for check in outside(stage, target, context)] == [
        check.evidence for check in outside(stage, target, context)
    ]


def test_options_try_all_actions_and_regions(stage: Stage) -> None:
    actions = ("kms:ListKeys", "kms:ListAliases", "sqs:ListQueues", "kms:DescribeCustomKeyStores", "kms:ListRetirableGrants")
    target = stage.role("all", *actions)
    stage.with_options(actions="all", all_regions=True)
    checks = list(try_grants(target, stage.credentials(target), stage.agreed(target, *actions)))

    assert {(REGION, "kms:ListAliases"), ("eu-west-1", "kms:ListAliases"), ("eu-west-1", "sqs:ListQueues")} <= {
        (check.evidence["region"], check.evidence["action"]) for check in checks
    }


@pytest.mark.parametrize(("bucket", "granted"), [("agreed", True), ("half", False)])
def test_missing_object_proves_s3_read_permission(stage: Stage, bucket: str, granted: bool) -> None:
    """S3 answers 404 to a caller that may read the object, and 403 to one that may only list the bucket."""
    stage.rig.administrator(CUSTOMER, "s3").create_bucket(Bucket=f"{bucket}-bucket")
    resources = [f"arn:aws:s3:::{bucket}-bucket", f"arn:aws:s3:::{bucket}-bucket/*"]
    target = stage.role(bucket, "s3:ListBucket", *(["s3:GetObject"] if granted else []), resource=resources)
    checks = grants(stage, target, stage.agreed(target, "s3:ListBucket", "s3:GetObject", resource=resources))

    assert {"s3:ListBucket": Mark.OK, "s3:GetObject": Mark.OK if granted else Mark.FAILED} == {
        name: check.mark for name, check in checks.items()
    }
    assert ("404" == checks["s3:GetObject"].code) == granted


def test_object_read_without_list_permission_is_not_checkable(stage: Stage) -> None:
    """Without s3:ListBucket S3 answers 403 in both cases, so no call is made."""
    target = stage.role("blind", "s3:GetObject", resource="arn:aws:s3:::any/*")
    checks = grants(stage, target, stage.agreed(target, "s3:GetObject", resource="arn:aws:s3:::any/*"))

    assert Mark.SKIPPED == checks["s3:GetObject"].mark
    assert "without s3:ListBucket" in checks["s3:GetObject"].what
    assert [] == [call for call in stage.sent if call.service == "s3"]


def test_missing_bucket_is_not_a_refusal(stage: Stage) -> None:
    """NoSuchBucket is returned after authorization, so the permission works."""
    target = stage.role("nobucket", "s3:ListBucket", resource="arn:aws:s3:::never-made")
    check = grants(stage, target, stage.agreed(target, "s3:ListBucket", resource="arn:aws:s3:::never-made"))["s3:ListBucket"]

    assert (Mark.OK, "NoSuchBucket") == (check.mark, check.code)


def test_well_known_policy_is_checked_by_its_services(stage: Stage) -> None:
    """The role cannot read AmazonEC2ReadOnlyAccess, but EC2 must work and other services must be refused."""
    target = stage.role("managed")
    stage.rig.administrator(CUSTOMER).attach_role_policy(RoleName="managed", PolicyArn=EC2_READ)
    context = stage.agreed(target, attached=frozenset({EC2_READ}))
    tried = grants(stage, target, context)
    refused = outside(stage, target, context)

    assert {"ec2"} <= {name.partition(":")[0] for name in tried}
    assert Mark.FAILED not in {check.mark for check in tried.values()}
    assert {Mark.REFUSED} == {check.mark for check in refused}
    assert not {"ec2", "autoscaling", "cloudwatch"} & {str(r.evidence["action"]).partition(":")[0] for r in refused}


def test_readable_managed_policy_is_used(stage: Stage) -> None:
    """SecurityAudit allows the role to read the policy, so actions outside of it are known."""
    target = stage.role("audit")
    stage.rig.administrator(CUSTOMER).attach_role_policy(RoleName="audit", PolicyArn=AUDIT)
    stage.with_options(outside_actions=50)
    checks = outside(stage, target, stage.agreed(target, attached=frozenset({AUDIT})))

    assert "GetPolicyVersion" in {call.operation for call in stage.sent}
    assert {Mark.SKIPPED, Mark.REFUSED} >= {check.mark for check in checks}


def test_unknown_policy_makes_outside_actions_not_checkable(stage: Stage) -> None:
    """A policy with an unknown document may grant any action, so no other action is tried."""
    target = stage.role("unknown", "ec2:DescribeVpcs")
    arn = iam_arn("aws", "aws", "policy", "/", "AWSNobodyKnowsAccess")
    (check,) = outside(stage, target, stage.agreed(target, "ec2:DescribeVpcs", attached=frozenset({arn})))

    assert (Mark.SKIPPED, arn) == (check.mark, check.evidence["unknown_policies"][0])
    assert ["AssumeRole"] == [call.operation for call in stage.sent]


def test_denied_actions_are_not_tried_as_granted(stage: Stage) -> None:
    """A Deny in the policies of the manifest removes the action from the granted ones."""
    deny = {"Effect": "Deny", "Action": "ec2:*", "Resource": "*"}
    body = statement_of(Effect="Allow", Action="*", Resource="*")
    body["Statement"].append(deny)
    target = stage.role("denied", main=body)
    context = stage.agreed(target, inline={"main": document(body)})
    stage.with_options(actions="all")

    assert not [name for name in grants(stage, target, context) if name.startswith("ec2:")]
    assert {"ec2"} == {str(r.evidence["action"]).partition(":")[0] for r in outside(stage, target, context)}


def test_role_missing_from_manifest_is_skipped(stage: Stage) -> None:
    target = stage.role("stranger", "ec2:*")

    assert [Mark.SKIPPED] == [check.mark for check in try_grants(target, stage.credentials(target), stage.context)]
    assert [Mark.SKIPPED] == [check.mark for check in outside(stage, target, stage.context)]


def test_only_safe_calls_are_sent(stage: Stage) -> None:
    """For a role that may do everything, every call sent is a read and none is on the list of excluded calls."""
    stage.with_options(actions="all")
    patterns = ("s3:*", "sts:*", "kms:*", "secretsmanager:*", "dynamodb:*", "iam:*", "ecr:*", "sqs:*", "ce:*")
    target = stage.role("everything", *patterns)
    list(try_grants(target, stage.credentials(target), stage.agreed(target, *patterns)))
    actions = [action_of(call.service, call.operation) for call in stage.sent if call.operation != "AssumeRole"]

    assert 20 < len(actions)
    assert [] == [action for action in actions if not is_read_only(action) or is_excluded(action)]
