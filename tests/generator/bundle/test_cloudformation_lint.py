"""cfn-lint, with the resource schemas of the CloudFormation registry, has no findings in the templates."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from form_handovers import everything, handed_over, module_of
from manifests import notes_manifest
from rolecall_generator.bundle.forms.cloudformation import template_text
from rolecall_generator.iam.model import Module
from rolecall_generator.manifest.models import Manifest
from strategies_manifest import manifests

REGIONS = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}


@functools.cache
def linter() -> Callable[..., list[Any]]:
    """cfn-lint with all rules for errors and warnings, loaded once because loading takes longer than linting."""
    # Imported here: otherwise every process that collects the tests imports it, with sympy.
    from cfnlint.api import lint  # noqa: PLC0415
    from cfnlint.core import get_rules  # noqa: PLC0415

    return functools.partial(lint, rules=get_rules([], [], ["E", "W"]))


def findings(module: Module, *, policies: bool = True) -> list[str]:
    """Errors and warnings, each with its rule; without `policies`, those in policy documents are left out."""
    text = template_text(module, "accounts.yaml")
    if text is None:
        return []
    found = linter()(text, regions=[REGIONS[module.partition]])
    return [
        f"{match.rule.id} {match.message}"
        for match in found
        if policies or not {"PolicyDocument", "AssumeRolePolicyDocument"} & set(match.path or ())
    ]


@pytest.mark.parametrize("path", sorted(module.path for module in handed_over(notes_manifest())))
def test_templates_of_example_accounts_have_no_findings(path: str) -> None:
    (module,) = (module for module in handed_over(notes_manifest()) if module.path == path)

    assert [] == findings(module)


@pytest.mark.parametrize("partition", REGIONS)
def test_every_kind_of_resource_has_no_findings(partition: str) -> None:
    """Against the resource schemas of each partition that cfn-lint supports."""
    assert [] == findings(module_of(everything(existing=True), partition=partition))


def test_invalid_template_has_finding() -> None:
    """Verifies that the linter is effective: an unknown resource type is an error."""
    text = template_text(module_of(everything(existing=False)), "accounts.yaml")
    assert text is not None

    assert [] != linter()(text.replace("AWS::IAM::Group", "AWS::IAM::Club"), regions=["us-east-1"])


# No shrinking: one run of the linter takes at least 0.1 s.
@settings(
    max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.too_slow]
)
@given(manifests())
def test_templates_of_random_manifests_have_no_findings(values: dict[str, Any]) -> None:
    """Names, descriptions, tags and paths with special characters.

    Findings in policy documents are left out: `gen check` reports them, and some resources here are not ARNs.
    """
    for module in handed_over(Manifest.model_validate(values)):
        assert [] == findings(module, policies=False)
