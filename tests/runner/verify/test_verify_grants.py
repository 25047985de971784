"""Granted actions are tried with safe calls, and what was not granted must be refused: over HTTP, with the real SDK."""

from __future__ import annotations

import pytest

from rolecall_generator.iam.arn import iam_arn
from rolecall_generator.iam.catalog.actions import action_of
from rolecall_runner.inventory.targets import Target
from rolecall_runner.verify.context import VerifyContext
from rolecall_runner.verify.grants import try_grants, try_outside
from rolecall_runner.verify.probe_call import is_excluded, is_read_only
from rolecall_runner.verify.verdict import Check, Mark
from roll_rig import document
from sandbox_rig import REGION, statement_of
from verify_rig import CUSTOMER, Stage

EC2_READ = iam_arn("aws", "aws", "policy", "/", "AmazonEC2ReadOnlyAccess")
AUDIT = iam_arn("aws", "aws", "policy", "/", "SecurityAudit")


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """The shared sandbox with nothing sent yet, and the usual options."""
    stage.sent.clear()
    stage.with_options(actions="sample", all_regions=False, outside_actions=5)
    return stage


def grants(stage: Stage, target: Target, context: VerifyContext) -> dict[str, Check]:
    """The checks by action ("" for one that is about none)."""
    return {str(r.evidence.get("action", "")): r for r in try_grants(target, stage.credentials(target), context)}


def outside(stage: Stage, target: Target, context: VerifyContext) -> list[Check]:
    return list(try_outside(target, stage.credentials(target), context))


def test_a_role_with_exactly_what_was_agreed_passes(stage: Stage) -> None:
    """Each granted read works, and a sample of others is refused as it must be."""
    actions = ("ec2:DescribeInstances", "sqs:ListQueues", "kms:ListKeys", "organizations:DescribeOrganization")
    target = stage.role("exact", *actions)
    context = stage.agreed(target, *actions)

    assert dict.fromkeys(actions, Mark.OK) == {name: check.mark for name, check in grants(stage, target, context).items()}
    assert [Mark.REFUSED] * 5 == [check.mark for check in outside(stage, target, context)]


def test_a_granted_action_that_is_refused_fails_with_awss_own_words(stage: Stage) -> None:
    """A role that lacks one of the agreed actions fails for that action alone."""
    target = stage.role("lacking", "ec2:DescribeVpcs")
    checks = grants(stage, target, stage.agreed(target, "ec2:DescribeVpcs", "sns:ListTopics", "ec2:DescribeSubnets"))

    assert {"ec2:DescribeVpcs": Mark.OK, "sns:ListTopics": Mark.FAILED, "ec2:DescribeSubnets": Mark.FAILED} == {
        name: check.mark for name, check in checks.items()
    }
    assert "UnauthorizedOperation" == checks["ec2:DescribeSubnets"].code
    assert checks["sns:ListTopics"].code in {"AuthorizationError", "AccessDenied"}
    assert "sns:ListTopics" in checks["sns:ListTopics"].message
    assert "sns:ListTopics in us-east-1 was granted, but is refused" == checks["sns:ListTopics"].what


def test_more_than_was_agreed_is_found(stage: Stage) -> None:
    """A role that may read everything fails each of the sample."""
    target = stage.role("wide", "*")
    context = stage.agreed(target, "s3:ListAllMyBuckets")
    checks = outside(stage, target, context)

    assert 5 == len(checks)
    assert {Mark.FAILED} == {check.mark for check in checks}
    assert all("was not granted" in check.what for check in checks)


def test_the_sample_is_the_same_for_one_run(stage: Stage) -> None:
    """Two askings in one run try the same actions, so that a resumed run gives the same report."""
    target = stage.role("same", "ec2:Describe*", "iam:List*")
    context = stage.agreed(target, "ec2:Describe*", "iam:List*")

    assert list(grants(stage, target, context)) == list(grants(stage, target, context))
    assert 6 == len(grants(stage, target, context))
    assert [check.evidence for check in outside(stage, target, context)] == [
        check.evidence for check in outside(stage, target, context)
    ]


def test_all_actions_and_all_regions_are_tried_when_asked_for(stage: Stage) -> None:
    """The options turn the sample off."""
    actions = ("kms:ListKeys", "kms:ListAliases", "sqs:ListQueues", "kms:DescribeCustomKeyStores", "kms:ListRetirableGrants")
    target = stage.role("all", *actions)
    stage.with_options(actions="all", all_regions=True)
    checks = list(try_grants(target, stage.credentials(target), stage.agreed(target, *actions)))

    assert {(REGION, "kms:ListAliases"), ("eu-west-1", "kms:ListAliases"), ("eu-west-1", "sqs:ListQueues")} <= {
        (check.evidence["region"], check.evidence["action"]) for check in checks
    }


@pytest.mark.parametrize(("bucket", "granted"), [("agreed", True), ("half", False)])
def test_an_absent_object_of_a_named_bucket_is_asked_for(stage: Stage, bucket: str, granted: bool) -> None:
    """S3 answers 404 to who may read the object, which proves it without reading, and 403 to who may only list."""
    stage.rig.administrator(CUSTOMER, "s3").create_bucket(Bucket=f"{bucket}-bucket")
    resources = [f"arn:aws:s3:::{bucket}-bucket", f"arn:aws:s3:::{bucket}-bucket/*"]
    target = stage.role(bucket, "s3:ListBucket", *(["s3:GetObject"] if granted else []), resource=resources)
    checks = grants(stage, target, stage.agreed(target, "s3:ListBucket", "s3:GetObject", resource=resources))

    assert {"s3:ListBucket": Mark.OK, "s3:GetObject": Mark.OK if granted else Mark.FAILED} == {
        name: check.mark for name, check in checks.items()
    }
    assert ("404" == checks["s3:GetObject"].code) == granted


def test_an_object_is_not_asked_for_where_the_answer_could_not_be_told(stage: Stage) -> None:
    """Without s3:ListBucket S3 answers 403 either way: not checkable, and no call is made."""
    target = stage.role("blind", "s3:GetObject", resource="arn:aws:s3:::any/*")
    checks = grants(stage, target, stage.agreed(target, "s3:GetObject", resource="arn:aws:s3:::any/*"))

    assert Mark.SKIPPED == checks["s3:GetObject"].mark
    assert "without s3:ListBucket" in checks["s3:GetObject"].what
    assert [] == [call for call in stage.sent if call.service == "s3"]


def test_a_bucket_that_is_not_there_is_no_refusal(stage: Stage) -> None:
    """NoSuchBucket comes after authorization: the grant works."""
    target = stage.role("nobucket", "s3:ListBucket", resource="arn:aws:s3:::never-made")
    check = grants(stage, target, stage.agreed(target, "s3:ListBucket", resource="arn:aws:s3:::never-made"))["s3:ListBucket"]

    assert (Mark.OK, "NoSuchBucket") == (check.mark, check.code)


def test_a_well_known_policy_is_tried_by_its_purpose_and_keeps_to_its_services(stage: Stage) -> None:
    """AmazonEC2ReadOnlyAccess cannot be read by the role, yet EC2 must work and what is outside its services must not."""
    target = stage.role("managed")
    stage.rig.administrator(CUSTOMER).attach_role_policy(RoleName="managed", PolicyArn=EC2_READ)
    context = stage.agreed(target, attached=frozenset({EC2_READ}))
    tried = grants(stage, target, context)
    refused = outside(stage, target, context)

    assert {"ec2"} <= {name.partition(":")[0] for name in tried}
    assert Mark.FAILED not in {check.mark for check in tried.values()}
    assert {Mark.REFUSED} == {check.mark for check in refused}
    assert not {"ec2", "autoscaling", "cloudwatch"} & {str(r.evidence["action"]).partition(":")[0] for r in refused}


def test_a_policy_that_the_role_may_read_is_taken_as_the_account_has_it(stage: Stage) -> None:
    """SecurityAudit lets its holder read it: then there is an outside even for that policy."""
    target = stage.role("audit")
    stage.rig.administrator(CUSTOMER).attach_role_policy(RoleName="audit", PolicyArn=AUDIT)
    stage.with_options(outside_actions=50)
    checks = outside(stage, target, stage.agreed(target, attached=frozenset({AUDIT})))

    assert "GetPolicyVersion" in {call.operation for call in stage.sent}
    assert {Mark.SKIPPED, Mark.REFUSED} >= {check.mark for check in checks}


def test_an_unknown_policy_leaves_no_outside(stage: Stage) -> None:
    """Where a policy's text is not known, any action may be granted by it: not checkable, and nothing is tried."""
    target = stage.role("unknown", "ec2:DescribeVpcs")
    arn = iam_arn("aws", "aws", "policy", "/", "AWSNobodyKnowsAccess")
    (check,) = outside(stage, target, stage.agreed(target, "ec2:DescribeVpcs", attached=frozenset({arn})))

    assert (Mark.SKIPPED, arn) == (check.mark, check.evidence["unknown_policies"][0])
    assert ["AssumeRole"] == [call.operation for call in stage.sent]


def test_denied_actions_are_outside_and_not_tried_as_granted(stage: Stage) -> None:
    """A Deny in the agreed policies takes an action out of the grant."""
    deny = {"Effect": "Deny", "Action": "ec2:*", "Resource": "*"}
    body = statement_of(Effect="Allow", Action="*", Resource="*")
    body["Statement"].append(deny)
    target = stage.role("denied", main=body)
    context = stage.agreed(target, inline={"main": document(body)})
    stage.with_options(actions="all")

    assert not [name for name in grants(stage, target, context) if name.startswith("ec2:")]
    assert {"ec2"} == {str(r.evidence["action"]).partition(":")[0] for r in outside(stage, target, context)}


def test_a_role_that_the_manifest_does_not_know_is_skipped(stage: Stage) -> None:
    """Nothing is claimed of what no one agreed to."""
    target = stage.role("stranger", "ec2:*")

    assert [Mark.SKIPPED] == [check.mark for check in try_grants(target, stage.credentials(target), stage.context)]
    assert [Mark.SKIPPED] == [check.mark for check in outside(stage, target, stage.context)]


def test_no_call_outside_the_safe_list_is_ever_made(stage: Stage) -> None:
    """Of a role that may do everything, every call that leaves only reads, and none is one of those never made."""
    stage.with_options(actions="all")
    patterns = ("s3:*", "sts:*", "kms:*", "secretsmanager:*", "dynamodb:*", "iam:*", "ecr:*", "sqs:*", "ce:*")
    target = stage.role("everything", *patterns)
    list(try_grants(target, stage.credentials(target), stage.agreed(target, *patterns)))
    actions = [action_of(call.service, call.operation) for call in stage.sent if call.operation != "AssumeRole"]

    assert 20 < len(actions)
    assert [] == [action for action in actions if not is_read_only(action) or is_excluded(action)]
