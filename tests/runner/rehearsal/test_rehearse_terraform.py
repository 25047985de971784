"""Rehearsals with Terraform and the AWS provider in the sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from live_iam import read_access
from manifests import NOTES, customer
from rolecall_generator.iam.arn import Arn
from rolecall_runner.rehearsal.rehearsal import (
    ModuleOutcome,
    RehearsalMethod,
    RehearsalProgress,
    Stage,
    TerraformTool,
    rehearse,
)
from rolecall_runner.rehearsal.terraform_cli import RehearsalSelection, Terraform
from rolecall_runner.sandbox.server.server import Sandbox
from terraform_providers import Provider
from terraform_rig import terraform_command

pytestmark = [pytest.mark.terraform, pytest.mark.slow]

PGP_KEY = (Path(__file__).parents[2] / "integration" / "terraform" / "test-key.base64").read_text().strip()


@pytest.fixture
def tool(aws_provider: Provider) -> TerraformTool:
    """Terraform as in the other tests, with one provider version."""
    return TerraformTool(Terraform(tuple(terraform_command())), aws_provider.plugins())


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An empty sandbox."""
    with Sandbox() as running:
        yield running


def example_manifest(folder: Path, provider: Provider) -> Path:
    """The example accounts; for a provider before 4.1 with a PGP key, which it needs for a console password."""
    body: dict[str, Any] = yaml.safe_load(NOTES.read_text())
    if provider.version < (4, 1, 0):
        body["switch_roles"][0]["users"][0]["pgp_key"] = PGP_KEY
    path = folder / "accounts.yaml"
    # JSON is YAML with every string quoted: PyYAML would not quote 078352025563.
    path.write_text(json.dumps(body))
    return path


EXPECTED = {
    "111111111111": ["backend_role"],
    "222222222222": ["role1"],
    "333333333333": ["role2"],
    "444444444444": ["role3"],
    "507074252730": ["reena-assumedRole"],
    "078352025563": ["reena"],
}
"""Roles and users of the example accounts."""


def test_example_accounts_from_apply_to_destroy(
    sandbox: Sandbox, tool: TerraformTool, aws_provider: Provider, tmp_path: Path
) -> None:
    """All six modules are applied, backend first, are exactly as intended, and no resource exists after the destroy."""
    applied: dict[str, list[str]] = {}

    def look(progress: RehearsalProgress) -> None:
        if (progress.stage, progress.ok) == (Stage.COMPARE, True):
            for account_id in EXPECTED:
                access = read_access(sandbox.url, account_id)
                arns = (*access.roles, *access.users)
                applied[account_id] = [parsed.name for arn in arns if (parsed := Arn.parse(arn))]

    done = rehearse(example_manifest(tmp_path, aws_provider), tool=tool, url=sandbox.url, progress=look)

    assert [] == [module for module in done.modules if module.outcome is not ModuleOutcome.APPLIED or not module.destroyed]
    assert [] == [account for account in done.accounts if account.differences or account.leftovers or account.problem]
    assert (True, RehearsalMethod.TERRAFORM, aws_provider.text) == (done.passed, done.method, done.provider_version)
    assert {account.account_id for account in done.accounts} == set(EXPECTED)
    assert EXPECTED == applied


def test_module_refused_by_iam_does_not_affect_others(sandbox: Sandbox, tool: TerraformTool, tmp_path: Path) -> None:
    """Terraform's Error block names the refused role; the other customer is applied, compared and destroyed."""
    refused = customer(1, permissions_boundary="arn:aws:iam::aws:policy/nowhere")
    path = tmp_path / "accounts.yaml"
    path.write_text(
        json.dumps(
            {
                "version": 1,
                "backend": {"account_id": "111111111111"},
                "permission_sets": {"read": {"statements": [{"actions": ["s3:GetObject"], "resources": ["*"]}]}},
                "defaults": {"permissions": ["read"]},
                "customers": [customer(0), refused],
            }
        )
    )

    done = rehearse(path, tool=tool, url=sandbox.url, selection=RehearsalSelection(names=["customer0", "customer1"]))

    applied, failed = done.modules
    assert (ModuleOutcome.APPLIED, True) == (applied.outcome, applied.destroyed)
    assert (ModuleOutcome.FAILED, True) == (failed.outcome, failed.destroyed)
    assert str(failed.error).startswith("Error: ")
    assert "VendorAccess" in str(failed.error)
    assert [] == [account for account in done.accounts if account.leftovers or account.differences]
