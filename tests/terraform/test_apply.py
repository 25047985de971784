"""Every module kind and every option that changes resources, applied by the real Terraform and read back from IAM."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from live_iam import iam_client, read_access
from manifests import manifest_of, notes_manifest
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.module import Module
from rolecall_generator.manifest.models import Manifest
from rolecall_generator.plan import make_plan
from rolecall_generator.render import render_module
from rolecall_runner.rehearse.comparable import account_differences
from terraform_rig import workspace

pytestmark = pytest.mark.terraform

PGP_KEY = (Path(__file__).parent / "test-key.base64").read_text().strip()
READ = {
    "read": {"statements": [{"sid": "Read", "actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::b/${aws:username}/*"]}]}
}
_accounts = itertools.count(300_000_000_000)


@dataclass(frozen=True)
class Case:
    """One manifest and the module of it that is applied."""

    name: str
    manifest: Manifest
    path: str


def fresh_manifest(count: int = 0, **changes: Any) -> Manifest:
    return manifest_of(count, **changes)


def customer_case(name: str, sets: dict[str, Any] | None = None, **changes: Any) -> Case:
    entry = {"name": "acme", "account_id": str(next(_accounts)), "external_id": "0f0c4f7c1e6b", **changes}
    return Case(name, manifest_of(0, permission_sets=READ | (sets or {}), customers=[entry]), "customers/acme")


def switch_case(name: str, side: str, **changes: Any) -> Case:
    entry = {
        "name": "s",
        "trusting": {"name": "one", "account_id": str(next(_accounts))},
        "trusted": {"name": "two", "account_id": str(next(_accounts))},
        "role": "switched",
        "permissions": ["read"],
        "group": "switchers",
        "users": [{"name": "reena", "console_password": True, "pgp_key": PGP_KEY}, {"name": "a.b@c", "path": "/people/"}],
        "tags": {"team": "ops"},
    } | changes
    return Case(name, manifest_of(0, permission_sets=READ, switch_roles=[entry]), f"switch-roles/s/{side}")


def backend_case(name: str, **backend: Any) -> Case:
    return Case(name, manifest_of(3, backend={"account_id": str(next(_accounts)), **backend}), "backend")


CASES = [
    customer_case("customer"),
    customer_case(
        "customer-tags-boundary-path",
        path="/vendor/",
        tags={"managed by": "ro/le:call"},
        max_session_seconds=7200,
        permissions_boundary="arn:aws:iam::aws:policy/ReadOnlyAccess",
    ),
    customer_case("customer-root", trust="account-root", session_tags=True, source_identity=True),
    customer_case("customer-rotation", previous_external_id="old-external-id"),
    customer_case("customer-without-external-id", external_id=None),
    customer_case(
        "customer-managed",
        {
            "m": {
                "attach": "managed",
                "description": 'It\'s "quoted" ${path.module} %{ if true } \\ é',
                "managed_policies": ["AmazonEC2ReadOnlyAccess", "job-function/ViewOnlyAccess"],
                "statements": [
                    {
                        "sid": "A",
                        "effect": "Deny",
                        "not_actions": ["s3:*"],
                        "not_resources": ["arn:aws:s3:::x/*"],
                        "conditions": {"StringLike": {"aws:PrincipalTag/a": ["${aws:username}", 'say "hi" \\ é']}},
                    },
                    {"actions": ["ec2:Describe*"], "resources": ["*"]},
                ],
            }
        },
        permissions=["m", "read"],
    ),
    backend_case("backend-existing"),
    backend_case(
        "backend-new", role={"name": "b.r", "existing": False, "path": "/x/", "max_session_seconds": 7200}, tags={"a": "b"}
    ),
    backend_case("backend-fixed-role-name", grant="fixed-role-name"),
    backend_case("backend-several-roles", roles=[{"name": "one", "existing": False}, {"name": "two", "existing": False}]),
    switch_case("trusting", "trusting"),
    switch_case("trusting-without-mfa", "trusting", require_mfa=False),
    switch_case("trusted", "trusted"),
    switch_case("trusting-with-group", "trusting", group_in="trusting", trust="users"),
    switch_case("trusted-without-group", "trusted", group_in="trusting"),
    switch_case(
        "trusted-existing", "trusted", group={"name": "g", "existing": True}, users=[{"name": "u", "existing": True}]
    ),
]


def module_of(case: Case) -> Module:
    return next(module for module in make_plan(case.manifest).modules if module.path == case.path).build()


def prepare(endpoint: str, module: Module) -> None:
    """Make what the module expects to exist."""
    iam = iam_client(endpoint, module.account.account_id)
    for role in module.access.roles.values():
        if role.existing:
            iam.create_role(RoleName=role.arn.rpartition("/")[2], AssumeRolePolicyDocument="{}")
    for group in module.access.groups.values():
        if group.existing:
            iam.create_group(GroupName=group.arn.rpartition("/")[2])
    for user in module.access.users.values():
        if user.existing:
            iam.create_user(UserName=user.arn.rpartition("/")[2])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_terraform_makes_exactly_the_intended_access(case: Case, endpoint: str, tmp_path: Path) -> None:
    """init, validate, apply, a clean second plan, IAM read back equal to the intended access, destroy, nothing left."""
    module = module_of(case)
    prepare(endpoint, module)
    before = read_access(endpoint, module.account.account_id)
    root = workspace(tmp_path, render_module(module, "accounts.yaml"), module.account.account_id, endpoint)

    root.init()
    root.run("validate", "-no-color")
    root.apply()

    found = read_access(endpoint, module.account.account_id)
    assert () == account_differences(before, [module.access], found)
    assert root.plan_is_clean()
    root.destroy()
    assert before == read_access(endpoint, module.account.account_id)


def test_the_wrong_account_stops_at_plan_and_names_both(endpoint: str, tmp_path: Path) -> None:
    """With another account's credentials nothing is planned, and the message names both accounts."""
    module = next(m for m in make_plan(notes_manifest()).modules if m.path == "customers/account1").build()
    root = workspace(tmp_path, render_module(module, "accounts.yaml"), "999999999999", endpoint)

    root.init()
    done = root.run("apply", "-auto-approve", "-input=false", "-no-color", expect=1)

    assert "222222222222" in done.text
    assert "999999999999" in done.text
    assert Access() == read_access(endpoint, "999999999999")


def test_the_outputs_are_what_a_person_needs_next(endpoint: str, tmp_path: Path) -> None:
    """The customer's outputs are role ARN and external id."""
    module = next(m for m in make_plan(notes_manifest()).modules if m.path == "customers/account2").build()
    root = workspace(tmp_path, render_module(module, "accounts.yaml"), "333333333333", endpoint)

    root.init()
    root.apply()

    expected = {"role_arn": "arn:aws:iam::333333333333:role/role2", "external_id": "6b1e0a9f3c7d4e52a8f4d1c2b3a49586"}
    assert expected == root.outputs()


def test_all_generated_files_are_fmt_clean(endpoint: str, tmp_path: Path) -> None:
    """terraform fmt -check has nothing to say about any module kind and option."""
    for case in CASES:
        module = module_of(case)
        folder = tmp_path / case.name
        root = workspace(folder, render_module(module, "accounts.yaml"), module.account.account_id, endpoint)
        root.run("fmt", "-check", "-diff", "-no-color", "module")
