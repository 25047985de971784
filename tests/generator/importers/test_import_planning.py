"""An import adds new accounts, shows differences, keeps known accounts, and reports all errors in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests import customer, manifest_of
from rolecall_generator.errors import SelectionError
from rolecall_generator.importers.import_plan import (
    CustomerNames,
    ImportedAccount,
    ImportPlan,
    ImportProblemsError,
    ImportSettings,
    Reading,
    plan_import,
    slug,
)
from rolecall_generator.manifest.editing import Value
from rolecall_generator.manifest.models import Customer, Manifest
from rolecall_generator.manifest.yaml_source import Point


def found(name: str, number: str, line: int = 1, **fields: Value) -> ImportedAccount:
    """An account as read from a source, with a line of its own."""
    return ImportedAccount(
        name, {"account_id": number, **fields}, "fleet.csv", Point(line, 0), {"account_id": Point(line, 1)}
    )


def settings(**changes: Any) -> ImportSettings:
    """Settings with the generated external IDs fresh-1, fresh-2 and so on."""
    numbers = count(1)
    return replace(ImportSettings(lambda: f"fresh-{next(numbers)}"), **changes)


def plan(*accounts: ImportedAccount, manifest: Manifest | None = None, **changes: Any) -> ImportPlan:
    return plan_import(Reading("fleet.csv", accounts), manifest or manifest_of(1), settings(**changes))


def problems(*accounts: ImportedAccount, manifest: Manifest | None = None) -> list[str]:
    with pytest.raises(ImportProblemsError) as caught:
        plan(*accounts, manifest=manifest)
    return [f"{problem.file}:{problem.line}:{problem.column}: {problem.what}" for problem in caught.value.problems]


def after(manifest: Manifest, done: ImportPlan) -> Manifest:
    """The manifest after a plan is applied."""
    changed: dict[str, dict[str, object]] = {}
    for change in done.changed:
        changed.setdefault(change.customer, {})[change.field] = change.new
    entries = [entry.model_copy(update=changed.get(entry.name, {})) for entry in manifest.customers]
    new = [Customer.model_validate(entry) for entry in done.added]
    return manifest.model_copy(update={"customers": (*entries, *new)})


def test_new_account_gets_name_and_external_id() -> None:
    """Values of the source are kept, missing ones are generated, and permissions come from the command line."""
    done = plan(
        found("Acme Corp.", "333333333333"),
        found("beta", "444444444444", 2, external_id="of-theirs", permissions=("read",)),
        permissions=("read",),
    )

    assert [
        {"name": "acme-corp", "account_id": "333333333333", "external_id": "fresh-1", "permissions": ("read",)},
        {"name": "beta", "account_id": "444444444444", "external_id": "of-theirs", "permissions": ("read",)},
    ] == list(done.added)


def test_path_is_written_if_it_differs_from_the_default() -> None:
    manifest = manifest_of(0, defaults={"path": "/vendor/"})
    done = plan(found("a", "333333333333", path="/"), found("b", "444444444444", path="/vendor/"), manifest=manifest)

    assert ["/", None] == [entry.get("path") for entry in done.added]


def test_role_of_another_partition_is_rejected() -> None:
    """The backend cannot assume it."""
    account = replace(found("a", "333333333333", role="R"), partition="aws-cn")

    assert ["fleet.csv:2:1: the role is in partition aws-cn, the manifest in aws"] == problems(account)


def test_update_changes_only_differing_fields() -> None:
    """Labels are merged; values that are equal, explicitly or by default, are not changed."""
    manifest = manifest_of(0, customers=[customer(0, labels={"a": "1"})])
    account = found("x", "200000000000", role="VendorAccess", path="/vendor/", external_id="other", labels={"b": "2"})
    done = plan(account, manifest=manifest, update=True)

    assert [("external_id", "external-id-0", "other"), ("labels", {"a": "1"}, {"a": "1", "b": "2"})] == [
        (change.field, change.old, change.new) for change in done.changed
    ]


def test_update_does_not_revert_a_rotation() -> None:
    """Before the customer applies the new module, its outputs have the previous external ID."""
    manifest = manifest_of(0, customers=[customer(0, external_id="new", previous_external_id="old")])

    assert () == plan(found("x", "200000000000", external_id="old"), manifest=manifest, update=True).changed


def test_outputs_of_one_customer_do_not_change_another() -> None:
    """A file of customer0 with a role in customer1's account is a mistake, or an attempt to replace its external ID."""
    foreign = found("customer0", "200000000001", external_id="chosen-by-customer0")
    manifest = manifest_of(2)
    with pytest.raises(ImportProblemsError, match=r"fleet\.csv:2:2: customer0 is a customer of account 200000000000, but"):
        plan(foreign, manifest=manifest, update=True)

    assert () == plan(foreign, manifest=manifest).changed
    assert 1 == len(plan(replace(foreign, name="new name"), manifest=manifest, update=True).changed)


def from_customers(*accounts: ImportedAccount, manifest: Manifest | None = None, **changes: Any) -> ImportPlan:
    reading = Reading("returned", accounts, from_customers=True)
    return plan_import(reading, manifest or manifest_of(2), settings(update=True, **changes))


@pytest.mark.parametrize("name", ["customer0 (1)", "customer0", "Copy of customer0", "customer1", "anything"])
@pytest.mark.parametrize("fields", [{"external_id": "chosen-by-customer0"}, {"role": "Other"}])
def test_outputs_without_the_accounts_external_id_change_nothing(name: str, fields: dict[str, Value]) -> None:
    """The account ID can be written by any sender; the external ID is known only to the vendor and the customer."""
    known = found(name, "200000000001", role="VendorAccess", path="/")
    account = replace(known, fields={**known.fields, **fields})

    with pytest.raises(ImportProblemsError, match=r"fleet\.csv:2:"):
        from_customers(account)


@pytest.mark.parametrize("name", ["customer1 (1)", "customer1", "outputs", "x"])
@pytest.mark.parametrize("given", ["external-id-1", "previous", "retired"])
def test_outputs_are_matched_by_account_and_external_id(name: str, given: str) -> None:
    """The current, the previous and the retired external ID identify the customer."""
    manifest = manifest_of(0, customers=[customer(0), customer(1, previous_external_id="previous")])
    account = found(name, "200000000001", role="Other", path="/", external_id=given)
    done = from_customers(account, manifest=manifest, retired={"customer1": "retired"})

    assert [("customer1", "role", "Other")] == [
        (one.customer, one.field, one.new) for one in done.changed if one.field == "role"
    ]
    assert "external_id" not in [one.field for one in done.changed]


def test_several_files_for_one_account_are_rejected() -> None:
    """With the same role or with different roles: each error names the other file."""
    one = found("a", "200000000001", 1, role="VendorAccess", path="/", external_id="external-id-1")
    for number, external_id in (("200000000001", "external-id-1"), ("300000000001", "new-id")):
        here = replace(one, fields={**one.fields, "account_id": number, "external_id": external_id})
        again = replace(here, file="b.json")
        other = replace(again, fields={**here.fields, "role": "Other"})
        for accounts in ((here, again), (here, other)):
            with pytest.raises(ImportProblemsError, match=r"b\.json") as caught:
                from_customers(*accounts)
            assert "fleet.csv:2" in str(caught.value)


def test_file_named_like_customer_of_another_account_is_rejected() -> None:
    """It does not add a second customer0 for the unknown account."""
    with pytest.raises(ImportProblemsError, match="customer0 is a customer of account 200000000000"):
        from_customers(found("customer0", "999999999999", role="VendorAccess", external_id="new-id"))


@pytest.mark.parametrize("update", [True, False])
def test_second_import_changes_nothing(update: bool) -> None:
    """New names, generated IDs and updates are all matched."""
    accounts = (
        found("Acme", "333333333333", 1, role="A"),
        found("acme", "333333333333", 2, role="B"),
        found("customer0", "200000000000", 3, role="Other", labels={"ou": "Prod"}),
    )
    first = plan(*accounts, update=update)
    second = plan(*accounts, manifest=after(manifest_of(1), first), update=update)

    assert 2 == len(first.added)
    assert ((), ()) == (second.added, second.changed)


def test_all_errors_are_reported_in_one_pass() -> None:
    """Each with location and value; nothing is imported."""
    manifest = manifest_of(1)

    assert [
        'fleet.csv:2:2: account_id "12" is not an AWS account ID',
        "fleet.csv:3:1: max_session_seconds 10 is too small",
        "fleet.csv:4:2: the account ID is missing",
        'fleet.csv:6:2: account_id "444444444444" is listed twice, first at fleet.csv:5',
        'fleet.csv:7:1: external_id "external-id-0" is the same as that of customer customer0',
        "fleet.csv:8:1: there is no permission set nope",
        'fleet.csv:9:1: role "a b" has characters that AWS refuses in a name',
    ] == problems(
        found("a", "12", 1),
        found("b", "333333333333", 2, max_session_seconds=10),
        found("c", "", 3),
        found("d", "444444444444", 4),
        found("e", "444444444444", 5),
        found("f", "555555555555", 6, external_id="external-id-0"),
        found("g", "666666666666", 7, permissions=("nope",)),
        found("h", "777777777777", 8, role="a b"),
        manifest=manifest,
    )


def test_previous_external_id_of_another_customer_is_rejected() -> None:
    """It is still valid for that customer's role."""
    one = found("a", "333333333333", 1, external_id="aa", previous_external_id="bb")
    other = found("b", "444444444444", 2, external_id="bb")
    third = found("c", "555555555555", 3, external_id="cc", previous_external_id="external-id-0")

    assert [
        'fleet.csv:3:1: external_id "bb" is the same as that of the account at fleet.csv:2',
        'fleet.csv:4:1: previous_external_id "external-id-0" is the same as that of customer customer0',
    ] == problems(one, other, third)


def test_unknown_permission_set_on_command_line_is_usage_error() -> None:
    """`--permissions raed` is an error regardless of the CSV file."""
    with pytest.raises(SelectionError, match="no permission set raed"):
        plan(found("a", "333333333333"), permissions=("raed",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Acme", "Acme"),
        ("Acme Corp. (Prod)", "acme-corp.-prod"),
        ("Müller & Söhne GmbH", "muller-sohne-gmbh"),
        ("Straße 7", "strasse-7"),
        ("1password", "customer-1password"),
        ("株式会社", "account-222222222222"),
        ("", "account-222222222222"),
        ("a b" * 40, ("a-b" * 40)[:64].rstrip("-")),
    ],
)
def test_name_is_derived_from_any_string(text: str, expected: str) -> None:
    """Valid names are kept; others are transliterated to lowercase ASCII."""
    assert expected == slug(text, "222222222222")


@given(st.lists(st.text(max_size=80), max_size=12))
def test_derived_names_are_valid_and_unique(texts: list[str]) -> None:
    """For any account names of the source."""
    names = CustomerNames(["acme"])
    given_names = [names.name(text, f"{200000000000 + number}") for number, text in enumerate(texts)]
    entries: list[Mapping[str, str]] = [
        {"name": name, "account_id": f"{200000000000 + number}"} for number, name in enumerate(given_names)
    ]

    assert given_names == [Customer.model_validate(entry).name for entry in entries]
    assert len(given_names) == len({name.casefold().replace("_", "-").replace(".", "-") for name in given_names})
