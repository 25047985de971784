"""Test files and the provider lock: what they name is run by `terraform test` and `terraform init`.

A test file is accepted when its runs can reach nothing but the module under a mocked provider, as those of our bundles do.
A provider lock is accepted when it names no provider but HashiCorp's AWS provider.

Source: Terraform language documentation, "Tests" and "Dependency Lock File", November 2026.
"""

from __future__ import annotations

from rolecall_generator.checks.finding import Severity
from rolecall_generator.parse import report as r
from rolecall_generator.parse import syntax as s
from rolecall_generator.parse.kinds import PROVIDER_SOURCES

_OVERRIDES = frozenset({"override_data", "override_resource"})
_RUN_BLOCKS = frozenset({"assert", *_OVERRIDES})
_RUN_ARGUMENTS = frozenset({"command", "expect_failures"})


def check_test_file(name: str, body: s.Body, report: r.Report) -> None:
    """Report everything in a test file that could reach a real account, another module or a file."""
    mocked = False
    for block in body.blocks:
        if (block.type, block.labels) == ("mock_provider", ("aws",)) and _is_empty(block.body):
            mocked = True
        elif block.type == "run":
            _check_run(name, block, report)
        elif block.type not in _OVERRIDES:
            _refuse(name, f"the block {block.type}", block.line, report)
    if not mocked:
        _refuse(name, "no mocked AWS provider, so the test reaches a real account", 1, report)


def _check_run(name: str, run: s.Block, report: r.Report) -> None:
    for argument, attribute in run.body.attributes.items():
        if argument not in _RUN_ARGUMENTS:
            _refuse(name, f"the argument {argument} of a run", attribute.line, report)
    for block in run.body.blocks:
        if block.type not in _RUN_BLOCKS:
            _refuse(name, f"the block {block.type} of a run", block.line, report)


def _is_empty(body: s.Body) -> bool:
    return not body.attributes and not body.blocks and not body.repeated


def _refuse(name: str, what: str, line: int, report: r.Report) -> None:
    report.add(
        r.EXTRA_FILE, name, f"terraform test runs this file, and rolecall does not know what it does: {what}", name, line
    )


def check_provider_lock(name: str, body: s.Body, report: r.Report, *, returned: bool) -> None:
    """Report providers other than HashiCorp's AWS provider. From someone else, that there is a lock is a note."""
    foreign = False
    for block in body.blocks:
        if block.type != "provider" or len(block.labels) != 1 or block.labels[0] not in PROVIDER_SOURCES:
            foreign = True
            report.add(r.EXTRA_FILE, name, "it selects a provider that is not HashiCorp's AWS provider", name, block.line)
    if returned and not foreign:
        message = "it selects the version of the AWS provider, and the checksums that terraform init accepts"
        report.add(r.EXTRA_FILE, name, message, name, 1, Severity.NOTE)
