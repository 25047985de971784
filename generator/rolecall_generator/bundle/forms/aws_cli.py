"""The AWS CLI form: one script that makes the access and one that takes it away, for any POSIX shell.

One module's access as the scripts' templates take it: every value a literal of the shell. All that is free text goes to
the AWS CLI inside JSON, for the CLI reads `file://...` as the name of a file wherever an argument starts with it ("Load
a parameter from a file", AWS CLI user guide, November 2026). JSON is written without `'` and without the backtick, so
it stands in single quotes of the shell and in a literal of JMESPath as it is.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rolecall_generator.bundle.forms.interface import Files, Handover
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
    parse_arn,
)
from rolecall_generator.records import OWNER_TAG
from rolecall_generator.terraform import render_text
from rolecall_generator.text import one_line

FOLDER = "aws-cli"
SCRIPTS = ("apply.sh", "remove.sh")


def cli_script_form(handover: Handover) -> Files:
    """`aws-cli/apply.sh` and `aws-cli/remove.sh`: POSIX sh, for the AWS CLI of version 1 or 2.

    A form has no file modes: people run them as `sh apply.sh`.
    """
    view = _view(handover)
    return {f"{FOLDER}/{name}": render_text(name, view).encode() for name in SCRIPTS}


def owner_of(module: Module) -> str:
    """The value of the tag that marks what the script of a module makes.

    It depends on the vendor's role, the switch role's role or the group alone: not on the version of the bundle, nor on what
    the vendor calls the customer. A digest, since an ARN can be longer than a tag's value and hold other characters.
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
    made = [part for part in (*parts["roles"], *parts["groups"], *parts["users"]) if not part.existing]
    link = module.switch_role.link if module.switch_role is not None else None
    return {
        "account": module.account,
        "source": one_line(handover.source),
        "region": PARTITIONS[module.partition].default_region,
        **parts,
        "made": made,
        "owned": [*parts["policies"], *made],
        "owner": owner,
        "owner_tag": OWNER_TAG,
        "dependents": module.dependents,
        "anything": any(parts.values()),
        "asks_passwords": any(user.password for user in parts["users"]),
        "sends_role": module.kind is ModuleKind.CUSTOMER,
        "link": quoted(link) if module.kind is ModuleKind.TRUSTING and link is not None else None,
    }


# IAM's names. They hold nothing that means something to a shell inside quotes, nor does an option's `=` let a leading hyphen
# pass for an option.
_NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Inline:
    """An inline policy: its name, plain, and its document as a literal."""

    name: str
    document: str


@dataclass(frozen=True, slots=True)
class ScriptPart:
    """A role, managed policy, group or user. `name` and `groups` are plain, all else are literals of the shell.

    `settings` is what creating takes besides name, path and trust, `update` what changing it takes; JSON both. `principals`
    is what AWS says of the trust policy's principals, JSON too. `members` are in a group or have a managed policy; they and
    `wanted_*` are lists with a space between, for the shell's `case`. `password` is `true` or `false` (must it be changed?)
    or nothing.
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
    wanted_inline: str = "''"
    wanted_attached: str = "''"
    groups: tuple[str, ...] = ()
    password: str = ""

    @property
    def title(self) -> str:
        """The part as a sentence starts with it: `Role role1`."""
        return f"{self.kind.capitalize()} {self.name}"


def parts_of(access: Access, owner: str) -> dict[str, list[ScriptPart]]:
    """The access by kind: `policies`, `roles`, `groups`, `users`. Raises ValueError for an instance profile.

    `owner` is the value of the tag that marks what the script makes.
    """
    mark = {OWNER_TAG: owner}
    if access.instance_profiles:
        raise ValueError("instance profiles belong into the backend account, whose module is not handed over")
    return {
        "policies": [_policy(policy, access, mark) for policy in access.policies.values()],
        "roles": [_role(role, mark) for role in access.roles.values()],
        "groups": [_group(group, access) for group in access.groups.values()],
        "users": [_user(user, mark) for user in access.users.values()],
    }


def quoted(text: str) -> str:
    """Any text as one word of a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def json_literal(value: object, indent: int | None = None) -> str:
    """JSON as one word of a shell: ASCII, no `'` and no backtick in it but as `\\u0027` and `\\u0060`."""
    text = json.dumps(value, indent=indent)
    return "'" + text.replace("'", "\\u0027").replace("`", "\\u0060") + "'"


@lru_cache(maxsize=256)
def shared_literal(document: PolicyDocument) -> str:
    """`document_literal` of permissions, which many customers share."""
    return document_literal(document)


def document_literal(document: PolicyDocument) -> str:
    """A policy document as one word of a shell, laid out for readers; AWS does not count white space.

    Empty statement ids are left out: IAM refuses two that are equal.
    """
    body = document.to_json()
    for statement in body["Statement"]:
        if not statement["Sid"]:
            del statement["Sid"]
    return json_literal(body, indent=2)


def _policy(policy: ManagedPolicy, access: Access, mark: Mapping[str, str]) -> ScriptPart:
    everybody: tuple[Role | Group | User, ...] = (*access.roles.values(), *access.groups.values(), *access.users.values())
    holders = {_named(holder.arn, "")["name"] for holder in everybody if policy.arn in holder.attached}
    tags = {**policy.tags, **mark}
    settings = ({"Description": policy.description} if policy.description else {}) | _tags(tags)
    return ScriptPart(
        **_named(policy.arn, "policy"),
        existing=False,
        settings=json_literal(settings),
        tags=_tag_literal(tags),
        document=shared_literal(policy.document),
        members=_words(sorted(holders)),
    )


def _role(role: Role, mark: Mapping[str, str]) -> ScriptPart:
    if role.trust is None:
        return _part(role)
    update = {"Description": role.description, "MaxSessionDuration": role.max_session_seconds}
    tags = {**role.tags, **mark}
    settings = update | _boundary(role.boundary) | _tags(tags)
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
    """What `is_own_role` of the scripts asks AWS for, as the AWS CLI prints it."""
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
    settings = _boundary(user.boundary) | _tags(tags)
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
    inline = [Inline(_name(name), shared_literal(document)) for name, document in sorted(holder.inline.items())]
    return ScriptPart(
        **_named(holder.arn, type(holder).__name__.lower()),
        existing=holder.existing,
        inline=tuple(inline),
        attached=tuple(map(quoted, attached)),
        wanted_inline=_words(policy.name for policy in inline),
        wanted_attached=_words(attached),
        **more,
    )


def _named(arn: str, kind: str) -> dict[str, Any]:
    parsed = parse_arn(arn)
    if parsed is None:
        raise ValueError(f"{arn} is not an ARN")
    return {"kind": kind, "name": _name(parsed.name), "arn": quoted(arn), "path": quoted(parsed.path)}


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name that IAM takes")
    return name


def _words(words: Iterable[str]) -> str:
    return quoted(" ".join(words))


def _boundary(arn: str | None) -> dict[str, Any]:
    return {"PermissionsBoundary": arn} if arn else {}


def _tags(tags: Mapping[str, str]) -> dict[str, Any]:
    return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]} if tags else {}


def _tag_literal(tags: Mapping[str, str]) -> str:
    return json_literal(_tags(tags)["Tags"]) if tags else ""
