"""Findings for CI systems: SARIF 2.1.0 for GitHub code scanning, and JUnit XML for Jenkins, GitLab and Azure DevOps.

Sources, November 2026: OASIS "Static Analysis Results Interchange Format (SARIF) Version 2.1.0"; GitHub documentation,
"SARIF support for code scanning" (which properties it reads, and its limits).

In JUnit, a suite is a rule, and a test case is a finding: notes pass, warnings and errors fail, and suppressed findings are
skipped.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as Xml

from rolecall_generator import audit
from rolecall_generator import findings as check_findings
from rolecall_generator._version import __version__
from rolecall_generator.findings import Finding, FindingKind, Severity, kinds_in
from rolecall_generator.reports.formatters.interface import Formatter
from rolecall_generator.rules import Report, all_rules
from rolecall_generator.text import json_text, sanitize_lines

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


def to_junit(report: Report, rules: Iterable[FindingKind]) -> str:
    """The report as XML. A rule without findings is one passed test case, so that the report lists every rule."""
    cases: dict[str, list[tuple[Finding, str | None]]] = defaultdict(list)
    titles = {rule.id: rule.title for rule in rules}
    for finding in report.active:
        cases[finding.rule].append((finding, None))
    for entry in report.suppressed:
        cases[entry.finding.rule].append((entry.finding, entry.reason))
    root = Xml.Element("testsuites", name="rolecall")
    for rule_id in sorted({*titles, *cases}):
        _suite(root, rule_id, titles.get(rule_id, rule_id), cases[rule_id])
    return suites_text(root)


def _suite(root: Xml.Element, rule_id: str, title: str, cases: list[tuple[Finding, str | None]]) -> None:
    failures = sum(reason is None and finding.severity > Severity.NOTE for finding, reason in cases)
    skipped = sum(reason is not None for _, reason in cases)
    suite = Xml.SubElement(
        root,
        "testsuite",
        name=sanitize_lines(f"{rule_id} {title}"),
        tests=str(len(cases) or 1),
        failures=str(failures),
        errors="0",
        skipped=str(skipped),
    )
    for finding, reason in cases:
        _case(suite, finding, reason)
    if not cases:
        Xml.SubElement(suite, "testcase", classname=rule_id, name=sanitize_lines(title))


def _case(suite: Xml.Element, finding: Finding, reason: str | None) -> None:
    case = Xml.SubElement(
        suite, "testcase", classname=finding.rule, name=sanitize_lines(f"{finding.subject}: {finding.message}")
    )
    if finding.file is not None:
        case.set("file", sanitize_lines(finding.file))
        case.set("line", str(finding.line or 1))
    if reason is not None:
        Xml.SubElement(case, "skipped", message=sanitize_lines(reason))
    elif finding.severity > Severity.NOTE:
        failure = Xml.SubElement(
            case, "failure", type=finding.severity.name.lower(), message=sanitize_lines(finding.message)
        )
        place = f"{finding.file}:{finding.line}\n" if finding.file else ""
        failure.text = sanitize_lines(f"{place}{finding.message}\nhint: {finding.hint}")
    else:
        Xml.SubElement(case, "system-out").text = sanitize_lines(f"hint: {finding.hint}")


def suites_text(root: Xml.Element) -> str:
    """The indented XML of a `testsuites` element, with its counts set to the sums over its suites."""
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def catalogue() -> tuple[FindingKind, ...]:
    """Every kind of finding that `gen check` can report, by ID."""
    # Not imported above, because the choices of --format load this module.
    from rolecall_generator.terraform.parser import schema as parser_findings  # noqa: PLC0415

    kinds = (*all_rules(), *kinds_in(vars(check_findings)), *kinds_in(vars(parser_findings)))
    return tuple(sorted(kinds, key=lambda kind: kind.id))


FORMATTERS = {
    "junit": Formatter(
        check=lambda report: to_junit(report.checked.report, catalogue()),
        audit=lambda report: to_junit(report.audit.report, audit.audit_rules()),
    ),
    "sarif": Formatter(
        check=lambda report: to_sarif(
            report.checked.report, catalogue(), default_file=str(report.manifest), root=report.root
        ),
        audit=lambda report: to_sarif(report.audit.report, audit.audit_rules(), default_file=report.source),
    ),
}
