"""A form of a bundle is one file: found in the folder of forms, written, and described in the README."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundle_worlds import handovers
from manifests import manifest_of
from rolecall_generator.bundle import forms
from rolecall_generator.bundle.build import bundle_files
from rolecall_generator.bundle.bundle_state import read_sums

SOURCE = '''
"""A form that is not part of rolecall."""

from rolecall_generator.bundle.forms.interface import BundleForm, Instructions


def render(handover):
    return {"pulumi/index.ts": handover.module.account.account_id.encode()}


FORM = BundleForm("pulumi", render, lambda _: Instructions("With Pulumi", "Run `pulumi up`.", "Pulumi: `pulumi destroy`."))
'''


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One more file in the folder of forms."""
    (tmp_path / "pulumi.py").write_text(SOURCE)
    monkeypatch.setattr(forms, "__path__", [*forms.__path__, str(tmp_path)])
    forms.all_forms.cache_clear()
    yield
    forms.all_forms.cache_clear()
    sys.modules.pop("rolecall_generator.bundle.forms.pulumi", None)


@pytest.mark.usefixtures("added")
def test_form_from_outside_is_in_the_bundle_and_its_readme() -> None:
    """Its files have checksums; the README has its instructions, after those of the other forms."""
    files = bundle_files(handovers(manifest_of(1))["customer0"])
    readme = files["README.md"].decode()

    assert "pulumi/index.ts" in read_sums(files["SHA256SUMS"])
    assert "### With Pulumi\n\nRun `pulumi up`.\n" in readme
    assert "\n- Pulumi: `pulumi destroy`.\n" in readme
    assert readme.index("### In the AWS console") < readme.index("### With Pulumi")


def test_forms_without_the_file_are_those_of_rolecall() -> None:
    """Nothing of an added form stays; the order is that of the README."""
    assert ["terraform", "cloudformation", "aws-cli", "console", "review"] == [form.folder for form in forms.all_forms()]
