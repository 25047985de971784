"""The Terraform form: the files of `gen terraform` unchanged, and Terraform tests for the trust policy."""

from __future__ import annotations

from bundle_worlds import handovers
from manifests import customer, manifest_of
from rolecall_generator.bundle.forms.terraform_module import TESTS, terraform_module_form
from rolecall_generator.manifest.models import Manifest


def stated(manifest: Manifest, path: str) -> str:
    return terraform_module_form(handovers(manifest)[path])[TESTS].decode()


def test_terraform_tests_contain_principal_and_external_id() -> None:
    """Both are literal values in the conditions, so that a reviewer can read them."""
    text = stated(manifest_of(0, customers=[customer(0, external_id="id-of-acme")]), "customer0")

    assert "AWS arn:aws:iam::111111111111:role/backend_role" in text
    assert "StringEquals sts:ExternalId id-of-acme" in text


def test_rejected_account_is_never_the_modules_own() -> None:
    tried = [
        stated(manifest_of(0, customers=[customer(0, account_id=account)]), "customer0").partition("refuses_another")[2]
        for account in ("000000000000", "999999999999", "200000000000")
    ]

    assert [True, False, False] == ["999999999999" in run for run in tried]
    assert [False, True, True] == ["000000000000" in run for run in tried]
