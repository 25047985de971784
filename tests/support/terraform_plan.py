"""Terraform's own plan of a module, to compare the parser with: resources to create, as the access model represents them.

`plan_modules` plans many modules in one run, `plan_folder` one folder as a separate root (so that `*.auto.tfvars` and
`terraform.tfvars` are loaded). Nothing is refreshed or applied; all requests go to `endpoint`.

Only for modules written for tests. Planning runs the providers, data sources and backends of a module, so a folder that
requires anything except the AWS provider is refused; modules of other people are never planned.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from rolecall_generator.findings import Severity
from rolecall_generator.iam.arn import iam_arn
from rolecall_generator.iam.model import Access, ConsolePassword, Group, InstanceProfile, ManagedPolicy, Role, User
from rolecall_generator.iam.policy import PolicyDocument
from rolecall_generator.terraform.parser.parse import ParsedModule
from rolecall_runner.rehearsal.terraform_cli import CompletedCommand, provider_block
from terraform_providers import Provider
from terraform_rig import Call, Workspace, put, workspace_of_many

_REFUSED = re.compile(
    r'provisioner\s+"|\bbackend\s+"|\bcloud\s*\{|data\s+"(?:external|http|terraform_remote_state)"|'
    r'"(?:provisioner|backend|cloud|external|http|terraform_remote_state)"\s*:'
)
_SOURCE = re.compile(r'\bsource"?\s*[=:]\s*"(?!\./|\.\./|hashicorp/aws"|registry\.terraform\.io/hashicorp/aws")')
_REFERENCE = re.compile(r'(?P<type>aws_\w+)\.(?P<name>[\w-]+)(?:\[(?P<index>"[^"]*"|\d+)\])?(?:\.(?P<attribute>\w+))?')
_OWN_PROVIDER = re.compile(r'^\s*provider\s+"aws"|"provider"\s*:', re.MULTILINE)
_NATIVE, _JSON = (".tf",), (".tf.json",)
_OWNERS = ("role", "group", "user")


class NotJudgedError(Exception):
    """The plan does not determine the access, so it cannot be compared."""


@dataclass(frozen=True, slots=True)
class PlannedResource:
    """A resource to be created, or a data source that was read (`type` starts with `data.`).

    `values`: its known arguments and attributes; `unknown`: names of those known after apply.
    `references`: for each argument, what its expression refers to, as in `aws_iam_role.this.name`.
    """

    type: str
    name: str
    index: str | int | None
    values: Mapping[str, Any]
    unknown: frozenset[str] = frozenset()
    references: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def documents(self) -> dict[str, PolicyDocument]:
        """Its policy documents by argument, canonical."""
        found = {}
        for argument in ("policy", "assume_role_policy", "json"):
            if isinstance(self.values.get(argument), str):
                found[argument] = PolicyDocument.from_json(json.loads(self.values[argument])).canonical()
        return found


@dataclass(frozen=True, slots=True)
class Planned:
    """The resources in a plan. `refused`: Terraform's message if it cannot plan, else None."""

    resources: tuple[PlannedResource, ...] = ()
    refused: str | None = None

    def access(self, account_id: str, partition: str = "aws") -> Access:
        """The planned access, in canonical form. Raises NotJudgedError if the plan does not determine it."""
        return _Reading(self.resources, account_id, partition).access()


class Verdict(Enum):
    """Result of comparing a parsed module with its plan."""

    EQUAL = "equal"
    UNKNOWN = "unknown"  # an error finding: the parser reports an unknown value
    WRONG = "wrong"  # no error finding, but another access than planned
    REFUSED = "refused"  # no error finding, but Terraform cannot plan


def verdict(parsed: ParsedModule, planned: Planned, account_id: str, partition: str = "aws") -> Verdict:
    """Compare a parsed module with its plan. Raises NotJudgedError if the plan does not determine the access."""
    if any(finding.severity is Severity.ERROR for finding in parsed.findings):
        return Verdict.UNKNOWN
    if planned.refused is not None:
        return Verdict.REFUSED
    equal = parsed.access.canonical() == planned.access(account_id, partition)
    return Verdict.EQUAL if equal else Verdict.WRONG


def plan_folder(
    scratch: Path, files: Mapping[str, str | bytes], *, account_id: str, endpoint: str, provider: Provider
) -> Planned:
    """Plan one module as a root. `scratch`: a new folder of the test; a provider block of the module is overridden.

    Raises ValueError for a module that requires anything except the AWS provider.
    """
    _check_harmless(files)
    put(scratch, files)
    texts = _texts(files, (*_NATIVE, *_JSON))
    name = "rig_override.tf" if any(_OWN_PROVIDER.search(text) for text in texts) else "rig_provider.tf"
    put(scratch, {name: provider_block(endpoint, account_id)})
    place = Workspace(scratch, provider)
    for arguments in (
        ("init", "-input=false", "-no-color", f"-plugin-dir={provider.plugins()}"),
        ("plan", "-input=false", "-no-color", "-refresh=false", "-out=plan"),
    ):
        done = place.run(*arguments, expect=None, warn=True)
        if done.code:
            return Planned(refused=_refusal(done))
    (only,) = planned_modules(json.loads(place.run("show", "-json", "plan", warn=True).out), [""]).values()
    return only


def plan_modules(
    scratch: Path, modules: Mapping[str, Mapping[str, str | bytes]], *, account_id: str, endpoint: str, provider: Provider
) -> dict[str, Planned]:
    """Plan many modules as children of one root, by name; all must succeed.

    Raises ValueError for a module that requires anything except the AWS provider.
    """
    for files in modules.values():
        _check_harmless(files)
    labels = {f"m{number}": name for number, name in enumerate(modules)}
    calls = [Call(label, modules[name], account_id) for label, name in labels.items()]
    place = workspace_of_many(scratch, calls, endpoint, provider)
    place.run("init", "-input=false", "-no-color", f"-plugin-dir={provider.plugins()}", warn=True)
    place.run("plan", "-input=false", "-no-color", "-refresh=false", "-out=plan", warn=True)
    found = planned_modules(json.loads(place.run("show", "-json", "plan", warn=True).out), labels)
    return {labels[label]: planned for label, planned in found.items()}


def planned_modules(shown: Mapping[str, Any], labels: Iterable[str]) -> dict[str, Planned]:
    """Modules of a root's plan (output of `terraform show -json`) by label; an empty label is the root itself."""
    return {label: Planned(tuple(_resources(shown, label))) for label in labels}


def _resources(shown: Mapping[str, Any], label: str) -> Iterator[PlannedResource]:
    address = f"module.{label}" if label else ""
    configured = shown["configuration"]["root_module"]
    if label:
        configured = configured["module_calls"][label]["module"]
    references = {
        (resource["type"], resource["name"]): _references(resource.get("expressions", {}))
        for resource in configured.get("resources", [])
    }
    for change in shown.get("resource_changes", []):
        if change.get("module_address", "") == address and change["change"]["actions"] != ["delete"]:
            body = change["change"]
            yield PlannedResource(
                ("data." if change["mode"] == "data" else "") + change["type"],
                change["name"],
                change.get("index"),
                body["after"] or {},
                frozenset(name for name, value in (body.get("after_unknown") or {}).items() if value is True),
                references.get((change["type"], change["name"]), {}),
            )
    for resource in _read_already(shown, address):
        yield PlannedResource(f"data.{resource['type']}", resource["name"], resource.get("index"), resource["values"])


def _read_already(shown: Mapping[str, Any], address: str) -> Iterator[Mapping[str, Any]]:
    root = shown.get("prior_state", {}).get("values", {}).get("root_module", {})
    modules = [root] if not address else root.get("child_modules", [])
    for module in modules:
        if module.get("address", "") == address:
            yield from (resource for resource in module.get("resources", []) if resource["mode"] == "data")


def _references(expressions: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    return {
        name: expression["references"]
        for name, expression in expressions.items()
        if isinstance(expression, dict) and "references" in expression
    }


def _refusal(done: CompletedCommand) -> str:
    return done.error or done.text


def _texts(files: Mapping[str, str | bytes], endings: tuple[str, ...]) -> list[str]:
    return [
        text if isinstance(text, str) else text.decode("utf-8", "replace")
        for name, text in files.items()
        if name.endswith(endings)
    ]


def _check_harmless(files: Mapping[str, str | bytes]) -> None:
    for text in _texts(files, (*_NATIVE, *_JSON)):
        for pattern in (_REFUSED, _SOURCE):
            if match := pattern.search(text):
                raise ValueError(f"not planned, since it may run or fetch something: {match.group()!r}")


class _Reading:
    """Planned resources -> Access. Names, not ARNs, connect the parts, as in IAM itself."""

    def __init__(self, resources: Iterable[PlannedResource], account_id: str, partition: str) -> None:
        self.resources = tuple(resources)
        self.account_id = account_id
        self.partition = partition
        self.owners: dict[tuple[str, str], Role | Group | User] = {}
        self.policies: list[ManagedPolicy] = []
        self.profiles: list[InstanceProfile] = []

    def access(self) -> Access:
        """All planned resources as an Access."""
        for resource in self.resources:
            self._declare(resource)
        for resource in self.resources:
            self._attach(resource)
        return Access.of(*self.owners.values(), *self.policies, *self.profiles).canonical()

    def _declare(self, resource: PlannedResource) -> None:
        values = resource.values
        tags = values.get("tags") or {}
        match resource.type:
            case "aws_iam_role":
                self.owners["role", self.known(resource, "name").lower()] = self._role(resource)
            case "aws_iam_group":
                self.owners["group", self.known(resource, "name").lower()] = Group(self.arn(resource))
            case "aws_iam_user":
                boundary = self.optional(resource, "permissions_boundary")
                self.owners["user", self.known(resource, "name").lower()] = User(
                    self.arn(resource), boundary=boundary, tags=tags
                )
            case "aws_iam_policy":
                document, description = _policy(self.known(resource, "policy")), values.get("description") or ""
                self.policies.append(ManagedPolicy(self.arn(resource), document, description, tags))
            case "data.aws_iam_role" | "data.aws_iam_group" | "data.aws_iam_user":
                kind = resource.type.removeprefix("data.aws_iam_")
                name = values.get("name") or values.get(f"{kind}_name")
                self.owners.setdefault((kind, str(name).lower()), self.existing(kind, values["arn"]))

    def _role(self, resource: PlannedResource) -> Role:
        for argument in ("managed_policy_arns", "inline_policy"):
            if argument in resource.unknown and argument in resource.references:
                raise NotJudgedError(f"{resource.type}.{resource.name}: {argument}")
        values = resource.values
        return Role(
            self.arn(resource),
            _policy(self.known(resource, "assume_role_policy")),
            {block["name"]: _policy(block["policy"]) for block in values.get("inline_policy") or []},
            frozenset(values.get("managed_policy_arns") or []),
            self.optional(resource, "permissions_boundary"),
            values.get("max_session_duration") or 3600,
            values.get("description") or "",
            values.get("tags") or {},
        )

    def _attach(self, resource: PlannedResource) -> None:
        kind, _, what = resource.type.removeprefix("aws_iam_").partition("_")
        if kind in _OWNERS and what in {"policy", "policy_attachment"}:
            self._put_policy(kind, what, resource)
            return
        match resource.type:
            case "aws_iam_policy_attachment":
                for each, name in [(kind, name) for kind in _OWNERS for name in self.optional(resource, f"{kind}s") or []]:
                    owner = self.owner(each, name)
                    self.put(each, owner, attached=owner.attached | {self.known(resource, "policy_arn")})
            case "aws_iam_user_group_membership":
                self.join(self.known(resource, "user"), self.known(resource, "groups"))
            case "aws_iam_group_membership":
                for user in self.known(resource, "users"):
                    self.join(user, [self.known(resource, "group")])
            case "aws_iam_user_login_profile":
                user = self.owner("user", self.known(resource, "user"))
                reset, key = bool(resource.values.get("password_reset_required")), resource.values.get("pgp_key")
                self.put("user", user, console_password=ConsolePassword(reset, key))
            case "aws_iam_instance_profile":
                role = self.owner("role", self.known(resource, "role"))
                tags = resource.values.get("tags") or {}
                self.profiles.append(InstanceProfile(self.arn(resource, "instance-profile"), role.arn, tags))

    def _put_policy(self, kind: str, what: str, resource: PlannedResource) -> None:
        owner = self.owner(kind, self.known(resource, kind))
        if what == "policy":
            policy = {self.known(resource, "name"): _policy(self.known(resource, "policy"))}
            self.put(kind, owner, inline={**owner.inline, **policy})
        else:
            self.put(kind, owner, attached=owner.attached | {self.known(resource, "policy_arn")})

    def join(self, user: str, groups: Iterable[str]) -> None:
        """Add a user to a group."""
        member = self.owner("user", user)
        assert isinstance(member, User)
        self.put("user", member, groups=member.groups | {self.owner("group", group).arn for group in groups})

    def put(self, kind: str, owner: Role | Group | User, **changes: Any) -> None:
        """Replace a principal by a changed one."""
        name = next(name for (known, name), value in self.owners.items() if known == kind and value is owner)
        self.owners[kind, name] = replace(owner, **changes)

    def owner(self, kind: str, name: str) -> Role | Group | User:
        """The principal with this name; an undeclared one exists already, with path `/`."""
        arn = iam_arn(self.partition, self.account_id, kind, "/", name)
        return self.owners.setdefault((kind, name.lower()), self.existing(kind, arn))

    @staticmethod
    def existing(kind: str, arn: str) -> Role | Group | User:
        """A principal that is only referenced."""
        if kind == "role":
            return Role(arn, None, existing=True)
        return Group(arn, existing=True) if kind == "group" else User(arn, existing=True)

    def arn(self, resource: PlannedResource, kind: str | None = None) -> str:
        """The ARN that the resource will have."""
        kind = kind or resource.type.removeprefix("aws_iam_")
        path = resource.values.get("path") or "/"
        return iam_arn(self.partition, self.account_id, kind, path, self.known(resource, "name"))

    def optional(self, resource: PlannedResource, argument: str) -> Any:
        """An optional argument."""
        return self.known(resource, argument) if argument in resource.unknown else resource.values.get(argument) or None

    def known(self, resource: PlannedResource, argument: str) -> Any:
        """A value; if it is known only after apply, the value from the referenced resource."""
        value = resource.values.get(argument)
        if value is not None and argument not in resource.unknown:
            return value
        for reference in resource.references.get(argument, ()):
            match = _REFERENCE.fullmatch(reference)
            target = match and self._target(resource, match)
            if target:
                if argument in {"policy_arn", "permissions_boundary"}:
                    return self.arn(target)
                return self.known(target, "name")
        raise NotJudgedError(f"{resource.type}.{resource.name}: {argument} is known only after the apply")

    def _target(self, resource: PlannedResource, match: re.Match[str]) -> PlannedResource | None:
        index: str | int | None = None
        if match["index"] is not None:
            index = json.loads(match["index"])
        same = [each for each in self.resources if (each.type, each.name) == (match["type"], match["name"])]
        if match["index"] is None and same and same[0].index is not None:
            index = resource.index
        return next((each for each in same if each.index == index), None)


def _policy(text: str) -> PolicyDocument:
    return PolicyDocument.from_json(json.loads(text))
