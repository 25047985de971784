"""Customers are listed and shown with their values from manifest, plan and output folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall_generator.customers.listing import list_customers, show_customer
from rolecall_generator.errors import PlanError, SelectionError
from rolecall_generator.generate import generate
from rolecall_generator.manifest.loader import load_manifest

MANIFEST = """version: 1
backend: {account_id: "111111111111"}
permission_sets: {read: {statements: [{actions: [s3:GetObject], resources: ["*"]}]}}
defaults: {permissions: [read], labels: {tier: silver}}
customers:
  - {name: acme, account_id: "222222222222", external_id: "one", labels: {tier: gold}, tags: {team: a}}
  - {name: acme-eu, account_id: "333333333333", external_id: "two", role: Auditor, path: /v/}
  - {name: zeta, account_id: "444444444444"}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Three customers, with labels and tags, one of them without an external ID."""
    path = tmp_path / "accounts.yaml"
    path.write_text(MANIFEST)
    return path


def names(manifest: Path, *patterns: str, **filters: dict[str, str]) -> list[str]:
    return [row.customer.name for row in list_customers(manifest, manifest.parent / "output", patterns, **filters)]


def test_customers_are_selected_by_name_account_label_and_tag(manifest: Path) -> None:
    """Patterns are combined with OR, labels and tags with AND; labels of the defaults count; values can have wildcards."""
    assert ["acme", "acme-eu", "zeta"] == names(manifest)
    assert ["acme", "acme-eu"] == names(manifest, "acme*")
    assert ["acme", "zeta"] == names(manifest, "acme", "4444*")
    assert ["acme-eu", "zeta"] == names(manifest, labels={"tier": "silver"})
    assert ["acme"] == names(manifest, tags={"team": "?"})
    assert [] == names(manifest, "zeta", labels={"tier": "gold"})


def test_unmatched_pattern_is_usage_error(manifest: Path) -> None:
    """The hint has the nearest name, also if other patterns match."""
    with pytest.raises(SelectionError) as caught:
        names(manifest, "acme", "zeto")

    assert "write zeta" == caught.value.hint


def test_row_has_state_of_module(manifest: Path) -> None:
    """Written; outdated after a change of the manifest; not written for a new customer."""
    out = manifest.parent / "output"
    generate(manifest, out, only=["acme", "acme-eu"])
    manifest.write_text(MANIFEST.replace("Auditor", "Reader"))

    assert [("acme", "written"), ("acme-eu", "outdated"), ("zeta", "not written")] == [
        (row.customer.name, row.state) for row in list_customers(manifest, out)
    ]


def test_customers_are_listed_if_the_plan_fails(manifest: Path) -> None:
    """The list is needed to select customers to remove if the backend's quota is exceeded."""
    out = manifest.parent / "output"
    generate(manifest, out, only=["acme"])
    more = "".join(f'  - {{name: c{number}, account_id: "{number:012}"}}\n' for number in range(300))
    manifest.write_text(MANIFEST.replace("version: 1", "version: 1\nquotas: {role_managed_policies: 1}") + more)

    with pytest.raises(PlanError):
        generate(manifest, out)
    assert [("acme", "unknown"), ("acme-eu", "not written"), ("zeta", "not written")] == [
        (row.customer.name, row.state) for row in list_customers(manifest, out)[:3]
    ]


def test_customer_is_shown_with_resolved_values(manifest: Path) -> None:
    """Defaults, ARNs, the backend's policy and the location in the manifest."""
    shown = show_customer(load_manifest(manifest), manifest.parent / "output", "acme-eu")

    assert "arn:aws:iam::333333333333:role/v/Auditor" == shown.role_arn
    assert "arn:aws:iam::111111111111:role/backend_role" == shown.backend_role_arn
    assert "arn:aws:iam::111111111111:policy/rolecall-assume-customers-backend_role-1" == shown.backend_policy
    assert f"{manifest}:7:5" == str(shown.place)
    assert ("read",) == shown.customer.permissions
    assert "acme-eu/v/Auditor trusts backend/backend_role with external ID two" in shown.access
    assert (() , None) == (shown.files, shown.link)  # fmt: skip


def test_link_is_shown_only_if_the_console_can_switch(manifest: Path) -> None:
    """The console sends no external ID, so only roles without one have a link."""
    shown = show_customer(load_manifest(manifest), manifest.parent / "output", "zeta")

    assert (
        "https://signin.aws.amazon.com/switchrole?account=444444444444&roleName=VendorAccess&displayName=zeta" == shown.link
    )


def test_shown_policy_grants_the_role(manifest: Path) -> None:
    """The ARN is that of a policy in the backend's module, whose document contains the role."""
    out = manifest.parent / "output"
    generate(manifest, out)
    shown = show_customer(load_manifest(manifest), out, "acme")

    assert shown.role_arn in (out / "backend" / "main.tf").read_text()
    assert shown.backend_policy.rpartition("/")[2] in (out / "backend" / "main.tf").read_text()


def test_files_are_compared_with_the_lock_file(manifest: Path) -> None:
    """As written, edited, missing, and outdated after a change of the manifest."""
    out = manifest.parent / "output"
    generate(manifest, out)
    folder = out / "customers" / "acme"
    (folder / "main.tf").write_text("# mine\n")
    (folder / "outputs.tf").unlink()
    states = {file.path.rpartition("/")[2]: file.state for file in show_customer(load_manifest(manifest), out, "acme").files}
    manifest.write_text(MANIFEST.replace('"one"', '"other"'))
    later = {file.path.rpartition("/")[2]: file.state for file in show_customer(load_manifest(manifest), out, "acme").files}

    assert {
        "main.tf": "edited by hand",
        "outputs.tf": "missing",
        "versions.tf": "as written",
        "README.md": "as written",
    } == states
    assert "outdated" == later["versions.tf"]


@pytest.mark.parametrize(("name", "hint"), [("zet", "write zeta"), ("222222222222", "use acme")])
def test_unknown_customer_is_error_with_nearest_name(manifest: Path, name: str, hint: str) -> None:
    """The hint has the nearest name, or the customer with the account ID."""
    with pytest.raises(SelectionError) as caught:
        show_customer(load_manifest(manifest), manifest.parent / "output", name)

    assert hint == caught.value.hint
