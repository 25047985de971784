"""A report as JSON: what scripts read."""

from __future__ import annotations

from typing import Any

from rolecall_generator.findings import Finding, Severity
from rolecall_generator.rules import Report
from rolecall_generator.text import json_text


def to_json(report: Report) -> str:
    """`report_body` as text. Ends with a newline."""
    # ASCII, since a name in a parsed file may hold half a surrogate pair, which no encoding can write.
    return json_text(report_body(report), indent=2) + "\n"


def report_body(report: Report) -> dict[str, Any]:
    """One object: `summary` (counts by severity), `findings`, `suppressed`."""
    counts = {severity.name.lower(): 0 for severity in sorted(Severity, reverse=True)}
    for finding in report.active:
        counts[finding.severity.name.lower()] += 1
    return {
        "version": 1,
        "summary": {**counts, "suppressed": len(report.suppressed)},
        "findings": [_finding(finding) for finding in report.active],
        "suppressed": [{**_finding(entry.finding), "reason": entry.reason} for entry in report.suppressed],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.name.lower(),
        "subject": finding.subject,
        "message": finding.message,
        "hint": finding.hint,
        "file": finding.file,
        "line": finding.line,
        "declared": finding.declared,
    }
