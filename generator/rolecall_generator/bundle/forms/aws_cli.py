"""The AWS CLI form: a script that creates the access and a script that removes it, for any POSIX shell.

The templates get every value as a shell literal. Free text is passed to the AWS CLI inside JSON, because the CLI reads an
argument that starts with `file://` as a file name ("Load a parameter from a file", AWS CLI user guide, November 2026). JSON
is written without `'` and without backticks, so it can be put in single quotes of the shell and in a JMESPath literal.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rolecall_generator.bundle.forms.interface import (
    BundleForm,
    Files,
    Handover,
    Instructions,
    arn_of,
    policy_body,
    tags_json,
)
from rolecall_generator.iam import (
    PARTITIONS,
    Access,
    Group,
    ManagedPolicy,
    Module,
    ModuleKind,
    PolicyDocument,
    Role,
    User,
)
from rolecall_generator.records import OWNER_TAG
from rolecall_generator.terraform import render_text
from rolecall_generator.text import sanitize_line

FOLDER = "aws-cli"
SCRIPTS = ("apply.sh", "remove.sh")


def cli_script_form(handover: Handover) -> Files:
    """`aws-cli/apply.sh` and `aws-cli/remove.sh`: POSIX sh, for AWS CLI version 1 or 2."""
    view = _view(handover)
    return {f"{FOLDER}/{name}": render_text(name, view).encode() for name in SCRIPTS}


def owner_of(module: Module) -> str:
    """The value of the tag on everything that a module's script creates.

    It depends only on the vendor's role, the switch role's role or the group: not on the version of the bundle, nor on the
    customer's name. It is a digest, because an ARN can be longer than a tag value and contain other characters.
    """
    access = module.access
    parts = (*access.roles, *access.groups, *access.policies)
    what = module.customer.backend_role_arn if module.customer is not None else next(iter(parts), "")
    return f"{module.kind}-{hashlib.sha256(what.encode()).hexdigest()[:32]}"


def _view(handover: Handover) -> dict[str, Any]:
    module = handover.module
    access = module.access
    owner = owner_of(module)
    parts: dict[str, list[ScriptPart]] = parts_of(access, owner)
    new = [part for part in (*parts["roles"], *parts["groups"], *parts["users"]) if not part.existing]
    link = module.switch_role.link if module.switch_role is not None else None
    return {
        "account": module.account,
        "source": sanitize_line(handover.source),
        "region": PARTITIONS[module.partition].default_region,
        **parts,
        "new": new,
        "owned": [*parts["policies"], *new],
        "owner": owner,
        "owner_tag": OWNER_TAG,
        "dependents": module.dependents,
        "anything": any(parts.values()),
        "prompts_for_passwords": any(user.password for user in parts["users"]),
        "returns_role": module.kind is ModuleKind.CUSTOMER,
        "link": quoted(link) if module.kind is ModuleKind.TRUSTING and link is not None else None,
    }


# Names of IAM: no character has a meaning inside shell quotes. A name follows the `=` of an option, so a leading hyphen does
# not start another option.
_NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Inline:
    """An inline policy: its plain name, and its document as a shell literal."""

    name: str
    document: str


@dataclass(frozen=True, slots=True)
class ScriptPart:
    """A role, managed policy, group or user. `kind`, `name` and `groups` are plain, all other strings are shell literals.

    Attributes:
        settings: JSON of the settings for creation other than name, path and trust policy.
        update: JSON of the settings for a change.
        principals: JSON of the trust policy's principals, as the AWS CLI prints it.
        members: Members of a group, or principals with a managed policy, separated by spaces, for `case`.
        expected_inline: Names of the inline policies, separated by spaces.
        expected_attached: ARNs of the attached policies, separated by spaces.
        password: `true` or `false`, for whether a first console password must be changed; empty without a password.
    """

    kind: str
    name: str
    arn: str
    path: str
    existing: bool
    settings: str = ""
    update: str = ""
    tags: str = ""
    boundary: str = ""
    document: str = ""
    principals: str = ""
    members: str = "''"
    inline: tuple[Inline, ...] = ()
    attached: tuple[str, ...] = ()
    expected_inline: str = "''"
    expected_attached: str = "''"
    groups: tuple[str, ...] = ()
    password: str = ""

    @property
    def title(self) -> str:
        """Kind and name at the start of a sentence: `Role role1`."""
        return f"{self.kind.capitalize()} {self.name}"


def parts_of(access: Access, owner: str) -> dict[str, list[ScriptPart]]:
    """The access by kind: `policies`, `roles`, `groups`, `users`. Raises ValueError for an instance profile.

    `owner` is the value of the tag on everything that the script creates.
    """
    mark = {OWNER_TAG: owner}
    if access.instance_profiles:
        raise ValueError("instance profiles belong to the backend account, whose module is not handed over")
    return {
        "policies": [_policy(policy, access, mark) for policy in access.policies.values()],
        "roles": [_role(role, mark) for role in access.roles.values()],
        "groups": [_group(group, access) for group in access.groups.values()],
        "users": [_user(user, mark) for user in access.users.values()],
    }


def quoted(text: str) -> str:
    """Any string as one word of a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def json_literal(value: object, indent: int | None = None) -> str:
    """JSON as one word of a shell: ASCII, with `'` and the backtick written as `\\u0027` and `\\u0060`."""
    text = json.dumps(value, indent=indent)
    return "'" + text.replace("'", "\\u0027").replace("`", "\\u0060") + "'"


@lru_cache(maxsize=256)  # many customers share their permissions
def document_literal(document: PolicyDocument) -> str:
    """A policy document as one word of a shell, indented; AWS does not count white space."""
    return json_literal(policy_body(document), indent=2)


def _policy(policy: ManagedPolicy, access: Access, mark: Mapping[str, str]) -> ScriptPart:
    everyone: tuple[Role | Group | User, ...] = (*access.roles.values(), *access.groups.values(), *access.users.values())
    holders = {_named(holder.arn, "")["name"] for holder in everyone if policy.arn in holder.attached}
    tags = {**policy.tags, **mark}
    settings = ({"Description": policy.description} if policy.description else {}) | tags_json(tags)
    return ScriptPart(
        **_named(policy.arn, "policy"),
        existing=False,
        settings=json_literal(settings),
        tags=_tag_literal(tags),
        document=document_literal(policy.document),
        members=_words(sorted(holders)),
    )


def _role(role: Role, mark: Mapping[str, str]) -> ScriptPart:
    if role.trust is None:
        return _part(role)
    update = {"Description": role.description, "MaxSessionDuration": role.max_session_seconds}
    tags = {**role.tags, **mark}
    settings = update | _boundary(role.boundary) | tags_json(tags)
    body = role.trust.to_json()
    return _part(
        role,
        settings=json_literal(settings),
        update=json_literal(update),
        tags=_tag_literal(tags),
        principals=quoted(_principals([statement.get("Principal", {}) for statement in body["Statement"]])),
        boundary=quoted(role.boundary) if role.boundary else "",
        document=document_literal(role.trust),
    )


def _principals(of_statements: Sequence[Mapping[str, str | list[str]]]) -> str:
    """The output of the AWS CLI for the query of `is_own_role` in the scripts."""
    kinds = [kind for principals in of_statements for kind in sorted(principals)]
    named: dict[str, list[str]] = {"AWS": [], "Service": [], "Federated": []}
    for principals in of_statements:
        for kind, names in principals.items():
            named[kind] += [names] if isinstance(names, str) else names
    return json.dumps([len(of_statements), kinds, *map(sorted, named.values())], separators=(",", ":"))


def _group(group: Group, access: Access) -> ScriptPart:
    members = [_named(user.arn, "user")["name"] for user in access.users.values() if group.arn in user.groups]
    return _part(group, members=_words(sorted(members)))


def _user(user: User, mark: Mapping[str, str]) -> ScriptPart:
    tags = {**user.tags, **mark}
    settings = _boundary(user.boundary) | tags_json(tags)
    reset = "true" if user.console_password is not None and user.console_password.reset_required else "false"
    return _part(
        user,
        settings=json_literal(settings),
        tags=_tag_literal(tags),
        boundary=quoted(user.boundary) if user.boundary else "",
        groups=tuple(_named(group, "group")["name"] for group in sorted(user.groups)),
        password=reset if user.console_password is not None and not user.existing else "",
    )


def _part(holder: Role | Group | User, **more: Any) -> ScriptPart:
    attached = sorted(holder.attached)
    inline = [Inline(_name(name), document_literal(document)) for name, document in sorted(holder.inline.items())]
    return ScriptPart(
        **_named(holder.arn, type(holder).__name__.lower()),
        existing=holder.existing,
        inline=tuple(inline),
        attached=tuple(map(quoted, attached)),
        expected_inline=_words(policy.name for policy in inline),
        expected_attached=_words(attached),
        **more,
    )


def _named(arn: str, kind: str) -> dict[str, Any]:
    parsed = arn_of(arn)
    return {"kind": kind, "name": _name(parsed.name), "arn": quoted(arn), "path": quoted(parsed.path)}


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid IAM name")
    return name


def _words(words: Iterable[str]) -> str:
    return quoted(" ".join(words))


def _boundary(arn: str | None) -> dict[str, Any]:
    return {"PermissionsBoundary": arn} if arn else {}


def _tag_literal(tags: Mapping[str, str]) -> str:
    return json_literal(tags_json(tags)["Tags"]) if tags else ""


_APPLY = """\
For a terminal with credentials for the account, or AWS CloudShell. You can read the script first, and run it more than once.

    sh aws-cli/apply.sh"""


def _instructions(module: Module) -> Instructions:
    shared = " is refused; `--shared` removes everything, including the access of the others" if module.dependents else ""
    return Instructions("With the AWS CLI", _APPLY, f"AWS CLI: `sh aws-cli/remove.sh`{shared}.")


FORM = BundleForm(FOLDER, cli_script_form, _instructions, position=3)
