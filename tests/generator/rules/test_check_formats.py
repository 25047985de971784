"""Reports as JSON, SARIF and JUnit, and suppression."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall_generator.findings import Finding, Severity
from rolecall_generator.manifest.models import Suppression
from rolecall_generator.reports.formatters.ci import to_junit, to_sarif
from rolecall_generator.reports.formatters.json import report_body
from rolecall_generator.rules.rule import Report, Suppressed, all_rules, apply_suppressions
from rolecall_generator.text import json_text

ERROR = Finding("RC103", Severity.ERROR, "account1", "no <external> id & \x00", "make one", "customers/a b/main.tf", 12)
NOTE = Finding("RC204", Severity.NOTE, "account2", "changes everything", "name resources")
FOREIGN = Finding("PARSE7", Severity.WARNING, "account2", "cannot be read", "write it plainly")
REPORT = Report((ERROR, NOTE, FOREIGN), (Suppressed(NOTE, "agreed"),))

TEXT: dict[str, Any] = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
SARIF: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "$schema": {"type": "string", "format": "uri"},
        "runs": {"type": "array", "items": {"$ref": "#/$defs/run"}, "minItems": 1},
    },
    "$defs": {
        "run": {
            "type": "object",
            "required": ["tool", "results"],
            "properties": {
                "tool": {"properties": {"driver": {"$ref": "#/$defs/driver"}}, "required": ["driver"]},
                "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
            },
        },
        "driver": {
            "required": ["name", "rules"],
            "properties": {"rules": {"items": {"$ref": "#/$defs/rule"}, "uniqueItems": True}},
        },
        "rule": {
            "required": ["id", "shortDescription", "fullDescription", "help", "defaultConfiguration"],
            "properties": {"shortDescription": TEXT, "fullDescription": TEXT, "help": TEXT},
        },
        "result": {
            "required": ["ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"],
            "properties": {
                "level": {"enum": ["error", "warning", "note"]},
                "message": TEXT,
                "locations": {"minItems": 1, "items": {"required": ["physicalLocation"]}},
                "partialFingerprints": {"additionalProperties": {"type": "string"}, "minProperties": 1},
            },
        },
    },
}
"""The part of the SARIF 2.1.0 schema that GitHub code scanning requires according to its documentation."""


def sarif(report: Report, **more: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(to_sarif(report, all_rules(), **more))
    return body


def test_sarif_is_valid_for_code_scanning() -> None:
    """Rules with help, and results with level, location and fingerprint."""
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(sarif(REPORT), SARIF)


def test_sarif_results_refer_to_their_rules() -> None:
    """Each result's index is that of its rule, also for findings of the parser and the proof."""
    run = sarif(REPORT)["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [result["ruleId"] for result in run["results"]] == [rules[result["ruleIndex"]]["id"] for result in run["results"]]


def test_sarif_locations_are_relative_uris() -> None:
    """A finding's file is URI-encoded and prefixed with the folder; without a file, the location is the manifest."""
    run = sarif(REPORT, root="output/")["runs"][0]
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert ("output/customers/a%20b/main.tf", 12) == (places[0]["artifactLocation"]["uri"], places[0]["region"]["startLine"])
    assert "accounts.yaml" == places[1]["artifactLocation"]["uri"]


def test_sarif_fingerprint_does_not_depend_on_line() -> None:
    """The same finding on another line has the same fingerprint; another finding has another."""
    moved = Finding(ERROR.rule, ERROR.severity, ERROR.subject, ERROR.message, ERROR.hint, ERROR.file, 99)
    prints = [
        sarif(Report((finding,)))["runs"][0]["results"][0]["partialFingerprints"]["primaryLocationLineHash"]
        for finding in (ERROR, moved, NOTE)
    ]
    assert prints[0] == prints[1]
    assert prints[0] != prints[2]


def test_sarif_rules_link_to_their_pages() -> None:
    """With the base URL of the documentation, each rule has a help URI."""
    rules = sarif(REPORT, pages="https://example.com/docs/")["runs"][0]["tool"]["driver"]["rules"]
    assert "https://example.com/docs/rules/RC101.md" == rules[0]["helpUri"]


def test_json_has_counts_and_suppressed_findings() -> None:
    """Findings are counted by severity, and suppressed findings have their reasons."""
    body = report_body(REPORT)
    assert {"error": 1, "warning": 1, "note": 1, "suppressed": 1} == body["summary"]
    assert "agreed" == body["suppressed"][0]["reason"]
    assert 12 == body["findings"][0]["line"]


def test_junit_fails_for_errors_and_warnings() -> None:
    """Errors and warnings are failures, notes pass, suppressed findings are skipped, and a rule without findings passes."""
    root = Xml.fromstring(to_junit(REPORT, all_rules()))  # noqa: S314 - generated by rolecall
    assert ("2", "1") == (root.get("failures"), root.get("skipped"))
    assert {"RC103", "PARSE7"} == {
        case.get("classname") for case in root.iter("testcase") if case.find("failure") is not None
    }
    assert root.get("tests") == str(len(list(root.iter("testcase"))))


@given(text=st.text(st.characters(exclude_categories=())))
def test_any_finding_results_in_well_formed_documents(text: str) -> None:
    """For any strings in a finding, all three formats are well-formed."""
    report = Report((Finding("RC1", Severity.ERROR, text, text, text, text, 1),))
    assert 1 == len(Xml.fromstring(to_junit(report, ())).findall(".//failure"))  # noqa: S314 - generated by rolecall
    assert text == json.loads(json_text(report_body(report)))["findings"][0]["message"]
    assert 1 == len(sarif(report)["runs"][0]["results"])
    (to_junit(report, ()) + json_text(report_body(report)) + to_sarif(report, ())).encode()


def suppression(rule: str, subject: str = "*") -> Suppression:
    return Suppression(rule=rule, subject=subject, reason="agreed")


@pytest.mark.parametrize(
    ("entry", "active"),
    [
        (suppression("RC103"), ["RC204"]),
        (suppression("RC103", "account1"), ["RC204"]),
        (suppression("RC103", "acc*1"), ["RC204"]),
        (suppression("RC103", "account2"), ["RC103", "RC204", "RC601"]),
        (suppression("RC999"), ["RC103", "RC204", "RC601"]),
    ],
)
def test_suppression_applies_to_its_rule_and_subjects(entry: Suppression, active: list[str]) -> None:
    """Both rule and subject must match; an unused suppression is a note."""
    assert active == [finding.rule for finding in apply_suppressions((ERROR, NOTE), (entry,)).active]


def test_suppressed_finding_keeps_its_reason() -> None:
    assert (Suppressed(ERROR, "agreed"),) == apply_suppressions((ERROR,), (suppression("RC103"),)).suppressed


def test_partial_check_does_not_report_unused_suppressions() -> None:
    assert (NOTE,) == apply_suppressions((NOTE,), (suppression("RC103"),), complete=False).active


def test_worst_severity_of_report() -> None:
    """It is None without findings."""
    assert Severity.ERROR == REPORT.worst
    assert Report(()).worst is None
