"""`gen check`, `gen prove` and `gen diff` over folders with files that rolecall did not write."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rolecall_generator.check.manifest_check import check_output
from rolecall_generator.check.module_check import prove_manifest
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


def with_variable(folder: Path) -> None:
    """The module's principal as a variable whose default is the expected one."""
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


def test_variable_with_the_planned_default_is_a_note(generated: Path) -> None:
    """Baseline without a hostile file: the access is as planned, but -var can change it."""
    with_variable(generated / "output/customers/account1")
    (note,) = found(generated)

    assert ("RC901", "account1", Severity.NOTE) == (note.rule, note.subject, note.severity)
    assert "customers/account1/main.tf" == note.file


@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_hostile_file_in_returned_folder_is_error(name: str, generated: Path) -> None:
    """Every file that Terraform could use is reported."""
    returned = generated / "returned"
    shutil.copytree(generated / "output/customers/account1", returned)
    with_variable(returned)
    assert [] == errors(found(generated, sent_back=[f"account1={returned}"]))
    put(returned, *HOSTILE_FILES[name])

    assert errors(found(generated, sent_back=[f"account1={returned}"]))
    assert errors(found(generated, sent_back=[str(returned)]))


@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_hostile_file_in_output_folder_is_reported_by_every_command(name: str, generated: Path) -> None:
    """`gen check`, `gen prove` and `gen diff` report the same files, also after an earlier check."""
    module = generated / "output/customers/account1"
    with_variable(module)
    generate(generated / "accounts.yaml", generated / "output")  # the generated file again
    assert [] == found(generated)
    with_variable(module)
    put(module, *HOSTILE_FILES[name])

    assert errors(found(generated))
    assert errors(list(prove_manifest(generated / "accounts.yaml", generated / "output").findings))
    assert compare(generated / "accounts.yaml", generated / "output").modules


def test_gen_diff_reports_file_next_to_unchanged_ones(generated: Path) -> None:
    """`gen terraform` would change nothing, but the module grants other access than planned."""
    assert () == compare(generated / "accounts.yaml", generated / "output").modules
    put(generated / "output/customers/account1", "extra.tf", EVIL)
    (module,) = compare(generated / "accounts.yaml", generated / "output").modules

    assert ("customers/account1", "extra") == (module.path, module.state)
    assert "RC801" in {finding.rule for finding in module.findings}


def test_unplanned_folder_is_error(generated: Path) -> None:
    """If it is in the lock file, the hint has the command that removes it."""
    output = generated / "output"
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

    assert expected == {(finding.subject, finding.severity) for finding in found(generated) if finding.rule == "RC803"}
    proven = prove_manifest(generated / "accounts.yaml", output).findings
    assert expected == {(finding.subject, finding.severity) for finding in proven if finding.rule == "RC803"}
    compared = compare(generated / "accounts.yaml", output).modules
    assert {subject for subject, _ in expected} == {item.path for item in compared}


def test_folder_of_removed_customer_is_error_until_pruned(generated: Path) -> None:
    """`gen terraform --no-prune` keeps it, and `gen check` reports it."""
    manifest = generated / "accounts.yaml"
    text = manifest.read_text()
    manifest.write_text(text.replace("account2", "account9"))
    generate(manifest, generated / "output", prune=False)
    (left,) = [finding for finding in found(generated) if finding.rule == "RC803"]

    assert ("customers/account2", Severity.ERROR) == (left.subject, left.severity)
    assert "--prune" in left.hint
    generate(manifest, generated / "output")
    assert [] == found(generated)


def test_removed_switch_role_is_not_reported_as_extra(generated: Path) -> None:
    """Its two modules share a folder that `gen terraform` removes, so `gen diff` does not report the folder as extra."""
    manifest, output = generated / "accounts.yaml", generated / "output"
    text, comma, _ = manifest.read_text().partition("switch_roles:")
    assert comma
    manifest.write_text(text)
    gone = sorted(path.relative_to(output).as_posix() for path in output.glob("switch-roles/*/*"))
    (left,) = output.glob("switch-roles/*")

    assert [(path, "removed") for path in gone] == [(item.path, item.state) for item in compare(manifest, output).modules]
    unplanned = [finding for finding in found(generated) if finding.rule == "RC803"]
    assert gone == [finding.subject for finding in unplanned]
    assert all("--prune" in finding.hint for finding in unplanned)

    put(left, "mine/x.tf", EVIL)
    assert f"switch-roles/{left.name}/mine" in {item.path for item in compare(manifest, output).modules}
    shutil.rmtree(left / "mine")
    generate(manifest, output)
    assert [] == found(generated)


def test_links_to_outside_of_output_folder_are_errors(generated: Path) -> None:
    """They are not followed."""
    put(generated, "outside/main.tf", EVIL)
    (generated / "output/customers/linked").symlink_to(generated / "outside")

    assert [("customers/linked", Severity.ERROR)] == [(finding.subject, finding.severity) for finding in found(generated)]


def test_check_with_only_ignores_unplanned_folders(generated: Path) -> None:
    """`--only` limits findings to the named modules."""
    put(generated / "output", "customers/ghost/main.tf", EVIL)

    assert [] == found(generated, only=["account1"])
