"""A verify run as JUnit XML, for build servers: a suite per account, a test case per check.

The mark `failed` is a failure, `inconclusive` and `unreachable` are errors, `skipped` is skipped.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as Xml

from rolecall_generator.reports import suites_text
from rolecall_generator.text import sanitize_lines
from rolecall_runner.redact import REHEARSAL
from rolecall_runner.reports.formatters.registry import VERDICT_FORMATS, VerdictFormat
from rolecall_runner.verify import Check, Mark, RunInfo, Verdict, customer_message

_ELEMENTS = {
    Mark.FAILED: "failure",
    Mark.INCONCLUSIVE: "error",
    Mark.UNREACHABLE: "error",
    Mark.SKIPPED: "skipped",
}
_COUNTS = {"failures": (Mark.FAILED,), "errors": (Mark.INCONCLUSIVE, Mark.UNREACHABLE), "skipped": (Mark.SKIPPED,)}


def run_junit(info: RunInfo, verdicts: Iterable[Verdict]) -> str:
    """The run as XML. Times are in seconds; diagnoses are in the suite's `system-out`."""
    title = f"verification of {info.manifest}{f', {REHEARSAL}' if info.rehearsal else ''}"
    root = Xml.Element("testsuites", name=sanitize_lines(title), time=f"{info.seconds:.3f}")
    for verdict in verdicts:
        _suite(root, verdict.redacted())
    return suites_text(root)


def _suite(root: Xml.Element, verdict: Verdict) -> None:
    counts = {name: str(sum(verdict.counts[mark] for mark in marks)) for name, marks in _COUNTS.items()}
    seconds = sum(check.seconds for check in verdict.checks)
    name = sanitize_lines(verdict.label)
    sums = {"tests": str(len(verdict.checks)), **counts, "time": f"{seconds:.3f}"}
    suite = Xml.SubElement(root, "testsuite", {"name": name, **sums})
    properties = Xml.SubElement(suite, "properties")
    known = [("account_id", verdict.account_id), ("role_arn", verdict.role_arn), ("kind", verdict.kind)]
    if verdict.rehearsal:
        known.append(("rehearsal", REHEARSAL))
    for key, value in known:
        Xml.SubElement(properties, "property", name=key, value=sanitize_lines(value))
    for check in verdict.checks:
        _case(suite, name, check)
    if verdict.diagnoses:
        parts = [f"{diagnosis.cause}: {diagnosis.vendor}" for diagnosis in verdict.diagnoses]
        if message := customer_message(verdict):
            parts.append(f"message to the customer:\n{message}")
        text = "\n\n".join(parts)
        Xml.SubElement(suite, "system-out").text = sanitize_lines(text)


def _case(suite: Xml.Element, account: str, check: Check) -> None:
    case_name = sanitize_lines(f"{check.step}: {check.what}")
    case = Xml.SubElement(suite, "testcase", classname=account, name=case_name, time=f"{check.seconds:.3f}")
    element = _ELEMENTS.get(check.mark)
    if element is None:
        return
    outcome = Xml.SubElement(case, element, message=sanitize_lines(check.reply or check.what))
    if element != "skipped":
        outcome.set("type", str(check.mark))
        outcome.text = sanitize_lines("\n".join(filter(None, (check.what, check.reply))))


VERDICT_FORMATS.add(
    "junit", VerdictFormat(report=lambda output, info, verdicts: output.text.write(run_junit(info, verdicts)))
)
