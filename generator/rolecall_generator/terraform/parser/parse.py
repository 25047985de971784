"""Parses a module folder into the access that it grants, and findings for everything that cannot be determined.

No program is run. What is not supported is a finding with file and line, and an error if it could hide access.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rolecall_generator.errors import ModuleError
from rolecall_generator.findings import Finding, Severity
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
from rolecall_generator.terraform.parser.documents import document_json, expand, stored_policy
from rolecall_generator.terraform.parser.files import ModuleFiles, load, read_folder
from rolecall_generator.terraform.parser.modules import Instance, ModuleScope, strings
from rolecall_generator.terraform.parser.schema import KINDS, ParseFindings, check_block
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


class Resources:
    """Collects the access of resources in two passes: principals by kind and name (case-insensitive, as in IAM)."""

    def __init__(self, module: ModuleScope, report: r.ParseFindings) -> None:
        self.module = module
        self.report = report
        self.drafts: dict[tuple[str, str], Draft] = {}
        self.policies: dict[str, ManagedPolicy] = {}
        self.profiles: dict[str, InstanceProfile] = {}

    def read(self, instances: Iterable[Instance], readers: Mapping[str, Reader]) -> None:
        """One pass. The second, `_ATTACHMENTS`, finds the principals and policies of the first, `_DECLARATIONS`, by name."""
        for instance in instances:
            if reader := readers.get(instance.kind):
                try:
                    reader(self, instance)
                except Unresolvable as error:
                    self.report.unresolvable(instance, "what it grants", error)

    def declare(self, instance: Instance, kind: str, name: str, arn: str, *, existing: bool = False, **values: Any) -> Draft:
        """Add the principal that a block declares. If the name is taken, report it; the first principal is kept too."""
        key = (kind, name.lower())
        known = self.drafts.get(key)
        if known is not None and known.existing and existing and known.arn == arn:
            return known
        if known is not None:
            self.duplicate(instance, f"the {kind} {name}")
            key = (kind, f"{name.lower()}/{len(self.drafts)}")
        self.drafts[key] = Draft(kind, arn, existing, values)
        return self.drafts[key]

    def named(self, kind: str, name: str) -> Draft:
        """The principal with a name; one that no block declares is an existing principal at the root path."""
        key = (kind, name.lower())
        if key not in self.drafts:
            arn = iam_arn(self.module.partition, self.module.account_id, kind, "/", name)
            self.drafts[key] = Draft(kind, arn, existing=True, values=_EXISTING[kind])
        return self.drafts[key]

    def access(self) -> Access:
        """The collected access."""
        parts: dict[str, dict[str, Any]] = {"role": {}, "group": {}, "user": {}}
        for draft in self.drafts.values():
            # The first of two with the same ARN is kept; the second is a finding.
            parts[draft.kind].setdefault(draft.arn, _model(draft))
        return Access(parts["role"], self.policies, parts["group"], parts["user"], self.profiles)

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
            self.report.unresolvable(instance, argument, error, severity)
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


Reader = Callable[[Resources, Instance], None]
_EXISTING: dict[str, dict[str, Any]] = {"role": {"trust": None}, "group": {}, "user": {}}
"""Arguments of the classes of existing principals."""


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
    draft = self.declare(
        instance,
        "role",
        name,
        self.module.arn(instance),
        trust=self.critical(instance, "assume_role_policy", self.policy, None),
        boundary=self.critical(instance, "permissions_boundary", _boundary, None),
        max_session_seconds=self.critical(instance, "max_session_duration", _seconds, 3600),
        description=self.optional(instance, "description", ""),
        # Conditions may depend on them.
        tags=self.critical(instance, "tags", _tags, {}),
    )
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
    name, arn = self.module.name(instance), self.module.arn(instance)
    self.declare(instance, kind, name, arn, existing=True, **_EXISTING[kind])


def _group(self: Resources, instance: Instance) -> None:
    self.declare(instance, "group", self.module.name(instance), self.module.arn(instance))


def _user(self: Resources, instance: Instance) -> None:
    name = self.module.name(instance)
    boundary = self.critical(instance, "permissions_boundary", _boundary, None)
    tags = self.critical(instance, "tags", _tags, {})
    self.declare(instance, "user", name, self.module.arn(instance), boundary=boundary, tags=tags)


def _managed_policy(self: Resources, instance: Instance) -> None:
    arn = self.module.arn(instance)
    policy = ManagedPolicy(
        arn,
        self.policy(instance.get("policy")),
        self.optional(instance, "description", ""),
        self.optional(instance, "tags", {}, _tags),
    )
    if arn in self.policies:
        self.duplicate(instance, f"the policy {arn}")
    self.policies.setdefault(arn, policy)


def _check_document(self: Resources, instance: Instance) -> None:
    """Evaluate a document also if nothing uses it, to report what cannot be determined."""
    del self
    document_json(instance)


def _inline_on(kind: str) -> Reader:
    def read(self: Resources, instance: Instance) -> None:
        draft = self.named(kind, instance.needed(kind))
        self.inline(instance, draft, instance.needed("name"), instance.get("policy"))

    return read


def _attached_to(kind: str) -> Reader:
    def read(self: Resources, instance: Instance) -> None:
        self.named(kind, instance.needed(kind)).attached.add(instance.needed("policy_arn"))

    return read


def _attachment(self: Resources, instance: Instance) -> None:
    message = "it detaches the policy from all other roles, users and groups in the account"
    self.report.add(r.UNKNOWN, instance.address, message, instance.file, instance.line, Severity.WARNING)
    arn = instance.needed("policy_arn")
    for kind in ("role", "user", "group"):
        for name in map(plain, instance.strings(f"{kind}s")):
            self.named(kind, name).attached.add(arn)


def _user_groups(self: Resources, instance: Instance) -> None:
    user = self.named("user", instance.needed("user"))
    user.groups.update(self.named("group", name).arn for name in map(plain, instance.strings("groups")))


def _group_members(self: Resources, instance: Instance) -> None:
    group = self.named("group", instance.needed("group"))
    for name in map(plain, instance.strings("users")):
        self.named("user", name).groups.add(group.arn)


def _login_profile(self: Resources, instance: Instance) -> None:
    user = self.named("user", instance.needed("user"))
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
    role = self.named("role", instance.needed("role"))
    if arn in self.profiles:
        self.duplicate(instance, f"the instance profile {arn}")
    tags = self.optional(instance, "tags", {}, _tags)
    self.profiles.setdefault(arn, InstanceProfile(arn, role.arn, tags))


_DECLARATIONS: dict[str, Reader] = {
    "aws_iam_role": _role,
    "aws_iam_group": _group,
    "aws_iam_user": _user,
    "aws_iam_policy": _managed_policy,
    "data.aws_iam_role": _existing,
    "data.aws_iam_group": _existing,
    "data.aws_iam_user": _existing,
    "data.aws_iam_policy_document": _check_document,
}
_ATTACHMENTS: dict[str, Reader] = {
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


MAXIMUM_INSTANCES = 20_000
"""Maximum number of instances of resources and data sources in a module; IAM's quotas are far below it."""


@dataclass(frozen=True, slots=True)
class ParsedModule:
    """A parsed module. `guard_account_id` is the account in its guard against other accounts; None if it has no guard."""

    access: Access = field(default_factory=Access)
    findings: tuple[Finding, ...] = ()
    guard_account_id: str | None = None


def parse_module(folder: Path, *, account_id: str | None, partition: str = "aws", returned: bool = True) -> ParsedModule:
    """Parse the module in a folder.

    Args:
        folder: The module's folder.
        account_id: The account in which the module is applied; None: the account in its guard.
        partition: The AWS partition of the account.
        returned: Someone else sent the folder, so Terraform's working files are errors.

    Raises:
        ModuleError: The folder cannot be read or is too large.
    """
    report = r.ParseFindings()
    files = read_folder(folder, report, returned=returned)
    return _parse(load(files, report, returned=returned), report, account_id, partition)


def parse_files(files: Mapping[str, bytes], *, account_id: str | None, partition: str = "aws") -> ParsedModule:
    """Parse a module, given its files by name; the other arguments are those of `parse_module`."""
    report = r.ParseFindings()
    return _parse(load(files, report), report, account_id, partition)


def _parse(source: ModuleFiles, report: r.ParseFindings, account_id: str | None, partition: str) -> ParsedModule:
    # The guard is evaluated first, without an account: ARNs need the account.
    guard = _guard(ModuleScope(source, "", partition, document_json))
    if guard is None:
        report.add(
            r.GUARD, "module", "no guard prevents it from being applied in another account", severity=Severity.WARNING
        )
    elif account_id not in (None, guard):
        report.add(r.GUARD, "module", f"its guard names account {guard}, but it is meant for account {account_id}")
    account = account_id or guard
    if account is None:
        report.add(r.GUARD, "module", "the account is neither given nor named by a guard, so no ARN can be determined")
        return ParsedModule(Access(), report.findings, None)
    resources = Resources(ModuleScope(source, account, partition, document_json), report)
    instances = _instances(resources.module, report)
    resources.read(instances, _DECLARATIONS)
    resources.read(instances, _ATTACHMENTS)
    for block in resources.module.variables:
        report.variable(block)
    return ParsedModule(resources.access(), report.findings, guard)


def _instances(module: ModuleScope, report: r.ParseFindings) -> list[Instance]:
    """The instances of all supported resources; the others are reported."""
    instances: list[Instance] = []
    for block in module.source.blocks:
        if len(instances) > MAXIMUM_INSTANCES:
            message = f"the module declares more than {MAXIMUM_INSTANCES:,} resources; the rest is not read"
            report.add(r.UNREADABLE, "module", message, block.file, block.line)
            return instances[:MAXIMUM_INSTANCES]
        if check_block(block, module.scope(block.file), report):
            try:
                instances.extend(module.instances(block))
            except Unresolvable as error:
                report.unresolvable(block, "how many there are", error)
    return instances


def _guard(module: ModuleScope) -> str | None:
    """The account in the postcondition of `data "aws_caller_identity"`; None if there is none or several differ."""
    found: set[str] = set()
    for block in module.source.blocks:
        # With an argument (a provider, a count) it may read another account, or none.
        if (block.type, block.labels[:1]) == ("data", ("aws_caller_identity",)) and not block.body.attributes:
            stated = (module.postcondition_value(instance, "account_id") for instance in module.instances(block))
            found.update(account for account in stated if account is not None)
    return found.pop() if len(found) == 1 else None


def find_declarations(folder: Path, *, account_id: str, partition: str = "aws") -> dict[str, tuple[str, int]]:
    """File name and line (from 1) of the block of each ARN in a module; ARNs that cannot be determined are left out."""
    try:
        files = read_folder(folder, ParseFindings())
    except ModuleError:
        return {}
    module = ModuleScope(load(files, ParseFindings()), account_id, partition, document_json)
    places: dict[str, tuple[str, int]] = {}
    for block in module.source.blocks:
        kind = KINDS.get(block.address.rpartition(".")[0]) if block.type in ("resource", "data") else None
        if kind is None or kind.arn is None:
            continue
        with suppress(Unresolvable):
            for instance in module.instances(block):
                places.setdefault(module.arn(instance), (instance.file, instance.line))
    return places
