"""Stacks in the sandbox, for tests: made by the real SDK from a module's own template."""

from __future__ import annotations

import json
from typing import Any

from form_handovers import handover
from live_iam import read_access
from rolecall_generator.handover.forms.cloudformation import cloudformation_form
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.difference import Change
from rolecall_generator.iam.module import Module
from rolecall_runner.rehearse.comparable import account_differences
from sandbox_rig import Rig

PASSWORD = "First-password-1"  # noqa: S105 - test data
CAPABILITIES = ["CAPABILITY_NAMED_IAM"]


def template_of(module: Module) -> str:
    """The module's template."""
    return cloudformation_form(handover(module))["cloudformation/template.json"].decode()


def deploy(client: Any, template: str, name: str = "stack") -> Any:
    """Make a stack and describe it; every parameter gets the same password. Raises the SDK's ClientError."""
    parameters = [{"ParameterKey": key, "ParameterValue": PASSWORD} for key in json.loads(template).get("Parameters", {})]
    client.create_stack(StackName=name, TemplateBody=template, Capabilities=CAPABILITIES, Parameters=parameters)
    (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    return stack


def outputs(stack: Any) -> dict[str, str]:
    """A described stack's outputs."""
    return {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}


def changes(rig: Rig, module: Module, before: Access, wanted: Access) -> tuple[Change, ...]:
    """How the module's account differs from what it had before with the wanted access on top."""
    return account_differences(before, [wanted], read_access(rig.sandbox.url, module.account.account_id))
