"""CloudFormation as far as our templates need it: stacks of IAM resources, with change sets, as the AWS CLI deploys them.

All is done when the call is answered. Stacks live as long as the sandbox's process; what they made is saved with the
accounts.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rolecall_runner.sandbox.aws_refusal import NOT_FOUND, AwsRefusalError, invalid
from rolecall_runner.sandbox.stack import Stack, Version, make_stack, unmake_stack, update_stack, version_of
from rolecall_runner.sandbox.stack_iam import Send, StackIam
from rolecall_runner.sandbox.stack_replies import described, described_resources, reply
from rolecall_runner.sandbox.stack_template import not_offered, parse_template
from rolecall_runner.sandbox.wire import ApiCall, HttpReply, SessionInfo

# In these words: the AWS CLI's `deploy` looks for them.
_UNCHANGED = "The submitted information didn't contain changes. Submit different information to create a change set."
_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """What a stack is to become, and the stack's ARN; `reason` says why it cannot be executed."""

    key: _Key
    stack_arn: str
    version: Version
    reason: str = ""


class Stacks:
    """All stacks of one sandbox, by account, Region and name."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stacks: dict[_Key, Stack] = {}
        self._change_sets: dict[str, ChangeSet] = {}

    def answer(self, call: ApiCall, caller: SessionInfo, request_id: str, send: Send) -> HttpReply:
        """Answer an authorized call; `send` takes the IAM calls of a stack. Raises AwsRefusalError."""
        operation = _OPERATIONS.get(call.operation)
        if operation is None:
            raise not_offered(call.operation)
        with self._lock:
            result = operation(self, call.parameters, StackIam(send, caller, call.region))
        return reply(call.operation, result, request_id)

    def create(self, asked: Mapping[str, object], iam: StackIam) -> dict[str, Any]:
        """Make a stack; a resource that fails takes the rest with it, and the stack's status says so."""
        key = _key(asked, iam)
        if key in self._stacks:
            raise AwsRefusalError("AlreadyExistsException", f"Stack [{key[2]}] already exists")
        arn = _new_arn("stack", key, iam)
        self._begin(key, arn, version_of(asked, key[2], arn, iam), iam)
        return {"StackId": arn}

    def _begin(self, key: _Key, arn: str, version: Version, iam: StackIam) -> None:
        self._stacks[key] = Stack(key[2], arn, self._clock(), version)
        make_stack(self._stacks[key], iam)

    def update(self, asked: Mapping[str, object], iam: StackIam) -> dict[str, Any]:
        """Bring a stack to another version."""
        stack = self._known(asked, iam)
        version = version_of(asked, stack.name, stack.arn, iam, stack.version)
        if version.same_as(stack.version):
            raise invalid("No updates are to be performed.")
        update_stack(stack, version, iam)
        return {"StackId": stack.arn}

    def create_change_set(self, asked: Mapping[str, object], iam: StackIam) -> dict[str, Any]:
        """Check what a stack is to become and keep it until it is executed."""
        key = _key(asked, iam)
        stack = self._stacks.get(key)
        if (stack is None) != (asked.get("ChangeSetType", "UPDATE") == "CREATE"):
            raise invalid(f"Stack [{key[2]}] does not exist" if stack is None else f"Stack [{key[2]}] already exists")
        arn = stack.arn if stack else _new_arn("stack", key, iam)
        before = stack.version if stack else None
        version = version_of(asked, key[2], arn, iam, before)
        unchanged = before is not None and version.same_as(before)
        change_set = _new_arn("changeSet", (*key[:2], str(asked.get("ChangeSetName", ""))), iam)
        self._change_sets[change_set] = ChangeSet(key, arn, version, _UNCHANGED if unchanged else "")
        return {"Id": change_set, "StackId": arn}

    def describe_change_set(self, asked: Mapping[str, object], iam: StackIam) -> dict[str, Any]:
        """Whether a change set can be executed."""
        found = self._change_set(asked, iam)
        return {
            "ChangeSetId": asked["ChangeSetName"],
            "StackId": found.stack_arn,
            "StackName": found.key[2],
            "Status": "FAILED" if found.reason else "CREATE_COMPLETE",
            "StatusReason": found.reason,
            "ExecutionStatus": "UNAVAILABLE" if found.reason else "AVAILABLE",
        }

    def execute_change_set(self, asked: Mapping[str, object], iam: StackIam) -> dict[str, Any]:
        """Make or change the stack."""
        found = self._change_set(asked, iam)
        if found.reason:
            raise AwsRefusalError("InvalidChangeSetStatus", f"The change set cannot be executed: {found.reason}")
        stack = self._stacks.get(found.key)
        if stack is None:
            self._begin(found.key, found.stack_arn, found.version, iam)
        else:
            update_stack(stack, found.version, iam)
        del self._change_sets[str(asked["ChangeSetName"])]
        return {}

    def _change_set(self, asked: Mapping[str, object], iam: StackIam) -> ChangeSet:
        found = self._change_sets.get(str(asked.get("ChangeSetName", "")))
        if found is None or found.key[:2] != (iam.caller.account_id, iam.region):
            # Only the ARN is known here; the CLI gives that.
            raise AwsRefusalError("ChangeSetNotFound", "ChangeSet does not exist, or was not named by its ARN", NOT_FOUND)
        return found

    def delete(self, asked: Mapping[str, object], iam: StackIam) -> dict[str, Any]:
        """Take away all that the stack made; one that is not there is no error."""
        stack = self._find(asked, iam)
        if stack is not None and unmake_stack(stack, iam, "DELETE_FAILED"):
            del self._stacks[iam.caller.account_id, iam.region, stack.name]
        return {}

    def describe(self, asked: Mapping[str, object], iam: StackIam) -> dict[str, Any]:
        """One stack or all of the account and Region."""
        if "StackName" in asked:
            return {"Stacks": [described(self._known(asked, iam))]}
        mine = (iam.caller.account_id, iam.region)
        return {"Stacks": [described(stack) for key, stack in self._stacks.items() if key[:2] == mine]}

    def describe_resources(self, asked: Mapping[str, object], iam: StackIam) -> dict[str, Any]:
        """The resources of a stack."""
        return {"StackResources": described_resources(self._known(asked, iam))}

    def summarise(self, asked: Mapping[str, object], iam: StackIam) -> dict[str, Any]:
        """The parameters and types of a template or of a stack's template."""
        known = "TemplateBody" not in asked
        template = self._known(asked, iam).version.template if known else parse_template(str(asked["TemplateBody"]))
        parameters = template.get("Parameters", {})
        return {
            "Parameters": [{"ParameterKey": name, "ParameterType": it["Type"]} for name, it in parameters.items()],
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            "ResourceTypes": sorted({resource["Type"] for resource in template["Resources"].values()}),
        }

    def _known(self, asked: Mapping[str, object], iam: StackIam) -> Stack:
        stack = self._find(asked, iam)
        if stack is None:
            raise invalid(f"Stack with id {asked.get('StackName', '')} does not exist")
        return stack

    def _find(self, asked: Mapping[str, object], iam: StackIam) -> Stack | None:
        name = str(asked.get("StackName", ""))
        mine = (iam.caller.account_id, iam.region)
        return next((s for key, s in self._stacks.items() if key[:2] == mine and name in {s.name, s.arn}), None)


_OPERATIONS: Mapping[str, Callable[[Stacks, Mapping[str, object], StackIam], dict[str, Any]]] = {
    "CreateStack": Stacks.create,
    "UpdateStack": Stacks.update,
    "DeleteStack": Stacks.delete,
    "DescribeStacks": Stacks.describe,
    "DescribeStackResources": Stacks.describe_resources,
    "GetTemplateSummary": Stacks.summarise,
    "CreateChangeSet": Stacks.create_change_set,
    "DescribeChangeSet": Stacks.describe_change_set,
    "ExecuteChangeSet": Stacks.execute_change_set,
}


def _key(asked: Mapping[str, object], iam: StackIam) -> _Key:
    return iam.caller.account_id, iam.region, str(asked.get("StackName", ""))


def _new_arn(kind: str, key: _Key, iam: StackIam) -> str:
    account_id, region, name = key
    return f"arn:{iam.caller.arn.split(':')[1]}:cloudformation:{region}:{account_id}:{kind}/{name}/{uuid.uuid4()}"
