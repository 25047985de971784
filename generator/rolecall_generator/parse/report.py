"""Findings of the parse-back: the rules' ids and mends in one place, and the list that collects them."""

from __future__ import annotations

from rolecall_generator.checks.finding import Finding, Severity
from rolecall_generator.parse.functions import Unresolvable

UNRESOLVABLE = "RC901"
UNKNOWN = "RC902"
UNREADABLE = "RC903"
FOREIGN = "RC904"
DUPLICATE = "RC905"
OVERRIDE = "RC906"
GUARD = "RC907"
AMBIGUOUS = "RC908"
EXTRA_FILE = "RC909"

MENDS = {
    UNRESOLVABLE: "write the value literally, or as a local or a variable with a default",
    UNKNOWN: "remove it from the module, or read it yourself: nothing is known about what it does",
    UNREADABLE: "send the file as text in UTF-8 that `terraform validate` accepts, under 1 MiB",
    FOREIGN: "remove it: a module of this kind needs no provider, provisioner or module of its own",
    DUPLICATE: "keep one of the two",
    OVERRIDE: "write the change into the file it overrides",
    GUARD: "keep the postcondition on data.aws_caller_identity that names the account the module is meant for",
    AMBIGUOUS: "write it in the one way that every version of Terraform and the AWS provider reads alike",
    EXTRA_FILE: "remove it from the folder, or read it yourself: Terraform or a person could use it",
}
"""What a person can do about each rule's findings."""


class Report:
    """Collects findings in the order they are met."""

    def __init__(self) -> None:
        self._findings: dict[Finding, None] = {}

    def add(
        self,
        rule: str,
        subject: str,
        message: str,
        file: str | None = None,
        line: int | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Add a finding; the same one twice counts once."""
        self._findings[Finding(rule, severity, subject, message, MENDS[rule], file, line)] = None

    def unresolvable(self, subject: str, what: str, error: Unresolvable, severity: Severity = Severity.ERROR) -> None:
        """Add that a value cannot be known without Terraform."""
        self.add(UNRESOLVABLE, subject, f"{what} cannot be known: {error.reason}", error.file, error.line, severity)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything found: by file and line, what has no place first."""
        return tuple(sorted(self._findings, key=lambda found: (found.file or "", found.line or 0, found.rule)))
