"""The template of a group that several switch roles share: it grants the module's access, and updates keep the users.

Only the template is checked: no emulator for the tests supports AWS::IAM::Group and AWS::IAM::UserToGroupAddition.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from cloudformation_reader import as_cloudformation_says, read_template
from form_handovers import handover, template_of
from manifests import manifest_of, switch_role
from rolecall_generator.bundle.forms.cloudformation import cloudformation_form
from rolecall_generator.iam.model import Access, Module
from rolecall_generator.planning.planner import make_plan

HUB = "333333333333"
GROUP = f"arn:aws:iam::{HUB}:group/ops"
# Properties whose update requires replacement: resource schemas of AWS::IAM::*, November 2026.
REPLACED_BY = {
    "AWS::IAM::Group": ("GroupName",),
    "AWS::IAM::User": ("UserName",),
    "AWS::IAM::ManagedPolicy": ("ManagedPolicyName", "Path", "Description"),
    "AWS::IAM::UserToGroupAddition": ("GroupName",),
}


def access(number: int, *users: str, **changes: Any) -> dict[str, Any]:
    """A switch role into an account of its own; the first creates the group, and each creates its users."""
    group = "ops" if number == 0 else {"name": "ops", "existing": True}
    people = {"group": group, "users": [{"name": name} for name in users]}
    return switch_role(f"acct{number}", f"22222222222{number}", HUB, **people | changes)


def hub(*entries: dict[str, Any]) -> Module:
    modules = [planned.build() for planned in make_plan(manifest_of(switch_roles=list(entries))).modules]
    return next(module for module in modules if module.access.groups)


def resources(template: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(template)["Resources"]
    return found


def targets(found: Access) -> set[str]:
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
def test_template_of_shared_group_grants_the_modules_access(count: int) -> None:
    accounts = [access(n, trusting={"name": "a", "account_id": f"2222222233{n:02}"}, name=f"a{n}") for n in range(1, count)]
    module = hub(access(0, "ann"), *accounts)
    found = as_cloudformation_says(read_template(template_of(module), partition="aws")).canonical()

    assert as_cloudformation_says(module.access).canonical() == found
    assert count == len(targets(found))


def test_versions_add_and_remove_accesses_and_members() -> None:
    for entries, people in (
        ([access(0, "ann")], {"ann"}),
        ([access(0, "ann"), access(1, "bob")], {"ann", "bob"}),
        ([access(0, "ann"), access(1, "bob"), access(2)], {"ann", "bob"}),
        ([access(0, "ann"), access(2)], {"ann"}),
    ):
        found = read_template(template_of(hub(*entries)), partition="aws")
        assert {entry["trusting"]["account_id"] for entry in entries} == targets(found)
        assert people == members(found)


def test_update_replaces_no_remaining_resource() -> None:
    old = resources(template_of(hub(access(0, "ann"), access(1, "bob"), access(2))))
    new = resources(template_of(hub(access(0, "ann"), access(2))))
    stay = old.keys() & new.keys()

    assert {"GroupOps", "UserAnn", "MembersOps"} <= stay
    for name in stay:
        assert old[name]["Type"] == new[name]["Type"]
        for key in REPLACED_BY[old[name]["Type"]]:
            assert old[name]["Properties"].get(key) == new[name]["Properties"].get(key), name


def test_removed_user_loses_membership_and_is_retained() -> None:
    """The list of members is one property, so the update removes the member; the user resource is retained."""
    old = resources(template_of(hub(access(0, "ann"), access(1, "bob"), access(2))))
    new = resources(template_of(hub(access(0, "ann"), access(2))))

    assert [{"Ref": "UserAnn"}, {"Ref": "UserBob"}] == old["MembersOps"]["Properties"]["Users"]
    assert [{"Ref": "UserAnn"}] == new["MembersOps"]["Properties"]["Users"]
    assert "UserBob" not in new
    assert "RetainExceptOnCreate" == old["UserBob"]["DeletionPolicy"]


def test_deleted_stack_retains_users_and_failed_creation_does_not() -> None:
    """Every resource has RetainExceptOnCreate; for a group of one switch role nothing is retained."""
    shared = resources(template_of(hub(access(0, "ann"), access(1))))
    own = resources(template_of(hub(access(0, "ann"))))

    assert {"RetainExceptOnCreate"} == {resource.get("DeletionPolicy") for resource in shared.values()}
    assert {"Retain"} == {resource.get("UpdateReplacePolicy") for resource in shared.values()}
    assert {None} == {resource.get("DeletionPolicy") for resource in own.values()}


def test_other_accesses_have_no_template() -> None:
    """Their bundles name the module with the users, and contain no template that could be deleted."""
    modules = [planned.build() for planned in make_plan(manifest_of(switch_roles=[access(0, "ann"), access(1)])).modules]
    (other,) = (module for module in modules if module.path == "switch-roles/acct1/trusted")

    assert ["cloudformation/README.md"] == list(cloudformation_form(handover(other)))
    assert "Retain" not in json.dumps(
        [template_of(module) for module in modules if module.access.roles and module.subject != "backend"]
    )
