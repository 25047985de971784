"""The rows of an audit that the formats share: one role with its outsiders, permissions and findings."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from rolecall_generator.audit import Audit, AuditedRole, OutsiderKind, requirements, short_name, summarize_access
from rolecall_generator.findings import Finding, Severity
from rolecall_generator.iam import Arn


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A role that outsiders can assume.

    `who` and `needs` have one string per outsider; `access` describes what the role may do. `findings`: most severe first.
    """

    audited: AuditedRole
    findings: tuple[Finding, ...]
    who: tuple[str, ...]
    needs: tuple[str, ...]
    access: tuple[str, ...]

    @property
    def name(self) -> str:
        """Path and name of the role."""
        parsed = Arn.parse(self.audited.role.arn)
        return parsed.resource.removeprefix("role/") if parsed is not None else self.audited.role.arn

    @property
    def is_ordinary_service_role(self) -> bool:
        """Whether only services can assume the role, and it has no findings."""
        return not self.findings and all(each.kind is OutsiderKind.SERVICE for each in self.audited.outsiders)

    @property
    def worst(self) -> Severity | None:
        """The highest severity of the findings; None if there are none."""
        return max((finding.severity for finding in self.findings), default=None)


def audit_rows(audit: Audit) -> tuple[AuditRow, ...]:
    """The roles, those with the most severe findings first."""
    findings: dict[str, list[Finding]] = defaultdict(list)
    for finding in audit.report.active:
        findings[finding.subject].append(finding)
    rows = (
        AuditRow(
            each,
            tuple(findings.get(each.role.arn, ())),
            tuple(map(short_name, each.outsiders)),
            tuple(", ".join(requirements(outsider)) for outsider in each.outsiders),
            summarize_access(each),
        )
        for each in audit.roles
    )
    return tuple(sorted(rows, key=lambda row: -(row.worst or 0)))
