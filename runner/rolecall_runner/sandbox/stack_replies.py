"""Answers of the sandbox's CloudFormation, in the query protocol's XML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from rolecall_runner.sandbox.stack import Stack
from rolecall_runner.sandbox.wire import HttpReply

_XMLNS = "http://cloudformation.amazonaws.com/doc/2010-05-15/"


def described(stack: Stack) -> dict[str, Any]:
    """A stack as DescribeStacks shows it."""
    return {
        "StackId": stack.arn,
        "StackName": stack.name,
        "Description": stack.version.template.get("Description", ""),
        "CreationTime": stack.made_at.isoformat(),
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in stack.version.shown.items()],
        "Outputs": stack.outputs,
    }


def described_resources(stack: Stack) -> list[dict[str, str]]:
    """A stack's resources as DescribeStackResources shows them."""
    return [
        {
            "StackName": stack.name,
            "LogicalResourceId": resource.logical_id,
            "PhysicalResourceId": resource.physical_id,
            "ResourceType": resource.kind,
            "Timestamp": stack.made_at.isoformat(),
            "ResourceStatus": "CREATE_COMPLETE",
        }
        for resource in stack.resources.values()
    ]


def reply(operation: str, result: Mapping[str, Any], request_id: str) -> HttpReply:
    """The reply to an operation."""
    body = (
        f'<{operation}Response xmlns="{_XMLNS}"><{operation}Result>{_xml(result)}</{operation}Result>'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    )
    return HttpReply(200, (("Content-Type", "text/xml"), ("x-amzn-RequestId", request_id)), body.encode())


def _xml(value: Any) -> str:
    """Fields by name, lists of `member`."""
    if isinstance(value, Mapping):
        return "".join(f"<{name}>{_xml(item)}</{name}>" for name, item in value.items() if item not in ("", None))
    if isinstance(value, list):
        return "".join(f"<member>{_xml(item)}</member>" for item in value)
    return escape(str(value))
