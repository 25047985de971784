"""Every argument and attribute that generated modules use exists in providers 3.39 to 6.x and is not deprecated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import provider_schema
from manifests import manifest_of, notes_manifest, render_manifest
from terraform_providers import Provider
from terraform_rig import Workspace, put
from terraform_usage import arguments_used, attributes_used

EVERYTHING: dict[str, Any] = {
    "backend": {"account_id": "111111111111", "role": {"name": "backend", "existing": False}},
    "permission_sets": {
        "all": {
            "attach": "managed",
            "description": "Everything that a statement can have",
            "managed_policies": ["AmazonEC2ReadOnlyAccess"],
            "statements": [
                {
                    "effect": "Deny",
                    "not_actions": ["s3:*"],
                    "not_resources": ["*"],
                    "conditions": {"Bool": {"aws:a": ["true"]}},
                }
            ],
        },
        "read": {"statements": [{"sid": "A", "actions": ["s3:GetObject"], "resources": ["*"]}]},
    },
    "customers": [
        {
            "name": "acme",
            "account_id": "222222222222",
            "role": "r",
            "external_id": "0f0c4f7c1e6b",
            "permissions": ["all", "read"],
            "permissions_boundary": "arn:aws:iam::aws:policy/ReadOnlyAccess",
            "tags": {"a": "b"},
        }
    ],
    "switch_roles": [
        {
            "name": f"s-{side}-{existing}",
            "trusting": {"name": "one", "account_id": "333333333333"},
            "trusted": {"name": "two", "account_id": "444444444444"},
            "role": f"r-{side}-{existing}",
            "permissions": ["read"],
            "group": {"name": f"g-{side}-{existing}", "existing": existing},
            "users": [
                {"name": f"u-{side}-{existing}", "console_password": not existing, "existing": existing},
            ],
            "group_in": side,
        }
        for side in ("trusted", "trusting")
        for existing in (False, True)
    ],
}
# aws_iam_user_login_profile.password was added in provider 4.1; a module that reads it requires that version.
SINCE_4_1 = ("aws_iam_user_login_profile", "password")


@pytest.fixture(scope="module")
def files() -> list[str]:
    """Every Terraform file of the example manifest, and of one with every option that adds an argument."""
    manifests = [notes_manifest(), manifest_of(0, **EVERYTHING)]
    return [text for each in manifests for name, text in render_manifest(each).items() if name.endswith(".tf")]


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory, aws_provider: Provider) -> Any:
    """The provider's own schema."""
    folder: Path = tmp_path_factory.mktemp("schema")
    put(folder, {"main.tf": 'terraform {\n  required_providers {\n    aws = { source = "hashicorp/aws" }\n  }\n}\n'})
    root = Workspace(folder, aws_provider)
    root.init()
    return json.loads(root.run("providers", "schema", "-json", warn=True).out)


def test_arguments_exist_in_provider_6_and_are_not_deprecated(files: list[str]) -> None:
    """Provider 6.62 has every argument in use and deprecates none of them."""
    used = {pair for text in files for pair in arguments_used(text)}

    assert ("data.aws_iam_policy_document.statement.condition", "test") in used
    assert [] == sorted((b, a) for b, a in used if provider_schema.arguments(b).get(a, True))


def test_attributes_exist_in_provider_6(files: list[str]) -> None:
    """Provider 6.62 has every attribute in use."""
    used = {pair for text in files for pair in attributes_used(text)}

    assert ("aws_iam_role", "name") in used
    assert [] == sorted((b, a) for b, a in used if a not in provider_schema.attributes(b))


@pytest.mark.terraform
@pytest.mark.every_provider
def test_arguments_and_attributes_exist_in_every_installed_provider(
    files: list[str], schema: Any, aws_provider: Provider
) -> None:
    """None is deprecated; the only exception is the password, for which a module requires 4.1."""
    later = {SINCE_4_1} if aws_provider.version < (4, 1, 0) else set()
    arguments = {pair for text in files for pair in arguments_used(text)}
    attributes = {pair for text in files for pair in attributes_used(text)} - later

    assert [] == sorted((b, a) for b, a in arguments if provider_schema.arguments_of_schema(schema, b).get(a, True))
    assert [] == sorted((b, a) for b, a in attributes if a not in provider_schema.attributes_of_schema(schema, b))


def test_unknown_or_deprecated_argument_is_reported() -> None:
    role = provider_schema.arguments("aws_iam_role")

    assert "trust" not in role
    assert (True, True, False) == (role["inline_policy"], role["managed_policy_arns"], role["assume_role_policy"])
    with pytest.raises(KeyError):
        provider_schema.arguments("aws_iam_rolle")


def test_plain_password_requires_provider_4_1() -> None:
    """versions.tf requires provider 4.1 wherever the initial password is an output."""
    modules = render_manifest(manifest_of(0, **EVERYTHING))
    reading = {path.rpartition("/")[0] for path, text in modules.items() if SINCE_4_1 in attributes_used(text)}

    assert reading
    assert [] == [module for module in sorted(reading) if '">= 4.1,' not in modules[f"{module}/versions.tf"]]
