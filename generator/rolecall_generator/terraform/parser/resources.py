"""Converts resources to the access that they grant; values that cannot be determined are findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from rolecall_generator.findings import Severity
from rolecall_generator.iam import (
    Access,
    ConsolePassword,
    Group,
    InstanceProfile,
    ManagedPolicy,
    PolicyDocument,
    Role,
    User,
    iam_arn,
)
from rolecall_generator.terraform.parser import schema as r
from rolecall_generator.terraform.parser.documents import expand, read_document, stored_policy
from rolecall_generator.terraform.parser.modules import Instance, ModuleScope, strings
from rolecall_generator.terraform.parser.values import MapValue, Unresolvable, Value, plain


@dataclass(slots=True)
class Draft:
    """A role, group or user under construction; `values` are arguments of its class in the model."""

    kind: str
    arn: str
    existing: bool
    values: dict[str, Any] = field(default_factory=dict)
    inline: dict[str, PolicyDocument] = field(default_factory=dict)
    attached: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    console_password: ConsolePassword | None = None


class Builder:
    """Collects principals by kind and name (case-insensitive, as in IAM), policies and instance profiles by ARN."""

    def __init__(self, partition: str, account_id: str) -> None:
        self.partition = partition
        self.account_id = account_id
        self.drafts: dict[tuple[str, str], Draft] = {}
        self.policies: dict[str, ManagedPolicy] = {}
        self.profiles: dict[str, InstanceProfile] = {}

    def declare(self, kind: str, name: str, arn: str, *, existing: bool, **values: Any) -> bool:
        """Add a principal that a block declares. Returns False if the name is taken; the first principal is kept too."""
        key = (kind, name.lower())
        known = self.drafts.get(key)
        if known is not None and not (known.existing and existing and known.arn == arn):
            self.drafts[kind, f"{name.lower()}/{len(self.drafts)}"] = Draft(kind, arn, existing, values)
            return False
        if known is None:
            self.drafts[key] = Draft(kind, arn, existing, values)
        return True

    def named(self, kind: str, name: str) -> Draft:
        """The principal with a name; one that no block declares is an existing principal at the root path."""
        key = (kind, name.lower())
        if key not in self.drafts:
            arn = iam_arn(self.partition, self.account_id, kind, "/", name)
            self.drafts[key] = Draft(kind, arn, existing=True, values={"trust": None} if kind == "role" else {})
        return self.drafts[key]

    def access(self) -> Access:
        """The collected access."""
        parts: dict[str, dict[str, Any]] = {"role": {}, "group": {}, "user": {}}
        for draft in self.drafts.values():
            # The first of two with the same ARN is kept; the second is a finding.
            parts[draft.kind].setdefault(draft.arn, _model(draft))
        return Access(parts["role"], self.policies, parts["group"], parts["user"], self.profiles)


def _model(draft: Draft) -> Role | Group | User:
    common: dict[str, Any] = {
        "arn": draft.arn,
        "inline": draft.inline,
        "attached": frozenset(draft.attached),
        "existing": draft.existing,
        **draft.values,
    }
    if draft.kind == "role":
        return Role(**common)
    if draft.kind == "group":
        return Group(**common)
    return User(**common, groups=frozenset(draft.groups), console_password=draft.console_password)


class Resources:
    """Adds resources to a Builder, in two passes."""

    def __init__(self, module: ModuleScope, report: r.ParseFindings) -> None:
        self.module = module
        self.report = report
        self.builder = Builder(module.partition, module.account_id)

    def declare(self, instance: Instance) -> None:
        """First pass: add principals and policies, which the second pass finds by name."""
        if reader := _DECLARATIONS.get(instance.kind):
            self._read(reader, instance)

    def attach(self, instance: Instance) -> None:
        """Second pass: add attachments, memberships, passwords and instance profiles."""
        if reader := _ATTACHMENTS.get(instance.kind):
            self._read(reader, instance)

    def _read(self, reader: Callable[[Resources, Instance], None], instance: Instance) -> None:
        try:
            reader(self, instance)
        except Unresolvable as error:
            error.file, error.line = error.file or instance.file, error.line or instance.line
            self.report.unresolvable(instance.address, "what it grants", error)

    def optional(self, instance: Instance, argument: str, default: Any, convert: Callable[[Value], Any] = plain) -> Any:
        """An argument that grants nothing; if it cannot be determined, add a warning and return the default."""
        return self.critical(instance, argument, convert, default, Severity.WARNING)

    def critical(
        self,
        instance: Instance,
        argument: str,
        convert: Callable[[Value], Any],
        default: Any,
        severity: Severity = Severity.ERROR,
    ) -> Any:
        """An argument that affects access; if it cannot be determined, add an error and return the default."""
        try:
            value = instance.get(argument)
            return default if value is None else convert(value)
        except Unresolvable as error:
            error.file, error.line = error.file or instance.file, error.line or instance.line
            self.report.unresolvable(instance.address, argument, error, severity)
            return default

    def policy(self, value: Value) -> PolicyDocument:
        """Parse a policy document from JSON. Raises Unresolvable."""
        return stored_policy(value, self.module.partition)

    def duplicate(self, instance: Instance, what: str) -> None:
        """Report that two resources declare the same thing."""
        self.report.add(r.DUPLICATE, instance.address, f"{what} is declared twice", instance.file, instance.line)

    def inline(self, instance: Instance, draft: Draft, name: str, value: Value) -> None:
        """Add an inline policy to a principal."""
        if name in draft.inline:
            self.duplicate(instance, f"the inline policy {name} of {draft.arn}")
            name = f"{name} ({instance.address})"
        draft.inline[name] = self.policy(value)


def _tags(value: Value) -> Mapping[str, str]:
    return {key: plain(item) for key, item in value.items()} if isinstance(value, MapValue) else {}


def _seconds(value: Value) -> int:
    if not isinstance(value, int) or not 0 <= value <= _LONGEST_SESSION:
        raise Unresolvable("not a number of seconds")
    return value


def _arns(value: Value) -> list[str]:
    return list(map(plain, strings(value, "managed_policy_arns")))


def _boundary(value: Value) -> str | None:
    """A permissions boundary; None for an empty string, as in the provider."""
    return plain(value) or None


_LONGEST_SESSION = 43_200


def _role(self: Resources, instance: Instance) -> None:
    name, missing = instance.needed("name"), False
    fresh = self.builder.declare(
        "role",
        name,
        self.module.arn(instance),
        existing=False,
        trust=self.critical(instance, "assume_role_policy", self.policy, None),
        boundary=self.critical(instance, "permissions_boundary", _boundary, None),
        max_session_seconds=self.critical(instance, "max_session_duration", _seconds, 3600),
        description=self.optional(instance, "description", ""),
        # Conditions may depend on them.
        tags=self.critical(instance, "tags", _tags, {}),
    )
    if not fresh:
        self.duplicate(instance, f"the role {name}")
    draft = list(self.builder.drafts.values())[-1] if not fresh else self.builder.named("role", name)
    draft.attached.update(self.critical(instance, "managed_policy_arns", _arns, []))
    for kind, body, scope in expand(instance.body, instance.scope):
        if kind == "inline_policy" and body.attributes:
            part = Instance(kind, f"{instance.address}.inline_policy", body, scope, instance.line)
            self.inline(part, draft, part.needed("name"), part.get("policy"))
    with suppress(Unresolvable):  # already reported
        missing = instance.get("assume_role_policy") is None
    if missing:
        raise Unresolvable("assume_role_policy is missing", instance.line, instance.file)


def _existing(self: Resources, instance: Instance) -> None:
    kind = instance.kind.removeprefix("data.aws_iam_")
    values = {"trust": None} if kind == "role" else {}
    if not self.builder.declare(kind, self.module.name(instance), self.module.arn(instance), existing=True, **values):
        self.duplicate(instance, f"the {kind} {self.module.name(instance)}")


def _group(self: Resources, instance: Instance) -> None:
    if not self.builder.declare("group", self.module.name(instance), self.module.arn(instance), existing=False):
        self.duplicate(instance, f"the group {self.module.name(instance)}")


def _user(self: Resources, instance: Instance) -> None:
    name = self.module.name(instance)
    boundary = self.critical(instance, "permissions_boundary", _boundary, None)
    tags = self.critical(instance, "tags", _tags, {})
    if not self.builder.declare("user", name, self.module.arn(instance), existing=False, boundary=boundary, tags=tags):
        self.duplicate(instance, f"the user {name}")


def _managed_policy(self: Resources, instance: Instance) -> None:
    arn = self.module.arn(instance)
    policy = ManagedPolicy(
        arn,
        self.policy(instance.get("policy")),
        self.optional(instance, "description", ""),
        self.optional(instance, "tags", {}, _tags),
    )
    if arn in self.builder.policies:
        self.duplicate(instance, f"the policy {arn}")
    self.builder.policies.setdefault(arn, policy)


def _check_document(self: Resources, instance: Instance) -> None:
    """Evaluate a document also if nothing uses it, to report what cannot be determined."""
    del self
    read_document(instance)


def _inline_on(kind: str) -> Callable[[Resources, Instance], None]:
    def read(self: Resources, instance: Instance) -> None:
        draft = self.builder.named(kind, instance.needed(kind))
        self.inline(instance, draft, instance.needed("name"), instance.get("policy"))

    return read


def _attached_to(kind: str) -> Callable[[Resources, Instance], None]:
    def read(self: Resources, instance: Instance) -> None:
        self.builder.named(kind, instance.needed(kind)).attached.add(instance.needed("policy_arn"))

    return read


def _attachment(self: Resources, instance: Instance) -> None:
    message = "it detaches the policy from all other roles, users and groups in the account"
    self.report.add(r.UNKNOWN, instance.address, message, instance.file, instance.line, Severity.WARNING)
    arn = instance.needed("policy_arn")
    for kind in ("role", "user", "group"):
        for name in map(plain, instance.strings(f"{kind}s")):
            self.builder.named(kind, name).attached.add(arn)


def _user_groups(self: Resources, instance: Instance) -> None:
    user = self.builder.named("user", instance.needed("user"))
    user.groups.update(self.builder.named("group", name).arn for name in map(plain, instance.strings("groups")))


def _group_members(self: Resources, instance: Instance) -> None:
    group = self.builder.named("group", instance.needed("group"))
    for name in map(plain, instance.strings("users")):
        self.builder.named("user", name).groups.add(group.arn)


def _login_profile(self: Resources, instance: Instance) -> None:
    user = self.builder.named("user", instance.needed("user"))
    if user.console_password is not None:
        self.duplicate(instance, f"the console password of {user.arn}")
    required = instance.get("password_reset_required")
    if required is None:
        # Provider 3.39 requires a new password by default, 4.x and later do not.
        message = "password_reset_required is not set, and its default differs between versions of the provider"
        self.report.add(r.AMBIGUOUS, instance.address, message, instance.file, instance.line, Severity.WARNING)
    key = instance.get("pgp_key")
    user.console_password = ConsolePassword(required is True, plain(key) or None if key is not None else None)


def _instance_profile(self: Resources, instance: Instance) -> None:
    arn = self.module.arn(instance)
    role = self.builder.named("role", instance.needed("role"))
    if arn in self.builder.profiles:
        self.duplicate(instance, f"the instance profile {arn}")
    tags = self.optional(instance, "tags", {}, _tags)
    self.builder.profiles.setdefault(arn, InstanceProfile(arn, role.arn, tags))


_DECLARATIONS: dict[str, Callable[[Resources, Instance], None]] = {
    "aws_iam_role": _role,
    "aws_iam_group": _group,
    "aws_iam_user": _user,
    "aws_iam_policy": _managed_policy,
    "data.aws_iam_role": _existing,
    "data.aws_iam_group": _existing,
    "data.aws_iam_user": _existing,
    "data.aws_iam_policy_document": _check_document,
}
_ATTACHMENTS: dict[str, Callable[[Resources, Instance], None]] = {
    "aws_iam_role_policy": _inline_on("role"),
    "aws_iam_group_policy": _inline_on("group"),
    "aws_iam_user_policy": _inline_on("user"),
    "aws_iam_role_policy_attachment": _attached_to("role"),
    "aws_iam_group_policy_attachment": _attached_to("group"),
    "aws_iam_user_policy_attachment": _attached_to("user"),
    "aws_iam_policy_attachment": _attachment,
    "aws_iam_user_group_membership": _user_groups,
    "aws_iam_group_membership": _group_members,
    "aws_iam_user_login_profile": _login_profile,
    "aws_iam_instance_profile": _instance_profile,
}
