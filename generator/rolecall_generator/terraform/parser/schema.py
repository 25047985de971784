"""The supported resources, data sources, blocks and arguments, and the findings about all others.

Source: AWS provider 3.39 to 6.x documentation, November 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rolecall_generator.findings import Finding, FindingKind, Severity
from rolecall_generator.terraform.parser import syntax as s
from rolecall_generator.terraform.parser.expressions import EvaluationScope, evaluate_attribute
from rolecall_generator.terraform.parser.values import BOOL, NUMBER, STRING, Collection, Type, Unresolvable

if TYPE_CHECKING:
    from rolecall_generator.terraform.parser.modules import Instance

META = frozenset({"for_each", "count", "depends_on"})
"""Arguments supported in every resource; `provider` is a finding."""


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """A supported resource type or data source.

    `read`: arguments that are evaluated; `harmless`: arguments that do not affect access; `blocks`: nested blocks; `arn`:
    the resource type in ARNs.
    """

    read: frozenset[str]
    harmless: frozenset[str] = frozenset()
    blocks: frozenset[str] = frozenset()
    arn: str | None = None


def _kind(read: str, harmless: str = "", blocks: str = "", arn: str | None = None) -> ResourceKind:
    return ResourceKind(frozenset(read.split()), frozenset(harmless.split()), frozenset(blocks.split()), arn)


KINDS: dict[str, ResourceKind] = {
    "aws_iam_role": _kind(
        "name path description assume_role_policy max_session_duration permissions_boundary tags managed_policy_arns",
        "force_detach_policies",
        "inline_policy",
        "role",
    ),
    "aws_iam_role_policy": _kind("name role policy"),
    "aws_iam_policy": _kind("name path description policy tags", "delay_after_policy_creation_in_ms", arn="policy"),
    "aws_iam_role_policy_attachment": _kind("role policy_arn"),
    "aws_iam_policy_attachment": _kind("name roles users groups policy_arn"),
    "aws_iam_group": _kind("name path", arn="group"),
    "aws_iam_group_policy": _kind("name group policy"),
    "aws_iam_group_policy_attachment": _kind("group policy_arn"),
    "aws_iam_group_membership": _kind("name group users"),
    "aws_iam_user": _kind("name path permissions_boundary tags", "force_destroy", arn="user"),
    "aws_iam_user_policy": _kind("name user policy"),
    "aws_iam_user_policy_attachment": _kind("user policy_arn"),
    "aws_iam_user_group_membership": _kind("user groups"),
    "aws_iam_user_login_profile": _kind("user password_reset_required pgp_key", "password_length"),
    "aws_iam_instance_profile": _kind("name path role tags", arn="instance-profile"),
    "data.aws_iam_policy_document": _kind(
        "version source_policy_documents override_policy_documents source_json override_json", "policy_id", "statement"
    ),
    "data.aws_iam_role": _kind("name", "tags", arn="role"),
    "data.aws_iam_group": _kind("group_name", arn="group"),
    "data.aws_iam_user": _kind("user_name", "tags", arn="user"),
    "data.aws_iam_policy": _kind("arn"),
    "data.aws_caller_identity": _kind(""),
    "data.aws_partition": _kind(""),
}

NAME_ARGUMENT = {"data.aws_iam_group": "group_name", "data.aws_iam_user": "user_name"}
"""The argument with the name of an existing principal, if it is not `name`."""

_SET_OF_STRINGS = Collection("set", STRING)
_LIST_OF_STRINGS = Collection("list", STRING)
ARGUMENT_TYPES: dict[str, Type] = {
    "actions": _SET_OF_STRINGS,
    "force_destroy": BOOL,
    "groups": _SET_OF_STRINGS,
    "identifiers": _SET_OF_STRINGS,
    "managed_policy_arns": _SET_OF_STRINGS,
    "max_session_duration": NUMBER,
    "not_actions": _SET_OF_STRINGS,
    "not_resources": _SET_OF_STRINGS,
    "override_policy_documents": _LIST_OF_STRINGS,
    "password_length": NUMBER,
    "password_reset_required": BOOL,
    "resources": _SET_OF_STRINGS,
    "roles": _SET_OF_STRINGS,
    "source_policy_documents": _LIST_OF_STRINGS,
    "tags": Collection("map", STRING),
    "users": _SET_OF_STRINGS,
    "values": _LIST_OF_STRINGS,
}
"""The types of arguments in the provider's schema, by name; all others are strings."""

POLICY_ARGUMENTS = frozenset({"assume_role_policy", "policy"})
"""Arguments whose value the provider rewrites, differently in each version."""

PROVIDER_SOURCES = frozenset({
    "hashicorp/aws", "registry.terraform.io/hashicorp/aws", "registry.opentofu.org/hashicorp/aws",
})  # fmt: skip
"""Sources of the AWS provider; any other source runs another program."""

UNRESOLVABLE = FindingKind(
    "RC901",
    "Value known only to Terraform",
    Severity.ERROR,
    "write the value literally, or as a local or a variable with a default",
)
UNKNOWN = FindingKind(
    "RC902",
    "Unsupported Terraform configuration",
    Severity.ERROR,
    "remove it from the module, or review it by hand: its effect was not checked",
)
UNREADABLE = FindingKind(
    "RC903",
    "File that cannot be read",
    Severity.ERROR,
    "send the file as text in UTF-8 that `terraform validate` accepts, under 1 MiB",
)
FOREIGN = FindingKind(
    "RC904",
    "Third-party provider, module or program",
    Severity.ERROR,
    "remove it: a module of this kind needs no provider, provisioner or module of its own",
)
DUPLICATE = FindingKind("RC905", "Declared twice", Severity.ERROR, "keep one of the two")
OVERRIDE = FindingKind(
    "RC906", "File that changes other files", Severity.WARNING, "write the change into the file it overrides"
)
GUARD = FindingKind(
    "RC907",
    "Guard against the wrong account",
    Severity.ERROR,
    "keep the postcondition of data.aws_caller_identity with the account the module is meant for",
)
AMBIGUOUS = FindingKind(
    "RC908",
    "Read differently by versions of Terraform",
    Severity.WARNING,
    "use a form that all versions of Terraform and the AWS provider interpret in the same way",
)
EXTRA_FILE = FindingKind(
    "RC909",
    "File that is not part of the module",
    Severity.ERROR,
    "remove it from the folder, or review it by hand: Terraform or a user could use it",
)


class ParseFindings:
    """Collects findings, each once."""

    def __init__(self) -> None:
        self._findings: dict[Finding, None] = {}

    def add(
        self,
        kind: FindingKind,
        subject: str,
        message: str,
        file: str | None = None,
        line: int | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Add a finding, with the usual severity of its kind unless one is given. Equal findings are added once."""
        self._findings[kind.finding(subject, message, file, line, severity=severity)] = None

    def unresolvable(
        self, place: s.Block | Instance, what: str, error: Unresolvable, severity: Severity = Severity.ERROR
    ) -> None:
        """Add a finding for a value of `place` that cannot be determined without Terraform."""
        message = f"{what} cannot be known: {error.reason}"
        self.add(UNRESOLVABLE, place.address, message, error.file or place.file, error.line or place.line, severity)

    def variable(self, block: s.Block) -> None:
        """Add a note for a variable whose value in the folder was used."""
        message = "what the module grants depends on this variable: -var can give it another value"
        hint = "write the value literally or as a local, or check that the module is applied without a value for it"
        note = UNRESOLVABLE.finding(block.address, message, block.file, block.line, severity=Severity.NOTE, hint=hint)
        self._findings[note] = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings by file and line; those without a file first."""
        return tuple(sorted(self._findings, key=lambda found: (found.file or "", found.line or 0, found.rule)))


_INERT = frozenset({"variable", "output", "locals", "moved"})
_LIFECYCLE = frozenset({"create_before_destroy", "prevent_destroy"})
_LOGIN_CHANGES = frozenset({"password_reset_required", "password_length", "pgp_key"})
# Not `default_tags`: conditions may depend on the tags of a principal.
_PLAIN_PROVIDER = frozenset({"region", "allowed_account_ids", "forbidden_account_ids", "version"})


def check_block(block: s.Block, scope: EvaluationScope, report: ParseFindings) -> bool:
    """Report what is not supported in a block. Returns True for a supported resource or data source."""
    if block.type in ("resource", "data"):
        return _resource(block, report)
    if block.type == "terraform":
        _terraform(block, scope, report)
    elif block.type == "provider":
        plain = set(block.body.attributes) <= _PLAIN_PROVIDER and {b.type for b in block.body.blocks} <= _PLAIN_PROVIDER
        severity = Severity.WARNING if plain else Severity.ERROR
        report.add(FOREIGN, block.address, "the module configures a provider", block.file, block.line, severity)
    elif block.type == "module":
        report.add(FOREIGN, block.address, "the module calls another module, which is not read", block.file, block.line)
    elif block.type in ("removed", "import"):
        message = f"a {block.type} block: the account may differ from the module"
        report.add(UNKNOWN, block.address, message, block.file, block.line, Severity.WARNING)
        _provisioners(block, report)
    elif block.type not in _INERT:
        report.add(UNKNOWN, block.address, f"the block {block.type} is not supported", block.file, block.line)
    return False


def _resource(block: s.Block, report: ParseFindings) -> bool:
    name = block.labels[0] if block.type == "resource" else ".".join((block.type, *block.labels[:1]))
    _provisioners(block, report)
    if "provider" in block.body.attributes:
        line = block.body.attributes["provider"].line
        report.add(FOREIGN, block.address, "another provider configuration, possibly for another account", block.file, line)
    kind = KINDS.get(name)
    if kind is None or len(block.labels) != len(("type", "name")):
        report.add(UNKNOWN, block.address, f"the resource type {name} is not supported", block.file, block.line)
        return False
    for argument, attribute in block.body.attributes.items():
        if argument not in kind.read | kind.harmless | META | {"provider"}:
            message = f"the argument {argument} is not supported"
            report.add(UNKNOWN, block.address, message, block.file, attribute.line)
    for inner in block.body.blocks:
        inner_type = inner.labels[0] if inner.type == "dynamic" and inner.labels else inner.type
        if inner.type == "lifecycle":
            _lifecycle(block, inner, report)
        elif inner_type not in kind.blocks | {"provisioner", "connection", "timeouts"}:
            report.add(UNKNOWN, block.address, f"the block {inner_type} is not supported", block.file, inner.line)
    return True


def _provisioners(block: s.Block, report: ParseFindings) -> None:
    for inner in block.body.blocks:
        if inner.type in ("provisioner", "connection"):
            report.add(FOREIGN, block.address, "a provisioner runs programs at apply", block.file, inner.line)


def _lifecycle(block: s.Block, lifecycle: s.Block, report: ParseFindings) -> None:
    for name, attribute in lifecycle.body.attributes.items():
        if name in _LIFECYCLE:
            continue
        ignored = _names(attribute.expression) if name == "ignore_changes" else None
        if ignored is not None and (ignored <= {"tags"} or _harmless(block, ignored)):
            continue
        message = f"{name}: Terraform may not change the account to match the module"
        report.add(AMBIGUOUS, block.address, message, block.file, attribute.line)


def _harmless(block: s.Block, ignored: frozenset[str]) -> bool:
    return block.labels[0] == "aws_iam_user_login_profile" and ignored <= _LOGIN_CHANGES


def _names(expression: s.Expression) -> frozenset[str] | None:
    """The names in a list of references; None if there is anything else."""
    if not isinstance(expression, s.Tuple):
        return None
    words = [item.name for item in expression.items if isinstance(item, s.Name)]
    return frozenset(words) if len(words) == len(expression.items) else None


def _terraform(block: s.Block, scope: EvaluationScope, report: ParseFindings) -> None:
    for name, attribute in block.body.attributes.items():
        if name != "required_version":
            report.add(UNKNOWN, block.address, f"the setting {name} is not supported", block.file, attribute.line)
    for inner in block.body.blocks:
        if inner.type == "required_providers":
            _providers(inner, scope, report)
        elif inner.type in ("backend", "cloud"):
            message = "the module configures where its state is stored; the state may contain passwords"
            report.add(FOREIGN, block.address, message, block.file, inner.line, Severity.WARNING)
        else:
            report.add(UNKNOWN, block.address, f"the block {inner.type} is not supported", block.file, inner.line)


def _providers(block: s.Block, scope: EvaluationScope, report: ParseFindings) -> None:
    for name, attribute in block.body.attributes.items():
        aliases = isinstance(attribute.expression, s.Object) and any(
            key == s.Literal("configuration_aliases") for key, _ in attribute.expression.items
        )
        try:
            value = None if aliases else evaluate_attribute(attribute, scope)
        except Unresolvable:
            value = None
        source = value.get("source") if isinstance(value, dict) else f"hashicorp/{name}"
        if value is None or source not in PROVIDER_SOURCES:
            message = f"the provider {name} is not HashiCorp's AWS provider: it runs as a program at apply"
            report.add(FOREIGN, block.address, message, block.file, attribute.line)
