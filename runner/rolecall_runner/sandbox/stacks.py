"""CloudFormation as far as our templates need it: stacks of IAM resources, made and deleted at once.

Stacks live as long as the sandbox's process; what they made is saved with the accounts.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from rolecall_generator.iam.arn import PARTITIONS
from rolecall_runner.sandbox.aws_refusal import AwsRefusalError, invalid
from rolecall_runner.sandbox.stack_iam import Send, StackCallError, StackIam
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
from rolecall_runner.sandbox.wire import ApiCall, HttpReply, SessionInfo

_XMLNS = "http://cloudformation.amazonaws.com/doc/2010-05-15/"
_NAMED_IAM = "CAPABILITY_NAMED_IAM"
_URL_SUFFIXES = {"aws-cn": "amazonaws.com.cn"}


@dataclass(slots=True)
class Stack:
    """One stack. `parameters` are as everybody may see them."""

    name: str
    arn: str
    status: str
    made_at: datetime
    description: str
    parameters: Mapping[str, str]
    resources: list[Resource] = field(default_factory=list)
    outputs: list[dict[str, str]] = field(default_factory=list)
    reason: str = ""


class Stacks:
    """All stacks of one sandbox."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stacks: dict[tuple[str, str, str], Stack] = {}

    def answer(self, call: ApiCall, caller: SessionInfo, request_id: str, send: Send) -> HttpReply:
        """Answer an authorized call; `send` takes the IAM calls of a stack. Raises AwsRefusalError."""
        operation = _OPERATIONS.get(call.operation)
        if operation is None:
            raise not_offered(call.operation)
        with self._lock:
            result = operation(self, call, StackIam(send, caller, call.region))
        return _reply(call.operation, result, request_id)

    def create(self, call: ApiCall, iam: StackIam) -> dict[str, Any]:
        """Make a stack; a resource that fails takes the rest with it, and the stack's status says so."""
        asked, caller = call.parameters, iam.caller
        if "TemplateBody" not in asked:
            raise not_offered("templates that lie in S3")
        name = str(asked.get("StackName", ""))
        key = (caller.account_id, call.region, name)
        if key in self._stacks:
            raise AwsRefusalError("AlreadyExistsException", f"Stack [{name}] already exists")
        template = parse_template(str(asked["TemplateBody"]))
        if _NAMED_IAM not in _list(asked, "Capabilities"):
            raise AwsRefusalError("InsufficientCapabilitiesException", f"Requires capabilities : [{_NAMED_IAM}]")
        given = {item["ParameterKey"]: item["ParameterValue"] for item in _list(asked, "Parameters")}
        values = parameters_of(template, given)
        partition = caller.arn.split(":")[1]
        arn = f"arn:{partition}:cloudformation:{call.region}:{caller.account_id}:stack/{name}/{uuid.uuid4()}"
        scope = Scope(_pseudo(caller.account_id, partition, call.region, name, arn) | values)
        order = in_order(template, scope.values)
        check_rules(template, scope)
        description = str(template.get("Description", ""))
        stack = Stack(name, arn, "CREATE_COMPLETE", self._clock(), description, shown(template, values))
        self._stacks[key] = stack
        self._make(stack, template, order, scope, iam)
        return {"StackId": arn}

    def _make(self, stack: Stack, template: Mapping[str, Any], order: list[str], scope: Scope, iam: StackIam) -> None:
        """Make all resources, or none: what fails is undone, as CloudFormation does unless told otherwise."""
        try:
            for logical_id in order:
                resource = Resource(logical_id, template["Resources"][logical_id]["Type"])
                stack.resources.append(resource)
                make(resource, scope.resolve(template["Resources"][logical_id].get("Properties", {})), iam)
                scope.resources[logical_id] = resource
            for name, output in template.get("Outputs", {}).items():
                value = str(scope.resolve(output["Value"]))
                stack.outputs.append({"OutputKey": name, "OutputValue": value, "Description": output.get("Description", "")})
        except (StackCallError, AwsRefusalError) as error:
            stack.status, stack.reason = "ROLLBACK_COMPLETE", str(error)
            self._unmake(stack, iam, "ROLLBACK_FAILED")

    def _unmake(self, stack: Stack, iam: StackIam, failed: str) -> bool:
        for resource in reversed(stack.resources):
            try:
                take_away(resource, iam)
            except StackCallError as error:
                stack.status, stack.reason = failed, str(error)
                return False
        return True

    def delete(self, call: ApiCall, iam: StackIam) -> dict[str, Any]:
        """Take away all that the stack made; one that is not there is no error."""
        stack = self._find(call, iam.caller)
        if stack is not None and self._unmake(stack, iam, "DELETE_FAILED"):
            del self._stacks[iam.caller.account_id, call.region, stack.name]
        return {}

    def describe(self, call: ApiCall, iam: StackIam) -> dict[str, Any]:
        """One stack or all of the account and Region."""
        if "StackName" not in call.parameters:
            mine = (iam.caller.account_id, call.region)
            return {"Stacks": [_described(stack) for key, stack in self._stacks.items() if key[:2] == mine]}
        return {"Stacks": [_described(self._known(call, iam.caller))]}

    def describe_resources(self, call: ApiCall, iam: StackIam) -> dict[str, Any]:
        """The resources of a stack."""
        stack = self._known(call, iam.caller)
        return {
            "StackResources": [
                {
                    "StackName": stack.name,
                    "LogicalResourceId": resource.logical_id,
                    "PhysicalResourceId": resource.physical_id,
                    "ResourceType": resource.kind,
                    "Timestamp": stack.made_at.isoformat(),
                    "ResourceStatus": "CREATE_COMPLETE",
                }
                for resource in stack.resources
            ]
        }

    def _known(self, call: ApiCall, caller: SessionInfo) -> Stack:
        stack = self._find(call, caller)
        if stack is None:
            raise invalid(f"Stack with id {call.parameters.get('StackName', '')} does not exist")
        return stack

    def _find(self, call: ApiCall, caller: SessionInfo) -> Stack | None:
        asked = str(call.parameters.get("StackName", ""))
        mine = (caller.account_id, call.region)
        return next((s for key, s in self._stacks.items() if key[:2] == mine and asked in {s.name, s.arn}), None)


_OPERATIONS: Mapping[str, Callable[[Stacks, ApiCall, StackIam], dict[str, Any]]] = {
    "CreateStack": Stacks.create,
    "DeleteStack": Stacks.delete,
    "DescribeStacks": Stacks.describe,
    "DescribeStackResources": Stacks.describe_resources,
}


def _list(asked: Mapping[str, object], name: str) -> list[Any]:
    found = asked.get(name)
    return list(found) if isinstance(found, list) else []


def _pseudo(account_id: str, partition: str, region: str, name: str, arn: str) -> dict[str, str]:
    return {
        "AWS::AccountId": account_id,
        "AWS::Partition": partition if partition in PARTITIONS else "aws",
        "AWS::Region": region,
        "AWS::StackId": arn,
        "AWS::StackName": name,
        "AWS::URLSuffix": _URL_SUFFIXES.get(partition, "amazonaws.com"),
    }


def _described(stack: Stack) -> dict[str, Any]:
    return {
        "StackId": stack.arn,
        "StackName": stack.name,
        "Description": stack.description,
        "CreationTime": stack.made_at.isoformat(),
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
        "Capabilities": [_NAMED_IAM],
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in stack.parameters.items()],
        "Outputs": stack.outputs,
    }


def _reply(operation: str, result: Mapping[str, Any], request_id: str) -> HttpReply:
    body = (
        f'<{operation}Response xmlns="{_XMLNS}"><{operation}Result>{_xml(result)}</{operation}Result>'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    )
    return HttpReply(200, (("Content-Type", "text/xml"), ("x-amzn-RequestId", request_id)), body.encode())


def _xml(value: Any) -> str:
    """The query protocol's XML: fields by name, lists of `member`."""
    if isinstance(value, Mapping):
        return "".join(f"<{name}>{_xml(item)}</{name}>" for name, item in value.items() if item not in ("", None))
    if isinstance(value, list):
        return "".join(f"<member>{_xml(item)}</member>" for item in value)
    return escape(str(value))
