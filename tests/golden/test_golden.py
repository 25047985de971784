from __future__ import annotations

from pathlib import Path

from golden_files import assert_golden
from manifests import notes_manifest, render_manifest

HERE = Path(__file__).parent


def test_example_accounts_render_to_their_golden_files() -> None:
    """Three customers, a switch role and the S3 policy give exactly the files of the golden folder."""
    assert_golden(HERE / "notes", render_manifest(notes_manifest()))


def test_leading_zero_of_reenas_account_is_kept() -> None:
    """The account ID 078352025563 appears whole, in the guard and in the trust."""
    files = render_manifest(notes_manifest())

    assert 'self.account_id == "078352025563"' in files["switch-roles/reena-in-sumesh/trusted/main.tf"]
    assert "arn:aws:iam::078352025563:root" in files["switch-roles/reena-in-sumesh/trusting/main.tf"]
