"""`check` of the example accounts: edits, single customers, returned folders, the cache and worker processes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rolecall_generator.check import module_check as fleet
from rolecall_generator.check.manifest_check import check_output
from rolecall_generator.errors import SelectionError
from rolecall_generator.findings import Finding

BACKEND = "arn:aws:iam::111111111111:role/backend_role"


def found(folder: Path, **options: object) -> list[Finding]:
    return list(check_output(folder / "accounts.yaml", folder / "output", **options).report.active)  # type: ignore[arg-type]


def edit(folder: Path, module: str, old: str, new: str) -> None:
    path = folder / module / "main.tf"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_example_accounts_have_no_findings(generated: Path) -> None:
    """Generated modules have no findings, and every check of the proof has the expected result."""
    done = check_output(generated / "accounts.yaml", generated / "output")

    assert () == done.report.active
    assert (0, True) == (done.failed_cells, done.cells > 0)
    assert (6, 6) == (done.modules, done.read)


def test_added_principal_is_difference(generated: Path) -> None:
    """The difference has the customer of the role, the account of the principal, and the line of the role."""
    edit(
        generated / "output",
        "customers/account1",
        f'"{BACKEND}",\n',
        f'"{BACKEND}",\n        "arn:aws:iam::999999999999:root",\n',
    )
    differing = [finding for finding in found(generated) if finding.rule == "RC801"]

    assert ["account1/role1 also trusts 999999999999:root"] == [f.message.partition(" (")[0] for f in differing]
    assert [("account1", "customers/account1/main.tf")] == [(f.subject, f.file) for f in differing]


def test_removed_condition_fails_proof_with_counterexample(generated: Path) -> None:
    """The counterexample has the principal, the missing key and the deciding statement."""
    text = (generated / "output/customers/account1/main.tf").read_text()
    start = text.index('    condition {\n      test     = "StringEquals"')
    end = text.index("    }\n", start) + len("    }\n")
    (generated / "output/customers/account1/main.tf").write_text(text[:start] + text[end:])
    messages = [finding.message for finding in found(generated) if finding.rule == "RC701"]

    assert any(
        message.startswith(f"no external ID: Role {BACKEND} can assume arn:aws:iam::222222222222:role/role1 without")
        and "statement TrustBackendRole" in message
        for message in messages
    )


def test_missing_module_is_error(generated: Path) -> None:
    """The other modules are checked."""
    shutil.rmtree(generated / "output/customers/account2")

    assert [("RC802", "account2")] == [(f.rule, f.subject) for f in found(generated) if f.rule != "RC701"]


def test_file_in_place_of_module_is_finding(generated: Path) -> None:
    """A module that cannot be read is a finding of its customer."""
    shutil.rmtree(generated / "output/customers/account2")
    (generated / "output/customers/account2").write_text("gone")

    assert ("RC903", "account2") in {(f.rule, f.subject) for f in found(generated)}


def test_only_checks_the_named_customers(generated: Path) -> None:
    """With `only`, neither findings of other customers nor unused suppressions are reported."""
    edit(generated / "output", "customers/account1", "s3:GetObject", "s3:PutObject")

    assert [] == found(generated, only=["account2"])
    assert {"account1"} == {finding.subject for finding in found(generated, only=["account1"])}


def test_returned_folder_is_matched_by_its_account_guard(generated: Path, tmp_path: Path) -> None:
    """A folder with any name is compared with the module for the account in its guard."""
    back = tmp_path / "attachment"
    shutil.copytree(generated / "output/customers/account2", back)
    edit(tmp_path, "attachment", "max_session_duration = 3600", "max_session_duration = 43200")
    findings = found(generated, sent_back=[str(back)])

    assert ["RC401", "RC801"] == sorted(finding.rule for finding in findings)
    assert {"account2"} == {finding.subject for finding in findings}
    assert {f"{back}/main.tf"} == {finding.file for finding in findings}


def test_returned_folder_with_external_id_of_another_customer_fails_proof(generated: Path, tmp_path: Path) -> None:
    """External IDs of customers that are not checked count as external IDs of others."""
    back = tmp_path / "attachment"
    shutil.copytree(generated / "output/customers/account2", back)
    own, other = ("6a1f9b02d7e84c35b1c0e9f48d23a702", "0f0c4f7c1e6b4a1d9a52b7c3d8e9f101")
    manifest = (generated / "accounts.yaml").read_text()
    own = manifest.split("name: account2", 1)[1].split('external_id: "', 1)[1].split('"', 1)[0]
    edit(tmp_path, "attachment", f'        "{own}",\n', f'        "{own}",\n        "{other}",\n')
    messages = [finding.message for finding in found(generated, sent_back=[str(back)]) if finding.rule == "RC701"]

    assert 1 == len(messages)
    assert f"can assume arn:aws:iam::333333333333:role/role2 with another customer's external ID {other}" in messages[0]


def test_returned_folder_without_guard_is_matched_by_name(generated: Path, tmp_path: Path) -> None:
    """With another name it is a finding, unless NAME= is given."""
    for name in ("account3", "mail"):
        shutil.copytree(generated / "output/customers/account3", tmp_path / name)
        text = (tmp_path / name / "main.tf").read_text()
        (tmp_path / name / "main.tf").write_text(text.replace("self.account_id == ", "self.account_id != ", 1))

    assert ["RC907"] == [finding.rule for finding in found(generated, sent_back=[str(tmp_path / "account3")])]
    assert ["RC803"] == [finding.rule for finding in found(generated, sent_back=[str(tmp_path / "mail")])]
    assert ["RC907"] == [finding.rule for finding in found(generated, sent_back=[f"account3={tmp_path / 'mail'}"])]


def test_returned_switch_role_needs_module_path(generated: Path, tmp_path: Path) -> None:
    """A name with two modules is an error with the paths of both."""
    shutil.copytree(generated / "output/switch-roles/reena-in-sumesh/trusting", tmp_path / "x")
    with pytest.raises(SelectionError) as refused:
        found(generated, sent_back=[f"reena-in-sumesh={tmp_path / 'x'}"])

    assert "switch-roles/reena-in-sumesh/trusting" in str(refused.value)
    assert [] == found(generated, sent_back=[f"switch-roles/reena-in-sumesh/trusting={tmp_path / 'x'}"])


def test_unchanged_modules_are_not_read_again(generated: Path) -> None:
    """After an edit, each check reads only the edited module, as long as it has findings."""
    check_output(generated / "accounts.yaml", generated / "output")
    again = check_output(generated / "accounts.yaml", generated / "output")
    edit(generated / "output", "customers/account1", "s3:GetObject", "s3:PutObject")
    edited = [check_output(generated / "accounts.yaml", generated / "output") for _ in range(2)]

    assert (0, ()) == (again.read, again.report.active)
    assert [1, 1] == [done.read for done in edited]
    assert "RC801" in {finding.rule for finding in edited[1].report.active}


def test_module_behind_symbolic_link_is_not_cached(generated: Path, tmp_path: Path) -> None:
    """It is read each time, since changes of its target cannot be detected."""
    check_output(generated / "accounts.yaml", generated / "output")
    shutil.move(generated / "output/customers/account1", tmp_path / "elsewhere")
    (generated / "output/customers/account1").symlink_to(tmp_path / "elsewhere")

    assert [1, 1] == [check_output(generated / "accounts.yaml", generated / "output").read for _ in range(2)]


def test_worker_processes_have_the_same_findings(generated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The findings of two worker processes are those of one process, in the same order."""
    edit(generated / "output", "customers/account1", "s3:GetObject", "s3:PutObject")
    edit(generated / "output", "customers/account3", BACKEND, "*")
    alone = found(generated)
    monkeypatch.setattr(fleet, "SEQUENTIAL_LIMIT", 2)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    together = found(generated)

    assert alone == together
    assert alone
