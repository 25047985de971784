"""The CloudFormation form: restricted to its account, without unintended intrinsic functions, deployable as documented.

The template is parsed back into access by a reader that rejects anything else in a template.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cloudformation_reader import TemplateError, as_cloudformation_says, read_template
from form_handovers import ACCOUNT, ARN, READ, already_there, everything, handed_over, handover, module_of, template_of
from manifests import notes_manifest
from rolecall_generator.bundle.forms.cloudformation import (
    CloudFormationError,
    cloudformation_form,
    logical_id,
    quick_create_link,
)
from rolecall_generator.iam.model import Access, Group, Module, ModuleKind, Role
from rolecall_generator.iam.policy import Condition, PolicyDocument, Statement

TEMPLATE = "cloudformation/template.json"
README = "cloudformation/README.md"


def template(module: Module) -> Any:
    return json.loads(cloudformation_form(handover(module))[TEMPLATE])


def readme(module: Module, template_url: str | None = None) -> str:
    return cloudformation_form(handover(module, template_url))[README].decode()


def notes(path: str) -> Module:
    return next(module for module in handed_over(notes_manifest()) if module.path == path)


def functions(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [key for key in value if key == "Ref" or key.startswith("Fn::")]
        return own + [name for item in value.values() for name in functions(item)]
    return [name for item in value for name in functions(item)] if isinstance(value, list) else []


def test_rule_restricts_template_to_its_account() -> None:
    """CloudFormation evaluates rules before it creates resources; the assertion names the account."""
    (assertion,) = template(notes("customers/account1"))["Rules"]["RightAccount"]["Assertions"]

    assert {"Fn::Equals": [{"Ref": "AWS::AccountId"}, "222222222222"]} == assertion["Assert"]
    assert "belongs to 222222222222 (account1)" in assertion["AssertDescription"]


def test_outputs_equal_those_of_the_terraform_module() -> None:
    customer = template(notes("customers/account1"))["Outputs"]
    people = template(notes("switch-roles/reena-in-sumesh/trusted"))["Outputs"]

    assert ["RoleArn", "ExternalId"] == list(customer)
    assert {"Fn::GetAtt": ["Role", "Arn"]} == customer["RoleArn"]["Value"]
    assert ["AccountId", "SwitchRoleUrl", "GroupName", "UserNames"] == list(people)


def test_first_password_is_noecho_parameter() -> None:
    whole = template(notes("switch-roles/reena-in-sumesh/trusted"))
    parameter = whole["Parameters"]["FirstPasswordReena"]

    assert (True, False) == (parameter["NoEcho"], "Default" in parameter)
    assert {"Ref": "FirstPasswordReena"} == whole["Resources"]["UserReena"]["Properties"]["LoginProfile"]["Password"]
    assert 1 == json.dumps(whole).count('"Ref": "FirstPasswordReena"')


def test_only_resources_parameters_and_account_id_are_referenced() -> None:
    """A policy with ${aws:username} is unchanged: there is no Fn::Sub, and no other function in values."""
    whole = template(module_of(everything(existing=True)))

    assert {"Ref", "Fn::Equals", "Fn::GetAtt", "Fn::Join"} >= set(functions(whole))
    assert "${aws:username}" in json.dumps(whole)
    names = {*whole["Resources"], *whole["Parameters"], "AWS::AccountId"}
    assert set() == {item for item in references(whole) if item not in names}


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["Ref"]] if value.keys() == {"Ref"} else []
        return own + [name for item in value.values() for name in references(item)]
    return [name for item in value for name in references(item)] if isinstance(value, list) else []


def test_existing_principals_are_not_resources() -> None:
    """Policies, inline policies and memberships refer to them by name, so that deleting the stack keeps them."""
    resources = template(module_of(everything(existing=True)))["Resources"]
    made = [item["Properties"].get("UserName") or item["Properties"].get("GroupName") for item in resources.values()]
    added = [item["Properties"] for item in resources.values() if item["Type"] == "AWS::IAM::UserToGroupAddition"]

    assert [] == [name for name in made if name == "zoe"]
    assert [("people", ["zoe"]), ({"Ref": "GroupNew"}, ["zoe"])] == [(item["GroupName"], item["Users"]) for item in added]
    assert ["people"] == resources["PolicyP"]["Properties"]["Groups"]
    # AWS::IAM::GroupPolicy, UserPolicy and RolePolicy do not exist in GovCloud.
    types = {"Role", "ManagedPolicy", "Policy", "Group", "User", "UserToGroupAddition"}
    assert {f"AWS::IAM::{name}" for name in types} == {item["Type"] for item in resources.values()}


def test_managed_policy_on_existing_group_is_rejected() -> None:
    """CloudFormation has no resource for this attachment, so the form raises an error."""
    access = Access.of(Group(f"{ARN}:group/people", attached=frozenset({"arn:aws:iam::aws:policy/X"}), existing=True))

    with pytest.raises(CloudFormationError, match=r"X cannot be attached to .*people") as caught:
        cloudformation_form(handover(module_of(access)))

    assert "customers/account1" == caught.value.where


@pytest.mark.parametrize("key", ["Ref", "Fn::Sub", "Condition", "Transform"])
def test_condition_with_name_of_a_function_is_rejected(key: str) -> None:
    """CloudFormation would resolve `{"Ref": ...}` in a policy."""
    bad = PolicyDocument((Statement("Allow", ("s3:*",), ("*",), conditions=(Condition("StringLike", key, ("Role",)),)),))

    with pytest.raises(CloudFormationError, match=f"the condition '{key}'"):
        cloudformation_form(handover(module_of(with_role(inline={"x": bad}))))


@pytest.mark.parametrize(
    "change",
    [
        {"description": "{{resolve:ssm:/a:1}}"},
        {"inline": {"x": PolicyDocument((Statement("Allow", ("s3:*",), ("{{resolve:secretsmanager:a}}",)),))}},
    ],
    ids=["description", "resource"],
)
def test_dynamic_reference_is_rejected(change: dict[str, Any]) -> None:
    """CloudFormation resolves `{{resolve:...}}` in any string and has no escape for it; the error names the module."""
    with pytest.raises(CloudFormationError, match="which CloudFormation would replace") as caught:
        cloudformation_form(handover(module_of(with_role(**change))))

    assert "customers/account1" == caught.value.where


def with_role(**changes: Any) -> Access:
    (role,) = everything(existing=False).roles.values()
    plain = replace(role, attached=frozenset(), inline={"read": READ})
    return Access.of(replace(plain, **changes))


def test_logical_ids_depend_only_on_the_name_and_are_unique() -> None:
    """Adding a policy changes no other logical ID; a-b, ab and a.b have three different IDs."""
    assert "PolicyAb" == logical_id("Policy", "ab")
    assert 3 == len({logical_id("Policy", name) for name in ("a-b", "ab", "a.b")})
    assert all(logical_id("User", name).isalnum() for name in ("a-b", "é" * 3, "_+=,.@-"))


def test_no_template_is_written_for_empty_module() -> None:
    """A template needs at least one resource; there is none if group and users are in another account."""
    files = cloudformation_form(handover(module_of(Access(), kind=ModuleKind.TRUSTED)))

    assert [README] == list(files)
    assert "Nothing is created in this account" in files[README].decode()


@pytest.mark.parametrize(
    ("partition", "host"),
    [
        ("aws", "https://console.aws.amazon.com/cloudformation/home?region=us-east-1#"),
        ("aws-cn", "https://console.amazonaws.cn/cloudformation/home?region=cn-north-1#"),
        ("aws-us-gov", "https://console.amazonaws-us-gov.com/cloudformation/home?region=us-gov-west-1#"),
    ],
)
def test_quick_create_link_points_to_the_partitions_console(partition: str, host: str) -> None:
    module = module_of(everything(existing=False), kind=ModuleKind.CUSTOMER, partition=partition)
    link = quick_create_link(module, "https://b.s3.amazonaws.com/a b&c.json")

    query = "templateURL=https%3A%2F%2Fb.s3.amazonaws.com%2Fa%20b%26c.json&stackName=vendor-access-account1"
    assert f"{host}/stacks/create/review?{query}" == link


def test_partition_without_public_console_has_no_link() -> None:
    module = module_of(everything(existing=False), partition="aws-iso")

    assert None is quick_create_link(module, "https://b.s3.amazonaws.com/t.json")
    assert "Upload a template file" in readme(module, "https://b.s3.amazonaws.com/t.json")


def test_readme_lists_what_cloudformation_cannot_do() -> None:
    text = readme(module_of(everything(existing=False)))

    assert "CloudFormation cannot tag managed policies" in text
    assert f"`arn:aws:iam::{ACCOUNT}:policy/x/p`: `team` = `a b`" in text


def test_large_template_needs_a_bucket() -> None:
    """Up to 51,200 bytes are passed in the call; above that the command has an option for an S3 bucket."""
    many = PolicyDocument(tuple(Statement("Allow", ("s3:GetObject",), (f"arn:aws:s3:::b{n}/*",)) for n in range(400)))

    assert "--s3-bucket" not in readme(module_of(with_role()))
    assert "--s3-bucket" in readme(module_of(with_role(inline={"x": many})))


def test_output_is_reproducible() -> None:
    """It does not depend on the iteration order of sets."""
    module = module_of(everything(existing=True))
    (role,) = module.access.roles.values()
    turned = replace(role, attached=frozenset(sorted(role.attached, reverse=True)), tags=dict(sorted(role.tags.items())))
    other = replace(module, access=replace(module.access, roles={role.arn: turned}))

    assert cloudformation_form(handover(module)) == cloudformation_form(handover(other))


def test_role_without_trust_policy_is_rejected() -> None:
    """Existing roles cannot be created by a template."""
    with pytest.raises(ValueError, match="has no trust policy"):
        cloudformation_form(handover(module_of(Access.of(Role(f"{ARN}:role/r", None)))))


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize("existing", [False, True])
def test_every_kind_of_resource_is_parsed(existing: bool) -> None:
    """Boundaries, inline policies, memberships and attachments; test_bundle_access.py reads other modules."""
    module = module_of(everything(existing=existing))
    found = read_template(template_of(module), partition=module.partition, existing=already_there(module.access))

    assert as_cloudformation_says(module.access).canonical() == found.canonical()


def role(template: dict[str, Any]) -> Any:
    return template["Resources"]["Role"]["Properties"]


BAD: dict[str, Change] = {
    "a section": lambda t: t.update(Transform="AWS::Serverless-2016-10-31"),
    "conditions": lambda t: t.update(Conditions={}),
    "no guard": lambda t: t.pop("Rules"),
    "a weaker guard": lambda t: t["Rules"]["RightAccount"].update(RuleCondition={"Fn::Equals": ["a", "b"]}),
    "a guard of another account's Region": lambda t: t["Rules"]["RightAccount"]["Assertions"][0].update(
        Assert={"Fn::Equals": [{"Ref": "AWS::Region"}, "222222222222"]}
    ),
    "a type": lambda t: t["Resources"].update(Key={"Type": "AWS::IAM::AccessKey", "Properties": {"UserName": "ann"}}),
    "a property": lambda t: role(t).update(Extra="x"),
    "a condition on a resource": lambda t: t["Resources"]["Role"].update(Condition="Never"),
    "a function for a name": lambda t: role(t).update(RoleName={"Fn::Sub": "r"}),
    "a function in a policy": lambda t: role(t)["Policies"][0]["PolicyDocument"]["Statement"][0].update(
        Resource={"Fn::Sub": "*"}
    ),
    "a function in a trust policy": lambda t: role(t)["AssumeRolePolicyDocument"]["Statement"][0].update(
        Principal={"AWS": {"Ref": "AWS::AccountId"}}
    ),
    "a reference to another kind": lambda t: role(t).update(ManagedPolicyArns=[{"Ref": "GroupNew"}]),
    "a reference to nothing": lambda t: role(t).update(ManagedPolicyArns=[{"Ref": "Nobody"}]),
    "a shown password": lambda t: t["Parameters"]["FirstPasswordAnn"].update(NoEcho=False),
    "a known password": lambda t: t["Parameters"]["FirstPasswordAnn"].update(Default="Password-1"),
    "a stored secret": lambda t: role(t).update(Description="{{resolve:ssm:/a}}"),
    "a session without length": lambda t: role(t).pop("MaxSessionDuration"),
    "a name for a reference": lambda t: t["Resources"]["PolicyP"]["Properties"].update(Groups=["new"]),
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_unsupported_template_content_is_rejected(change: Change) -> None:
    template = json.loads(template_of(module_of(everything(existing=False))))
    change(template)

    with pytest.raises(TemplateError):
        read_template(json.dumps(template), partition="aws")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"Resources": {}, "Resources": {}}'])
def test_file_that_is_not_a_template_is_rejected(text: str) -> None:
    with pytest.raises(TemplateError):
        read_template(text, partition="aws")
