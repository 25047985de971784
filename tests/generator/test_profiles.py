"""AWS CLI profiles for the customers of a manifest, as parsed by botocore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.session
import pytest

from manifests import customer, manifest_of, notes_manifest
from rolecall_generator.customers.listing import profiles_text
from rolecall_generator.errors import SelectionError


def read(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """The profiles as parsed by botocore, and so by the AWS CLI."""
    (folder / "config").write_text(text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "none"))
    profiles: dict[str, dict[str, Any]] = botocore.session.Session().full_config["profiles"]
    return profiles


def test_customer_profile_uses_instance_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(profiles_text(notes_manifest()), tmp_path, monkeypatch)

    assert ["account1", "account2", "account3", "reena-in-sumesh"] == list(found)
    assert {
        "role_arn": "arn:aws:iam::222222222222:role/role1",
        "external_id": "0f0c4f7c1e6b4a1d9a52b7c3d8e9f101",
        "credential_source": "Ec2InstanceMetadata",
        "role_session_name": "rolecall-cli",
        "duration_seconds": "3600",
        "region": "us-east-1",
    } == found["account1"]


def test_previous_external_id_is_used_during_rotation() -> None:
    """The role accepts it both before and after the customer applies the new module."""
    rotating = customer(0, external_id="new-id", previous_external_id="old-id")
    text = profiles_text(manifest_of(0, customers=[rotating]))

    assert ["external_id = old-id"] == [line for line in text.splitlines() if line.startswith("external_id")]


def test_switch_role_profile_has_mfa_serial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(profiles_text(notes_manifest(), ["reena-in-sumesh"]), tmp_path, monkeypatch)

    assert ["reena-in-sumesh"] == list(found)
    assert "reena" == found["reena-in-sumesh"]["source_profile"]
    assert "arn:aws:iam::078352025563:mfa/reena" == found["reena-in-sumesh"]["mfa_serial"]
    assert "external_id" not in found["reena-in-sumesh"]


def test_source_profile_and_prefix_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a source profile there is no credential source: the AWS CLI rejects profiles with both."""
    text = profiles_text(notes_manifest(), ["account1"], source_profile="vendor", prefix="rc-")
    found = read(text, tmp_path, monkeypatch)

    assert ["rc-account1"] == list(found)
    assert "vendor" == found["rc-account1"]["source_profile"]
    assert "credential_source" not in found["rc-account1"]


def test_unknown_name_is_error_and_long_durations_are_limited() -> None:
    """A longer session duration of a role is reduced to the limit for role chaining."""
    with pytest.raises(SelectionError):
        profiles_text(notes_manifest(), ["account9"])
    long = manifest_of(1, defaults={"permissions": ["read"], "max_session_seconds": 43200})

    assert "duration_seconds = 3600\n" in profiles_text(long)
