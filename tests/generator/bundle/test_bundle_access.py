"""All forms of a bundle grant the same access: each is parsed from the bundle's files and compared."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from bundle_worlds import handovers
from cloudformation_reader import as_cloudformation_says, read_template
from form_handovers import already_there
from manifests import notes_manifest
from rolecall_generator.bundle.build import bundle_files
from rolecall_generator.bundle.forms.interface import Files, Handover
from rolecall_generator.iam.model import Access
from rolecall_generator.manifest.models import Manifest
from rolecall_generator.terraform.parser.parse import parse_files
from strategies_manifest import manifests
from walkthrough_reader import access_from


def of_terraform(files: Files, handover: Handover) -> Access:
    names = {name.rpartition("/")[2]: text for name, text in files.items() if name.startswith("terraform/")}
    module = {name: text for name, text in names.items() if name.endswith(".tf")}
    parsed = parse_files(module, account_id=handover.module.account.account_id, partition=handover.module.partition)
    assert () == parsed.findings
    return parsed.access.canonical()


def of_cloudformation(files: Files, handover: Handover) -> Access:
    template = files.get("cloudformation/template.json")
    if template is None:
        return Access()
    existing = already_there(handover.module.access)
    return read_template(template.decode(), partition=handover.module.partition, existing=existing).canonical()


def assert_all_the_same(manifest: Manifest) -> None:
    for handover in handovers(manifest).values():
        files = bundle_files(handover)
        wanted = handover.module.access

        assert wanted.canonical() == of_terraform(files, handover)
        assert as_cloudformation_says(wanted).canonical() == of_cloudformation(files, handover)
        assert wanted.canonical() == access_from(files["console/walkthrough.md"].decode()).canonical()


def test_forms_of_example_bundles_grant_the_same_access() -> None:
    assert_all_the_same(notes_manifest())


@settings(max_examples=40, deadline=None)
@given(manifests())
def test_forms_of_random_bundles_grant_the_same_access(values: dict[str, Any]) -> None:
    assert_all_the_same(Manifest.model_validate(values))
