"""A shared group by CloudFormation and by the script: removing one access, or a whole stack, leaves the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from form_handovers import handover
from live_iam import read_access
from manifests import manifest_of
from rolecall_generator.handover.cloudformation_reader import as_cloudformation_says, read_template
from rolecall_generator.handover.forms.cloudformation import cloudformation_form
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.module import Module
from rolecall_generator.plan import make_plan
from sandbox_rig import Rig, running
from stack_rig import deploy, template_of

HUB = "333333333333"
GROUP = f"arn:aws:iam::{HUB}:group/ops"


def access(number: int, *users: str, **changes: Any) -> dict[str, Any]:
    """A switch role into an account of its own; the first creates the group, each one the users that it names."""
    return {
        "name": f"acct{number}",
        "trusting": {"name": f"acct{number}", "account_id": f"22222222222{number}"},
        "trusted": {"name": "hub", "account_id": HUB},
        "role": "ops",
        "group": "ops" if number == 0 else {"name": "ops", "existing": True},
        "users": [{"name": name} for name in users],
    } | changes


def hub(*entries: dict[str, Any]) -> Module:
    """The module that holds the people."""
    modules = [planned.build() for planned in make_plan(manifest_of(switch_roles=list(entries))).modules]
    return next(module for module in modules if module.access.groups)


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with running() as rig:
        yield rig


@pytest.fixture
def stacks(rig: Rig) -> Iterator[Any]:
    """CloudFormation in the hub, which is empty before and after."""
    yield rig.administrator(HUB, "cloudformation")
    stacks = rig.administrator(HUB, "cloudformation")
    stacks.delete_stack(StackName="stack")
    iam = rig.administrator(HUB)
    for user in iam.list_users()["Users"]:
        for group in iam.list_groups_for_user(UserName=user["UserName"])["Groups"]:
            iam.remove_user_from_group(UserName=user["UserName"], GroupName=group["GroupName"])
        iam.delete_user(UserName=user["UserName"])
    for group in iam.list_groups()["Groups"]:
        for policy in iam.list_attached_group_policies(GroupName=group["GroupName"])["AttachedPolicies"]:
            iam.detach_group_policy(GroupName=group["GroupName"], PolicyArn=policy["PolicyArn"])
        iam.delete_group(GroupName=group["GroupName"])
    for policy in iam.list_policies(Scope="Local")["Policies"]:
        iam.delete_policy(PolicyArn=policy["Arn"])


def live(rig: Rig) -> Access:
    return read_access(rig.sandbox.url, HUB)


def update(client: Any, module: Module) -> None:
    client.update_stack(StackName="stack", TemplateBody=template_of(module), Capabilities=["CAPABILITY_NAMED_IAM"])
    (stack,) = client.describe_stacks(StackName="stack")["Stacks"]
    assert "UPDATE_COMPLETE" == stack["StackStatus"], stack.get("StackStatusReason")


def targets(found: Access) -> set[str]:
    """Accounts of the roles that the group's members may assume."""
    return {
        arn.split(":")[4]
        for policy in found.groups[GROUP].attached
        for statement in found.policies[policy].document.statements
        for arn in statement.resources
        if statement.actions == ("sts:AssumeRole",)
    }


def members(found: Access) -> set[str]:
    return {arn.rpartition("/")[2] for arn, user in found.users.items() if GROUP in user.groups}


@pytest.mark.parametrize("count", [2, 40])
def test_the_template_of_a_shared_group_is_the_modules_access(rig: Rig, stacks: Any, count: int) -> None:
    """Read back from the file and from the account; what is said of retaining grants nothing."""
    accounts = [access(n, trusting={"name": "a", "account_id": f"2222222233{n:02}"}, name=f"a{n}") for n in range(1, count)]
    module = hub(access(0, "ann"), *accounts)
    text = template_of(module)

    wanted = as_cloudformation_says(module.access).canonical()
    assert wanted == as_cloudformation_says(read_template(text, partition="aws")).canonical()
    assert "CREATE_COMPLETE" == deploy(stacks, text)["StackStatus"]
    assert wanted == as_cloudformation_says(live(rig)).canonical()
    assert count == len(targets(live(rig)))
    stacks.delete_stack(StackName="stack")
    assert wanted == as_cloudformation_says(live(rig)).canonical()


def test_accesses_and_people_come_and_go_by_updates(rig: Rig, stacks: Any) -> None:
    """From one access to three and back, group and members stay; a person who is left out loses the group."""
    assert "CREATE_COMPLETE" == deploy(stacks, template_of(hub(access(0, "ann"))))["StackStatus"]
    for entries, people in (
        ([access(0, "ann"), access(1, "bob")], {"ann", "bob"}),
        ([access(0, "ann"), access(1, "bob"), access(2)], {"ann", "bob"}),
        ([access(0, "ann"), access(2)], {"ann"}),
        ([access(0, "ann")], {"ann"}),
    ):
        update(stacks, hub(*entries))
        found = live(rig)
        assert {entry["trusting"]["account_id"] for entry in entries} == targets(found)
        assert people == members(found)
    assert "bob" in {arn.rpartition("/")[2] for arn in found.users}

    stacks.delete_stack(StackName="stack")
    assert not live(rig).groups


def test_a_stack_that_could_not_be_made_leaves_nothing(rig: Rig, stacks: Any) -> None:
    """What is retained later is not retained by a failed attempt, which would stand in the way of the next."""
    rig.administrator(HUB).create_user(UserName="ann")
    assert "ROLLBACK_COMPLETE" == deploy(stacks, template_of(hub(access(0, "ann"), access(1))))["StackStatus"]

    assert [f"arn:aws:iam::{HUB}:user/ann"] == list(live(rig).users)
    assert not live(rig).groups


def test_the_other_accesses_have_nothing_to_deploy() -> None:
    """Their bundles say whose module holds the people, and have no template that could be deleted."""
    modules = [planned.build() for planned in make_plan(manifest_of(switch_roles=[access(0, "ann"), access(1)])).modules]
    (other,) = (module for module in modules if module.path == "switch-roles/acct1/trusted")

    assert ["cloudformation/README.md"] == list(cloudformation_form(handover(other)))
    assert "Retain" not in json.dumps(
        [template_of(module) for module in modules if module.access.roles and module.subject != "backend"]
    )
