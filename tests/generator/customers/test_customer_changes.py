"""Customers are added, changed, removed and renamed in the manifest, each with its warnings and next steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from manifests import NOTES
from rolecall_generator.customers.edits import (
    add_customer,
    change_customer,
    moved_block,
    remove_entries,
    rename_entry,
)
from rolecall_generator.errors import OutputError, SelectionError
from rolecall_generator.generate import generate
from rolecall_generator.manifest.loader import load_manifest
from rolecall_generator.records import Rotation, change_rotations, read_rotations


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """The manifest of the example accounts, with a suppression for one customer and one for a pattern."""
    path = tmp_path / "accounts.yaml"
    more = """suppress:
  - {rule: RC101, subject: account1, reason: known}
  - {rule: RC102, subject: 'account*', reason: known}
"""
    path.write_text(NOTES.read_text() + more)
    return path


def test_new_customer_gets_generated_external_id(notes: Path) -> None:
    """It is quoted, because YAML parses a hex string with a single e as a number."""
    values = {"name": "acme", "account_id": "999999999999"}
    proposal = add_customer(notes, notes.parent / "output", values, make_id=lambda: "1e5")

    assert ['+  - {name: acme, account_id: "999999999999", external_id: "1e5"}'] == proposal.text_changes()[str(notes)]
    proposal.write()
    assert "1e5" == load_manifest(notes).manifest.customers[-1].external_id


def test_added_labels_are_merged(notes: Path) -> None:
    """Existing labels of the customer are kept; new values take precedence."""
    out = notes.parent / "output"
    change_customer(notes, out, "account1", {"labels": {"tier": "gold", "desk": "1"}}).write()
    change_customer(notes, out, "account1", {"labels": {"desk": "2"}}, unset=["permissions"]).write()

    customer = load_manifest(notes).manifest.customers[0]
    assert ({"tier": "gold", "desk": "2"}, None) == (customer.labels, customer.permissions)


def test_removal_reports_unused_suppressions(notes: Path) -> None:
    """They are not removed automatically."""
    proposal = remove_entries(notes, notes.parent / "output", ["account1", "account2"])

    assert ("the suppression for account1 no longer matches anything",) == proposal.notes
    assert ["account3"] == [customer.name for customer in proposal.edited.after.manifest.customers]


def test_rename_moves_module_and_reports_unmatched_patterns(notes: Path) -> None:
    proposal = rename_entry(notes, notes.parent / "output", "account1", "acme")

    assert [("customers/acme", "moved", "customers/account1", ())] == [
        (module.path, module.state, module.moved_from, module.changes) for module in proposal.difference.modules
    ]
    assert ("the suppression of RC102 for account* no longer matches this entry",) == proposal.notes
    assert ["acme", "account*"] == [entry.subject for entry in proposal.edited.after.manifest.suppress]


def test_renamed_switch_role_moves_both_sides(notes: Path) -> None:
    proposal = rename_entry(notes, notes.parent / "output", "reena-in-sumesh", "reena", section="switch_roles")

    assert [("switch-roles/reena/trusting", ()), ("switch-roles/reena/trusted", ())] == [
        (module.path, module.changes) for module in proposal.difference.modules
    ]


def test_rotation_record_is_renamed_with_customer(notes: Path) -> None:
    """The retired external ID is recorded under the customer's new name."""
    out = notes.parent / "output"
    others = {"account2": Rotation("2026-11-24T12:00:00+00:00")}
    mine = Rotation("2026-11-24T12:00:00+00:00", "2026-11-25T12:00:00+00:00", "retired-id")
    change_rotations(out, lambda _before: others | {"account1": mine})
    rename_entry(notes, out, "account1", "acme").write()

    assert others | {"acme": mine} == read_rotations(out)


def test_existing_name_is_rejected(notes: Path) -> None:
    with pytest.raises(SelectionError, match="already has that name"):
        rename_entry(notes, notes.parent / "output", "account1", "account1")


def test_invalid_lock_file_is_error(notes: Path) -> None:
    """It is reported before any change is proposed."""
    (notes.parent / "output").mkdir()
    (notes.parent / "output" / "rolecall.lock.json").write_text("{")

    with pytest.raises(OutputError):
        remove_entries(notes, notes.parent / "output", ["account1"])


def test_terraform_files_are_moved_by_printed_command(notes: Path) -> None:
    """The command moves state and dependency lock file next to the generated files, and not the generated files."""
    out = notes.parent / "output"
    generate(notes, out)
    folder = out / "customers" / "account1"
    (folder / "terraform.tfstate").touch()
    (folder / ".terraform.lock.hcl").touch()
    steps = rename_entry(notes, out, "account1", "acme").steps

    wanted = f"mv {folder}/.terraform.lock.hcl {folder}/terraform.tfstate {out}/customers/acme/"
    assert wanted == steps[1].command


def test_next_steps_have_manifest_and_output_folder(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command can be copied; options for default paths are omitted."""
    monkeypatch.chdir(notes.parent)
    manifest, out = notes.rename("my fleet.yaml").relative_to("."), Path("o")
    added = add_customer(manifest, out, {"name": "acme", "account_id": "999999999999"})

    assert [
        "gen terraform 'my fleet.yaml' --out o",
        "terraform -chdir=o/backend apply",
        "gen bundle acme --manifest 'my fleet.yaml' --out o",
        "runner verify 'my fleet.yaml' --limit acme --out o",
    ] == [step.command for step in added.steps]
    assert () == change_customer(manifest, out, "account1", {"labels": {"tier": "gold"}}).steps


def test_removal_of_last_customers_requires_prune_all(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(notes.parent)
    proposal = remove_entries(Path("accounts.yaml"), Path("output"), ["account1", "account2", "account3"])

    assert ["gen terraform --prune-all", "terraform -chdir=output/backend apply", "terraform destroy"] == [
        step.command for step in proposal.steps
    ]


def test_moved_block_has_valid_labels() -> None:
    """Names may contain dots; Terraform labels may not."""
    assert "moved {\n  from = module.a_b\n  to   = module.c-d\n}" == moved_block("a.b", "c-d")
