"""Parses a module folder into the access that it grants, and findings for everything that cannot be determined.

No program is run. What is not supported is a finding with file and line, and an error if it could hide access.
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
    for instance in instances:
        resources.declare(instance)
    for instance in instances:
        resources.attach(instance)
    for block in resources.module.variables:
        report.variable(block)
    return ParsedModule(resources.builder.access(), report.findings, guard)


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
                error.file, error.line = error.file or block.file, error.line or block.line
                report.unresolvable(block.address, "how many there are", error)
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
