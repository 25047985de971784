"""Findings, and the kinds of finding that do not come from a rule over access or from the parser.

Every kind is declared once, as a FindingKind: rules with the `rule` decorator (`rules/rule.py`), the parser's in
`terraform/parser/schema.py`, all others here. Reports, SARIF descriptors and the pages in docs/rules derive from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How serious a finding is, in ascending order."""

    NOTE = 1
    WARNING = 2
    ERROR = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `file` is relative to the checked folder, `line` counts from 1; both absent when there is no place.

    `declared` is FILE:LINE of the manifest where what it is about is declared; None where that is not one place.
    """

    rule: str
    severity: Severity
    subject: str
    message: str
    hint: str
    file: str | None = None
    line: int | None = None
    declared: str | None = None


@dataclass(frozen=True, slots=True)
class FindingKind:
    """A kind of finding. `severity` and `hint` are the usual ones; a finding can have others."""

    id: str
    title: str
    severity: Severity
    hint: str

    @property
    def page(self) -> str:
        """Path of the kind's page, relative to `docs/`."""
        return f"rules/{self.id}.md"

    def finding(
        self,
        subject: str,
        message: str,
        file: str | None = None,
        line: int | None = None,
        *,
        severity: Severity | None = None,
        hint: str | None = None,
        declared: str | None = None,
    ) -> Finding:
        """A finding of this kind."""
        return Finding(
            self.id,
            self.severity if severity is None else severity,
            subject,
            message,
            self.hint if hint is None else hint,
            file,
            line,
            declared,
        )


UNUSED_SUPPRESSION = FindingKind(
    "RC601", "Suppression that hides nothing", Severity.NOTE, "take it out of the manifest's suppress"
)
UNKNOWN_REGION = FindingKind(
    "RC602", "Region that AWS does not have", Severity.ERROR, "write a Region of the manifest's partition"
)
PROOF_FAILED = FindingKind(
    "RC701",
    "Proof failed",
    Severity.ERROR,
    "take away the statement that lets it in, or give it the condition that it lacks",
)
PROOF_UNDECIDED = FindingKind(
    "RC702",
    "Proof cannot be decided",
    Severity.ERROR,
    "write the trust policy so that it can be decided: plain principals, and operators that AWS documents",
)
DIFFERENCE = FindingKind(
    "RC801",
    "Written access differs from the manifest",
    Severity.ERROR,
    "run gen terraform, or change the manifest so that it says the same",
)
NOT_WRITTEN = FindingKind("RC802", "Module is not written", Severity.ERROR, "run gen terraform")
UNPLANNED = FindingKind(
    "RC803", "Folder that belongs to no one", Severity.ERROR, "remove it, or move it out of the output folder"
)


def kinds_in(namespace: Mapping[str, object]) -> tuple[FindingKind, ...]:
    """The kinds that a module declares, given its namespace (`vars(module)`)."""
    return tuple(value for value in namespace.values() if isinstance(value, FindingKind))
