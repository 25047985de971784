from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from manifests import rendered
from rolecall_generator.errors import PlanError
from rolecall_generator.manifest.models import Manifest
from rolecall_generator.planning.planner import Plan, PlannedModule, make_plan
from rolecall_generator.terraform.parser.parse import parse_files
from rolecall_generator.terraform.render import render_module
from strategies_manifest import manifests

slow_to_make = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def planned(values: dict[str, Any]) -> Plan:
    """The plan of a manifest; manifests over AWS quotas are discarded."""
    try:
        return make_plan(Manifest.model_validate(values))
    except PlanError:
        assume(False)
        raise


def files_of(module: PlannedModule) -> dict[str, bytes]:
    return {
        name: text.encode() for name, text in render_module(module.build(), "accounts.yaml").items() if name != "README.md"
    }


@pytest.mark.parametrize("examples", [25, pytest.param(1500, marks=pytest.mark.slow)])
def test_rendered_module_is_parsed_as_planned(examples: int) -> None:
    """parse(render(plan)) equals plan for any manifest: no valid value changes the structure of a generated file."""

    @settings(slow_to_make, max_examples=examples)
    @given(manifests())
    def reads_back(values: dict[str, Any]) -> None:
        assert_reads_back(values)

    reads_back()


def assert_reads_back(values: dict[str, Any]) -> None:
    for module in planned(values).modules:
        built = module.build()

        parsed = parse_files(files_of(module), account_id=built.account.account_id, partition=built.partition)

        assert [] == [finding for finding in parsed.findings if finding.severity.name == "ERROR"]
        assert built.access.canonical() == parsed.access.canonical()


@given(manifests())
@settings(slow_to_make, max_examples=20)
def test_rendering_is_reproducible(values: dict[str, Any]) -> None:
    assert rendered(planned(values)) == rendered(planned(values))
