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
from rolecall_generator.reports.formatters.json import report_body
from rolecall_generator.reports.formatters.junit import to_junit
from rolecall_generator.reports.formatters.sarif import to_sarif
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
"""The part of the SARIF 2.1.0 schema that GitHub code scanning asks for, written after its documentation."""


def sarif(report: Report, **more: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(to_sarif(report, all_rules(), **more))
    return body


def test_sarif_has_what_code_scanning_needs() -> None:
    """Rules with help, and results with level, place and fingerprint."""
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(sarif(REPORT), SARIF)


def test_sarif_results_point_at_their_rules() -> None:
    """Each result's index leads to its rule's descriptor, also for rules of other checks."""
    run = sarif(REPORT)["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [result["ruleId"] for result in run["results"]] == [rules[result["ruleIndex"]]["id"] for result in run["results"]]


def test_sarif_places_are_relative_addresses() -> None:
    """A finding's file is escaped and led in by the folder; one without a file points at the manifest."""
    run = sarif(REPORT, root="output/")["runs"][0]
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert ("output/customers/a%20b/main.tf", 12) == (places[0]["artifactLocation"]["uri"], places[0]["region"]["startLine"])
    assert "accounts.yaml" == places[1]["artifactLocation"]["uri"]


def test_sarif_fingerprints_survive_a_moved_line() -> None:
    """The same fault on another line keeps its fingerprint; another fault has another."""
    moved = Finding(ERROR.rule, ERROR.severity, ERROR.subject, ERROR.message, ERROR.hint, ERROR.file, 99)
    prints = [
        sarif(Report((finding,)))["runs"][0]["results"][0]["partialFingerprints"]["primaryLocationLineHash"]
        for finding in (ERROR, moved, NOTE)
    ]
    assert prints[0] == prints[1]
    assert prints[0] != prints[2]


def test_sarif_rules_lead_to_their_pages() -> None:
    """With the documentation's address every rule carries a link to its page."""
    rules = sarif(REPORT, pages="https://example.com/docs/")["runs"][0]["tool"]["driver"]["rules"]
    assert "https://example.com/docs/rules/RC101.md" == rules[0]["helpUri"]


def test_json_counts_and_lists() -> None:
    """The JSON form counts by severity and keeps the reasons of suppressed findings."""
    body = report_body(REPORT)
    assert {"error": 1, "warning": 1, "note": 1, "suppressed": 1} == body["summary"]
    assert "agreed" == body["suppressed"][0]["reason"]
    assert 12 == body["findings"][0]["line"]


def test_junit_fails_what_is_worse_than_a_note() -> None:
    """Errors and warnings are failures, notes pass, suppressed findings are skipped, clean rules are one passed case."""
    root = Xml.fromstring(to_junit(REPORT, all_rules()))  # noqa: S314 - our own text
    assert ("2", "1") == (root.get("failures"), root.get("skipped"))
    assert {"RC103", "PARSE7"} == {
        case.get("classname") for case in root.iter("testcase") if case.find("failure") is not None
    }
    assert root.get("tests") == str(len(list(root.iter("testcase"))))


@given(text=st.text(st.characters(exclude_categories=())))
def test_any_text_gives_readable_documents(text: str) -> None:
    """Whatever a parsed file holds in a name, all three forms stay well-formed."""
    report = Report((Finding("RC1", Severity.ERROR, text, text, text, text, 1),))
    assert 1 == len(Xml.fromstring(to_junit(report, ())).findall(".//failure"))  # noqa: S314 - our own text
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
def test_a_suppression_hides_its_rule_for_its_subjects(entry: Suppression, active: list[str]) -> None:
    """Rule and subject must both match; a suppression that hides nothing is a note itself."""
    assert active == [finding.rule for finding in apply_suppressions((ERROR, NOTE), (entry,)).active]


def test_a_suppressed_finding_keeps_its_reason() -> None:
    """What is hidden stays in the report, with the manifest's reason."""
    assert (Suppressed(ERROR, "agreed"),) == apply_suppressions((ERROR,), (suppression("RC103"),)).suppressed


def test_a_partial_check_leaves_unused_suppressions_alone() -> None:
    """When only a part was checked, a suppression for the rest is no note."""
    assert (NOTE,) == apply_suppressions((NOTE,), (suppression("RC103"),), complete=False).active


def test_the_worst_severity_decides_the_exit_code() -> None:
    """The worst severity of a report is None without findings."""
    assert Severity.ERROR == REPORT.worst
    assert Report(()).worst is None
