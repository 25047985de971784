"""Modules of every kind with every option that the generator renders, validated, planned and applied by Terraform tests.

All cases share two accounts, since each account needs a provider process; therefore names differ between cases.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from live_iam import iam_client
from manifests import manifest_of
from rolecall_generator.iam.arn import Arn
from rolecall_generator.iam.model import Group, Module, Role, User
from rolecall_generator.manifest.models import Manifest
from rolecall_generator.planning.planner import make_plan
from rolecall_generator.terraform.render import render_module
from terraform_providers import Provider
from terraform_rig import Call

PGP_KEY = (Path(__file__).parents[1] / "integration" / "terraform" / "test-key.base64").read_text().strip()
TRUSTED_ACCOUNT, TRUSTING_ACCOUNT = "300000000001", "300000000002"
"""Of all cases: backend modules are in the first, customer modules in the second."""
BOUNDARY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
HOSTILE = 'It\'s "quoted" ${path.module} %{ if true } \\ é $${x} %%{y} <<EOF # // /* {{ jinja }} {% raw %}'
_AT_LEAST = re.compile(r'version = ">= (\d+)\.(\d+), < \d+\.\d+"')

SETS: dict[str, Any] = {
    "read": {
        "statements": [{"sid": "Read", "actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::b/${aws:username}/*"]}]
    },
    "aws": {"managed_policies": ["AmazonEC2ReadOnlyAccess", "job-function/ViewOnlyAccess"]},
    "own": {
        "attach": "managed",
        "description": HOSTILE.replace("\n", " "),
        "statements": [{"actions": ["ec2:Describe*", "sqs:*"], "resources": ["*"]}],
    },
    "deny": {
        "statements": [
            {
                "sid": "A",
                "effect": "Deny",
                "not_actions": ["s3:*", "iam:*"],
                "not_resources": ["arn:aws:s3:::x/*"],
                "conditions": {
                    "StringLike": {"aws:PrincipalTag/a": ["${aws:username}", 'say "hi" \\ é', "%{x}", "*"]},
                    "ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]},
                    "Bool": {"aws:SecureTransport": "true"},
                    "Null": {"aws:MultiFactorAuthAge": "false"},
                },
            },
            {"actions": ["ec2:Describe*"], "resources": ["*"], "conditions": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
        ]
    },
    "mixed": {
        "attach": "managed",
        "managed_policies": ["SecurityAudit"],
        "statements": [{"effect": "Deny", "not_actions": ["s3:*"], "resources": ["*"]}],
    },
}


@dataclass(frozen=True, eq=False)
class Case:
    """A manifest and its module that is planned or applied."""

    name: str
    manifest: Manifest
    path: str

    @cache  # noqa: B019 - cases live as long as the process
    def module(self) -> Module:
        """The planned module."""
        return next(module for module in make_plan(self.manifest).modules if module.path == self.path).build()

    @cache  # noqa: B019 - as above
    def files(self) -> Mapping[str, str]:
        """The generated files by name."""
        return render_module(self.module(), "accounts.yaml")

    def runs_with(self, provider: Provider) -> bool:
        """Whether the module supports this provider: an option may need one newer than 3.39."""
        return admits(self.files(), provider)

    def call(self) -> Call:
        """The module for a root with many modules."""
        return Call(self.name, self.files(), self.module().account.account_id, self.module().partition)


def _customer(name: str, **changes: Any) -> Case:
    entry = {
        "name": name,
        "account_id": TRUSTING_ACCOUNT,
        "role": f"r-{name}",
        "external_id": f"external-id-of-{name}",
        "permissions": ["read"],
        **changes,
    }
    return Case(f"customer-{name}", manifest_of(0, permission_sets=SETS, customers=[entry]), f"customers/{name}")


def _backend(name: str, customers: int = 3, **backend: Any) -> Case:
    values = {"account_id": TRUSTED_ACCOUNT, "policy_prefix": f"p-{name}", "role": {"name": f"b-{name}"}, **backend}
    if "roles" in values:
        del values["role"]
    changes = {"quotas": {"role_managed_policies": 20}} if customers > 10 else {}
    return Case(f"backend-{name}", manifest_of(customers, backend=values, **changes), "backend")


def _switch(name: str, **changes: Any) -> Iterator[Case]:
    """Both sides of a switch role; user names contain the case's name."""
    entry = {
        "name": name,
        "trusting": {"name": "one", "account_id": TRUSTING_ACCOUNT},
        "trusted": {"name": "two", "account_id": TRUSTED_ACCOUNT},
        "role": f"s-{name}",
        "permissions": ["read"],
        "group": f"g-{name}",
        "users": [{"name": f"u-{name}"}, {"name": f"{name}.b@c", "path": "/people/"}],
        "tags": {"team": "ops"},
    } | changes
    manifest = manifest_of(0, permission_sets=SETS, switch_roles=[entry])
    for side in ("trusting", "trusted"):
        yield Case(f"switch-{name}-{side}", manifest, f"switch-roles/{name}/{side}")


CASES: tuple[Case, ...] = (
    _customer("plain"),
    _customer("nothing", permissions=[]),
    _customer(
        "everything",
        path="/vendor/sub/",
        tags={"managed by": "ro/le:call", "é": "日本 +-=._:/@"},
        max_session_seconds=43200,
        permissions_boundary=BOUNDARY,
        permissions=["read", "aws", "own", "deny", "mixed"],
        session_tags=True,
        source_identity=True,
        previous_external_id="old-external-id",
    ),
    _customer("account-root", trust="account-root", session_tags=True, source_identity=True),
    _customer("session-tags", session_tags=True),
    _customer("source-identity", source_identity=True),
    _customer("rotation", previous_external_id="old-external-id"),
    _customer("no-external-id", external_id=None),
    _customer("inline-and-managed", permissions=["deny", "own", "aws"]),
    _customer("root-without-id", trust="account-root", external_id=None, path='/a/${b}"\\/'),
    _backend("existing"),
    _backend("existing-with-path", role={"name": "b-with-path", "path": "/x/y/"}),
    _backend("new", role={"name": "b.new", "existing": False}),
    _backend(
        "new-with-everything",
        role={
            "name": "b+new=2",
            "existing": False,
            "path": "/x/",
            "max_session_seconds": 7200,
            "permissions_boundary": BOUNDARY,
            "instance_profile": "profile@2",
        },
        tags={"a": "b", "c d": ""},
    ),
    _backend("fixed-role-name", grant="fixed-role-name"),
    _backend("several", roles=[{"name": "b-one", "existing": False}, {"name": "b-two"}, {"name": "b-three", "path": "/z/"}]),
    _backend("several-policies", customers=120),
    *_switch("plain"),
    *_switch("without-mfa", require_mfa=False),
    *_switch("users", trust="users"),
    *_switch("at-home", group_in="trusting"),
    *_switch("users-at-home", group_in="trusting", trust="users"),
    *_switch(
        "everything",
        path="/ops/",
        permissions=["read", "aws", "own", "deny", "mixed"],
        group={"name": "g+everything", "path": "/groups/"},
        users=[
            {"name": "reena", "console_password": True, "pgp_key": PGP_KEY},
            {"name": "r=na", "path": "/people/", "console_password": False},
        ],
        max_session_seconds=14400,
        permissions_boundary=BOUNDARY,
        policy="may-switch",
        tags={"team": "ops", "managed by": "ro/le:call"},
    ),
    *_switch("password", users=[{"name": "pass", "console_password": True}]),
    *_switch(
        "both-passwords",
        group_in="trusting",
        users=[
            {"name": "plain.pass", "console_password": True},
            {"name": "pgp.pass", "console_password": True, "pgp_key": PGP_KEY},
        ],
    ),
    *_switch(
        "existing-people",
        group={"name": "g-existing", "existing": True, "path": "/groups/"},
        users=[{"name": "u-existing", "existing": True, "path": "/people/"}, {"name": "u-fresh"}],
    ),
    *_switch(
        "existing-at-home",
        group_in="trusting",
        trust="users",
        group={"name": "g-home", "existing": True},
        users=[{"name": "u-home", "existing": True}],
    ),
    *_switch("nobody", users=[], permissions=[]),
)


def admits(files: Mapping[str, str], provider: Provider) -> bool:
    """Whether the generated module's versions.tf permits this provider."""
    match = _AT_LEAST.search(files["versions.tf"])
    assert match is not None
    return provider.version >= (int(match[1]), int(match[2]), 0)


def cases_for(provider: Provider) -> tuple[Case, ...]:
    """The cases whose modules support this provider."""
    return tuple(case for case in CASES if case.runs_with(provider))


def make_existing(endpoint: str, module: Module) -> None:
    """Create what a module expects to exist, unless an earlier test has created it."""
    iam = iam_client(endpoint, module.account.account_id)
    access = module.access
    parts: list[Role | Group | User] = [*access.roles.values(), *access.groups.values(), *access.users.values()]
    for part in parts:
        arn = Arn.parse(part.arn)
        assert arn is not None
        if not part.existing:
            continue
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            match arn.kind:
                case "role":
                    iam.create_role(RoleName=arn.name, Path=arn.path, AssumeRolePolicyDocument="{}")
                case "group":
                    iam.create_group(GroupName=arn.name, Path=arn.path)
                case "user":
                    iam.create_user(UserName=arn.name, Path=arn.path)
