"""Attacks on generated modules are detected by parsing: the access differs, or there is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from attacks import ADDITIONS, EDITS, MANIFEST, ONE
from rolecall_generator.findings import Severity
from rolecall_generator.iam.model import Module
from rolecall_generator.manifest.loader import load_manifest
from rolecall_generator.planning.planner import make_plan
from rolecall_generator.terraform.parser.parse import ParsedModule, parse_files, parse_module
from rolecall_generator.terraform.render import render_module


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Module, dict[str, str]]]:
    """The generated modules of one small manifest, by path."""
    path = tmp_path_factory.mktemp("manifest") / "accounts.yaml"
    path.write_text(MANIFEST)
    plan = make_plan(load_manifest(path).manifest)
    built = {planned.path: planned.build() for planned in plan.modules}
    return {path: (module, render_module(module, "accounts.yaml")) for path, module in built.items()}


def read(module: Module, files: dict[str, str]) -> ParsedModule:
    return parse_files({name: text.encode() for name, text in files.items()}, account_id=module.account.account_id)


def noticed(module: Module, parsed: ParsedModule) -> bool:
    errors = [finding for finding in parsed.findings if finding.severity is Severity.ERROR]
    return bool(errors) or parsed.access.canonical() != module.access.canonical()


def test_generated_modules_parse_as_planned(modules: dict[str, tuple[Module, dict[str, str]]]) -> None:
    """Rendered modules are parsed as planned and without findings, so that the other tests detect only the attacks."""
    for module, files in modules.values():
        parsed = read(module, files)
        assert () == parsed.findings
        assert module.access.canonical() == parsed.access.canonical()
        assert module.account.account_id == parsed.guard_account_id


@pytest.mark.parametrize("name", EDITS)
def test_edit_is_finding(name: str, modules: dict[str, tuple[Module, dict[str, str]]]) -> None:
    """Every edit changes the Access or is an error."""
    path, old, new = EDITS[name]
    module, files = modules[path]
    edited = {file: text.replace(old, new, 1) for file, text in files.items()}

    assert edited != files
    assert noticed(module, read(module, edited))


@pytest.mark.parametrize("name", ADDITIONS)
def test_added_file_is_finding(name: str, modules: dict[str, tuple[Module, dict[str, str]]]) -> None:
    """Every added file changes the Access or is an error."""
    path, file, text = ADDITIONS[name]
    module, files = modules[path]

    assert noticed(module, read(module, {**files, file: text}))


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
def test_ineffective_guard_is_ignored(condition: str, modules: dict[str, tuple[Module, dict[str, str]]]) -> None:
    """Only the exact comparison counts; any other condition is reported as a missing guard."""
    module, files = modules[ONE]
    edited = {file: text.replace('self.account_id == "222222222222"', condition) for file, text in files.items()}
    parsed = read(module, edited)

    assert parsed.guard_account_id is None
    assert ["RC907"] == [finding.rule for finding in parsed.findings]


def test_variables_have_values_from_tfvars_file(modules: dict[str, tuple[Module, dict[str, str]]]) -> None:
    """A `.tfvars` file changes the value of a variable and is a warning."""
    module, files = modules[ONE]
    edited = {
        **{file: text.replace('"id-11111",\n      ]', "var.id,\n      ]") for file, text in files.items()},
        "x.tf": 'variable "id" {\n  default = "id-11111"\n}\n',
    }

    assert not noticed(module, read(module, edited))
    assert noticed(module, read(module, {**edited, "terraform.tfvars": 'id = "*"\n'}))
    assert noticed(module, read(module, {**edited, "x.auto.tfvars.json": '{"id": "*"}'}))


def test_finding_has_file_and_line(modules: dict[str, tuple[Module, dict[str, str]]]) -> None:
    """An unresolvable value is reported at its definition, not at its use."""
    module, files = modules[ONE]
    edited = {file: text.replace('"id-11111",\n      ]', "var.id,\n      ]") for file, text in files.items()}
    line = edited["main.tf"][: edited["main.tf"].index("var.id")].count("\n") + 1
    findings = [finding for finding in read(module, edited).findings if finding.rule == "RC901"]

    assert {("main.tf", line - 1)} == {(finding.file, finding.line) for finding in findings}


def test_every_example_module_parses_as_planned(tmp_path: Path) -> None:
    """The modules of the example manifest are parsed as planned, from folders on disk."""
    example = Path(__file__).resolve().parents[4] / "examples" / "accounts.yaml"
    for planned in make_plan(load_manifest(example).manifest).modules:
        module = planned.build()
        folder = tmp_path / module.path
        folder.mkdir(parents=True)
        for name, text in render_module(module, "accounts.yaml").items():
            (folder / name).write_text(text, encoding="utf-8")
        parsed = parse_module(folder, account_id=module.account.account_id, partition=module.partition)
        assert (module.access.canonical(), ()) == (parsed.access.canonical(), parsed.findings)
