"""One stack: from a checked template to resources that stand, to the next version, and away again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rolecall_generator.iam.arn import PARTITIONS
from rolecall_runner.sandbox.aws_refusal import AwsRefusalError, invalid
from rolecall_runner.sandbox.stack_iam import StackCallError, StackIam
from rolecall_runner.sandbox.stack_resources import Resource, make, take_away
from rolecall_runner.sandbox.stack_template import (
    Scope,
    check_rules,
    in_order,
    not_offered,
    parameters_of,
    parse_template,
    shown,
)
from rolecall_runner.sandbox.stack_update import update

_NAMED_IAM = "CAPABILITY_NAMED_IAM"
_URL_SUFFIXES = {"aws-cn": "amazonaws.com.cn"}

# All else, as a service role or tags for all resources, would change what a stack makes.
_OFFERED = {
    "StackName", "TemplateBody", "Parameters", "Capabilities", "ChangeSetName", "ChangeSetType", "Description",
    "ClientToken", "ClientRequestToken", "TimeoutInMinutes",
}  # fmt: skip

Json = Mapping[str, Any]
Asked = Mapping[str, object]


@dataclass(slots=True)
class Version:
    """A template with its parameters, found good: what a stack is to become. `order` is that of making."""

    template: dict[str, Any]
    values: Mapping[str, str] = field(repr=False)
    order: list[str] = field(default_factory=list)

    @property
    def shown(self) -> dict[str, str]:
        """The parameters as everybody may see them."""
        return shown(self.template, self.values)

    def same_as(self, other: Version) -> bool:
        """Whether a stack of the other version has nothing to do to become this one."""
        return self.template == other.template and self.values == other.values


@dataclass(slots=True)
class Stack:
    """One stack in one account and Region. `outputs` are as DescribeStacks shows them."""

    name: str
    arn: str
    made_at: datetime
    version: Version
    status: str = "CREATE_COMPLETE"
    reason: str = ""
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: list[dict[str, str]] = field(default_factory=list)


def version_of(asked: Asked, name: str, arn: str, iam: StackIam, before: Version | None = None) -> Version:
    """What a call asks a stack to become. `before` gives the parameters that keep their values.

    Raises AwsRefusalError for anything that is wrong with it, a rule that does not hold among them.
    """
    if unknown := sorted(key for key, value in asked.items() if value and key not in _OFFERED):
        raise not_offered(f"the parameter {unknown[0]}")
    if "TemplateBody" not in asked:
        raise invalid("Either Template URL or Template Body must be specified.")
    template = parse_template(str(asked["TemplateBody"]))
    if _NAMED_IAM not in _list(asked, "Capabilities"):
        raise AwsRefusalError("InsufficientCapabilitiesException", f"Requires capabilities : [{_NAMED_IAM}]")
    given: dict[str, str] = {}
    for item in _list(asked, "Parameters"):
        key = item["ParameterKey"]
        if not item.get("UsePreviousValue"):
            given[key] = item["ParameterValue"]
        elif before is None or key not in before.values:
            raise invalid(
                f"Invalid input for parameter key {key}. Cannot specify usePreviousValue as true for a new parameter"
            )
        else:
            given[key] = before.values[key]
    values = parameters_of(template, given)
    scope = Scope(_pseudo(name, arn, iam) | values)
    order = in_order(template, scope.values)
    check_rules(template, scope)
    return Version(template, values, order)


def make_stack(stack: Stack, iam: StackIam) -> None:
    """Make all resources, or none: what fails is undone, as CloudFormation does unless told otherwise."""
    try:
        _make_missing(stack, stack.version, _scope(stack, stack.version, iam), iam)
    except (StackCallError, AwsRefusalError) as error:
        stack.status, stack.reason = "ROLLBACK_COMPLETE", str(error)
        unmake_stack(stack, iam, "ROLLBACK_FAILED", everything=True)


def update_stack(stack: Stack, new: Version, iam: StackIam) -> None:
    """Bring a stack to its next version. What fails is not undone here: the status says so, where AWS would roll back."""
    old = stack.version
    stack.version, stack.status, stack.reason = new, "UPDATE_COMPLETE", ""
    scope = _scope(stack, new, iam)
    try:
        for name in new.order:
            if name in stack.resources:
                resource = stack.resources[name]
                if new.template["Resources"][name]["Type"] != resource.kind:
                    raise not_offered(f"another type for {name}")
                update(resource, scope.resolve(new.template["Resources"][name].get("Properties", {})), iam)
        _make_missing(stack, new, scope, iam)
        for name in reversed(old.order):
            if name not in new.template["Resources"]:
                if not _retained(old, name):
                    take_away(stack.resources[name], iam)
                del stack.resources[name]
    except (StackCallError, AwsRefusalError) as error:
        stack.status, stack.reason = "UPDATE_FAILED", str(error)


def unmake_stack(stack: Stack, iam: StackIam, failed: str, *, everything: bool = False) -> bool:
    """Take away what the stack made, last made first; on the first refusal its status is `failed`.

    What the template retains stays, unless `everything` goes: a stack that could not be made leaves nothing, as with
    RetainExceptOnCreate (with Retain CloudFormation would leave it; no template of rolecall says that).
    """
    for resource in reversed(stack.resources.values()):
        if not everything and _retained(stack.version, resource.logical_id):
            continue
        try:
            take_away(resource, iam)
        except StackCallError as error:
            stack.status, stack.reason = failed, str(error)
            return False
    return True


def _retained(version: Version, logical_id: str) -> bool:
    return bool(version.template["Resources"][logical_id].get("DeletionPolicy", "Delete") != "Delete")


def _make_missing(stack: Stack, version: Version, scope: Scope, iam: StackIam) -> None:
    for name in version.order:
        if name not in stack.resources:
            declared = version.template["Resources"][name]
            stack.resources[name] = Resource(name, declared["Type"])
            make(stack.resources[name], scope.resolve(declared.get("Properties", {})), iam)
            scope.resources[name] = stack.resources[name]
    stack.outputs = [
        {"OutputKey": name, "OutputValue": str(scope.resolve(it["Value"])), "Description": it.get("Description", "")}
        for name, it in version.template.get("Outputs", {}).items()
    ]


def _scope(stack: Stack, version: Version, iam: StackIam) -> Scope:
    return Scope(_pseudo(stack.name, stack.arn, iam) | dict(version.values), dict(stack.resources))


def _pseudo(name: str, arn: str, iam: StackIam) -> dict[str, str]:
    partition = iam.caller.arn.split(":")[1]
    return {
        "AWS::AccountId": iam.caller.account_id,
        "AWS::Partition": partition if partition in PARTITIONS else "aws",
        "AWS::Region": iam.region,
        "AWS::StackId": arn,
        "AWS::StackName": name,
        "AWS::URLSuffix": _URL_SUFFIXES.get(partition, "amazonaws.com"),
    }


def _list(asked: Asked, name: str) -> list[Any]:
    found = asked.get(name)
    return list(found) if isinstance(found, list) else []
