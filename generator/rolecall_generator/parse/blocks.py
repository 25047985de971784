"""Which blocks and arguments a module may have at all: everything else is a finding, whatever it would do."""

from __future__ import annotations

from rolecall_generator.checks.finding import Severity
from rolecall_generator.parse import report as r
from rolecall_generator.parse import syntax as s
from rolecall_generator.parse.expressions import Scope, evaluate_attribute
from rolecall_generator.parse.functions import Unresolvable
from rolecall_generator.parse.kinds import KINDS, META, PROVIDER_SOURCES

_INERT = frozenset({"variable", "output", "locals", "moved"})
_LIFECYCLE = frozenset({"create_before_destroy", "prevent_destroy"})
_LOGIN_CHANGES = frozenset({"password_reset_required", "password_length", "pgp_key"})
# Not `default_tags`: conditions may ask for the tags of a principal.
_PLAIN_PROVIDER = frozenset({"region", "allowed_account_ids", "forbidden_account_ids", "version"})


def check_block(block: s.Block, scope: Scope, report: r.Report) -> bool:
    """Report what is not understood about a block. True when its resource type is understood."""
    if block.type in ("resource", "data"):
        return _resource(block, report)
    if block.type == "terraform":
        _terraform(block, scope, report)
    elif block.type == "provider":
        plain = set(block.body.attributes) <= _PLAIN_PROVIDER and {b.type for b in block.body.blocks} <= _PLAIN_PROVIDER
        severity = Severity.WARNING if plain else Severity.ERROR
        report.add(r.FOREIGN, block.address, "a provider block of the module's own", block.file, block.line, severity)
    elif block.type == "module":
        report.add(r.FOREIGN, block.address, "a module is called; what it does is not read", block.file, block.line)
    elif block.type in ("removed", "import"):
        message = f"a {block.type} block: what stands in the account may differ from the module"
        report.add(r.UNKNOWN, block.address, message, block.file, block.line, Severity.WARNING)
        _provisioners(block, report)
    elif block.type not in _INERT:
        report.add(r.UNKNOWN, block.address, f"the block {block.type} is not understood", block.file, block.line)
    return False


def _resource(block: s.Block, report: r.Report) -> bool:
    name = block.labels[0] if block.type == "resource" else ".".join((block.type, *block.labels[:1]))
    _provisioners(block, report)
    if "provider" in block.body.attributes:
        line = block.body.attributes["provider"].line
        report.add(r.FOREIGN, block.address, "another provider, so perhaps another account", block.file, line)
    kind = KINDS.get(name)
    if kind is None or len(block.labels) != len(("type", "name")):
        report.add(r.UNKNOWN, block.address, f"the resource type {name} is not understood", block.file, block.line)
        return False
    for argument, attribute in block.body.attributes.items():
        if argument not in kind.read | kind.harmless | META | {"provider"}:
            message = f"the argument {argument} is not understood"
            report.add(r.UNKNOWN, block.address, message, block.file, attribute.line)
    for inner in block.body.blocks:
        inner_type = inner.labels[0] if inner.type == "dynamic" and inner.labels else inner.type
        if inner.type == "lifecycle":
            _lifecycle(block, inner, report)
        elif inner_type not in kind.blocks | {"provisioner", "connection", "timeouts"}:
            report.add(r.UNKNOWN, block.address, f"the block {inner_type} is not understood", block.file, inner.line)
    return True


def _provisioners(block: s.Block, report: r.Report) -> None:
    for inner in block.body.blocks:
        if inner.type in ("provisioner", "connection"):
            report.add(r.FOREIGN, block.address, "a provisioner runs programs at apply", block.file, inner.line)


def _lifecycle(block: s.Block, lifecycle: s.Block, report: r.Report) -> None:
    for name, attribute in lifecycle.body.attributes.items():
        if name in _LIFECYCLE:
            continue
        ignored = _words(attribute.expression) if name == "ignore_changes" else None
        if ignored is not None and (ignored <= {"tags"} or _harmless(block, ignored)):
            continue
        message = f"{name} keeps Terraform from making the account what the module says"
        report.add(r.AMBIGUOUS, block.address, message, block.file, attribute.line)


def _harmless(block: s.Block, ignored: frozenset[str]) -> bool:
    return block.labels[0] == "aws_iam_user_login_profile" and ignored <= _LOGIN_CHANGES


def _words(expression: s.Expression) -> frozenset[str] | None:
    """The bare names in a list; None when there is anything else."""
    if not isinstance(expression, s.Tuple):
        return None
    words = [item.name for item in expression.items if isinstance(item, s.Name)]
    return frozenset(words) if len(words) == len(expression.items) else None


def _terraform(block: s.Block, scope: Scope, report: r.Report) -> None:
    for name, attribute in block.body.attributes.items():
        if name != "required_version":
            report.add(r.UNKNOWN, block.address, f"the setting {name} is not understood", block.file, attribute.line)
    for inner in block.body.blocks:
        if inner.type == "required_providers":
            _providers(inner, scope, report)
        elif inner.type in ("backend", "cloud"):
            message = "the module says where its state is kept; the state may hold passwords"
            report.add(r.FOREIGN, block.address, message, block.file, inner.line, Severity.WARNING)
        else:
            report.add(r.UNKNOWN, block.address, f"the block {inner.type} is not understood", block.file, inner.line)


def _providers(block: s.Block, scope: Scope, report: r.Report) -> None:
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
            report.add(r.FOREIGN, block.address, message, block.file, attribute.line)
