"""Kinds of finding that the parser reports, and the list that collects its findings."""

from __future__ import annotations

from rolecall_generator.checks.finding import Finding, FindingKind, Severity
from rolecall_generator.parse.functions import Unresolvable

UNRESOLVABLE = FindingKind(
    "RC901",
    "Value that Terraform alone knows",
    Severity.ERROR,
    "write the value literally, or as a local or a variable with a default",
)
UNKNOWN = FindingKind(
    "RC902",
    "Terraform that is not understood",
    Severity.ERROR,
    "remove it from the module, or read it yourself: nothing is known about what it does",
)
UNREADABLE = FindingKind(
    "RC903",
    "File that cannot be read",
    Severity.ERROR,
    "send the file as text in UTF-8 that `terraform validate` accepts, under 1 MiB",
)
FOREIGN = FindingKind(
    "RC904",
    "Provider, module or program of somebody else",
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
    "keep the postcondition on data.aws_caller_identity that names the account the module is meant for",
)
AMBIGUOUS = FindingKind(
    "RC908",
    "Read differently by versions of Terraform",
    Severity.WARNING,
    "write it in the one way that every version of Terraform and the AWS provider reads alike",
)
EXTRA_FILE = FindingKind(
    "RC909",
    "File that is not part of the module",
    Severity.ERROR,
    "remove it from the folder, or read it yourself: Terraform or a person could use it",
)


class Report:
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
        """Add a finding, an error unless `severity` says otherwise; equal findings count once."""
        self._findings[kind.finding(subject, message, file, line, severity=severity)] = None

    def unresolvable(self, subject: str, what: str, error: Unresolvable, severity: Severity = Severity.ERROR) -> None:
        """Add that a value cannot be known without Terraform."""
        self.add(UNRESOLVABLE, subject, f"{what} cannot be known: {error.reason}", error.file, error.line, severity)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, by file and line; those without a place come first."""
        return tuple(sorted(self._findings, key=lambda found: (found.file or "", found.line or 0, found.rule)))
