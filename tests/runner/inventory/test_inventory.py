"""From the manifest to the targets of a run."""

from __future__ import annotations

from pathlib import Path

from manifests import customer, manifest_of, notes_manifest
from rolecall_generator.generate import generate
from rolecall_generator.planning.backend import Slot
from rolecall_runner.inventory.inventory import fingerprint, inventory_of, read_inventory
from rolecall_runner.inventory.targets import TargetKind


def test_customer_becomes_target_with_resolved_values() -> None:
    """Defaults are applied, and the backend role is the planned one."""
    manifest = manifest_of(
        defaults={"permissions": ["read"], "regions": ["eu-west-1"], "labels": {"tier": "gold"}, "session_tags": True},
        customers=[customer(0, previous_external_id="old-external-id", labels={"team": "blue"}, variables={"vpc": "v"})],
    )

    target = inventory_of(manifest).targets[0]

    assert "arn:aws:iam::200000000000:role/vendor/VendorAccess" == target.role_arn
    assert "arn:aws:iam::111111111111:role/backend_role" == target.backend_role_arn
    assert ("external-id-0", "old-external-id") == (target.external_id, target.previous_external_id)
    assert (("eu-west-1",), ("read",)) == (target.regions, target.permissions)
    assert {"tier": "gold", "team": "blue"} == target.labels
    assert {"vpc": "v"} == target.variables
    assert (True, False, 3600) == (target.session_tags, target.source_identity, target.max_session_seconds)


def test_switch_roles_follow_customers() -> None:
    """The target is the role in the trusting account, which the users of the trusted account assume."""
    manifest = notes_manifest()

    targets = inventory_of(manifest).targets

    assert [*(c.name for c in manifest.customers), *(s.name for s in manifest.switch_roles)] == [t.name for t in targets]
    last = targets[-1]
    entry = manifest.switch_roles[-1]
    assert TargetKind.SWITCH_ROLE == last.kind
    assert entry.trusting.account_id == last.account_id
    assert f"arn:aws:iam::{entry.trusted.account_id}:root" == last.backend_role_arn
    assert entry.require_mfa is last.require_mfa
    assert last.external_id is None


def test_recorded_assignment_decides_the_backend_role() -> None:
    """A customer keeps the backend role of its module, even if a new plan would choose another."""
    manifest = manifest_of(1, backend={"account_id": "111111111111", "roles": [{"name": "one"}, {"name": "two"}]})
    arn = "arn:aws:iam::200000000000:role/vendor/VendorAccess"

    backends = [inventory_of(manifest, {arn: Slot(role, 0)}).targets[0].backend_role_arn for role in ("one", "two")]

    assert ["arn:aws:iam::111111111111:role/one", "arn:aws:iam::111111111111:role/two"] == backends


def test_inventory_reads_lock_of_output_folder(tmp_path: Path) -> None:
    """The lock file of `gen terraform` is read if the folder is given."""
    manifest = tmp_path / "accounts.yaml"
    manifest.write_text(
        'version: 1\nbackend: {account_id: "111111111111"}\n'
        'permission_sets: {read: {statements: [{actions: ["s3:GetObject"], resources: ["*"]}]}}\n'
        'customers: [{name: acme, account_id: "222222222222", external_id: abc-def, permissions: [read]}]\n'
    )
    generate(manifest, tmp_path / "output")

    assert ["acme"] == [target.name for target in read_inventory(manifest, out=tmp_path / "output").targets]


def test_fingerprint_depends_only_on_values() -> None:
    """Another formatting of the same values has the same fingerprint; another external ID changes it."""
    same, again = manifest_of(3), manifest_of(3)
    other = manifest_of(customers=[customer(0), customer(1), customer(2, external_id="another-id")])

    assert fingerprint(same) == fingerprint(again)
    assert fingerprint(same) != fingerprint(other)
