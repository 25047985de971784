"""`terraform test` in a bundle, with a mocked provider: passes for the original module, fails for an altered one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from bundle_worlds import SWITCH_ROLE, handovers
from manifests import customer, manifest_of
from rolecall_generator.bundle.forms.terraform_module import TESTS, terraform_module_form
from rolecall_generator.manifest.models import Manifest
from strategies_manifest import manifests
from terraform_providers import Provider
from terraform_rig import Workspace

pytestmark = pytest.mark.terraform

SLOW = pytest.mark.slow
PGP_KEY = (Path(__file__).parent / "test-key.base64").read_text().strip()
SETS = {
    "read": {
        "statements": [{"sid": "Read", "actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::b/${aws:username}/*"]}]
    },
    "deny": {
        "statements": [
            {"effect": "Deny", "not_actions": ["s3:*", "iam:*"], "not_resources": ['arn:aws:s3:::q"%{x}\\/*']},
            {
                "actions": ["ec2:Describe*"],
                "resources": ["*"],
                "conditions": {
                    "StringLike": {"aws:RequestedRegion": ["eu-*", "us-*"]},
                    "Bool": {"aws:SecureTransport": "true"},
                },
            },
        ],
        "managed_policies": ["AmazonEC2ReadOnlyAccess"],
    },
    "own": {"attach": "managed", "statements": [{"actions": ["sqs:*"], "resources": ["*"]}]},
}
FULL = customer(
    0,
    external_id="id-new",
    previous_external_id="id-old",
    trust="account-root",
    session_tags=True,
    permissions=["read", "deny", "own"],
    permissions_boundary="arn:aws:iam::aws:policy/ReadOnlyAccess",
    max_session_seconds=7200,
)


def bundle_of(folder: Path, provider: Provider, manifest: Manifest, path: str = "customer0") -> Workspace:
    """A bundle's terraform folder, initialized with the provider."""
    for name, content in terraform_module_form(handovers(manifest)[path]).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    found = Workspace(folder / "terraform", provider)
    found.init()
    return found


def one_customer(**changes: Any) -> Manifest:
    return manifest_of(0, permission_sets=SETS, customers=[customer(0) | changes])


def switch(**changes: Any) -> Manifest:
    users = [{"name": "reena", "console_password": True, "pgp_key": PGP_KEY}, {"name": "a.b@c", "path": "/people/"}]
    return manifest_of(0, permission_sets=SETS, switch_roles=[SWITCH_ROLE | {"users": users} | changes])


OTHER = {"name": "dev", "trusting": {"name": "three", "account_id": "900000000003"}}


def shared() -> Manifest:
    """Two switch roles with one group."""
    other = SWITCH_ROLE | OTHER | {"group": {"name": "switchers", "existing": True}, "users": []}
    return manifest_of(0, permission_sets=SETS, switch_roles=[SWITCH_ROLE, other])


EXISTING = {"group": {"name": "switchers", "existing": True}, "users": [{"name": "reena", "existing": True}]}


@pytest.mark.parametrize(
    ("manifest", "path"),
    [
        pytest.param(one_customer(), "customer0", id="customer", marks=SLOW),
        pytest.param(one_customer(**FULL), "customer0", id="customer with everything"),
        pytest.param(one_customer(external_id=None), "customer0", id="customer without external ID", marks=SLOW),
        pytest.param(one_customer(account_id="000000000000"), "customer0", id="account of noughts", marks=SLOW),
        pytest.param(switch(), "switch-roles/ops/trusting", id="trusting", marks=SLOW),
        pytest.param(switch(), "switch-roles/ops/trusted", id="trusted"),
        pytest.param(
            switch(group_in="trusting", trust="users"), "switch-roles/ops/trusting", id="people in trusting", marks=SLOW
        ),
        pytest.param(switch(group_in="trusting"), "switch-roles/ops/trusted", id="nothing in trusted", marks=SLOW),
        pytest.param(switch(**EXISTING), "switch-roles/ops/trusted", id="existing group and user", marks=SLOW),
        pytest.param(shared(), "switch-roles/ops/trusted", id="shared group"),
    ],
)
def test_unaltered_bundle_passes(tmp_path: Path, aws_provider: Provider, manifest: Manifest, path: str) -> None:
    """Every module kind and option passes its own tests offline, and its files are formatted by terraform fmt."""
    bundle = bundle_of(tmp_path, aws_provider, manifest, path)

    assert "2 passed, 0 failed" in bundle.run("test", "-no-color").text
    bundle.run("fmt", "-check", "-recursive")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, aws_provider: Provider) -> Workspace:
    """The bundle of a customer with every option."""
    return bundle_of(tmp_path_factory.mktemp("full"), aws_provider, one_customer(**FULL))


@pytest.fixture(scope="module")
def of_a_group(tmp_path_factory: pytest.TempPathFactory, aws_provider: Provider) -> Workspace:
    """A bundle with a shared group: its tests plan resources that they must not destroy."""
    return bundle_of(tmp_path_factory.mktemp("shared"), aws_provider, shared(), "switch-roles/ops/trusted")


EXTERNAL_ID = 'test     = "{}"\n      variable = "sts:ExternalId"'
ALTERED = [
    ("full", "arn:aws:iam::111111111111:role/backend_role", "arn:aws:iam::666666666666:role/backend_role"),
    ("full", 'self.account_id == "200000000000"', 'self.account_id != ""'),
    ("of_a_group", "arn:aws:iam::900000000003:role/switched", "arn:aws:iam::900000000004:role/switched"),
    (
        "of_a_group",
        "policy_arn = aws_iam_policy.assume_switched.arn",
        'policy_arn = "arn:aws:iam::aws:policy/AdministratorAccess"',
    ),
]
ALTERED_OTHERWISE = [
    ("id-new", "id-of-another-role"),
    (EXTERNAL_ID.format("StringEquals"), EXTERNAL_ID.format("StringLike")),
    ('"sts:TagSession"', '"sts:SetSourceIdentity"'),
    ('"s3:GetObject"', '"s3:*"'),
    ('"arn:aws:s3:::b/$${aws:username}/*"', '"*"'),
    ('"eu-*"', '"*"'),
    ('"VendorAccess"', '"Another"'),
    ('"/vendor/"', '"/another/"'),
    ("max_session_duration = 7200", "max_session_duration = 43200"),
    ("policy/ReadOnlyAccess", "policy/AdministratorAccess"),
    ("policy/AmazonEC2ReadOnlyAccess", "policy/AdministratorAccess"),
    ("data.aws_iam_policy_document.trust.json", "data.aws_iam_policy_document.inline_read.json"),
    ('"Deny"', '"Allow"'),
]


@pytest.mark.parametrize(
    ("bundle", "before", "after"),
    [*ALTERED, *(pytest.param("full", *each, marks=pytest.mark.slow) for each in ALTERED_OTHERWISE)],
)
def test_altered_module_fails(full: Workspace, of_a_group: Workspace, bundle: str, before: str, after: str) -> None:
    """Another principal, external ID, condition, action, name, limit, policy or a disabled guard fails a test."""
    found = {"full": full, "of_a_group": of_a_group}[bundle]
    main = found.folder / "main.tf"
    text = main.read_text()
    assert before in text
    main.write_text(text.replace(before, after))
    try:
        assert "failed" in found.run("test", "-no-color", expect=1).text
    finally:
        main.write_text(text)


def test_plan_ignores_the_test_files(full: Workspace) -> None:
    """The module is valid in a Terraform version without mocks: its own files do not refer to the tests."""
    full.run("validate", "-no-color")

    assert ["access.tftest.hcl"] == [path.name for path in (full.folder / "tests").iterdir()]
    assert "mock_provider" not in "".join(path.read_text() for path in full.folder.glob("*.tf"))


def without_passwords(values: dict[str, Any]) -> Manifest:
    """A manifest for provider 3.39, which creates initial passwords only with PGP keys."""
    (entry,) = values["switch_roles"]
    users = [user | {"console_password": False} for user in entry["users"]]
    return Manifest.model_validate(values | {"switch_roles": [entry | {"users": users}]})


@settings(max_examples=20, deadline=None, phases=[Phase.generate])
@given(manifests())
def test_hostile_values_are_escaped_in_the_tests(
    tmp_path_factory: pytest.TempPathFactory, aws_provider: Provider, values: dict[str, Any]
) -> None:
    """Terraform parses every file, with quotes, interpolations, heredoc markers and Unicode in names, tags and policies."""
    folder = tmp_path_factory.mktemp("hostile")
    for number, handover in enumerate(handovers(without_passwords(values)).values()):
        (folder / f"{number}.tftest.hcl").write_bytes(terraform_module_form(handover)[TESTS])

    Workspace(folder, aws_provider).run("fmt", "-check")


@pytest.mark.slow
@settings(max_examples=3, deadline=None, phases=[Phase.generate], derandomize=True)
@given(manifests())
def test_hostile_values_pass_the_tests(
    tmp_path_factory: pytest.TempPathFactory, aws_provider: Provider, values: dict[str, Any]
) -> None:
    """The tests of any manifest's bundles expect the module's own values, whatever characters they have."""
    manifest = without_passwords(values)
    for number, path in enumerate(handovers(manifest)):
        bundle = bundle_of(tmp_path_factory.mktemp("hostile") / str(number), aws_provider, manifest, path)

        assert "2 passed, 0 failed" in bundle.run("test", "-no-color").text
