"""The Terraform form: gen terraform's files untouched, and tests that state what was agreed."""

from __future__ import annotations

from bundle_worlds import handovers
from manifests import customer, manifest_of
from rolecall_generator.bundle.forms.terraform_module import TESTS, terraform_module_form
from rolecall_generator.manifest.models import Manifest


def stated(manifest: Manifest, path: str) -> str:
    """The tests of one bundle."""
    return terraform_module_form(handovers(manifest)[path])[TESTS].decode()


def test_the_modules_files_are_handed_over_untouched() -> None:
    """Next to them there is one file more, below tests/."""
    handover = handovers(manifest_of(1))["customer0"]
    files = terraform_module_form(handover)

    assert {f"terraform/{name}": text.encode() for name, text in handover.terraform.items()} == {
        name: content for name, content in files.items() if name != TESTS
    }
    assert TESTS in files


def test_the_tests_state_the_trust() -> None:
    """Principal and external ID stand in the conditions, so that a reader sees what was agreed."""
    text = stated(manifest_of(0, customers=[customer(0, external_id="id-of-acme")]), "customer0")

    assert "AWS arn:aws:iam::111111111111:role/backend_role" in text
    assert "StringEquals sts:ExternalId id-of-acme" in text


def test_the_refused_account_is_never_the_modules_own() -> None:
    """Also a module of account 000000000000 is tried with another one."""
    tried = [
        stated(manifest_of(0, customers=[customer(0, account_id=account)]), "customer0").partition("refuses_another")[2]
        for account in ("000000000000", "999999999999", "200000000000")
    ]

    assert [True, False, False] == ["999999999999" in run for run in tried]
    assert [False, True, True] == ["000000000000" in run for run in tried]
