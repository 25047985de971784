"""Modules of a manifest as input for single formatters, without files or verdicts."""

from __future__ import annotations

from rolecall_generator.bundle.forms.cloudformation import cloudformation_form
from rolecall_generator.bundle.forms.interface import Handover
from rolecall_generator.iam.model import (
    Access,
    AccountLabel,
    ConsolePassword,
    Group,
    ManagedPolicy,
    Module,
    ModuleKind,
    Role,
    User,
)
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement
from rolecall_generator.manifest.models import Manifest
from rolecall_generator.planning.planner import make_plan
from rolecall_generator.proof import Proof

EMPTY_PROOF = Proof(())
ACCOUNT = "222222222222"
ARN = f"arn:aws:iam::{ACCOUNT}"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
TRUST = PolicyDocument(
    (
        Statement(
            "Allow",
            ("sts:AssumeRole",),
            principals=(Principal("AWS", "arn:aws:iam::111111111111:root"),),
            conditions=(Condition("StringEquals", "sts:ExternalId", ("id-1",)),),
        ),
    )
)
READ = PolicyDocument(
    (
        Statement("Allow", ("s3:GetObject",), ("arn:aws:s3:::b/${aws:username}/*",)),
        Statement("Deny", ("s3:GetObject",), ("arn:aws:s3:::b/it's `so` $(here)\\/*",)),
    )
)
WRITE = PolicyDocument((Statement("Allow", ("s3:PutObject",), ("*",), sid="Write"),))


def handed_over(manifest: Manifest) -> list[Module]:
    """All modules except the backend's."""
    modules = [planned.build() for planned in make_plan(manifest).modules]
    return [module for module in modules if module.kind is not ModuleKind.BACKEND]


def handover(module: Module, template_url: str | None = None) -> Handover:
    """A module as input for the formatters that show neither Terraform nor the proof."""
    return Handover(module, "accounts.yaml", {}, EMPTY_PROOF, template_url)


def template_of(module: Module) -> str:
    """The module's CloudFormation template."""
    return cloudformation_form(handover(module))["cloudformation/template.json"].decode()


def module_of(access: Access, *, kind: ModuleKind = ModuleKind.TRUSTING, partition: str = "aws") -> Module:
    """A module with any access, in account 222222222222."""
    return Module(kind, "customers/account1", "account1", AccountLabel("account1", ACCOUNT), partition, access)


def everything(*, existing: bool) -> Access:
    """One of each kind with every option; `existing` adds what an existing group and user get."""
    managed = f"{ARN}:policy/x/p"
    parts: list[Role | ManagedPolicy | Group | User] = [
        ManagedPolicy(managed, READ, 'it\'s a "policy" file:///etc/hostname', {"team": "a b"}),
        Role(
            f"{ARN}:role/a/it's;$(x)/r",
            TRUST,
            {"read": READ, "write": WRITE},
            frozenset({managed, READ_ONLY}),
            READ_ONLY,
            7200,
            "file:///etc/hostname\n`$(id)` 'EOF' \\ é",
            {"team": "a b=c:d", "env": ""},
        ),
        Group(f"{ARN}:group/x/new", {"write": WRITE}, frozenset({managed})),
        User(
            f"{ARN}:user/x/ann",
            frozenset({f"{ARN}:group/x/new"}),
            {"write": WRITE},
            frozenset({READ_ONLY}),
            ConsolePassword(reset_required=True),
            READ_ONLY,
            {"team": "a b"},
        ),
        User(f"{ARN}:user/bob", frozenset({f"{ARN}:group/x/new"})),
    ]
    if existing:
        parts += [
            Group(f"{ARN}:group/old/people", {"write": WRITE}, frozenset({managed}), existing=True),
            User(
                f"{ARN}:user/old/zoe",
                frozenset({f"{ARN}:group/x/new", f"{ARN}:group/old/people"}),
                {"write": WRITE},
                frozenset({managed}),
                existing=True,
            ),
            User(f"{ARN}:user/tim", frozenset({f"{ARN}:group/old/people"})),
        ]
    return Access.of(*parts)


def already_there(access: Access) -> tuple[str, ...]:
    """ARNs of the principals of an access that existed before."""
    holders: list[Role | Group | User] = [*access.roles.values(), *access.groups.values(), *access.users.values()]
    return tuple(holder.arn for holder in holders if holder.existing)
