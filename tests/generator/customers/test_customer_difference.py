"""The difference in access, and in lines, that an edit of the manifest causes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests import customer, manifest_of
from rolecall_generator.customers.edits import access_difference, line_changes
from rolecall_generator.errors import PlanError
from rolecall_generator.iam.difference import differences
from rolecall_generator.iam.model import Access
from rolecall_generator.manifest.models import Manifest
from rolecall_generator.planning.planner import make_plan


def texts(before: Manifest, after: Manifest, moved: dict[str, str] | None = None) -> list[tuple[str, str, list[str]]]:
    found = access_difference(before, after, {}, moved=moved)
    return [(module.path, module.state, [change.text for change in module.changes]) for module in found.modules]


def test_new_customer_adds_module_and_backend_grant() -> None:
    """Only both sides of the new trust are listed; the other customers are counted."""
    before, after = manifest_of(2), manifest_of(3)
    found = access_difference(before, after, {})

    assert [("backend", "changed"), ("customers/customer2", "new")] == [(m.path, m.state) for m in found.modules]
    assert 2 == found.unchanged
    assert found.widens
    grant = "now also allows sts:AssumeRole on arn:aws:iam::200000000002:role/vendor/VendorAccess"
    assert f"backend's policy rolecall-assume-customers-backend_role-1 {grant}" == found.modules[0].changes[0].text


def test_removed_customer_is_listed_by_name() -> None:
    """Account names are taken from the manifests before and after the edit."""
    found = texts(manifest_of(2), manifest_of(1))

    assert ("customers/customer1", "removed", ["customer1/vendor/VendorAccess is removed"]) == found[-1]


def test_renamed_customer_moves_without_changes() -> None:
    """With the module's previous path, a rename is not shown as removal and addition."""
    after = manifest_of(customers=[customer(0, name="renamed")])
    moved = {"customers/customer0": "customers/renamed"}

    assert [("customers/renamed", "moved", [])] == texts(manifest_of(1), after, moved)
    assert not access_difference(manifest_of(1), after, {}, moved=moved).widens


def test_changed_role_name_is_replacement() -> None:
    """AWS cannot rename a role: the old and the new role are listed."""
    after = manifest_of(customers=[customer(0, role="Auditor")])
    found = access_difference(manifest_of(1), after, {})
    (module,) = (module for module in found.modules if module.path == "customers/customer0")

    arn = "arn:aws:iam::200000000000:role/vendor/"
    assert ((f"{arn}VendorAccess", f"{arn}Auditor"),) == module.replaced


def test_labels_change_no_module() -> None:
    found = access_difference(manifest_of(1), manifest_of(customers=[customer(0, labels={"tier": "gold"})]), {})

    assert ((), 2) == (found.modules, found.unchanged)


def test_invalid_manifest_can_be_corrected() -> None:
    """A customer that AWS would reject can be removed; the difference states why all modules are listed as new."""
    found = access_difference(manifest_of(2000), manifest_of(3), {})

    assert "cannot be planned" in found.note
    assert {"new"} == {module.state for module in found.modules}


def test_edit_with_invalid_plan_is_rejected() -> None:
    """The plan is made before anything is written."""
    with pytest.raises(PlanError):
        access_difference(manifest_of(1), manifest_of(2000), {})


def test_removal_keeps_policy_assignment_of_other_customers() -> None:
    """The assignment before the edit is used, so that removing the first customer moves no other."""
    before = manifest_of(150)
    after = before.model_copy(update={"customers": before.customers[1:]})

    (backend,) = (module for module in access_difference(before, after, {}).modules if module.path == "backend")
    assert 1 == len(backend.changes)


def test_difference_equals_difference_of_both_plans() -> None:
    """The changes of all modules together are the change of the total access."""
    before, after = manifest_of(3), manifest_of(5, defaults={"permissions": []})
    whole = differences(_access(before), _access(after))
    shown = [change for module in access_difference(before, after, {}).modules for change in module.changes]

    assert sorted((change.kind, change.subject) for change in whole) == sorted((c.kind, c.subject) for c in shown)


def _access(manifest: Manifest) -> Access:
    return make_plan(manifest).access()


LINES = st.lists(st.sampled_from(["a", "b", "c", "d", "", "  e"]), max_size=12)


def test_unchanged_lines_are_not_shown() -> None:
    """A changed field is shown as its old and its new line."""
    before = ["customers:", "  - name: a", "    tier: gold", "  - name: b", "    tier: gold"]
    after = ["customers:", "  - name: a", "    tier: silver", "  - name: b", "    tier: gold", "    role: r"]

    assert ["-    tier: gold", "+    tier: silver", "+    role: r"] == list(line_changes(before, after))


@given(LINES, LINES)
def test_added_and_removed_lines_are_the_difference(before: list[str], after: list[str]) -> None:
    """Applying them to the old text gives the lines of the new text."""
    changes = list(line_changes(before, after))
    gone = [line[1:] for line in changes if line.startswith("-")]
    come = [line[1:] for line in changes if line.startswith("+")]

    assert sorted([*before, *come]) == sorted([*after, *gone])
    assert bool(changes) == (before != after)


def test_change_in_each_of_thousands_of_entries_is_found() -> None:
    """One line is removed and one is added per entry."""
    before = [line for number in range(5_000) for line in (f"name: c{number}", "tier: gold")]
    after = [line.replace("gold", "silver") for line in before]

    assert ["-tier: gold", "+tier: silver"] * 5_000 == list(line_changes(before, after))
