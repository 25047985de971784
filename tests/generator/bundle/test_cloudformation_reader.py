"""Templates parsed into access: the form grants the module's access, and anything else in a template is rejected."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cloudformation_reader import as_cloudformation_says, read_template
from form_handovers import already_there, everything, module_of, template_of
from rolecall_generator.bundle.forms.cloudformation import CloudFormationError

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

    with pytest.raises(CloudFormationError) as caught:
        read_template(json.dumps(template), partition="aws")

    assert caught.value.where
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "[]", "{", '{"Resources": {}, "Resources": {}}'])
def test_file_that_is_not_a_template_is_rejected(text: str) -> None:
    with pytest.raises(CloudFormationError):
        read_template(text, partition="aws")
