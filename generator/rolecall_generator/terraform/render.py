"""Access -> files, with Jinja2. Templates loop and choose; labels and literals are made here and in `hcl`."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rolecall_generator.iam import (
    Access,
    Arn,
    Group,
    InstanceProfile,
    ManagedPolicy,
    Module,
    ModuleKind,
    Role,
    Statement,
    User,
    parse_arn,
)
from rolecall_generator.package_digest import template_folder
from rolecall_generator.terraform import hcl
from rolecall_generator.text import markdown, one_line

if TYPE_CHECKING:
    from jinja2 import Environment

FILES = ("main.tf", "outputs.tf", "versions.tf", "README.md")
_SHARED = ("main.tf", "versions.tf")
SINGLE_ROLE_LABEL = "this"
"""Label of the one role of a customer's or trusting module: its outputs read the same whatever the role's name."""


@functools.cache
def _environment() -> Environment:
    """The environment of all templates that are not HTML: HCL literals, Markdown, and references between blocks."""
    from rolecall_generator.jinja_environments import text_environment  # noqa: PLC0415 - loads Jinja2

    environment = text_environment(template_folder())
    environment.filters |= {
        "hcl": hcl.string,
        "hcl_part": hcl.part,
        "hcl_list": hcl.strings,
        "hcl_map": hcl.mapping,
        "hcl_expressions": hcl.expressions,
        "md": markdown,
    }
    environment.globals |= {"arns_by_name": _arns_by_name, "passwords_by_name": _passwords_by_name}
    return environment


def render_text(name: str, view: Mapping[str, Any]) -> str:
    """Render a bundle's template, `templates/bundle/NAME.j2`."""
    return _environment().get_template(f"bundle/{name}.j2").render(view)


def render_module(module: Module, source: str) -> dict[str, str]:
    """The module's files by name. `source` is the manifest's file name, for the header."""
    view = module_view(module, source)
    files = {}
    for name in FILES:
        path = name if name in _SHARED else f"{module.kind}/{name}"
        template = _environment().get_template(f"terraform/{path}.j2")
        files[name] = template.render(view)
    return files


def module_view(module: Module, source: str) -> Mapping[str, Any]:
    """What the module's templates see: its parts with their block labels and the expressions that refer to them."""
    return _view(module, one_line(source))


@dataclass(frozen=True, slots=True)
class Labelled:
    """A part of the access with its block label and the expressions that refer to it."""

    label: str
    part: Any
    arn: Arn
    address: str


@dataclass(frozen=True, slots=True)
class LabelledDocument:
    """A policy document with its block label."""

    label: str
    name: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A managed policy on a role, group or user; `target` is an expression."""

    label: str
    target: str
    policy: str


def _view(module: Module, source: str) -> Mapping[str, Any]:
    access = module.access
    roles = [_role(module, role) for role in access.roles.values()]
    groups = [_labelled(group, "aws_iam_group") for group in access.groups.values()]
    users = [_labelled(user, "aws_iam_user") for user in access.users.values()]
    addresses = {item.part.arn: item.address for item in (*roles, *groups)}
    policies = [_labelled(policy, "aws_iam_policy") for policy in access.policies.values()]
    return {
        "account": module.account,
        "source": source,
        "backend": module.backend,
        "customer": module.customer,
        "switch_role": module.switch_role,
        "outputs": module.outputs,
        "dependents": module.dependents,
        "roles": roles,
        "groups": groups,
        "users": users,
        "policies": policies,
        "profiles": [_labelled(profile, "aws_iam_instance_profile") for profile in access.instance_profiles.values()],
        "addresses": addresses,
        "trust_documents": {item.label: _trust(item) for item in roles if item.part.trust is not None},
        "inline_documents": {item.label: _inline(item) for item in roles},
        "role_attachments": _attachments(roles, policies),
        "group_attachments": _attachments(groups, policies),
        "memberships": {user.label: [addresses[arn] for arn in sorted(user.part.groups)] for user in users},
        "needs_plain_passwords": _needs_plain_passwords(access),
    }


def _parsed(arn: str) -> Arn:
    parsed = parse_arn(arn)
    if parsed is None:
        raise ValueError(f"{arn} is not an ARN")
    return parsed


_Part = Role | ManagedPolicy | Group | User | InstanceProfile


def _labelled(part: _Part, resource: str, label: str | None = None) -> Labelled:
    arn = _parsed(part.arn)
    label = label or hcl.label(arn.name)
    prefix = "data." if getattr(part, "existing", False) else ""
    return Labelled(label, part, arn, f"{prefix}{resource}.{label}")


def _role(module: Module, role: Role) -> Labelled:
    return _labelled(role, "aws_iam_role", None if module.kind is ModuleKind.BACKEND else SINGLE_ROLE_LABEL)


def _qualified(prefix: str, owner: str, name: str = "") -> str:
    own = "" if owner == SINGLE_ROLE_LABEL else f"_{owner}"
    return f"{prefix}{own}_{name}" if name else f"{prefix}{own}"


def _trust(role: Labelled) -> LabelledDocument:
    return LabelledDocument(_qualified("trust", role.label), "", role.part.trust.statements)


def _inline(owner: Labelled) -> list[LabelledDocument]:
    return [
        LabelledDocument(_qualified("inline", owner.label, hcl.label(name)), name, document.statements)
        for name, document in sorted(owner.part.inline.items())
    ]


def _attachments(owners: list[Labelled], policies: list[Labelled]) -> list[Attachment]:
    declared = {policy.part.arn: policy for policy in policies}
    found = []
    for owner in owners:
        for arn in sorted(owner.part.attached):
            own = declared.get(arn)
            label = own.label if own else _foreign_label(_parsed(arn))
            policy = f"{own.address}.arn" if own else hcl.string(arn)
            suffix = "" if owner.label == SINGLE_ROLE_LABEL else f"{owner.label}_"
            found.append(Attachment(f"{suffix}{label}", owner.address, policy))
    return found


def _foreign_label(arn: Arn) -> str:
    """Label of a policy from elsewhere: policy names are unique in an account, so name and account suffice."""
    name = hcl.label(arn.name)
    return name if arn.account_id == "aws" else f"{name}_{arn.account_id}"


def _needs_plain_passwords(access: Access) -> bool:
    """Whether a first password is made without a PGP key, which needs provider 4.1."""
    return any(user.console_password is not None and user.console_password.pgp_key is None for user in access.users.values())


def _arns_by_name(items: Iterable[Labelled]) -> dict[str, str]:
    return {item.arn.name: f"{item.address}.arn" for item in items}


def _passwords_by_name(users: Iterable[Labelled], attribute: str) -> dict[str, str]:
    return {user.arn.name: f"aws_iam_user_login_profile.{user.label}.{attribute}" for user in users}
