"""Limits of the sandbox: policies that no module creates, and services that it does not simulate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from rolecall_generator.check.module_check import read_access
from rolecall_generator.iam.model import Access
from rolecall_runner.rehearsal.rehearsal import TerraformTool, rehearse
from rolecall_runner.rehearsal.terraform_cli import RehearsalSelection
from rolecall_runner.sandbox.provisioning.provision import AdminClient
from rolecall_runner.sandbox.provisioning.seed import (
    PLACEHOLDER_TAG,
    SandboxSeed,
    placeholder_note,
    placeholder_policies,
    read_seed,
    seed,
)
from rolecall_runner.sandbox.server.server import Sandbox
from sandbox_rig import refusal_of

MANIFEST = """\
version: 1
backend: {account_id: "111111111111", role: {name: backend_role, existing: true}}
permission_sets:
  r: {statements: [{actions: ["s3:ListAllMyBuckets"], resources: ["*"]}]}
  own: {managed_policies: ["arn:aws:iam::222222222222:policy/team/own-readonly"]}
defaults: {permissions: [r]}
customers:
  - {name: acme, account_id: "222222222222", external_id: 0f0c4f7c1e6b4a1d9a52b7c3d8e9f101, permissions: [r, own]}
  - {name: beta, account_id: "333333333333", external_id: 1f0c4f7c1e6b4a1d9a52b7c3d8e9f101,
     permissions_boundary: "arn:aws:iam::333333333333:policy/corp-boundary"}
  - {name: gamma, account_id: "444444444444", external_id: 2f0c4f7c1e6b4a1d9a52b7c3d8e9f101,
     permissions_boundary: "arn:aws:iam::aws:policy/PowerUserAccess"}
"""
ATTACHED = "arn:aws:iam::222222222222:policy/team/own-readonly"
BOUNDARY = "arn:aws:iam::333333333333:policy/corp-boundary"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    file = tmp_path / "accounts.yaml"
    file.write_text(MANIFEST, encoding="utf-8")
    return file


@pytest.fixture
def sandbox_seed(manifest: Path, tmp_path: Path) -> SandboxSeed:
    return read_seed(manifest, tmp_path / "output")


def test_policy_outside_modules_gets_placeholder(manifest: Path, tmp_path: Path) -> None:
    """Customer managed policies get one, AWS managed ones do not; that of a boundary allows everything."""
    found = read_access(manifest, tmp_path / "output", planned=True)
    made = placeholder_policies(found.accesses)
    assert [ATTACHED, BOUNDARY] == sorted(made.policies)
    assert ("*",) == made.policies[BOUNDARY].document.statements[0].actions
    assert ("sts:GetCallerIdentity",) == made.policies[ATTACHED].document.statements[0].actions
    assert Access() == placeholder_policies([made, *found.accesses])


def test_note_counts_placeholders() -> None:
    """No note without placeholders; else the first ARN and how many more."""
    assert "" == placeholder_note(())
    assert BOUNDARY in placeholder_note((BOUNDARY,))
    assert "2 more" in placeholder_note((BOUNDARY, ATTACHED, "arn:aws:iam::444444444444:policy/x"))


def test_sandbox_starts_with_boundaries_and_customer_managed_policies(sandbox_seed: SandboxSeed) -> None:
    """All accounts are created, the role has its boundary and policy, both are tagged, and the source mentions them."""
    assert ATTACHED in sandbox_seed.origin
    with Sandbox() as sandbox:
        seeded = seed(sandbox, sandbox_seed)
        assert () == seeded.provisioned.failed
        operator = AdminClient(sandbox.url)
        with operator.acting_in("333333333333"):
            iam = operator.client("iam")
            role = iam.get_role(RoleName="VendorAccess")["Role"]
            assert BOUNDARY == role["PermissionsBoundary"]["PermissionsBoundaryArn"]
            tags = iam.list_policy_tags(PolicyArn=BOUNDARY)["Tags"]
            assert [{"Key": PLACEHOLDER_TAG, "Value": "true"}] == tags
        with operator.acting_in("222222222222"):
            attached = operator.client("iam").list_attached_role_policies(RoleName="VendorAccess")["AttachedPolicies"]
            assert [ATTACHED] == [policy["PolicyArn"] for policy in attached]


def test_rehearsal_passes_with_boundaries_and_customer_managed_policies(manifest: Path) -> None:
    """The modules are applied and destroyed, and the reason names what was not rehearsed."""
    with Sandbox() as sandbox:
        done = rehearse(manifest, tool=TerraformTool(None), url=sandbox.url, selection=RehearsalSelection())
    assert done.passed
    assert "not known" in done.reason


@pytest.fixture(scope="module")
def operator() -> Iterator[AdminClient]:
    """The operator of a sandbox that the tests do not change."""
    with Sandbox() as sandbox:
        yield AdminClient(sandbox.url)


@pytest.mark.parametrize(
    ("service", "method", "arguments"),
    [("cur", "describe_report_definitions", {}), ("accessanalyzer", "list_analyzers", {}), ("health", "describe_events", {}),
     ("trustedadvisor", "list_checks", {}), ("s3outposts", "list_outposts_with_s3", {}), ("account", "list_regions", {}),
     ("mailmanager", "list_addon_instances", {}), ("dynamodb", "list_exports", {}), ("dlm", "get_lifecycle_policies", {})],
)  # fmt: skip
def test_unsupported_call_is_refused_at_once(
    operator: AdminClient, service: str, method: str, arguments: dict[str, object]
) -> None:
    """An unknown service, API or operation, or one that fails in the simulation, never gets an error of AWS."""
    with operator.acting_in("222222222222"), pytest.raises(ClientError) as caught:
        getattr(operator.client(service), method)(**arguments)

    assert ("SandboxUnsupported", 501) == refusal_of(caught.value)
    assert 0 == caught.value.response["ResponseMetadata"]["RetryAttempts"]
