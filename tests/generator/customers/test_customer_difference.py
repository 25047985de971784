"""What an edit changes is shown as access, alone and completely."""

from __future__ import annotations

import pytest

from manifests import customer, manifest_of
from rolecall_generator.customers.edits import access_difference
from rolecall_generator.errors import PlanError
from rolecall_generator.iam.difference import differences
from rolecall_generator.iam.model import Access
from rolecall_generator.manifest.models import Manifest
from rolecall_generator.planning.planner import make_plan


def texts(before: Manifest, after: Manifest, moved: dict[str, str] | None = None) -> list[tuple[str, str, list[str]]]:
    found = access_difference(before, after, {}, moved=moved)
    return [(module.path, module.state, [change.text for change in module.changes]) for module in found.modules]


def test_a_new_customer_is_a_new_module_and_a_grant_of_the_backend() -> None:
    """Exactly the two sides of the new trust are shown, the other customers are counted."""
    before, after = manifest_of(2), manifest_of(3)
    found = access_difference(before, after, {})

    assert [("backend", "changed"), ("customers/customer2", "new")] == [(m.path, m.state) for m in found.modules]
    assert 2 == found.unchanged
    assert found.widens
    grant = "now also allows sts:AssumeRole on arn:aws:iam::200000000002:role/vendor/VendorAccess"
    assert f"backend's policy rolecall-assume-customers-backend_role-1 {grant}" == found.modules[0].changes[0].text


def test_a_customer_who_goes_is_named_though_the_manifest_has_forgotten_the_name() -> None:
    """Accounts are called by their names of before and after."""
    found = texts(manifest_of(2), manifest_of(1))

    assert ("customers/customer1", "removed", ["customer1/vendor/VendorAccess is removed"]) == found[-1]


def test_a_renamed_customer_moves_and_nothing_changes() -> None:
    """With the module's old path known, a rename is no removal and no addition."""
    after = manifest_of(customers=[customer(0, name="renamed")])
    moved = {"customers/customer0": "customers/renamed"}

    assert [("customers/renamed", "moved", [])] == texts(manifest_of(1), after, moved)
    assert not access_difference(manifest_of(1), after, {}, moved=moved).widens


def test_a_changed_role_name_is_said_to_replace_the_role() -> None:
    """AWS cannot rename a role: the pair that goes and comes is named."""
    after = manifest_of(customers=[customer(0, role="Auditor")])
    found = access_difference(manifest_of(1), after, {})
    (module,) = (module for module in found.modules if module.path == "customers/customer0")

    arn = "arn:aws:iam::200000000000:role/vendor/"
    assert ((f"{arn}VendorAccess", f"{arn}Auditor"),) == module.replaced


def test_labels_change_no_module() -> None:
    """Labels never leave the vendor: no module is touched."""
    found = access_difference(manifest_of(1), manifest_of(customers=[customer(0, labels={"tier": "gold"})]), {})

    assert ((), 2) == (found.modules, found.unchanged)


def test_a_manifest_that_cannot_be_planned_can_be_mended() -> None:
    """Removing what AWS would refuse is possible; the difference says why everything is new."""
    found = access_difference(manifest_of(2000), manifest_of(3), {})

    assert "cannot be planned" in found.note
    assert {"new"} == {module.state for module in found.modules}


def test_an_edit_that_aws_would_refuse_is_refused() -> None:
    """The plan after the edit is made before anything is written."""
    with pytest.raises(PlanError):
        access_difference(manifest_of(1), manifest_of(2000), {})


def test_customers_stay_in_their_policies_when_one_goes() -> None:
    """The assignment before the edit is kept, so that the removal of the first moves no one."""
    before = manifest_of(150)
    after = before.model_copy(update={"customers": before.customers[1:]})

    (backend,) = (module for module in access_difference(before, after, {}).modules if module.path == "backend")
    assert 1 == len(backend.changes)


def test_the_difference_adds_up_to_the_difference_of_both_plans() -> None:
    """What is shown module by module is what the whole access changes by."""
    before, after = manifest_of(3), manifest_of(5, defaults={"permissions": []})
    whole = differences(_access(before), _access(after))
    shown = [change for module in access_difference(before, after, {}).modules for change in module.changes]

    assert sorted((change.kind, change.subject) for change in whole) == sorted((c.kind, c.subject) for c in shown)


def _access(manifest: Manifest) -> Access:
    return make_plan(manifest).access()
