"""The console walk-through: numbered steps with the module's values, for customers and for both sides of a switch role.

Each role, policy, group and user has a table of its settings. The tables and the JSON blocks describe the access completely:
it can be parsed back from the page.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rolecall_generator.bundle.forms.interface import BundleForm, Files, Handover, Instructions, arn_of
from rolecall_generator.bundle.review.phrases import document_text, name_of
from rolecall_generator.iam import PARTITIONS, Group, ManagedPolicy, Module, ModuleKind, Role, User, quotas
from rolecall_generator.terraform import render_text
from rolecall_generator.text import duration, markdown_code

FOLDER = "console"
WALKTHROUGH = f"{FOLDER}/walkthrough.md"


def walkthrough_form(handover: Handover) -> Files:
    """`console/walkthrough.md`: the steps in the AWS console that create exactly the module's access."""
    return {WALKTHROUGH: render_text("walkthrough.md", _view(handover)).encode()}


def _view(handover: Handover) -> dict[str, Any]:
    module = handover.module
    access = module.access
    parts = {
        "policies": [policy_part(policy) for policy in access.policies.values()],
        "roles": [role_part(role) for role in access.roles.values()],
        "groups": [group_part(group) for group in access.groups.values()],
        "users": [user_part(user) for user in access.users.values()],
    }
    return {
        **parts,
        "has_json": any(part.has_json for kind in parts.values() for part in kind),
        "account": module.account,
        "partition": module.partition,
        "source": handover.source,
        "customer": module.kind is ModuleKind.CUSTOMER,
        "trusting": module.kind is ModuleKind.TRUSTING,
        "role_trust": module.customer is not None and module.customer.trusts_role,
        "switch_role": module.switch_role,
        "self_service": len(access.groups) > 0 and not any(group.existing for group in access.groups.values()),
        "sign_in": _sign_in(module),
        "role_arns": list(access.roles),
        "name_of": name_of,
        "exact": exact,
    }


def _sign_in(module: Module) -> str:
    """Sign-in URL of the users' account; empty if AWS documents no public host for the partition."""
    switch, host = module.switch_role, PARTITIONS[module.partition].console_host
    return f"https://{switch.home.account_id}.{host}/console" if switch is not None and host is not None else ""


AS_JSON = "JSON "
"""Prefix of a cell whose code span is a JSON string."""

_AFTER_SPACE = re.compile("(?<= ) ")

CONSOLE_PATH = "/"
"""The only IAM path that the console can use for new resources (IAM User Guide, "IAM identifiers", November 2026)."""


def exact(text: str) -> str:
    """A string as a table cell that can be parsed back: a code span, `JSON` and a code span, or `(empty)`.

    A Markdown code span does not preserve line breaks, consecutive spaces and invisible characters.
    """
    if not text:
        return "(empty)"
    if text.isprintable() and " ".join(text.split()) == text:
        return markdown_code(text)
    text = _AFTER_SPACE.sub(r"\\u0020", json.dumps(text))
    return f"{AS_JSON}{markdown_code(text)}"


@dataclass(frozen=True, slots=True)
class WalkthroughPart:
    """A role, managed policy, group or user.

    Attributes:
        name: Plain name.
        settings: Rows of Markdown cells: label and value.
        tags: Rows of Markdown cells: key and value.
        policies: ARNs of the policies to attach.
        documents: Names and JSON of policy documents.
        trust: JSON of the trust policy.
        boundary: ARN of the permissions boundary, or empty.
        session: Maximum session duration; empty if it is the default.
        command: AWS CLI command that creates it, if the console cannot because of its IAM path.
        existing: Whether it already exists.
        password: Whether the user gets a first console password.
        encrypted: Whether that password is encrypted for a PGP key.
    """

    name: str
    settings: tuple[tuple[str, str], ...]
    tags: tuple[tuple[str, str], ...] = ()
    policies: tuple[str, ...] = ()
    documents: tuple[tuple[str, str], ...] = ()
    trust: str = ""
    boundary: str = ""
    session: str = ""
    command: str = ""
    existing: bool = False
    password: bool = False
    encrypted: bool = False

    @property
    def has_json(self) -> bool:
        """Whether a table cell is written as a JSON string."""
        return any(cell.startswith(AS_JSON) for row in (*self.settings, *self.tags) for cell in row)


def _name_and_path(arn: str) -> tuple[str, str]:
    parsed = arn_of(arn)
    return parsed.name, parsed.path


def role_part(role: Role) -> WalkthroughPart:
    """A role with its trust policy, the policies to attach and its inline policies."""
    name, path = _name_and_path(role.arn)
    trust = document_text(role.trust) if role.trust is not None else ""
    longer = role.max_session_seconds > quotas.MINIMUM_MAX_SESSION_SECONDS
    settings = [("Role name", exact(name)), ("Path", exact(path)), ("Description", exact(role.description))]
    settings += [("Permissions policy", exact(arn)) for arn in sorted(role.attached)]
    settings.append(("Permissions boundary", exact(role.boundary) if role.boundary else "none"))
    settings.append(("Maximum session duration", f"`{role.max_session_seconds}` seconds"))
    options = {"role-name": name, "path": path, "assume-role-policy-document": trust, "description": role.description}
    return WalkthroughPart(
        name=name,
        settings=tuple(settings),
        tags=_tags(role.tags),
        policies=tuple(sorted(role.attached)),
        documents=tuple((name, document_text(document)) for name, document in sorted(role.inline.items())),
        trust=trust,
        boundary=role.boundary or "",
        session=f"{duration(role.max_session_seconds)}, `{role.max_session_seconds}` seconds" if longer else "",
        command=_command("create-role", path, options, role.tags),
    )


def policy_part(policy: ManagedPolicy) -> WalkthroughPart:
    """A customer managed policy."""
    name, path = _name_and_path(policy.arn)
    text = document_text(policy.document)
    options = {"policy-name": name, "path": path, "policy-document": text, "description": policy.description}
    return WalkthroughPart(
        name=name,
        settings=(("Policy name", exact(name)), ("Path", exact(path)), ("Description", exact(policy.description))),
        tags=_tags(policy.tags),
        documents=((name, text),),
        command=_command("create-policy", path, options, policy.tags),
    )


def group_part(group: Group) -> WalkthroughPart:
    """A new or existing group with the policies to attach."""
    name, path = _name_and_path(group.arn)
    settings = [("User group name", exact(name)), ("Path", exact(path)), ("Exists already", _yes(group.existing))]
    settings += [("Permissions policy", exact(arn)) for arn in sorted(group.attached)]
    return WalkthroughPart(
        name=name,
        settings=tuple(settings),
        policies=tuple(sorted(group.attached)),
        documents=tuple((name, document_text(document)) for name, document in sorted(group.inline.items())),
        command="" if group.existing else _command("create-group", path, {"group-name": name, "path": path}, {}),
        existing=group.existing,
    )


def user_part(user: User) -> WalkthroughPart:
    """A new or existing user with its groups and its first console password, if any."""
    name, path = _name_and_path(user.arn)
    password = user.console_password
    settings = [("User name", exact(name)), ("Path", exact(path)), ("Exists already", _yes(user.existing))]
    settings += [("Group", exact(arn)) for arn in sorted(user.groups)]
    settings.append(("Console password", _yes(password is not None)))
    if password is not None and password.pgp_key is not None:
        settings.append(("PGP key for the first password", exact(password.pgp_key)))
    return WalkthroughPart(
        name=name,
        settings=tuple(settings),
        tags=_tags(user.tags),
        command="" if user.existing else _command("create-user", path, {"user-name": name, "path": path}, user.tags),
        existing=user.existing,
        password=password is not None,
        encrypted=password is not None and password.pgp_key is not None,
    )


def _tags(tags: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((exact(key), exact(value)) for key, value in sorted(tags.items()))


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _command(operation: str, path: str, options: Mapping[str, str], tags: Mapping[str, str]) -> str:
    """The AWS CLI command for CloudShell; empty if the console can create the same."""
    if path == CONSOLE_PATH:
        return ""
    words = ["aws", "iam", operation]
    for option, value in options.items():
        if value:
            words += [f"--{option}", _compact(value)]
    if tags:
        # The short form of tags has no escape for commas.
        words += ["--tags", json.dumps([{"Key": key, "Value": value} for key, value in sorted(tags.items())])]
    return shlex.join(words)


def _compact(value: str) -> str:
    """JSON without line breaks; other values are unchanged."""
    return json.dumps(json.loads(value), separators=(",", ":")) if value.startswith("{\n") else value


_APPLY = "Step-by-step instructions: [console/walkthrough.md](console/walkthrough.md), with all values filled in."


def _instructions(_module: Module) -> Instructions:
    return Instructions("In the AWS console", _APPLY, guarded=False)


FORM = BundleForm(FOLDER, walkthrough_form, _instructions, position=4)
