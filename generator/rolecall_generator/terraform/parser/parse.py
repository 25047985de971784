"""Terraform modules -> the access that they make, and findings for everything that cannot be known without Terraform.

Generated modules and ordinary hand-written ones are read alike. Nothing is run and nothing is guessed: what is not
understood is a finding with its file and line, an error wherever it could hide access.

Where in a module each principal and policy is declared: asked only when there is something to say about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rolecall_generator.errors import ModuleError
from rolecall_generator.findings import Finding, Severity
from rolecall_generator.iam import Access
from rolecall_generator.terraform.parser import schema as r
from rolecall_generator.terraform.parser.documents import document_json
from rolecall_generator.terraform.parser.files import ModuleFiles, load
from rolecall_generator.terraform.parser.folder import read_folder
from rolecall_generator.terraform.parser.modules import Instance, ModuleScope
from rolecall_generator.terraform.parser.resources import Resources
from rolecall_generator.terraform.parser.schema import KINDS, ParseFindings, check_block
from rolecall_generator.terraform.parser.values import Unresolvable

MAXIMUM_INSTANCES = 20_000
"""Resources and data sources of one module, those of `count` and `for_each` included; IAM's quotas are far below it."""


@dataclass(frozen=True, slots=True)
class ParsedModule:
    """A module as written. `guard_account_id`: the account that its wrong-account guard names, None without one."""

    access: Access = field(default_factory=Access)
    findings: tuple[Finding, ...] = ()
    guard_account_id: str | None = None


def parse_module(folder: Path, *, account_id: str | None, partition: str = "aws", returned: bool = True) -> ParsedModule:
    """Read the module in a folder. `returned`: it comes from someone else, so Terraform's working files are errors.

    Raises ModuleError when the folder itself cannot be read, or is too large.
    """
    report = r.ParseFindings()
    files = read_folder(folder, report, returned=returned)
    return _parse(load(files, report, returned=returned), report, account_id, partition)


def parse_files(files: Mapping[str, bytes], *, account_id: str | None, partition: str = "aws") -> ParsedModule:
    """Read a module from its files, by name. `account_id`: the account it is meant for; None: the one its guard names."""
    report = r.ParseFindings()
    return _parse(load(files, report), report, account_id, partition)


def _parse(source: ModuleFiles, report: r.ParseFindings, account_id: str | None, partition: str) -> ParsedModule:
    # The guard is read first: ARNs need the account. What it compares with may be a variable, never the account itself.
    guard = _guard(ModuleScope(source, "", partition, document_json))
    if guard is None:
        report.add(r.GUARD, "module", "nothing keeps it from being applied in another account", severity=Severity.WARNING)
    elif account_id not in (None, guard):
        report.add(r.GUARD, "module", f"its guard names the account {guard}, it is meant for {account_id}")
    account = account_id or guard
    if account is None:
        report.add(r.GUARD, "module", "the account is neither given nor named by a guard, so no ARN in it can be known")
        return ParsedModule(Access(), report.findings, None)
    resources = Resources(ModuleScope(source, account, partition, document_json), report)
    instances = _instances(resources.module, report)
    for instance in instances:
        resources.declare(instance)
    for instance in instances:
        resources.attach(instance)
    return ParsedModule(resources.builder.access(), report.findings, guard)


def _instances(module: ModuleScope, report: r.ParseFindings) -> list[Instance]:
    """Every instance of every resource that is understood; the rest is reported."""
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
                error.file, error.line = error.file or block.file, error.line or block.line
                report.unresolvable(block.address, "how many there are", error)
    return instances


def _guard(module: ModuleScope) -> str | None:
    """The account in the postcondition of `data "aws_caller_identity"`; None when there is none, or two that differ."""
    found: set[str] = set()
    for block in module.source.blocks:
        # With any argument (a provider, a count) it may ask about another account, or not at all.
        if (block.type, block.labels[:1]) == ("data", ("aws_caller_identity",)) and not block.body.attributes:
            stated = (module.stated(instance, "account_id") for instance in module.instances(block))
            found.update(account for account in stated if account is not None)
    return found.pop() if len(found) == 1 else None


__all__ = ["ParsedModule", "parse_files", "parse_module"]


def declared_places(folder: Path, *, account_id: str, partition: str = "aws") -> dict[str, tuple[str, int]]:
    """File name and line (from 1) of the block behind each ARN of a module; what cannot be read has no place."""
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
