"""Verify results as JUnit XML for CI servers."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from hypothesis import given
from hypothesis import strategies as st

from rolecall_runner.reports.formatters.junit import run_junit
from rolecall_runner.verify.verdict import Check, Diagnosis, Mark, Step, Verdict
from verdict_worlds import INFO, MESSAGE, REFUSAL, mixed


def parsed(verdicts: list[Verdict]) -> Xml.Element:
    return Xml.fromstring(run_junit(INFO, verdicts))  # noqa: S314 - trusted XML


def test_suite_is_an_account_and_case_is_a_check() -> None:
    """Every account and every check is included, under its display name."""
    root = parsed(mixed())
    first = root[0].findall("testcase")

    assert [(item.name, len(item.checks)) for item in mixed()[:6]] == [
        (suite.get("name"), len(suite.findall("testcase"))) for suite in root[:6]
    ]
    assert "reena-in-sumesh (switch role)" == root[6].get("name")
    assert ("account1", "assume: The role was assumed with its external ID.", "0.110") == (
        first[0].get("classname"), first[0].get("name"), first[0].get("time"),
    )  # fmt: skip


def test_marks_map_to_failure_error_and_skipped() -> None:
    """An inconclusive check is an error, never a pass; the totals are at the root."""
    root = parsed(mixed())
    sums = {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")}
    errors = [(error.get("type"), error.get("message")) for error in root.iter("error")]

    assert {"tests": "52", "failures": "2", "errors": "2", "skipped": "11"} == sums
    assert [len(root.findall(f".//{name}")) for name in ("failure", "error", "skipped")] == [2, 2, 11]
    assert ("inconclusive", "Throttling: Rate exceeded") == errors[0]


def test_failure_has_aws_message_and_suite_has_diagnosis() -> None:
    """Code and message are in the failure; the diagnosis and the customer message are the suite's output."""
    root = parsed(mixed())
    failure = root[2].find(".//failure")

    assert failure is not None
    assert f"AccessDenied: {REFUSAL}" == failure.get("message")
    assert f"The role could not be assumed.\nAccessDenied: {REFUSAL}" == failure.text
    assert MESSAGE in (root[1].findtext("system-out") or "")


@given(st.text(), st.text())
def test_any_string_gives_valid_xml(name: str, text: str) -> None:
    """Control characters, lone surrogates, angle brackets: the file parses, with the same number of cases."""
    check = Check(Step.ASSUME, Mark.FAILED, text, text, text)
    root = parsed([Verdict(name, "customer", text, text, (check,), (Diagnosis(text, text, text),))])

    assert 1 == len(root.findall("testsuite/testcase/failure"))
