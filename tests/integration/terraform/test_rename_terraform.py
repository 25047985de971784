"""Renaming a customer destroys nothing: neither as a root module nor, with a moved block, as a child module."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from manifests import customer, manifest_of, switch_role
from rolecall_generator.customers.edits import moved_block
from rolecall_generator.planning.planner import make_plan
from rolecall_generator.terraform.render import render_module
from rolecall_runner.rehearsal.terraform_cli import provider_block
from terraform_providers import Provider
from terraform_rig import Workspace, put

pytestmark = pytest.mark.terraform

ACCOUNT = "310000000001"


def module_of(name: str, **changes: object) -> Mapping[str, str]:
    """The files of a customer's module in this test's account."""
    entry = customer(0, name=name, account_id=ACCOUNT, **changes)
    plan = make_plan(manifest_of(customers=[entry]))
    (planned,) = (module for module in plan.modules if module.path == f"customers/{name}")
    return render_module(planned.build(), "accounts.yaml")


def prepared(folder: Path, endpoint: str, provider: Provider) -> Workspace:
    """A folder with the provider configuration; each test adds what it applies."""
    put(folder, {"provider.tf": provider_block(endpoint, ACCOUNT)})
    return Workspace(folder, provider)


def planned_counts(workspace: Workspace, *, warn: bool = False) -> tuple[int, ...]:
    """Number of resources to add, change and destroy; zeros for an empty plan. `warn`: warnings are allowed."""
    done = workspace.run("plan", "-input=false", "-no-color", warn=warn)
    found = re.search(r"Plan: (\d+) to add, (\d+) to change, (\d+) to destroy", done.text)
    return tuple(map(int, found.groups())) if found else (0, 0, 0)


@pytest.mark.slow
def test_renamed_root_module_has_an_empty_plan(tmp_path: Path, endpoint: str, aws_provider: Provider) -> None:
    """No resource address has the customer's name. Another role name replaces the role."""
    place = prepared(tmp_path / "customers", endpoint, aws_provider)
    put(place.folder, module_of("old"))
    place.init()
    place.apply()

    put(place.folder, module_of("new"))
    assert (0, 0, 0) == planned_counts(place)

    put(place.folder, module_of("new", role="Another"))
    added, _, destroyed = planned_counts(place)
    assert (True, True) == (added > 0, destroyed > 0)
    place.destroy()


def test_moved_block_keeps_a_renamed_child_module(tmp_path: Path, endpoint: str, aws_provider: Provider) -> None:
    """Without the block Terraform replaces the role; with `moved` or `removed` nothing is destroyed."""
    place = prepared(tmp_path / "root", endpoint, aws_provider)
    put(place.folder / "old", module_of("old"))
    put(place.folder, {"main.tf": 'module "old" {\n  source = "./old"\n}\n'})
    place.init()
    place.apply()

    put(place.folder / "new", module_of("new"))
    put(place.folder, {"main.tf": 'module "new" {\n  source = "./new"\n}\n'})
    place.init()
    added, _, destroyed = planned_counts(place)
    assert added == destroyed > 0

    put(place.folder, {"moved.tf": moved_block("old", "new") + "\n"})
    place.init()
    assert (0, 0, 0) == planned_counts(place)
    place.apply()
    assert place.plan_is_clean()

    (place.folder / "moved.tf").unlink()
    put(place.folder, {"main.tf": "removed {\n  from = module.new\n  lifecycle {\n    destroy = false\n  }\n}\n"})
    # Terraform warns about objects that it will no longer manage.
    assert (0, 0, 0) == planned_counts(place, warn=True)
    place.run("apply", "-auto-approve", "-input=false", "-no-color", warn=True)
    assert "" == place.run("state", "list").out.strip()


def people_module(user: str) -> Mapping[str, str]:
    """The files of the module with a switch role's group and its only user."""
    entry = switch_role("s", "310000000002", ACCOUNT, group="renamed-people", users=[{"name": user}])
    plan = make_plan(manifest_of(switch_roles=[entry]))
    (planned,) = (module for module in plan.modules if module.path == "switch-roles/s/trusted")
    return render_module(planned.build(), "accounts.yaml")


@pytest.mark.slow
def test_moved_block_keeps_a_renamed_user(tmp_path: Path, endpoint: str, aws_provider: Provider) -> None:
    """With the block Terraform renames the user; without it the user would lose access keys and MFA devices."""
    place = prepared(tmp_path / "people", endpoint, aws_provider)
    put(place.folder, people_module("reena"))
    place.init()
    place.apply()

    put(place.folder, people_module("rina"))
    assert "aws_iam_user.reena will be destroyed" in place.run("plan", "-input=false", "-no-color").text

    blocks = (
        f"moved {{\n  from = {kind}.reena\n  to   = {kind}.rina\n}}\n"
        for kind in ("aws_iam_user", "aws_iam_user_group_membership")
    )
    put(place.folder, {"moved.tf": "".join(blocks)})
    text = place.run("plan", "-input=false", "-no-color").text
    assert "aws_iam_user.rina will be updated in-place" in text
    assert "aws_iam_user.reena" not in re.findall(r"# (\S+) will be destroyed", text)
    (place.folder / "moved.tf").unlink()
    put(place.folder, people_module("reena"))
    place.destroy()
