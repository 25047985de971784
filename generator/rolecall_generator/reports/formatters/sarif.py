"""SARIF 2.1.0, as GitHub code scanning reads it.

Sources, November 2026: OASIS "Static Analysis Results Interchange Format (SARIF) Version 2.1.0"; GitHub documentation,
"SARIF support for code scanning" (which properties it reads, and its limits).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from rolecall_generator import audit
from rolecall_generator._version import __version__
from rolecall_generator.findings import Finding, FindingKind, Severity
from rolecall_generator.reports.formatters.interface import AuditReport, Formatter, catalogue
from rolecall_generator.rules import Report
from rolecall_generator.text import json_text

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
GITHUB_RESULTS = 25_000
"""GitHub refuses a run with more results."""

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_SECURITY_SEVERITY = {Severity.ERROR: "8.0", Severity.WARNING: "5.0", Severity.NOTE: "2.0"}
"""GitHub's scale: over 7.0 is high, over 4.0 medium, over 0.1 low."""


def to_sarif(
    report: Report,
    rules: Iterable[FindingKind],
    *,
    default_file: str = "accounts.yaml",
    pages: str | None = None,
    root: str = "",
) -> str:
    """The report as one SARIF run.

    Suppressed findings are left out, because GitHub would raise alerts for them. GitHub drops results beyond
    `GITHUB_RESULTS`, so only the most severe ones are written; the property `omitted` counts the rest.

    Args:
        report: The findings.
        rules: Kinds of finding to describe.
        default_file: File of findings without a location: GitHub requires one for each result.
        pages: URL of the documentation with a trailing slash; without it, rules have no `helpUri`.
        root: Path from the repository's root to the folder that the findings' files are relative to, as in `output/`.
    """
    active = sorted(report.active, key=lambda finding: -finding.severity)
    shown = active[:GITHUB_RESULTS]
    descriptors = _descriptors(rules, shown, pages)
    index = {descriptor["id"]: position for position, descriptor in enumerate(descriptors)}
    run: dict[str, Any] = {
        "tool": {"driver": {"name": "rolecall", "version": __version__, "rules": descriptors}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, index, default_file, root) for finding in shown],
        "properties": {"suppressed": len(report.suppressed), "omitted": len(active) - len(shown)},
    }
    return json_text({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _descriptors(rules: Iterable[FindingKind], findings: Iterable[Finding], pages: str | None) -> list[dict[str, Any]]:
    known = [_descriptor(rule.id, rule.title, rule.severity, rule.page, pages) for rule in rules]
    ids = {descriptor["id"] for descriptor in known}
    others: dict[str, Severity] = {}
    for finding in findings:
        if finding.rule not in ids:
            others.setdefault(finding.rule, finding.severity)
    return known + [_descriptor(rule, rule, severity, None, pages) for rule, severity in sorted(others.items())]


def _descriptor(rule_id: str, title: str, severity: Severity, page: str | None, pages: str | None) -> dict[str, Any]:
    where = f"\n\nSee docs/{page}." if page else ""
    body: dict[str, Any] = {
        "id": rule_id,
        "name": rule_id,
        "shortDescription": {"text": title},
        "fullDescription": {"text": title},
        "help": {"text": f"{title}.{where}", "markdown": f"**{title}.**{where}"},
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": {
            "tags": ["security", "aws", "iam"],
            "precision": "very-high",
            "problem.severity": "recommendation" if severity is Severity.NOTE else _LEVELS[severity],
            "security-severity": _SECURITY_SEVERITY[severity],
        },
    }
    if page and pages:
        body["helpUri"] = f"{pages}{page}"
        body["help"]["markdown"] += f"\n\n[{rule_id}]({pages}{page})"
    return body


def _result(finding: Finding, index: Mapping[str, int], default_file: str, root: str) -> dict[str, Any]:
    file = default_file if finding.file is None else f"{root}{finding.file}"
    line = finding.line or 1
    declared = f"\nIn the manifest: {finding.declared}" if finding.declared else ""
    return {
        "ruleId": finding.rule,
        "ruleIndex": index[finding.rule],
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.subject}: {finding.message}\nHint: {finding.hint}{declared}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(file.replace("\\", "/"), errors="replace"), "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": line},
                },
                "logicalLocations": [{"name": finding.subject}],
            }
        ],
        "partialFingerprints": {"primaryLocationLineHash": _fingerprint(finding)},
    }


def _fingerprint(finding: Finding) -> str:
    """A fingerprint without the line number, so that an alert survives edits elsewhere in its file."""
    text = "\0".join((finding.rule, finding.subject, finding.file or "", finding.message))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16] + ":1"


def _audit(report: AuditReport) -> str:
    return to_sarif(report.audit.report, audit.audit_rules(), default_file=report.source)


FORMATTERS = {
    "sarif": Formatter(
        audit=_audit,
        check=lambda report: to_sarif(
            report.checked.report, catalogue(), default_file=str(report.manifest), root=report.root
        ),
    )
}
