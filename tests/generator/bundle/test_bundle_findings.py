"""Blocking findings of `gen bundle`: the errors of `gen check` per bundle. The bundles are written nevertheless."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bundle_worlds import SWITCH_ROLE, bundles, write_manifest
from manifests import customer
from rolecall_generator.bundle.build import BundleOrder, blocking_findings, handover_proof
from rolecall_generator.findings import Finding, Severity
from rolecall_generator.iam.model import ModuleKind
from rolecall_generator.manifest.loader import load_manifest
from rolecall_generator.manifest.models import Quotas
from rolecall_generator.planning.planner import make_plan

EVERYTHING = {"statements": [{"actions": ["*"], "resources": ["*"]}]}


def rules(found: dict[str, tuple[Finding, ...]] | Any) -> dict[str, list[str]]:
    return {path: [finding.rule for finding in findings] for path, findings in found.items()}


def without_id(number: int) -> dict[str, Any]:
    return {name: value for name, value in customer(number).items() if name != "external_id"}


def test_customer_without_external_id_has_blocking_finding(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, customer(0), without_id(1))
    first, second = bundles(manifest), bundles(manifest)

    assert {"customer1": ["RC103"]} == rules(first.blocking_findings) == rules(second.blocking_findings)
    assert ("customer0", "customer1") == tuple(first.report.created) == tuple(second.report.unchanged)
    (finding,) = first.blocking_findings["customer1"]
    assert ("customer1", Severity.ERROR) == (finding.subject, finding.severity)
    assert "sts:ExternalId" in (finding.hint or "")


def test_worker_processes_return_blocking_findings(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, *(without_id(number) for number in range(4)))

    assert {f"customer{number}": ["RC103"] for number in range(4)} == rules(bundles(manifest, processes=2).blocking_findings)


def test_suppressed_finding_is_not_blocking(tmp_path: Path) -> None:
    entry = {"rule": "RC103", "subject": "customer0", "reason": "a legacy tool cannot send one"}
    manifest = write_manifest(tmp_path, without_id(0), without_id(1), suppress=[entry])

    assert {"customer1": ["RC103"]} == rules(bundles(manifest).blocking_findings)


def test_blocking_finding_of_switch_role_is_reported_for_its_side(tmp_path: Path) -> None:
    """Both sides have the same name in the manifest; only the trusting side has the role with full access."""
    sets = {"read": {"managed_policies": ["ReadOnlyAccess"]}, "all": EVERYTHING}
    manifest = write_manifest(
        tmp_path, customer(0), permission_sets=sets, switch_roles=[{**SWITCH_ROLE, "permissions": ["all"]}]
    )
    found = bundles(manifest).blocking_findings

    assert {"switch-roles/ops/trusting": ["RC202"]} == rules(found)
    assert "ops" == found["switch-roles/ops/trusting"][0].subject


def test_warning_is_not_blocking(tmp_path: Path) -> None:
    """A short external ID is only a warning of `gen check`."""
    manifest = write_manifest(tmp_path, {**customer(0), "external_id": "short-id"})

    assert {} == rules(bundles(manifest).blocking_findings)


def test_failed_proof_is_blocking(tmp_path: Path) -> None:
    """Without the trusted module the group's members are denied: an error of this bundle with a counterexample."""
    manifest = write_manifest(tmp_path, customer(0), switch_roles=[SWITCH_ROLE])
    modules = {each.kind: each.build() for each in make_plan(load_manifest(manifest).manifest).modules}
    trusting, trusted = modules[ModuleKind.TRUSTING], modules[ModuleKind.TRUSTED]
    order = BundleOrder(trusting, trusted, "here", "")

    assert {} == blocking_findings([order], [handover_proof(trusting, trusted)], Quotas())
    failed = blocking_findings([order], [handover_proof(trusting)], Quotas())
    assert ["here"] == list(failed)
    assert {("RC701", "ops")} == {(finding.rule, finding.subject) for finding in failed["here"]}
