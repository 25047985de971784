"""Customers are added, changed, removed and renamed in the manifest, each with what a person should know."""

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
    """The manifest of the notes, with a suppression for one customer and one for a pattern."""
    path = tmp_path / "accounts.yaml"
    more = """suppress:
  - {rule: RC101, subject: account1, reason: known}
  - {rule: RC102, subject: 'account*', reason: known}
"""
    path.write_text(NOTES.read_text() + more)
    return path


def test_a_new_customer_gets_a_fresh_external_id(notes: Path) -> None:
    """One that the vendor makes, in quotes: hex with a single e is a number to YAML."""
    values = {"name": "acme", "account_id": "999999999999"}
    proposal = add_customer(notes, notes.parent / "output", values, make_id=lambda: "1e5")

    assert ['+  - {name: acme, account_id: "999999999999", external_id: "1e5"}'] == proposal.text_changes()[str(notes)]
    proposal.write()
    assert "1e5" == load_manifest(notes).manifest.customers[-1].external_id


def test_an_external_id_that_is_given_is_kept(notes: Path) -> None:
    """The fresh one is made only where none is named."""
    values = {"name": "acme", "account_id": "999999999999", "external_id": "agreed-before"}
    proposal = add_customer(notes, notes.parent / "output", values)

    assert "agreed-before" == proposal.edited.after.manifest.customers[-1].external_id


def test_nothing_is_written_before_it_is_asked_for(notes: Path) -> None:
    """A proposal touches no file."""
    before = notes.read_bytes()
    add_customer(notes, notes.parent / "output", {"name": "acme", "account_id": "999999999999"})

    assert before == notes.read_bytes()


def test_labels_that_are_set_add_up(notes: Path) -> None:
    """A customer's mapping keeps what it has; the new values win."""
    out = notes.parent / "output"
    change_customer(notes, out, "account1", {"labels": {"tier": "gold", "desk": "1"}}).write()
    change_customer(notes, out, "account1", {"labels": {"desk": "2"}}, unset=["permissions"]).write()

    customer = load_manifest(notes).manifest.customers[0]
    assert ({"tier": "gold", "desk": "2"}, None) == (customer.labels, customer.permissions)


def test_a_removal_names_suppressions_that_lose_their_subject(notes: Path) -> None:
    """They do nothing any more, and only a person knows whether they should go."""
    proposal = remove_entries(notes, notes.parent / "output", ["account1", "account2"])

    assert ("the suppression for account1 no longer matches anything",) == proposal.notes
    assert ["account3"] == [customer.name for customer in proposal.edited.after.manifest.customers]


def test_a_rename_moves_the_module_and_names_patterns_that_no_longer_meet(notes: Path) -> None:
    """The suppression of the exact name follows, the one of a pattern cannot."""
    proposal = rename_entry(notes, notes.parent / "output", "account1", "acme")

    assert [("customers/acme", "moved", "customers/account1", ())] == [
        (module.path, module.state, module.moved_from, module.changes) for module in proposal.difference.modules
    ]
    assert ("the suppression of RC102 for account* no longer matches this entry",) == proposal.notes
    assert ["acme", "account*"] == [entry.subject for entry in proposal.edited.after.manifest.suppress]


def test_a_renamed_switch_role_moves_both_sides(notes: Path) -> None:
    """Neither the trusting nor the trusted account changes."""
    proposal = rename_entry(notes, notes.parent / "output", "reena-in-sumesh", "reena", section="switch_roles")

    assert [("switch-roles/reena/trusting", ()), ("switch-roles/reena/trusted", ())] == [
        (module.path, module.changes) for module in proposal.difference.modules
    ]


def test_the_record_of_a_rotation_follows_its_customer(notes: Path) -> None:
    """A retired external ID is still known as that of the customer under its new name."""
    out = notes.parent / "output"
    others = {"account2": Rotation("2026-11-24T12:00:00+00:00")}
    mine = Rotation("2026-11-24T12:00:00+00:00", "2026-11-25T12:00:00+00:00", "retired-id")
    change_rotations(out, lambda _before: others | {"account1": mine})
    rename_entry(notes, out, "account1", "acme").write()

    assert others | {"acme": mine} == read_rotations(out)


def test_a_name_that_is_taken_is_refused(notes: Path) -> None:
    """A rename to the same name is a slip of the pen."""
    with pytest.raises(SelectionError, match="already has that name"):
        rename_entry(notes, notes.parent / "output", "account1", "account1")


def test_the_last_runs_assignment_is_respected(notes: Path) -> None:
    """A broken lock file is told before anything is proposed."""
    (notes.parent / "output").mkdir()
    (notes.parent / "output" / "rolecall.lock.json").write_text("{")

    with pytest.raises(OutputError):
        remove_entries(notes, notes.parent / "output", ["account1"])


def test_what_terraform_keeps_moves_with_a_renamed_folder(notes: Path) -> None:
    """State and provider lock next to the generated files are named in a command to copy; generated files are not."""
    out = notes.parent / "output"
    generate(notes, out)
    folder = out / "customers" / "account1"
    (folder / "terraform.tfstate").touch()
    (folder / ".terraform.lock.hcl").touch()
    steps = rename_entry(notes, out, "account1", "acme").steps

    wanted = f"mv {folder}/.terraform.lock.hcl {folder}/terraform.tfstate {out}/customers/acme/"
    assert wanted == steps[1].command


def test_steps_name_manifest_and_output_folder(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command can be copied as it is; the options of the default paths are left out."""
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


def test_removing_the_last_customers_needs_prune_all(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(notes.parent)
    proposal = remove_entries(Path("accounts.yaml"), Path("output"), ["account1", "account2", "account3"])

    assert ["gen terraform --prune-all", "terraform -chdir=output/backend apply", "terraform destroy"] == [
        step.command for step in proposal.steps
    ]


def test_a_moved_block_has_labels_that_terraform_takes() -> None:
    """Names may have dots, labels may not."""
    assert "moved {\n  from = module.a_b\n  to   = module.c-d\n}" == moved_block("a.b", "c-d")
