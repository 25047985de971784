"""`gen import` and `gen customer rotate-external-id` on the command line."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import boto3
import pytest
from moto import mock_aws

from command_rig import Ended, gen
from output_trees import contents
from rolecall_generator.manifest.loader import load_manifest
from rolecall_generator.manifest.models import Customer

TEXT = """\
version: 1
backend: {account_id: "111111111111"}
permission_sets:
  read: {statements: [{actions: [s3:GetObject], resources: ["*"]}]}
  list: {statements: [{actions: [s3:ListAllMyBuckets], resources: ["*"]}]}
defaults: {permissions: [read]}
customers: # ours
  - {name: account1, account_id: "222222222222", external_id: first-id} # the first
"""
TABLE = "Account Name,AWS Account,label:tier\nAcme Corp.,333333333333,gold\nBeta,444444444444,\nold one,222222222222,\n"
BROKEN = "name,account_id,permissions\nacme,12,\nbeta,333333333333,nope\ngamma,444444444444,read\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "accounts.yaml").write_text(TEXT, "utf-8")
    return tmp_path


def table(folder: Path, text: str = TABLE) -> str:
    (folder / "fleet.csv").write_text(text, "utf-8")
    return "fleet.csv"


def customers(folder: Path) -> dict[str, Customer]:
    return {customer.name: customer for customer in load_manifest(folder / "accounts.yaml").manifest.customers}


def import_table(folder: Path, *options: str, text: str = TABLE) -> Ended:
    return gen("import", "csv", table(folder, text), *options, cwd=folder)


def test_csv_rows_become_customers_in_a_new_file(folder: Path) -> None:
    done = import_table(folder, "--yes", "--permissions", "list")
    found = customers(folder)

    assert 0 == done.code, done.err
    assert TEXT + "\ninclude:\n  - customers/imported.yaml\n" == (folder / "accounts.yaml").read_text("utf-8")
    assert ["account1", "acme-corp", "Beta"] == list(found)
    assert (("list",), {"tier": "gold"}) == (found["acme-corp"].permissions, found["acme-corp"].labels)
    assert 32 == len(found["Beta"].external_id or "")
    assert "note: 2 new, 0 changed, 1 unchanged" in done.out.splitlines()
    assert "gen terraform" in done.out


def test_second_import_of_csv_changes_nothing(folder: Path) -> None:
    import_table(folder, "--yes")
    before = contents(folder)
    done = import_table(folder, "--yes")

    assert (0, before) == (done.code, contents(folder))
    assert ["0 new, 0 changed, 3 unchanged", "No changes: the manifest is up to date."] == done.out.splitlines()


@pytest.mark.parametrize(("options", "code"), [(["--dry-run"], 0), ([], 2), (["--format", "json"], 2)])
def test_import_requires_confirmation(folder: Path, options: list[str], code: int) -> None:
    table(folder)
    before = contents(folder)
    done = import_table(folder, *options)

    assert (code, before) == (done.code, contents(folder))
    assert options == ["--format", "json"] or "acme-corp/VendorAccess may s3:GetObject on *" in done.out


def test_all_invalid_rows_are_listed_and_nothing_is_imported(folder: Path) -> None:
    table(folder, BROKEN)
    before = contents(folder)
    done = import_table(folder, "--yes", text=BROKEN)

    assert (3, "", before) == (done.code, done.out, contents(folder))
    assert [
        'error: fleet.csv:2:2: account_id "12" was changed to a number by a spreadsheet',
        "  hint: format the column as text, and enter all 12 digits",
        "fleet.csv:3:3: there is no permission set nope",
        "  hint: the manifest has: read, list",
        "2 problems: nothing was imported",
    ] == done.err.splitlines()
    done = import_table(folder, "--yes", text=BROKEN.replace("acme,12", "acme,12x"))
    assert [
        'error: fleet.csv:2:2: account_id "12x" is not an AWS account ID',
        "  hint: write the 12 digits in quotes, leading zeros kept",
        "fleet.csv:3:3: there is no permission set nope",
        "  hint: the manifest has: read, list",
        "2 problems: nothing was imported",
    ] == done.err.splitlines()


def test_new_customers_are_added_to_the_manifest(folder: Path) -> None:
    done = import_table(folder, "--yes", "--into", "accounts.yaml")
    lines = (folder / "accounts.yaml").read_text("utf-8").splitlines()

    assert (0, TEXT.splitlines()) == (done.code, lines[:8])
    entry = r'  - {name: acme-corp, account_id: "3{12}", external_id: "[0-9a-f]{32}", labels: {tier: gold}}'
    assert re.fullmatch(entry, lines[8])
    assert ["account1", "acme-corp", "Beta"] == list(customers(folder))


def test_new_rows_are_appended_to_the_imported_file(folder: Path) -> None:
    import_table(folder, "--yes")
    before = (folder / "customers" / "imported.yaml").read_text("utf-8")
    done = import_table(folder, "--yes", text=TABLE + "Gamma,555555555555,\n")

    assert 0 == done.code, done.err
    assert (folder / "customers" / "imported.yaml").read_text("utf-8").startswith(before)
    assert ["account1", "acme-corp", "Beta", "Gamma"] == list(customers(folder))


def test_changed_row_is_shown_as_difference(folder: Path) -> None:
    text = "name,account_id,role\nx,222222222222,Auditor\n"
    kept = import_table(folder, "--yes", text=text)
    changed = import_table(folder, "--yes", "--update", text=text)

    assert [
        "0 new, 0 changed, 0 unchanged, 1 that differ",
        "x (222222222222) is customer account1; role differ: --update applies them",
        "No changes: use --update to apply the differences.",
    ] == kept.out.splitlines()
    assert "AWS cannot rename a role: VendorAccess is deleted and Auditor is created" in changed.out
    assert "role: Auditor" in (folder / "accounts.yaml").read_text("utf-8")
    assert "# the first" in (folder / "accounts.yaml").read_text("utf-8")


def test_json_output_has_files_access_and_skipped_accounts(folder: Path) -> None:
    done = import_table(folder, "--yes", "--format", "json", text=TABLE + "Gamma,555555555555,\n")
    body = json.loads(done.out)

    assert (0, True) == (done.code, body["written"])
    assert {"customers/imported.yaml", "accounts.yaml"} == set(body["files"])
    assert ["3 new, 0 changed, 1 unchanged"] == body["notes"]


def test_outputs_of_a_customer_are_imported(folder: Path) -> None:
    outputs = {"role_arn": {"value": "arn:aws:iam::222222222222:role/v/Own"}, "external_id": {"value": "first-id"}}
    (folder / "account1.json").write_text(json.dumps(outputs), "utf-8")
    first = gen("import", "terraform-outputs", "account1.json", "--yes", cwd=folder)
    found = customers(folder)["account1"]
    second = gen("import", "terraform-outputs", "account1.json", "--yes", cwd=folder)

    assert (0, 0) == (first.code, second.code)
    assert ("Own", "/v/", "first-id") == (found.role, found.path, found.external_id)
    assert "No changes" in second.out


def test_external_id_chosen_by_customer_is_rejected(folder: Path) -> None:
    outputs = {"role_arn": {"value": "arn:aws:iam::222222222222:role/VendorAccess"}, "external_id": {"value": "their-own"}}
    before = contents(folder)
    for name in ("account1.json", "account1 (1).json", "other.json"):
        (folder / name).write_text(json.dumps(outputs), "utf-8")
        done = gen("import", "terraform-outputs", name, "--yes", cwd=folder)
        (folder / name).unlink()

        assert (3, before) == (done.code, contents(folder))
        assert f"error: {name}:1:1: " in done.err


@pytest.fixture
def organization() -> Iterator[None]:
    """An organization with two accounts in the OU Prod, served by moto in this process."""
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    with mock.patch.dict(os.environ, keys), mock_aws():
        client = boto3.client("organizations", region_name="us-east-1")
        client.create_organization(FeatureSet="ALL")
        root = client.list_roots()["Roots"][0]["Id"]
        unit = client.create_organizational_unit(ParentId=root, Name="Prod")["OrganizationalUnit"]["Id"]
        for name in ("Acme Corp.", "sandbox-7"):
            number = client.create_account(AccountName=name, Email="a@example.com")["CreateAccountStatus"]["AccountId"]
            client.move_account(AccountId=number, SourceParentId=root, DestinationParentId=unit)
        yield


@pytest.mark.usefixtures("organization")
def test_accounts_of_an_organization_become_customers(folder: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
    options = ("--ou", "Prod", "--exclude", "sandbox-*", "--yes")
    done = gen("import", "organizations", *options, cwd=folder, environ=keys)
    found = customers(folder)

    assert 0 == done.code, done.err
    assert (["account1", "acme-corp"], {"ou": "Prod"}) == (list(found), found["acme-corp"].labels)
    assert "skipped: sandbox-7" in done.out


def test_import_of_organization_without_credentials_fails(folder: Path) -> None:
    away = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none"}
    done = gen("import", "organizations", "--profile", "nobody", cwd=folder, environ=away)

    assert (8, "") == (done.code, done.out)
    assert "profile nobody: the AWS credentials could not be loaded" in done.err
    assert "hint: " in done.err


def test_all_errors_of_a_csv_file_are_reported_in_one_pass(folder: Path) -> None:
    (folder / "rows.csv").write_text(
        "name,account_id,role,external_id,permissions\n"
        "one,66666666666,r1,,nope\n"
        "two,777777777777,r 1,,\n"
        "three,888888888888,r1,,,extra\n"
        "four,888888888889,r1,xx,\n"
        "five,888888888889,r1,,\n",
        "utf-8",
    )
    done = gen("import", "csv", "rows.csv", "--yes", cwd=folder)

    assert 3 == done.code
    assert [
        'rows.csv:2:2: account_id "66666666666" was changed to a number by a spreadsheet',
        "rows.csv:2:5: there is no permission set nope",
        'rows.csv:3:3: role "r 1" has characters that AWS refuses in a name',
        "rows.csv:4:6: the row has 6 cells, the header 5",
        'rows.csv:6:2: account_id "888888888889" is listed twice, first at rows.csv:5',
    ] == [line.removeprefix("error: ") for line in done.err.splitlines() if "rows.csv:" in line]
    assert "5 problems: nothing was imported" in done.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--finish", "--abort"], "--finish and --abort are mutually exclusive"),
        (["--external-id", "x1", "--finish"], "--finish and --external-id are mutually exclusive"),
        (["--force"], "--force requires --finish"),
    ],
)
def test_conflicting_rotation_options_are_usage_errors(folder: Path, options: list[str], said: str) -> None:
    before = contents(folder)
    done = gen("customer", "rotate-external-id", "account1", *options, "--yes", cwd=folder)

    assert (2, before) == (done.code, contents(folder))
    assert said in done.err


def test_rotation_prints_next_steps(folder: Path) -> None:
    options = ("--yes", "--out", "there")
    done = gen("customer", "rotate-external-id", "account1", "--external-id", "new-id", *options, cwd=folder)
    commands = [
        line.split("  ")[2] for line in done.out.splitlines() if line.startswith("    gen ") or "runner" in line[:12]
    ]

    assert "account1/VendorAccess also accepts external ID new-id" in done.out
    assert [
        "gen terraform --out there",
        "gen bundle account1 --out there",
        "runner verify --limit account1 --out there",
        "gen customer rotate-external-id account1 --finish --out there",
    ] == commands


def test_outdated_outputs_do_not_revert_rotation(folder: Path) -> None:
    old = load_manifest(folder / "accounts.yaml").manifest.customers[0].external_id
    gen("customer", "rotate-external-id", "account1", "--yes", cwd=folder)
    gen("customer", "rotate-external-id", "account1", "--finish", "--force", "--yes", cwd=folder)
    before = contents(folder)
    outputs = {"role_arn": {"value": "arn:aws:iam::222222222222:role/VendorAccess"}, "external_id": {"value": old}}
    (folder / "account1.json").write_text(json.dumps(outputs), "utf-8")
    done = gen("import", "terraform-outputs", "account1.json", "--yes", cwd=folder)
    (folder / "account1.json").unlink()

    assert (0, before) == (done.code, contents(folder))
    assert "account1 has the external ID retired by its last rotation" in done.out


def test_pending_rotations_are_listed(folder: Path) -> None:
    none = gen("customer", "rotations", cwd=folder)
    gen("customer", "rotate-external-id", "account1", "--external-id", "new-id", "--yes", cwd=folder)
    fresh = gen("customer", "rotations", "--older-than", "30", cwd=folder)
    record = folder / "output" / "rolecall.rotations.json"
    record.write_text(re.sub(r'"started": "[^"]+"', '"started": "2026-01-01T00:00:00+00:00"', record.read_text()), "utf-8")
    old = gen("customer", "rotations", "--older-than", "30", "--format", "json", cwd=folder)
    seen = {"sha256": hashlib.sha256(b"new-id").hexdigest(), "date": "2026-01-02T00:00:00+00:00"}
    status = {"version": 1, "customers": {"account1": {"external_id_seen": seen}}}
    (folder / "output" / "status.json").write_text(json.dumps(status), "utf-8")
    listed = gen("customer", "rotations", cwd=folder)
    elsewhere = gen("customer", "rotations", "--manifest", str(folder / "accounts.yaml"), cwd=folder)

    assert [(0, "no rotation\n"), (0, "no rotation\n")] == [(none.code, none.out), (fresh.code, fresh.out)]
    assert (1, [("account1", "2026-01-01T00:00:00+00:00", None)]) == (
        old.code,
        [(one["name"], one["started"], one["accepted"]) for one in json.loads(old.out)],
    )
    assert re.fullmatch(
        r"account1  for \d+ days: the new ID was accepted: gen customer rotate-external-id account1 --finish\n", listed.out
    )
    assert elsewhere.out.endswith(f"account1 --finish --manifest {folder / 'accounts.yaml'}\n")
