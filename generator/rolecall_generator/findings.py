"""Findings, and the kinds of findings that belong neither to a rule nor to the Terraform parser.

Each kind is declared once as a FindingKind: rules with the `rule` decorator (`rules/rule.py`), kinds of the parser in
`terraform/parser`, and all others here. Reports, SARIF descriptors and the pages in docs/rules use these declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """Severity of a finding, in ascending order."""

    NOTE = 1
    WARNING = 2
    ERROR = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `file` is relative to the checked folder, `line` counts from 1; both are None without a location.

    `declared` is FILE:LINE of the declaration in the manifest; None if it is not known.
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
    """A kind of findings. `severity` and `hint` are defaults that a finding can override."""

    id: str
    title: str
    severity: Severity
    hint: str

    @property
    def page(self) -> str:
        """Path of the documentation page, relative to `docs/`."""
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
        """Create a finding of this kind. `severity` and `hint` default to those of the kind."""
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


UNUSED_SUPPRESSION = FindingKind("RC601", "Unused suppression", Severity.NOTE, "remove it from the manifest's suppress")
UNKNOWN_REGION = FindingKind(
    "RC602", "Region that AWS does not have", Severity.ERROR, "write a Region of the manifest's partition"
)
PROOF_FAILED = FindingKind(
    "RC701",
    "Proof failed",
    Severity.ERROR,
    "remove the statement that allows it, or add the missing condition",
)
PROOF_UNDECIDED = FindingKind(
    "RC702",
    "Proof cannot be decided",
    Severity.ERROR,
    "rewrite the trust policy with principals and operators that AWS documents",
)
ACCESS_DIFFERENCE = FindingKind(
    "RC801",
    "Written access differs from the manifest",
    Severity.ERROR,
    "run gen terraform, or change the manifest to match",
)
NOT_WRITTEN = FindingKind("RC802", "Module is not written", Severity.ERROR, "run gen terraform")
UNPLANNED = FindingKind("RC803", "Unplanned folder", Severity.ERROR, "remove it, or move it out of the output folder")


def kinds_in(namespace: Mapping[str, object]) -> tuple[FindingKind, ...]:
    """The finding kinds in the namespace of a module, `vars(module)`."""
    return tuple(value for value in namespace.values() if isinstance(value, FindingKind))
