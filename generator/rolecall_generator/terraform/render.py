"""Renders modules from the templates in `templates/terraform/`; block labels and literals are made here.

Values in literals of Terraform's language (HCL 2) are escaped: none is interpreted as a template or as syntax. Source: HCL
native syntax specification, "Template Expressions" and "String Literals", November 2026. Terraform normalizes strings to
NFC; the manifest accepts no other strings, so they do not change.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections import Counter
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
)
from rolecall_generator.package_digest import template_folder
from rolecall_generator.text import markdown_code, sanitize_line

if TYPE_CHECKING:
    from jinja2 import Environment

FILES = ("main.tf", "outputs.tf", "versions.tf", "README.md")
_SHARED = ("main.tf", "versions.tf")
SINGLE_ROLE_LABEL = "this"
"""Label of the role in a customer's or trusting module, which has only one: outputs do not depend on the role's name."""


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPECIAL = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]|\$\{|%\{')
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_IN_WORD = re.compile(r"[^A-Za-z0-9]+")


def hcl_string(value: str) -> str:
    """A quoted string literal with the content `value`."""
    return f'"{hcl_part(value)}"'


def hcl_part(value: str) -> str:
    """The value escaped for use inside a quoted string."""
    return _SPECIAL.sub(_escape, value)


def _escape(match: re.Match[str]) -> str:
    text = match.group()
    if text in {"${", "%{"}:
        return text[0] + text  # HCL escapes `${` as `$${`
    return _ESCAPES.get(text) or f"\\u{ord(text):04x}"


def hcl_list(values: Iterable[str], indent: int = 0) -> str:
    """A list of strings, one per line, formatted as by `terraform fmt`; `indent` is that of the closing bracket."""
    margin = " " * indent
    lines = "".join(f"{margin}  {hcl_string(value)},\n" for value in values)
    return f"[\n{lines}{margin}]" if lines else "[]"


def hcl_map(values: Mapping[str, str], indent: int = 0) -> str:
    """A map of strings with sorted, quoted keys, formatted as by `terraform fmt`; `indent` is that of the closing brace."""
    return hcl_expressions({key: hcl_string(value) for key, value in values.items()}, indent)


def hcl_expressions(values: Mapping[str, str], indent: int = 0) -> str:
    """As `hcl_map`, with expressions as values. They are not escaped: never pass a string from a manifest as value."""
    if not values:
        return "{}"
    margin = " " * indent
    pairs = [(hcl_string(key), value) for key, value in sorted(values.items())]
    width = max(len(key) for key, _ in pairs)
    lines = "".join(f"{margin}  {key:<{width}} = {value}\n" for key, value in pairs)
    return f"{{\n{lines}{margin}}}"


def block_labels(names: Mapping[str, str]) -> dict[str, str]:
    """Block labels in snake_case for AWS names, which are given and returned by unique keys, such as ARNs.

    Names that differ only in case or separators would get the same label: each of them gets a digest of its key.
    """
    plain = {key: snake_case(name) for key, name in names.items()}
    uses = Counter(plain.values())
    return {key: label if uses[label] == 1 else f"{label}_{_digest(key)}" for key, label in plain.items()}


def snake_case(name: str) -> str:
    """A name as identifier: `AmazonEC2ReadOnlyAccess` becomes `amazon_ec2_read_only_access`."""
    words = _NOT_IN_WORD.sub("_", _WORD_START.sub("_", name)).strip("_").lower()
    return words if words[:1].isalpha() else f"_{words or _digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@functools.cache
def _environment() -> Environment:
    """The environment of all templates that are not HTML, with filters for HCL and Markdown."""
    from rolecall_generator.jinja_environments import text_environment  # noqa: PLC0415 - loads Jinja2

    environment = text_environment(template_folder())
    environment.filters |= {
        "hcl": hcl_string,
        "hcl_part": hcl_part,
        "hcl_list": hcl_list,
        "hcl_map": hcl_map,
        "hcl_expressions": hcl_expressions,
        "md": markdown_code,
    }
    environment.globals |= {"arns_by_name": _arns_by_name, "passwords_by_name": _passwords_by_name}
    return environment


def render_text(name: str, view: Mapping[str, Any]) -> str:
    """Render a bundle's template, `templates/bundle/NAME.j2`."""
    return _environment().get_template(f"bundle/{name}.j2").render(view)


def render_module(module: Module, source: str) -> dict[str, str]:
    """Render a module: the content of its files by name. `source` is the manifest's file name, shown in the header."""
    view = module_view(module, source)
    files = {}
    for name in FILES:
        path = name if name in _SHARED else f"{module.kind}/{name}"
        files[name] = _environment().get_template(f"terraform/{path}.j2").render(view)
    return files


def module_view(module: Module, source: str) -> Mapping[str, Any]:
    """The variables of the module's templates: its parts with block labels and the expressions that refer to them."""
    access = module.access
    single = None if module.kind is ModuleKind.BACKEND else SINGLE_ROLE_LABEL
    roles = _labelled(access.roles.values(), "aws_iam_role", single)
    groups = _labelled(access.groups.values(), "aws_iam_group")
    users = _labelled(access.users.values(), "aws_iam_user")
    addresses = {item.part.arn: item.address for item in (*roles, *groups)}
    policies = _labelled(access.policies.values(), "aws_iam_policy")
    return {
        "account": module.account,
        "source": sanitize_line(source),
        "backend": module.backend,
        "customer": module.customer,
        "switch_role": module.switch_role,
        "outputs": module.outputs,
        "dependents": module.dependents,
        "roles": roles,
        "groups": groups,
        "users": users,
        "policies": policies,
        "profiles": _labelled(access.instance_profiles.values(), "aws_iam_instance_profile"),
        "addresses": addresses,
        **_documents(roles, policies),
        "role_attachments": _attachments(roles, policies),
        "group_attachments": _attachments(groups, policies),
        "memberships": {user.label: [addresses[arn] for arn in sorted(user.part.groups)] for user in users},
        "needs_plain_passwords": _needs_plain_passwords(access),
    }


@dataclass(frozen=True, slots=True)
class Labelled:
    """A part of the access with its block label and the expression that refers to it."""

    label: str
    part: Any
    arn: Arn
    address: str


@dataclass(frozen=True, slots=True)
class LabelledDocument:
    """A policy document with its block label; `name` is that of the inline policy or managed policy."""

    label: str
    name: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A managed policy on a role, group or user; `target` and `policy` are expressions."""

    label: str
    target: str
    policy: str


def _parse(arn: str) -> Arn:
    parsed = Arn.parse(arn)
    if parsed is None:
        raise ValueError(f"{arn} is not an ARN")
    return parsed


_Part = Role | ManagedPolicy | Group | User | InstanceProfile


def _labelled(parts: Iterable[_Part], resource: str, fixed_label: str | None = None) -> list[Labelled]:
    arns = [(part, _parse(part.arn)) for part in parts]
    labels = block_labels({part.arn: arn.name for part, arn in arns})
    found = []
    for part, arn in arns:
        label = fixed_label or labels[part.arn]
        prefix = "data." if getattr(part, "existing", False) else ""
        found.append(Labelled(label, part, arn, f"{prefix}{resource}.{label}"))
    return found


def _documents(roles: list[Labelled], policies: list[Labelled]) -> dict[str, Any]:
    """The policy documents by the label of their role or policy. They share one resource type, and so one set of labels."""
    names = {policy.part.arn: policy.arn.name for policy in policies}
    for role in roles:
        owner = "" if role.label == SINGLE_ROLE_LABEL else f"{role.arn.name} "
        names[role.part.arn] = f"{owner}trust"
        names |= {f"{role.part.arn} {name}": f"{owner}{name}" for name in role.part.inline}
    labels = block_labels(names)
    return {
        "trust_documents": {
            role.label: LabelledDocument(labels[role.part.arn], "", role.part.trust.statements)
            for role in roles
            if role.part.trust is not None
        },
        "inline_documents": {
            role.label: [
                LabelledDocument(labels[f"{role.part.arn} {name}"], name, document.statements)
                for name, document in sorted(role.part.inline.items())
            ]
            for role in roles
        },
        "policy_documents": {
            policy.label: LabelledDocument(labels[policy.part.arn], policy.arn.name, policy.part.document.statements)
            for policy in policies
        },
    }


def _attachments(owners: list[Labelled], policies: list[Labelled]) -> list[Attachment]:
    addresses = {policy.part.arn: f"{policy.address}.arn" for policy in policies}
    attached = [(owner, arn) for owner in owners for arn in sorted(owner.part.attached)]
    labels = block_labels({f"{owner.part.arn} {arn}": _attachment_name(owner, _parse(arn)) for owner, arn in attached})
    return [
        Attachment(labels[f"{owner.part.arn} {arn}"], owner.address, addresses.get(arn) or hcl_string(arn))
        for owner, arn in attached
    ]


def _attachment_name(owner: Labelled, policy: Arn) -> str:
    """Owner and policy; only the policy if its name contains the owner's or the module has one role."""
    name = snake_case(policy.name)
    named = owner.label == SINGLE_ROLE_LABEL or f"_{owner.label}_" in f"_{name}_"
    return name if named else f"{owner.label}_{name}"


def _needs_plain_passwords(access: Access) -> bool:
    """True if an initial password is created without a PGP key, which needs provider 4.1."""
    return any(user.console_password is not None and user.console_password.pgp_key is None for user in access.users.values())


def _arns_by_name(items: Iterable[Labelled]) -> dict[str, str]:
    return {item.arn.name: f"{item.address}.arn" for item in items}


def _passwords_by_name(users: Iterable[Labelled], attribute: str) -> dict[str, str]:
    return {user.arn.name: f"aws_iam_user_login_profile.{user.label}.{attribute}" for user in users}
