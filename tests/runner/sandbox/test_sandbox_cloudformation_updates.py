"""Stacks brought to another version: in place where CloudFormation does so, refused by name where it would replace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from form_handovers import ACCOUNT, ARN, READ, READ_ONLY, TRUST, WRITE, everything, module_of
from live_iam import read_access
from rolecall_generator.handover.cloudformation_reader import as_cloudformation_says
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.module import Module
from rolecall_generator.iam.policy import Condition
from sandbox_rig import Rig, running
from stack_rig import CAPABILITIES, changes, deploy, template_of

ROTATED = replace(
    TRUST,
    statements=(replace(TRUST.statements[0], conditions=(Condition("StringEquals", "sts:ExternalId", ("id-1", "id-2")),)),),
)


@pytest.fixture(scope="module")
def world() -> Iterator[Rig]:
    with running() as rig:
        yield rig


@pytest.fixture
def rig(world: Rig) -> Iterator[Rig]:
    """The world with the stack of everything, which is gone afterwards."""
    client = world.administrator(ACCOUNT, "cloudformation")
    assert "CREATE_COMPLETE" == deploy(client, template_of(old()))["StackStatus"]
    yield world
    client.delete_stack(StackName="stack")
    assert Access() == read_access(world.sandbox.url, ACCOUNT)


def old() -> Module:
    return module_of(everything(existing=False))


def update(rig: Rig, module: Module) -> Any:
    """Update the stack, its passwords kept; the stack described."""
    client = rig.administrator(ACCOUNT, "cloudformation")
    kept = [{"ParameterKey": "FirstPasswordAnn", "UsePreviousValue": True}]
    client.update_stack(StackName="stack", TemplateBody=template_of(module), Capabilities=CAPABILITIES, Parameters=kept)
    (stack,) = client.describe_stacks(StackName="stack")["Stacks"]
    return stack


def changed(**change: Any) -> Module:
    """The module with another role."""
    access = everything(existing=False)
    (role,) = access.roles.values()
    return module_of(replace(access, roles={role.arn: replace(role, **change)}))


CHANGES: dict[str, Module] = {
    "a rotated external id": changed(trust=ROTATED),
    "other permissions": changed(inline={"read": WRITE, "more": READ}, attached=frozenset({READ_ONLY})),
    "other settings": changed(description="new", max_session_seconds=3600, boundary=None, tags={"env": "x"}),
    "another boundary": changed(boundary=f"{ARN}:policy/x/p"),
}


@pytest.mark.parametrize("module", CHANGES.values(), ids=CHANGES)
def test_a_role_is_changed_in_place(rig: Rig, module: Module) -> None:
    """Trust, permissions and settings come to the new version; the role itself stays, and with it who trusts it."""
    name = next(iter(module.access.roles)).rpartition("/")[2]
    before = rig.administrator(ACCOUNT).get_role(RoleName=name)["Role"]["RoleId"]
    stack = update(rig, module)

    assert "UPDATE_COMPLETE" == stack["StackStatus"], stack
    assert () == changes(rig, module, Access(), as_cloudformation_says(module.access))
    assert before == rig.administrator(ACCOUNT).get_role(RoleName=name)["Role"]["RoleId"]


def test_a_managed_policy_gets_a_new_version(rig: Rig) -> None:
    """Its ARN and attachments stay."""
    access = everything(existing=False)
    (policy,) = access.policies.values()
    module = module_of(replace(access, policies={policy.arn: replace(policy, document=WRITE)}))

    assert "UPDATE_COMPLETE" == update(rig, module)["StackStatus"]
    assert () == changes(rig, module, Access(), as_cloudformation_says(module.access))


def test_parts_come_and_go(rig: Rig) -> None:
    """A user that left is deleted, one that came is made."""
    access = everything(existing=False)
    users = {arn: user for arn, user in access.users.items() if not arn.endswith("/bob")}
    eve = replace(access.users[f"{ARN}:user/bob"], arn=f"{ARN}:user/eve")
    module = module_of(replace(access, users={**users, eve.arn: eve}))

    assert "UPDATE_COMPLETE" == update(rig, module)["StackStatus"]
    assert () == changes(rig, module, Access(), as_cloudformation_says(module.access))


def test_the_same_again_is_no_update(rig: Rig) -> None:
    """In CloudFormation's own words, which tools look for."""
    with pytest.raises(ClientError, match="No updates are to be performed"):
        update(rig, old())


def test_a_replacement_is_refused_by_name(rig: Rig) -> None:
    """CloudFormation would make a second role first and fail on its name; the sandbox does not offer it."""
    (role,) = everything(existing=False).roles.values()
    stack = update(rig, changed(arn=role.arn.replace(":role/a/", ":role/b/")))

    assert "UPDATE_FAILED" == stack["StackStatus"]
    assert "does not offer a new Path for Role" in stack["StackStatusReason"]
