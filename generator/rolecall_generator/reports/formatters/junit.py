"""JUnit XML, as Jenkins, GitLab and Azure DevOps read it: testsuites, testsuite, testcase, failure, skipped.

A suite is a rule, a test case is a finding. Notes pass, warnings and errors fail, and suppressed findings are skipped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from xml.etree import ElementTree as Xml

from rolecall_generator import audit
from rolecall_generator.findings import Finding, FindingKind, Severity
from rolecall_generator.reports.formatters.interface import Formatter, catalogue
from rolecall_generator.rules import Report
from rolecall_generator.text import sanitize_lines


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


FORMATTERS = {
    "junit": Formatter(
        check=lambda report: to_junit(report.checked.report, catalogue()),
        audit=lambda report: to_junit(report.audit.report, audit.audit_rules()),
    )
}
