"""cfn-lint, AWS's own linter with the registry's schemas, has nothing to say against our templates."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.core import get_rules
from hypothesis import HealthCheck, Phase, given, settings

from form_handovers import everything, handed_over, module_of
from manifests import notes_manifest
from rolecall_generator.bundle.forms.cloudformation import template_text
from rolecall_generator.iam.model import Module
from rolecall_generator.manifest.models import Manifest
from strategies_manifest import manifests

REGIONS = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}


@functools.cache
def rules() -> Any:
    """All rules for errors and warnings, read once: that takes longer than the linting."""
    return get_rules([], [], ["E", "W"])


def findings(module: Module, *, policies: bool = True) -> list[str]:
    """Errors and warnings, each with its rule; without `policies` not those on a policy's own text."""
    text = template_text(module, "accounts.yaml")
    if text is None:
        return []
    found = lint(text, rules=rules(), regions=[REGIONS[module.partition]])
    return [
        f"{match.rule.id} {match.message}"
        for match in found
        if policies or not {"PolicyDocument", "AssumeRolePolicyDocument"} & set(match.path or ())
    ]


@pytest.mark.parametrize("path", sorted(module.path for module in handed_over(notes_manifest())))
def test_the_notes_templates_are_clean(path: str) -> None:
    """Every module of the notes: no error, no warning."""
    (module,) = (module for module in handed_over(notes_manifest()) if module.path == path)

    assert [] == findings(module)


@pytest.mark.parametrize("partition", REGIONS)
def test_every_kind_of_resource_is_clean(partition: str) -> None:
    """Everything that a module may hold, against the resource schemas of each partition that cfn-lint knows."""
    assert [] == findings(module_of(everything(existing=True), partition=partition))


def test_a_wrong_template_is_found() -> None:
    """The linter that is asked here does look: a type that does not exist is an error."""
    text = template_text(module_of(everything(existing=False)), "accounts.yaml")
    assert text is not None

    assert [] != lint(text.replace("AWS::IAM::Group", "AWS::IAM::Club"), rules=rules(), regions=["us-east-1"])


# No shrinking: a run of the linter takes a tenth of a second and more.
@settings(
    max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.too_slow]
)
@given(manifests())
def test_any_manifests_templates_are_clean(values: dict[str, Any]) -> None:
    """Hostile names, descriptions, tags and paths are nothing to the linter.

    What it finds in a policy's text is the manifest's own: `gen check` is there for it, and resources that are no ARNs are
    wanted here.
    """
    for module in handed_over(Manifest.model_validate(values)):
        assert [] == findings(module, policies=False)
