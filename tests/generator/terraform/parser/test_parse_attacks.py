"""Manipulated guards and variables of a generated module; `test_check_attacks.py` has the other attacks."""

from __future__ import annotations

import pytest

from attacks import MANIFEST, ONE
from rolecall_generator.findings import Severity
from rolecall_generator.iam.model import Module
from rolecall_generator.manifest.loader import load_manifest
from rolecall_generator.planning.planner import make_plan
from rolecall_generator.terraform.parser.parse import ParsedModule, parse_files
from rolecall_generator.terraform.render import render_module

Rendered = tuple[Module, dict[str, str]]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """A customer's module and its files."""
    path = tmp_path_factory.mktemp("manifest") / "accounts.yaml"
    path.write_text(MANIFEST)
    (module,) = (each.build() for each in make_plan(load_manifest(path).manifest).modules if each.path == ONE)
    return module, render_module(module, "accounts.yaml")


def read(module: Module, files: dict[str, str]) -> ParsedModule:
    return parse_files({name: text.encode() for name, text in files.items()}, account_id=module.account.account_id)


def noticed(module: Module, parsed: ParsedModule) -> bool:
    errors = [finding for finding in parsed.findings if finding.severity is Severity.ERROR]
    return bool(errors) or parsed.access.canonical() != module.access.canonical()


@pytest.mark.parametrize(
    "condition",
    [
        'self.account_id == "222222222222" || true',
        "true",
        'self.account_id != "222222222222"',
        "self.account_id == data.aws_caller_identity.current.account_id",
        'self.id == "222222222222"',
        'can(self.account_id == "222222222222")',
    ],
)
def test_ineffective_guard_is_ignored(condition: str, rendered: Rendered) -> None:
    """Only the exact comparison counts; any other condition is reported as a missing guard."""
    module, files = rendered
    edited = {file: text.replace('self.account_id == "222222222222"', condition) for file, text in files.items()}
    parsed = read(module, edited)

    assert module.account.account_id == read(module, files).guard_account_id
    assert parsed.guard_account_id is None
    assert ["RC907"] == [finding.rule for finding in parsed.findings]


def test_variables_have_values_from_tfvars_file(rendered: Rendered) -> None:
    """A `.tfvars` file changes the value of a variable and is a warning."""
    module, files = rendered
    edited = {
        **{file: text.replace('"id-11111",\n      ]', "var.id,\n      ]") for file, text in files.items()},
        "x.tf": 'variable "id" {\n  default = "id-11111"\n}\n',
    }

    assert not noticed(module, read(module, edited))
    assert noticed(module, read(module, {**edited, "terraform.tfvars": 'id = "*"\n'}))
    assert noticed(module, read(module, {**edited, "x.auto.tfvars.json": '{"id": "*"}'}))


def test_finding_has_file_and_line(rendered: Rendered) -> None:
    """An unresolvable value is reported at its definition, not at its use."""
    module, files = rendered
    edited = {file: text.replace('"id-11111",\n      ]', "var.id,\n      ]") for file, text in files.items()}
    line = edited["main.tf"][: edited["main.tf"].index("var.id")].count("\n") + 1
    findings = [finding for finding in read(module, edited).findings if finding.rule == "RC901"]

    assert {("main.tf", line - 1)} == {(finding.file, finding.line) for finding in findings}
