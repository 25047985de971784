"""Switch roles that share a group, applied by Terraform: removing one access keeps the users of the others."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from live_iam import iam_client
from manifests import manifest_of, switch_role
from rolecall_generator.planning.planner import make_plan
from rolecall_generator.terraform.render import render_module
from rolecall_runner.rehearsal.terraform_cli import provider_block
from terraform_providers import Provider
from terraform_rig import Workspace, put

pytestmark = [pytest.mark.terraform, pytest.mark.slow]

HUB = "310000000033"


def access(name: str, number: int, **changes: Any) -> dict[str, Any]:
    """A switch role into its own account; group and users are in the hub account."""
    return switch_role(name, f"3100000000{number}", HUB, policy=f"assume-{name}", **changes)


PROD = access("prod", 41)
DEV = access("dev", 42, group={"name": "ops", "existing": True}, users=[{"name": "ann", "existing": True}])


def module(path: str, *entries: dict[str, Any]) -> Mapping[str, str]:
    (planned,) = (module for module in make_plan(manifest_of(switch_roles=list(entries))).modules if module.path == path)
    return render_module(planned.build(), "accounts.yaml")


def prepared(folder: Path, endpoint: str, provider: Provider) -> Workspace:
    put(folder, {"provider.tf": provider_block(endpoint, HUB)})
    return Workspace(folder, provider)


def planned(place: Workspace) -> tuple[tuple[int, ...], set[str]]:
    """Number of resources that a plan adds, changes and destroys, and which ones it destroys or replaces."""
    text = place.run("plan", "-input=false", "-no-color").text
    counts = re.search(r"Plan: (\d+) to add, (\d+) to change, (\d+) to destroy", text)
    lost = set(re.findall(r"# (\S+) (?:will be destroyed|must be replaced)", text))
    return tuple(map(int, counts.groups())) if counts else (0, 0, 0), lost


def targets(endpoint: str) -> list[str]:
    """Accounts of the roles that ann may assume through the policies of her groups."""
    iam = iam_client(endpoint, HUB)
    found: list[str] = []
    for group in iam.list_groups_for_user(UserName="ann")["Groups"]:
        for policy in iam.list_attached_group_policies(GroupName=group["GroupName"])["AttachedPolicies"]:
            arn = policy["PolicyArn"]
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            for statement in iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"][
                "Statement"
            ]:
                if statement["Action"] == "sts:AssumeRole":
                    resources = statement["Resource"]
                    found += [resources] if isinstance(resources, str) else resources
    return sorted(arn.split(":")[4] for arn in found)


def test_joining_and_leaving_changes_one_policy(tmp_path: Path, endpoint: str, aws_provider: Provider) -> None:
    """A plan that destroys the module is refused while the group is shared."""
    holder = prepared(tmp_path / "prod", endpoint, aws_provider)
    put(holder.folder, module("switch-roles/prod/trusted", PROD))
    holder.init()
    holder.apply()

    put(holder.folder, module("switch-roles/prod/trusted", PROD, DEV))
    assert ((0, 1, 0), set()) == planned(holder)
    holder.apply()
    other = prepared(tmp_path / "dev", endpoint, aws_provider)
    put(other.folder, module("switch-roles/dev/trusted", PROD, DEV))
    other.init()
    other.apply()
    assert (True, ["310000000041", "310000000042"]) == (holder.plan_is_clean(), targets(endpoint))

    refused = holder.run("destroy", "-auto-approve", "-input=false", "-no-color", expect=1)
    assert "prevent_destroy" in refused.text
    other.destroy()
    assert ["310000000041", "310000000042"] == targets(endpoint)

    put(holder.folder, module("switch-roles/prod/trusted", PROD))
    assert ((0, 1, 0), set()) == planned(holder)
    holder.apply()
    assert (True, ["310000000041"]) == (holder.plan_is_clean(), targets(endpoint))
    holder.destroy()


def test_group_survives_removal_of_the_access_that_created_it(tmp_path: Path, endpoint: str, aws_provider: Provider) -> None:
    """The next module refers to existing resources; after the state is moved, it owns group and user."""
    first = prepared(tmp_path / "prod", endpoint, aws_provider)
    put(first.folder, module("switch-roles/prod/trusted", PROD, DEV))
    first.init()
    first.apply()

    # The manifest without the first access: the other module looks up existing resources.
    second = prepared(tmp_path / "dev", endpoint, aws_provider)
    put(second.folder, module("switch-roles/dev/trusted", DEV))
    second.init()
    second.apply()
    assert second.plan_is_clean()
    assert {"310000000042"} <= set(targets(endpoint))
    second.destroy()
    assert "prevent_destroy" in first.run("destroy", "-auto-approve", "-input=false", "-no-color", expect=1).text
    first.apply()

    # The other module declares them from now on and takes over the state: no user is destroyed.
    keeper = {**DEV, "group": "ops", "users": [{"name": "ann"}]}
    put(second.folder, module("switch-roles/dev/trusted", keeper))
    shutil.copy(first.folder / "terraform.tfstate", second.folder / "terraform.tfstate")
    _, lost = planned(second)
    assert {"aws_iam_policy.assume_prod", "aws_iam_group_policy_attachment.ops_assume_prod"} == lost
    second.apply()
    assert (True, ["310000000042"]) == (second.plan_is_clean(), targets(endpoint))
    second.destroy()


def test_membership_of_an_existing_user_is_declared_once(tmp_path: Path, endpoint: str, aws_provider: Provider) -> None:
    """No module owns group and user; of two accesses that add the same user, one module has the membership."""
    iam = iam_client(endpoint, HUB)
    iam.create_group(GroupName="ops")
    iam.create_user(UserName="ann")
    prod = {**DEV, "name": "prod", "trusting": PROD["trusting"], "policy": "assume-prod"}
    places = {}
    for name in ("prod", "dev"):
        places[name] = prepared(tmp_path / name, endpoint, aws_provider)
        put(places[name].folder, module(f"switch-roles/{name}/trusted", prod, DEV))
        places[name].init()
        places[name].apply()
    places["dev"].destroy()
    assert ["310000000041", "310000000042"] == targets(endpoint)
    assert "prevent_destroy" in places["prod"].run("destroy", "-auto-approve", "-input=false", "-no-color", expect=1).text

    put(places["prod"].folder, module("switch-roles/prod/trusted", prod))
    places["prod"].apply()
    assert ["310000000041"] == targets(endpoint)
    places["prod"].destroy()
    iam.delete_user(UserName="ann")
    iam.delete_group(GroupName="ops")
