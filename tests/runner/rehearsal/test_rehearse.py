"""Rehearsals with a fake Terraform: selection, order, failures as results, and destroy in every case."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import fake_terraform
from live_iam import read_access
from manifests import NOTES, customer, notes_manifest
from rolecall_generator.iam.model import Access, Role, User
from rolecall_generator.iam.policy import PolicyDocument, Principal, Statement
from rolecall_generator.planning.planner import make_plan
from rolecall_runner.rehearsal.rehearsal import (
    ModuleOutcome,
    Rehearsal,
    RehearsalMethod,
    RehearsalProgress,
    Stage,
    TerraformTool,
    rehearsal_json,
    rehearse,
)
from rolecall_runner.rehearsal.terraform_cli import RehearsalSelection, Terraform, find_terraform
from rolecall_runner.sandbox.provisioning.seed import placeholder_principals
from rolecall_runner.sandbox.server.server import Sandbox

NO_TOOL = TerraformTool(None)
MISSING_BOUNDARY = "arn:aws:iam::aws:policy/nowhere"
"""A policy of AWS that does not exist; for one of an account the sandbox makes a placeholder."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An empty sandbox."""
    with Sandbox() as running:
        yield running


def manifest_file(folder: Path, *customers: dict[str, Any]) -> Path:
    """A manifest with a backend and these customers."""
    path = folder / "accounts.yaml"
    path.write_text(
        json.dumps(
            {
                "version": 1,
                "backend": {"account_id": "111111111111"},
                "permission_sets": {"read": {"statements": [{"actions": ["s3:GetObject"], "resources": ["*"]}]}},
                "defaults": {"permissions": ["read"]},
                "customers": list(customers),
            }
        )
    )
    return path


@dataclass
class Fake:
    """The fake program and its recorded commands."""

    log: Path

    def tool(self, parallel: int = 1, **variables: str) -> TerraformTool:
        environ = {"FAKE_LOG": str(self.log), **variables}
        return TerraformTool(Terraform((sys.executable, fake_terraform.__file__), environ), parallel=parallel)

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """A fake Terraform that creates nothing."""
    return Fake(tmp_path / "log")


def outcomes(rehearsal: Rehearsal) -> dict[str, ModuleOutcome]:
    return {module.path: module.outcome for module in rehearsal.modules}


def test_without_terraform_parsed_modules_are_provisioned(sandbox: Sandbox) -> None:
    """The example accounts are as intended, and no resource exists after the destroy. The report has method and reason."""
    done = rehearse(NOTES, tool=NO_TOOL, url=sandbox.url)

    assert RehearsalMethod.PARSED is done.method
    assert done.reason.startswith("neither terraform nor tofu is on PATH")
    assert (True, False) == (done.passed, done.kept)
    assert [module.path for module in make_plan(notes_manifest()).modules] == [module.path for module in done.modules]
    assert {"111111111111", "222222222222", "333333333333", "444444444444", "507074252730", "078352025563"} == {
        account.account_id for account in done.accounts
    }
    assert {} == read_access(sandbox.url, "222222222222").roles


def test_kept_modules_exist_after_the_rehearsal(sandbox: Sandbox) -> None:
    """`keep` skips the destroy, and the report has it."""
    done = rehearse(NOTES, tool=NO_TOOL, url=sandbox.url, keep=True)

    assert (True, True) == (done.passed, done.kept)
    assert ["arn:aws:iam::222222222222:role/role1"] == list(read_access(sandbox.url, "222222222222").roles)


def test_refused_module_is_a_result_and_others_continue(sandbox: Sandbox, tmp_path: Path) -> None:
    """IAM's refusal is the module's error; the other modules are applied, compared and destroyed."""
    manifest = manifest_file(tmp_path, customer(0), customer(1, permissions_boundary=MISSING_BOUNDARY), customer(2))

    done = rehearse(manifest, tool=NO_TOOL, url=sandbox.url)

    failed = next(module for module in done.modules if module.outcome is ModuleOutcome.FAILED)
    assert "customers/customer1" == failed.path
    assert "permissions boundary" in str(failed.error).lower() or "NoSuchEntity" in str(failed.error)
    assert 3 == sum(module.outcome is ModuleOutcome.APPLIED for module in done.modules)
    assert [] == [account for account in done.accounts if account.leftovers or account.differences]
    assert not done.passed


def test_backend_is_applied_first_and_destroyed_last(sandbox: Sandbox, fake: Fake, tmp_path: Path) -> None:
    """The trust policies of the customers name its roles."""
    rehearse(manifest_file(tmp_path, customer(0), customer(1)), tool=fake.tool(), url=sandbox.url)

    work = [call for call in fake.calls if call.startswith(("apply", "destroy"))]
    assert [
        "apply backend",
        "apply customers/customer0",
        "apply customers/customer1",
        "destroy customers/customer0",
        "destroy customers/customer1",
        "destroy backend",
    ] == work


def test_missing_resource_is_a_difference(sandbox: Sandbox, fake: Fake, tmp_path: Path) -> None:
    """An apply that succeeds without creating anything does not pass."""
    done = rehearse(manifest_file(tmp_path, customer(0)), tool=fake.tool(), url=sandbox.url)

    assert RehearsalMethod.TERRAFORM is done.method
    assert not done.passed
    role = "arn:aws:iam::200000000000:role/vendor/VendorAccess"
    assert [("removed", role)] == [
        (change.kind, change.subject)
        for account in done.accounts
        for change in account.differences
        if account.account_id == "200000000000"
    ]


def test_failed_apply_has_error_of_terraform_and_is_destroyed(sandbox: Sandbox, fake: Fake, tmp_path: Path) -> None:
    """Its Error block is in the result; resources that it may have created are destroyed."""
    manifest = manifest_file(tmp_path, customer(0), customer(1))

    done = rehearse(manifest, tool=fake.tool(FAKE_FAIL="apply customers/customer0"), url=sandbox.url)

    by_path = {module.path: module for module in done.modules}
    failed = by_path["customers/customer0"]
    assert (ModuleOutcome.FAILED, True) == (failed.outcome, failed.destroyed)
    assert "Error: the fake was told to fail\nwith module.it," == failed.error
    assert ModuleOutcome.APPLIED is by_path["customers/customer1"].outcome


def test_failed_destroy_is_a_result(sandbox: Sandbox, fake: Fake, tmp_path: Path) -> None:
    """The module is applied with an error of the destroy, and the rehearsal does not pass."""
    manifest = manifest_file(tmp_path, customer(0))

    done = rehearse(manifest, tool=fake.tool(FAKE_FAIL="destroy customers/customer0"), url=sandbox.url)

    module = done.modules[-1]
    assert (ModuleOutcome.APPLIED, False) == (module.outcome, module.destroyed)
    assert str(module.destroy_error).startswith("Error: the fake was told to fail")
    assert not done.passed


def test_unavailable_provider_falls_back_to_parsed_modules(sandbox: Sandbox, fake: Fake, tmp_path: Path) -> None:
    """The report has Terraform's error."""
    manifest = manifest_file(tmp_path, customer(0))

    done = rehearse(manifest, tool=fake.tool(FAKE_FAIL="init provider"), url=sandbox.url)

    assert RehearsalMethod.PARSED is done.method
    assert done.reason.startswith("the AWS provider could not be loaded: Error: the fake was told to fail")
    assert done.passed


def test_interruption_destroys_started_modules(sandbox: Sandbox, fake: Fake, tmp_path: Path) -> None:
    """Ctrl-C after the first customer: the backend and that customer are destroyed, the second is never applied."""
    manifest = manifest_file(tmp_path, customer(0), customer(1))

    def interrupt(progress: RehearsalProgress) -> None:
        if (progress.stage, progress.path, progress.ok) == (Stage.APPLY, "customers/customer0", True):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rehearse(manifest, tool=fake.tool(), url=sandbox.url, progress=interrupt)

    work = [call for call in fake.calls if call.startswith(("apply", "destroy"))]
    assert ["apply backend", "apply customers/customer0", "destroy customers/customer0", "destroy backend"] == work


@pytest.mark.parametrize(("version", "outcome"), [("3.39.0", ModuleOutcome.SKIPPED), ("4.1.0", ModuleOutcome.APPLIED)])
def test_plain_passwords_are_skipped_with_old_provider(
    sandbox: Sandbox, fake: Fake, version: str, outcome: ModuleOutcome
) -> None:
    """Before provider 4.1 an initial password needs a PGP key; the reason has the version and two alternatives."""
    done = rehearse(
        NOTES,
        tool=fake.tool(FAKE_PROVIDER=version),
        url=sandbox.url,
        selection=RehearsalSelection(names=["reena-in-sumesh"]),
    )

    trusted = done.modules[-1]
    assert outcome is trusted.outcome
    assert (outcome is ModuleOutcome.SKIPPED) == ("provider 4.1 or later, found 3.39.0" in str(trusted.error))


def test_sample_is_stable_and_includes_the_backend(sandbox: Sandbox, tmp_path: Path) -> None:
    """Three of twenty customers and the backend, with others for another seed."""
    manifest = manifest_file(tmp_path, *(customer(number) for number in range(20)))

    def sample(seed: int) -> list[str]:
        done = rehearse(manifest, tool=NO_TOOL, url=sandbox.url, selection=RehearsalSelection(sample=3, seed=seed))
        return list(outcomes(done))

    first = sample(1)
    assert first == sample(1)
    assert first != sample(2)
    assert ("backend", 4) == (first[0], len(first))


def test_customer_without_backend_module_gets_placeholder_role(sandbox: Sandbox, tmp_path: Path) -> None:
    """IAM refuses a trust policy with a missing principal."""
    manifest = manifest_file(tmp_path, customer(0))

    done = rehearse(manifest, tool=NO_TOOL, url=sandbox.url, selection=RehearsalSelection(names=["customer0"]))

    assert {"customers/customer0": ModuleOutcome.APPLIED} == outcomes(done)
    assert done.passed


def test_only_principals_outside_modules_get_placeholders() -> None:
    """Existing principals, and roles and users in trust policies; not accounts, services and created ones."""
    made, named, user = (f"arn:aws:iam::111111111111:{name}" for name in ("role/made", "role/named", "user/u"))
    principals = [
        Principal("AWS", made),
        Principal("AWS", named),
        Principal("AWS", user),
        Principal("AWS", "arn:aws:iam::111111111111:root"),
        Principal("Service", "ec2.amazonaws.com"),
    ]
    trust = PolicyDocument((Statement("Allow", ("sts:AssumeRole",), principals=tuple(principals)),))
    access = Access.of(Role(made, trust), Role("arn:aws:iam::222222222222:role/r", trust))

    assert Access.of(Role(named, None, existing=True), User(user, existing=True)) == placeholder_principals([access])


def test_report_as_json(sandbox: Sandbox, fake: Fake, tmp_path: Path) -> None:
    """Outcomes are strings, differences are objects."""
    done = rehearse(
        manifest_file(tmp_path, customer(0)),
        tool=fake.tool(FAKE_FAIL="apply backend"),
        url=sandbox.url,
        clock=iter(range(99)).__next__,
    )

    body = json.loads(json.dumps(rehearsal_json(done)))

    assert (False, "terraform", "1.11.4", "6.0.0") == tuple(
        body[name] for name in ("passed", "method", "tool_version", "provider_version")
    )
    assert ["failed", "applied"] == [module["outcome"] for module in body["modules"]]
    assert "200000000000/vendor/VendorAccess is removed" == body["accounts"][1]["differences"][0]["text"]


def test_environment_of_terraform_has_no_credentials(tmp_path: Path) -> None:
    """Keys, profiles, extra arguments and workspaces of the caller are removed; the rest is passed on."""
    given = {
        "AWS_ACCESS_KEY_ID": "AKIA", "AWS_PROFILE": "prod", "TF_CLI_ARGS_apply": "-x", "TF_WORKSPACE": "w",
        "TF_PLUGIN_CACHE_DIR": "cache", "FAKE_LOG": str(tmp_path / "log"),
    }  # fmt: skip
    done = Terraform((sys.executable, fake_terraform.__file__), given).run(tmp_path, "env")

    seen = json.loads(done.out)
    assert set() == {"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "TF_CLI_ARGS_apply", "TF_WORKSPACE"} & seen.keys()
    assert "cache" == seen["TF_PLUGIN_CACHE_DIR"]


@pytest.mark.parametrize(
    ("here", "expected"), [(["terraform", "tofu"], "/bin/terraform"), (["tofu"], "/bin/tofu"), ([], None)]
)
def test_terraform_is_preferred_to_tofu(here: list[str], expected: str | None) -> None:
    """None without either on PATH."""
    found = find_terraform(lambda name: f"/bin/{name}" if name in here else None, {})

    assert expected == (found.command[0] if found else None)


def test_command_past_timeout_is_stopped_and_failed(tmp_path: Path) -> None:
    slow = Terraform((sys.executable, "-c", "import time; time.sleep(60)"), {})

    done = slow.run(tmp_path, timeout=0.2)

    assert 0 != done.code
    assert "stopped after 0 s (timeout)" in done.text
