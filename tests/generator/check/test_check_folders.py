"""`gen check`, `gen prove` and `gen diff` over folders with files that rolecall did not write."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from manifests import NOTES
from rolecall_generator.check.manifest_check import check_output
from rolecall_generator.check.module_access import prove_manifest
from rolecall_generator.findings import Finding, Severity
from rolecall_generator.generate import compare, generate

PRINCIPAL = '"arn:aws:iam::111111111111:role/backend_role",\n'
EVIL = 'resource "aws_iam_role" "evil" {\n  name = "evil"\n  assume_role_policy = "{}"\n}\n'
REACHING_TEST = 'run "x" {\n  command = apply\n  module {\n    source = "./evil"\n  }\n}\n'

# By path below the module's folder; each can change what Terraform plans, applies or tests.
HOSTILE_FILES = {
    "hidden values": (".x.auto.tfvars", 'backend = "*"\n'),
    "values by name": ("prod.tfvars", 'backend = "*"\n'),
    "a test": ("tests/evil.tftest.hcl", REACHING_TEST),
    "a test of the root": ("evil.tftest.hcl", REACHING_TEST),
    "a local module": ("evil/main.tf", EVIL),
    "a file": ("extra.tf", EVIL),
    "an override": ("x_override.tf", 'resource "aws_iam_role" "this" {\n  assume_role_policy = "{}"\n}\n'),
    "a saved plan": ("tfplan", "x"),
    "another tool": ("terragrunt.hcl", ""),
}


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder with the example accounts' manifest and modules; the principal of account1 comes from a variable."""
    shutil.copy(NOTES, tmp_path / "accounts.yaml")
    generate(tmp_path / "accounts.yaml", tmp_path / "output")
    return tmp_path


def with_variable(folder: Path) -> None:
    """The module's principal from a variable whose default is the right one."""
    path = folder / "main.tf"
    text = path.read_text()
    assert PRINCIPAL in text
    default = f'variable "backend" {{\n  default = {PRINCIPAL.rstrip()[:-1]}\n}}\n'
    path.write_text(text.replace(PRINCIPAL, "var.backend,\n") + default)


def put(folder: Path, path: str, content: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(content)


def found(folder: Path, **options: object) -> list[Finding]:
    return list(check_output(folder / "accounts.yaml", folder / "output", **options).report.active)  # type: ignore[arg-type]


def errors(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity is Severity.ERROR]


def test_a_variable_with_a_default_is_no_finding(notes: Path) -> None:
    """Without a hostile file, as in the other tests, nothing is reported."""
    with_variable(notes / "output/customers/account1")

    assert [] == found(notes)


@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_a_hostile_file_in_a_returned_folder_is_an_error(name: str, notes: Path) -> None:
    """Every file that Terraform could use is reported."""
    returned = notes / "returned"
    shutil.copytree(notes / "output/customers/account1", returned)
    with_variable(returned)
    assert [] == found(notes, sent_back=[f"account1={returned}"])
    put(returned, *HOSTILE_FILES[name])

    assert errors(found(notes, sent_back=[f"account1={returned}"]))
    assert errors(found(notes, sent_back=[str(returned)]))


@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_a_hostile_file_in_the_output_folder_is_reported_by_every_command(name: str, notes: Path) -> None:
    """gen check, gen prove and gen diff report the same files, also after an earlier check."""
    module = notes / "output/customers/account1"
    with_variable(module)
    generate(notes / "accounts.yaml", notes / "output")  # the generated file again
    assert [] == found(notes)
    with_variable(module)
    put(module, *HOSTILE_FILES[name])

    assert errors(found(notes))
    assert errors(list(prove_manifest(notes / "accounts.yaml", notes / "output").findings))
    assert compare(notes / "accounts.yaml", notes / "output").modules


def test_gen_diff_reports_a_file_next_to_unchanged_ones(notes: Path) -> None:
    """The next run would change nothing, but the module grants other access than planned."""
    assert () == compare(notes / "accounts.yaml", notes / "output").modules
    put(notes / "output/customers/account1", "extra.tf", EVIL)
    (module,) = compare(notes / "accounts.yaml", notes / "output").modules

    assert ("customers/account1", "extra") == (module.path, module.state)
    assert "RC801" in {finding.rule for finding in module.findings}


def test_a_folder_that_is_not_planned_is_an_error(notes: Path) -> None:
    """If it is in the lock, the hint has the command that removes it."""
    output = notes / "output"
    put(output, "customers/ghost/main.tf", EVIL)
    put(output, "elsewhere/deep/x.tf", EVIL)
    put(output, "switch-roles/x.tf", EVIL)
    put(output, "docs/notes.txt", "x")
    expected = {
        ("customers/ghost", Severity.ERROR),
        ("elsewhere", Severity.ERROR),
        ("switch-roles/x.tf", Severity.ERROR),
        ("docs", Severity.WARNING),
    }

    assert expected == {(finding.subject, finding.severity) for finding in found(notes) if finding.rule == "RC803"}
    proven = prove_manifest(notes / "accounts.yaml", output).findings
    assert expected == {(finding.subject, finding.severity) for finding in proven if finding.rule == "RC803"}
    assert {subject for subject, _ in expected} == {item.path for item in compare(notes / "accounts.yaml", output).modules}


def test_a_removed_customers_folder_is_an_error_until_it_is_pruned(notes: Path) -> None:
    """gen terraform --no-prune keeps it, and gen check reports it."""
    manifest = notes / "accounts.yaml"
    text = manifest.read_text()
    manifest.write_text(text.replace("account2", "account9"))
    generate(manifest, notes / "output", prune=False)
    (left,) = [finding for finding in found(notes) if finding.rule == "RC803"]

    assert ("customers/account2", Severity.ERROR) == (left.subject, left.severity)
    assert "--prune" in left.hint
    generate(manifest, notes / "output")
    assert [] == found(notes)


def test_a_removed_switch_role_is_no_foreign_folder(notes: Path) -> None:
    """Its two modules share a folder that gen terraform removes, so gen diff does not report the folder as extra."""
    manifest, output = notes / "accounts.yaml", notes / "output"
    text, comma, _ = manifest.read_text().partition("switch_roles:")
    assert comma
    manifest.write_text(text)
    gone = sorted(path.relative_to(output).as_posix() for path in output.glob("switch-roles/*/*"))
    (left,) = output.glob("switch-roles/*")

    assert [(path, "gone") for path in gone] == [(item.path, item.state) for item in compare(manifest, output).modules]
    unplanned = [finding for finding in found(notes) if finding.rule == "RC803"]
    assert gone == [finding.subject for finding in unplanned]
    assert all("--prune" in finding.hint for finding in unplanned)

    put(left, "mine/x.tf", EVIL)
    assert f"switch-roles/{left.name}/mine" in {item.path for item in compare(manifest, output).modules}
    shutil.rmtree(left / "mine")
    generate(manifest, output)
    assert [] == found(notes)


def test_links_out_of_the_output_folder_are_errors(notes: Path) -> None:
    """They are not followed."""
    put(notes, "outside/main.tf", EVIL)
    (notes / "output/customers/linked").symlink_to(notes / "outside")

    assert [("customers/linked", Severity.ERROR)] == [(finding.subject, finding.severity) for finding in found(notes)]


def test_check_with_only_ignores_unplanned_folders(notes: Path) -> None:
    """--only limits findings to the named modules."""
    put(notes / "output", "customers/ghost/main.tf", EVIL)

    assert [] == found(notes, only=["account1"])
