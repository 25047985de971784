"""Our templates deployed by the real SDK: what stands afterwards is the module's access, and deleting leaves nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from form_handovers import ACCOUNT, ARN, READ, everything, handed_over, handover, module_of
from live_iam import read_access
from manifests import notes_manifest
from rolecall_generator.handover.cloudformation_reader import as_cloudformation_says
from rolecall_generator.handover.forms.cloudformation import cloudformation_form
from rolecall_generator.iam.access import Access, access_of
from sandbox_rig import Rig, running, service_trust
from stack_rig import PASSWORD, changes, deploy, outputs, template_of

NOTES = {module.path: module for module in handed_over(notes_manifest())}
EVERYTHING = module_of(everything(existing=True))


@pytest.fixture(scope="module")
def world() -> Iterator[Rig]:
    """One sandbox for all tests here; each leaves its account as it was."""
    with running() as rig:
        rig.role("111111111111", "backend_role", service_trust())
        yield rig


@pytest.fixture
def rig(world: Rig) -> Iterator[Rig]:
    yield world
    for account_id in (ACCOUNT, "078352025563"):
        assert Access() == read_access(world.sandbox.url, account_id)


@pytest.mark.parametrize("path", sorted(NOTES))
def test_a_stack_makes_the_modules_access_and_takes_it_away(rig: Rig, path: str) -> None:
    """For every module of the notes, both flows: read back from IAM it is what the module says."""
    module = NOTES[path]
    client = rig.administrator(module.account.account_id, "cloudformation")

    assert "CREATE_COMPLETE" == deploy(client, template_of(module))["StackStatus"]
    assert () == changes(rig, module, Access(), as_cloudformation_says(module.access))

    client.delete_stack(StackName="stack")
    assert Access() == read_access(rig.sandbox.url, module.account.account_id)


def test_the_outputs_say_what_to_send_back(rig: Rig) -> None:
    """The role's ARN comes from the role that was made."""
    client = rig.administrator(ACCOUNT, "cloudformation")
    stack = deploy(client, template_of(NOTES["customers/account1"]))
    client.delete_stack(StackName="stack")

    expected = {"RoleArn": f"{ARN}:role/role1", "ExternalId": "0f0c4f7c1e6b4a1d9a52b7c3d8e9f101"}
    assert expected == outputs(stack)


def test_in_another_account_nothing_is_made(rig: Rig) -> None:
    """The rule refuses before anything is made, and says whose template it is."""
    client = rig.administrator("999999999999", "cloudformation")

    with pytest.raises(ClientError, match=r"this template belongs to 222222222222 \(account1\)"):
        deploy(client, template_of(NOTES["customers/account1"]))

    assert Access() == read_access(rig.sandbox.url, "999999999999")
    assert [] == client.describe_stacks()["Stacks"]


def test_the_readmes_guard_for_a_stackset_lets_the_listed_accounts_in(rig: Rig) -> None:
    """The `Assert` that the README has people write: the accounts of the list, and no other."""
    module = NOTES["customers/account1"]
    readme = cloudformation_form(handover(module))["cloudformation/README.md"].decode()
    (guard,) = re.findall(r'^   `(\{"Fn::Contains".*\})`\.$', readme, flags=re.MULTILINE)
    template = json.loads(template_of(module))
    template["Rules"]["RightAccount"]["Assertions"][0]["Assert"] = json.loads(guard.replace("...", "333333333333"))

    for account_id in (ACCOUNT, "333333333333"):
        client = rig.administrator(account_id, "cloudformation")
        stack = deploy(client, json.dumps(template))
        client.delete_stack(StackName="stack")
        assert f"arn:aws:iam::{account_id}:role/role1" == outputs(stack)["RoleArn"]

    with pytest.raises(ClientError, match="Template rule RightAccount is not satisfied"):
        deploy(rig.administrator("999999999999", "cloudformation"), json.dumps(template))


def test_everything_comes_out_as_written_and_what_existed_stays(rig: Rig) -> None:
    """Hostile texts, boundaries, inline policies and memberships; the stack's end leaves the group and user of before."""
    before = furnish_existing(rig)
    client = rig.administrator(ACCOUNT, "cloudformation")

    assert "CREATE_COMPLETE" == deploy(client, template_of(EVERYTHING))["StackStatus"]
    assert () == changes(rig, EVERYTHING, before, as_cloudformation_says(EVERYTHING.access))

    client.delete_stack(StackName="stack")
    assert before == read_access(rig.sandbox.url, ACCOUNT)
    remove_existing(rig)


def furnish_existing(rig: Rig) -> Access:
    """A group and a user as they were before the stack, each with a policy of its own."""
    iam = rig.administrator(ACCOUNT)
    iam.create_group(GroupName="people", Path="/old/")
    iam.put_group_policy(GroupName="people", PolicyName="own", PolicyDocument=json.dumps(READ.to_json()))
    iam.create_user(UserName="zoe", Path="/old/")
    iam.put_user_policy(UserName="zoe", PolicyName="own", PolicyDocument=json.dumps(READ.to_json()))
    return read_access(rig.sandbox.url, ACCOUNT)


def remove_existing(rig: Rig) -> None:
    iam = rig.administrator(ACCOUNT)
    iam.delete_group_policy(GroupName="people", PolicyName="own")
    iam.delete_group(GroupName="people")
    iam.delete_user_policy(UserName="zoe", PolicyName="own")
    iam.delete_user(UserName="zoe")


def test_the_first_password_is_shown_by_nothing(rig: Rig) -> None:
    """Neither the described stack nor the sandbox's log has it."""
    client = rig.administrator("078352025563", "cloudformation")
    stack = deploy(client, template_of(NOTES["switch-roles/reena-in-sumesh/trusted"]))
    resources = client.describe_stack_resources(StackName="stack")["StackResources"]
    client.delete_stack(StackName="stack")

    assert [{"ParameterKey": "FirstPasswordReena", "ParameterValue": "****"}] == stack["Parameters"]
    assert PASSWORD not in f"{stack} {resources} {rig.lines}"


def test_what_iam_refuses_rolls_the_whole_stack_back(rig: Rig) -> None:
    """A name that is taken: the policy that was made before is gone again, and the reason is IAM's."""
    rig.administrator(ACCOUNT).create_group(GroupName="New")
    client = rig.administrator(ACCOUNT, "cloudformation")
    stack = deploy(client, template_of(module_of(everything(existing=False))))

    assert "ROLLBACK_COMPLETE" == stack["StackStatus"]
    assert "EntityAlreadyExists" in stack["StackStatusReason"]
    assert [f"{ARN}:group/New"] == list(read_access(rig.sandbox.url, ACCOUNT).groups)

    client.delete_stack(StackName="stack")
    rig.administrator(ACCOUNT).delete_group(GroupName="New")


def test_a_trust_in_nobody_is_refused_as_by_iam(rig: Rig) -> None:
    """Stacks do not write roles past IAM's checks: the backend role must exist."""
    text = template_of(NOTES["customers/account1"]).replace("role/backend_role", "role/nobody")
    client = rig.administrator(ACCOUNT, "cloudformation")
    stack = deploy(client, text)
    client.delete_stack(StackName="stack")

    assert "MalformedPolicyDocument" in stack["StackStatusReason"]


def test_a_stack_may_only_what_its_maker_may(rig: Rig) -> None:
    """CloudFormation calls IAM with the caller's permissions: stacks alone are no way to a role."""
    _, key = rig.user(ACCOUNT, "deployer", "cloudformation:*")
    client = rig.client("cloudformation", key)
    stack = deploy(client, template_of(NOTES["customers/account1"]))

    assert "ROLLBACK_COMPLETE" == stack["StackStatus"]
    assert "is not authorized to perform: iam:CreateRole" in stack["StackStatusReason"]
    assert {} == read_access(rig.sandbox.url, ACCOUNT).roles

    client.delete_stack(StackName="stack")
    iam = rig.administrator(ACCOUNT)
    iam.delete_access_key(UserName="deployer", AccessKeyId=key.access_key)
    iam.delete_user_policy(UserName="deployer", PolicyName="main")
    iam.delete_user(UserName="deployer")


def test_a_stack_needs_the_callers_own_permission(rig: Rig) -> None:
    """Without cloudformation:CreateStack there is no stack."""
    _, key = rig.user(ACCOUNT, "reader", "iam:*")

    with pytest.raises(ClientError, match="AccessDenied"):
        deploy(rig.client("cloudformation", key), template_of(NOTES["customers/account1"]))

    iam = rig.administrator(ACCOUNT)
    iam.delete_access_key(UserName="reader", AccessKeyId=key.access_key)
    iam.delete_user_policy(UserName="reader", PolicyName="main")
    iam.delete_user(UserName="reader")


def test_what_somebody_put_on_the_role_stops_the_deletion(rig: Rig) -> None:
    """As in AWS: DeleteRole refuses, the stack says so, and goes on where it stopped once that is mended."""
    client = rig.administrator(ACCOUNT, "cloudformation")
    iam = rig.administrator(ACCOUNT)
    deploy(client, template_of(NOTES["customers/account1"]))
    iam.put_role_policy(RoleName="role1", PolicyName="foreign", PolicyDocument=json.dumps(READ.to_json()))

    client.delete_stack(StackName="stack")
    (stack,) = client.describe_stacks(StackName="stack")["Stacks"]
    assert ("DELETE_FAILED", True) == (stack["StackStatus"], "DeleteConflict" in stack["StackStatusReason"])

    iam.delete_role_policy(RoleName="role1", PolicyName="foreign")
    client.delete_stack(StackName="stack")
    assert Access() == read_access(rig.sandbox.url, ACCOUNT)


WRONG = {
    "no acknowledgement": ({"Capabilities": []}, "InsufficientCapabilities"),
    "no password": ({"Parameters": []}, r"\[FirstPasswordAnn\] must have values"),
    "an unknown parameter": ({"Parameters": [{"ParameterKey": "X", "ParameterValue": "y"}]}, "do not exist"),
    "a short password": ({"Parameters": [{"ParameterKey": "FirstPasswordAnn", "ParameterValue": "y"}]}, "MinLength"),
    "a service role": ({"RoleARN": f"{ARN}:role/deployer"}, "does not offer the parameter RoleARN"),
    "tags for all": ({"Tags": [{"Key": "a", "Value": "b"}]}, "does not offer the parameter Tags"),
    "a template in S3": ({"TemplateURL": "https://b.s3.amazonaws.com/t.json"}, "does not offer the parameter TemplateURL"),
    "no JSON": ({"TemplateBody": "Resources: {}"}, "JSON not well-formed"),
    "no resources": ({"TemplateBody": "{}"}, "At least one Resources member"),
    "a section": ({"TemplateBody": '{"Resources": {"A": {}}, "Conditions": {}}'}, "does not offer the section Conditions"),
    "a type": ({"TemplateBody": '{"Resources": {"A": {"Type": "AWS::S3::Bucket"}}}'}, "type AWS::S3::Bucket"),
    "a reference to nothing": (
        {
            "TemplateBody": json.dumps(
                {"Resources": {"A": {"Type": "AWS::IAM::Group", "Properties": {"GroupName": {"Ref": "B"}}}}}
            ),
            "Parameters": [],
        },
        r"Unresolved resource dependencies \[B\]",
    ),
    "a function": (
        {
            "TemplateBody": json.dumps(
                {"Resources": {"A": {"Type": "AWS::IAM::Group", "Properties": {"GroupName": {"Fn::Sub": "g"}}}}}
            ),
            "Parameters": [],
        },
        "does not offer Fn::Sub",
    ),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_wrong_or_unknown_is_refused_by_name(rig: Rig, change: dict[str, object], message: str) -> None:
    """Nothing of a template is left out silently."""
    client = rig.administrator(ACCOUNT, "cloudformation")
    asked = {
        "StackName": "wrong",
        "TemplateBody": template_of(module_of(everything(existing=False))),
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
        "Parameters": [{"ParameterKey": "FirstPasswordAnn", "ParameterValue": PASSWORD}],
    }

    with pytest.raises(ClientError, match=message):
        client.create_stack(**asked | change)

    assert [] == client.describe_stacks()["Stacks"]


def test_access_of_no_stack_is_touched(rig: Rig) -> None:
    """Deleting a stack that is not there does nothing and is no error."""
    rig.administrator(ACCOUNT, "cloudformation").delete_stack(StackName="nothing")

    assert access_of() == read_access(rig.sandbox.url, ACCOUNT)
