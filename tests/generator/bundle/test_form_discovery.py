"""A form of a bundle is one file: discovered in the folder of forms, rendered, and described in the README."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundle_worlds import handovers
from manifests import manifest_of
from rolecall_generator.bundle import forms
from rolecall_generator.bundle.archive import read_sums
from rolecall_generator.bundle.build import bundle_files

SOURCE = '''
"""A form that is not part of rolecall."""

from rolecall_generator.bundle.forms.interface import BundleForm, Instructions


def render(handover):
    return {"pulumi/index.ts": handover.module.account.account_id.encode()}


FORM = BundleForm("pulumi", render, lambda _: Instructions("With Pulumi", "Run `pulumi up`.", "Pulumi: `pulumi destroy`."))
'''


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Adds a file to the folder of forms."""
    (tmp_path / "pulumi.py").write_text(SOURCE)
    monkeypatch.setattr(forms, "__path__", [*forms.__path__, str(tmp_path)])
    forms.all_forms.cache_clear()
    yield
    forms.all_forms.cache_clear()
    sys.modules.pop("rolecall_generator.bundle.forms.pulumi", None)


@pytest.mark.usefixtures("added")
def test_added_form_is_in_bundle_and_readme() -> None:
    files = bundle_files(handovers(manifest_of(1))["customer0"])
    readme = files["README.md"].decode()

    assert "pulumi/index.ts" in read_sums(files["SHA256SUMS"])
    assert "### With Pulumi\n\nRun `pulumi up`.\n" in readme
    assert "\n- Pulumi: `pulumi destroy`.\n" in readme
    assert readme.index("### In the AWS console") < readme.index("### With Pulumi")


def test_forms_without_added_file_are_the_built_in_ones() -> None:
    assert ["terraform", "cloudformation", "aws-cli", "console", "review", "certificate"] == [
        form.folder for form in forms.all_forms()
    ]
