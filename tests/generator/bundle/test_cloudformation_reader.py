"""Templates parsed into access: the form grants the module's access, and anything else in a template is rejected."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings

from cloudformation_reader import as_cloudformation_says, read_template
from form_handovers import already_there, everything, handed_over, module_of
from manifests import notes_manifest
from rolecall_generator.bundle.forms.cloudformation import CloudFormationError, template_text
from rolecall_generator.iam.model import Access, Module
from rolecall_generator.manifest.models import Manifest
from strategies_manifest import manifests

Change = Callable[[dict[str, Any]], object]


def read_back(module: Module) -> Access:
    """The access in the module's template; Access() if there is none."""
    text = template_text(module, "accounts.yaml")
    if text is None:
        return Access()
    return read_template(text, partition=module.partition, existing=already_there(module.access)).canonical()


def said(module: Module) -> Access:
    return as_cloudformation_says(module.access).canonical()


def test_templates_of_example_accounts_have_the_modules_access() -> None:
    """All modules of both flows."""
    for module in handed_over(notes_manifest()):
        assert said(module) == read_back(module)


@pytest.mark.parametrize("existing", [False, True])
def test_every_kind_of_resource_is_parsed(existing: bool) -> None:
    """Boundaries, inline policies, memberships and attachments, on new and on existing principals."""
    module = module_of(everything(existing=existing))

    assert said(module) == read_back(module)


@settings(max_examples=40, deadline=None)
@given(manifests())
def test_templates_of_random_manifests_have_the_modules_access(values: dict[str, Any]) -> None:
    """Names, descriptions, tags, paths and policies with special characters are unchanged, in both flows and sides."""
    for module in handed_over(Manifest.model_validate(values)):
        assert said(module) == read_back(module)


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
    """Unknown sections, types, properties and functions are errors with their path and a hint."""
    text = template_text(module_of(everything(existing=False)), "accounts.yaml")
    assert text is not None
    template = json.loads(text)
    change(template)

    with pytest.raises(CloudFormationError) as caught:
        read_template(json.dumps(template), partition="aws")

    assert caught.value.where
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "[]", "{", '{"Resources": {}, "Resources": {}}'])
def test_file_that_is_not_a_template_is_rejected(text: str) -> None:
    with pytest.raises(CloudFormationError):
        read_template(text, partition="aws")
