"""The parser against Terraform's plan: it reads a module as planned, or reports that it cannot; no third outcome."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from rolecall_generator.manifest.models import Manifest
from rolecall_generator.planning.planner import make_plan
from rolecall_generator.terraform.parser.parse import ParsedModule, parse_files
from rolecall_generator.terraform.render import render_module
from strategies_manifest import manifests
from terraform_cases import make_existing
from terraform_plan import Planned, Verdict, plan_folder, plan_modules, planned_modules, verdict
from terraform_providers import Provider
from terraform_rig import Call, workspace_of_many

pytestmark = pytest.mark.terraform


ACCOUNT = "222222222222"
WRITTEN = {path.stem: {"main.tf": path.read_text()} for path in sorted((Path(__file__).parent / "written").glob("*.tf"))}
"""Hand-written modules by the feature that each one uses; all are for the account above."""
PLAIN = WRITTEN["plain"]["main.tf"]


def variants() -> dict[str, dict[str, str]]:
    """The hand-written variants of tests/generator/parse: one role in different styles."""
    path = Path(__file__).parents[2] / "generator" / "terraform" / "parser" / "test_parse_variants.py"
    spec = importlib.util.spec_from_file_location("parse_variants", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    modules: dict[str, dict[str, str]] = loaded.VARIANTS
    return modules


VARIANTS = variants()


def parsed(files: Mapping[str, str], account_id: str = ACCOUNT) -> ParsedModule:
    return parse_files({name: text.encode() for name, text in files.items()}, account_id=account_id)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory, endpoint: str, aws_provider: Provider) -> dict[str, Planned]:
    """All hand-written modules and variants, planned in one run."""
    folder = tmp_path_factory.mktemp("judge")
    return plan_modules(folder, WRITTEN | VARIANTS, account_id=ACCOUNT, endpoint=endpoint, provider=aws_provider)


@pytest.mark.parametrize(
    "name",
    WRITTEN,
)
def test_hand_written_module_is_read_as_planned_or_unknown(planned: dict[str, Planned], name: str) -> None:
    """Typed variables, for_each, count, dynamic, merge, conditionals and functions: equal or unknown, never wrong."""
    assert verdict(parsed(WRITTEN[name]), planned[name], ACCOUNT) in {Verdict.EQUAL, Verdict.UNKNOWN}


def test_most_hand_written_modules_are_read(planned: dict[str, Planned]) -> None:
    """A parser that reported everything as unknown would never be wrong."""
    unknown = [name for name, files in WRITTEN.items() if verdict(parsed(files), planned[name], ACCOUNT) is Verdict.UNKNOWN]

    assert len(WRITTEN) >= 25
    assert len(unknown) <= len(WRITTEN) // 4, unknown


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_of_one_role_is_read_as_planned(planned: dict[str, Planned], name: str) -> None:
    """Variants that the parser reads without findings equal their plan."""
    assert Verdict.EQUAL is verdict(parsed(VARIANTS[name]), planned[name], ACCOUNT)


def test_variables_are_read_from_auto_loaded_files(endpoint: str, aws_provider: Provider, tmp_path: Path) -> None:
    """terraform.tfvars and *.auto.tfvars, also hidden, override defaults; another *.tfvars is not loaded."""
    variable = 'variable "id" {\n  type    = string\n  default = "id-0"\n}\n'
    files = {"main.tf": variable + PLAIN.replace('["id-1"]', "[var.id]")}
    for name, value in (("terraform.tfvars", "id-1"), ("b.auto.tfvars", "id-2"), (".x.auto.tfvars", "id-3")):
        files[name] = f'id = "{value}"\n'
    files["other.tfvars"] = 'id = "id-9"\n'

    planned = plan_folder(tmp_path, files, account_id=ACCOUNT, endpoint=endpoint, provider=aws_provider)

    (role,) = planned.access(ACCOUNT).roles.values()
    assert role.trust is not None
    assert ("id-2",) == role.trust.statements[0].conditions[0].values
    assert verdict(parsed(files), planned, ACCOUNT) in {Verdict.EQUAL, Verdict.UNKNOWN}


def test_wrong_parse_result_is_detected(endpoint: str, aws_provider: Provider, tmp_path: Path) -> None:
    """Another principal, an extra role, a missing name or condition: wrong. A module that Terraform rejects: refused."""
    files = {"main.tf": PLAIN}
    planned = plan_folder(tmp_path / "plain", files, account_id=ACCOUNT, endpoint=endpoint, provider=aws_provider)
    believed = {
        "principal": (":role/backend_role", ":root"),
        "name": ('"role1"', '"role2"'),
        "condition": ("StringEquals", "StringLike"),
        "session": ("  name  ", "  max_session_duration = 7200\n  name  "),
    }

    assert Verdict.EQUAL is verdict(parsed(files), planned, ACCOUNT)
    for before, after in believed.values():
        assert Verdict.WRONG is verdict(parsed({"main.tf": files["main.tf"].replace(before, after)}), planned, ACCOUNT)
    refused = {"main.tf": files["main.tf"].replace('"role1"', "tonumber(null) + 1")}
    answer = plan_folder(tmp_path / "refused", refused, account_id=ACCOUNT, endpoint=endpoint, provider=aws_provider)
    assert answer.refused is not None
    assert Verdict.REFUSED is verdict(parsed(files), answer, ACCOUNT)


@pytest.mark.parametrize(
    "text",
    [
        'data "external" "x" {\n  program = ["id"]\n}\n',
        'data "http" "x" {\n  url = "http://127.0.0.1"\n}\n',
        'resource "terraform_data" "x" {\n  provisioner "local-exec" {\n    command = "id"\n  }\n}\n',
        'module "x" {\n  source = "git::https://localhost/x"\n}\n',
        'terraform {\n  backend "http" {\n  }\n}\n',
        'terraform {\n  required_providers {\n    aws = { source = "somebody/aws" }\n  }\n}\n',
    ],
)
def test_module_that_runs_or_downloads_something_is_not_planned(text: str, tmp_path: Path) -> None:
    """The module is refused before Terraform reads it."""
    provider = Provider((3, 39, 0), tmp_path)

    with pytest.raises(ValueError, match="not planned"):
        plan_folder(tmp_path, {"main.tf": text}, account_id=ACCOUNT, endpoint="http://127.0.0.1:9", provider=provider)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.slow
@settings(max_examples=4, deadline=None, phases=[Phase.generate], derandomize=True)
@given(manifests())
def test_modules_of_any_manifest_are_read_as_planned(
    tmp_path_factory: pytest.TempPathFactory, endpoint: str, aws_provider: Provider, values: dict[str, Any]
) -> None:
    """For hostile names, tags, paths and policies, intended, parsed and planned access are equal."""
    built = [module.build() for module in make_plan(Manifest.model_validate(values)).modules]
    files = {f"m{number}": render_module(module, "accounts.yaml") for number, module in enumerate(built)}
    accounts = {f"m{number}": module.account.account_id for number, module in enumerate(built)}
    needed = {
        label for label, each in files.items() if '">= 4.1,' in each["versions.tf"] and aws_provider.version < (4, 1, 0)
    }
    calls = [Call(label, each, accounts[label]) for label, each in files.items() if label not in needed]
    for module in built:
        make_existing(endpoint, module)
    root = workspace_of_many(tmp_path_factory.mktemp("any"), calls, endpoint, aws_provider)

    root.init()
    planned = planned_modules(root.plan(), [call.name for call in calls])
    for call in calls:
        assert Verdict.EQUAL is verdict(parsed(files[call.name], call.account_id), planned[call.name], call.account_id)
