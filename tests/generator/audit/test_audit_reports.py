"""The result as a table in 80 columns, JSON, SARIF, JUnit and HTML; foreign strings control none of them."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as Xml

import pytest

from audit_accounts import ACCOUNT, DATADOG, EXAMPLE, UNKNOWN, audited, caller, hostile_account, page, role, root, trust
from hostile_text import HOSTILE, leaks
from rolecall_generator.audit import Audit, audit_rules
from rolecall_generator.reports import AuditReport, audit_formats, print_audit
from rolecall_generator.terminal import SafeConsole

WIDTH = 80


AUDIT = audited(EXAMPLE)


def rendered(name: str, audit: Audit = AUDIT) -> str:
    return audit_formats()[name](AuditReport(audit, "account.json"))


def printed(audit: Audit, width: int = WIDTH) -> str:
    console = SafeConsole(file=io.StringIO(), width=width, force_terminal=False)
    print_audit(console, audit)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_formats() -> None:
    assert ["html", "json", "junit", "sarif"] == sorted(audit_formats())


def test_table_fits_eighty_columns() -> None:
    text = printed(AUDIT)
    table = text[: text.index("error   RA")]

    assert max(map(len, table.splitlines())) <= WIDTH
    assert "464622532012" in table
    assert "…" not in table


def test_table_leaves_out_ordinary_service_roles() -> None:
    services = [role(f"s{number}", trust({"Service": "lambda.amazonaws.com"})) for number in range(3)]
    text = printed(audited(page(*services, role("vendor", trust(caller(DATADOG))))))

    assert "vendor" in text
    assert "s1" not in text
    assert "3 roles for AWS services" in text


def test_an_account_without_outsiders_has_no_table() -> None:
    text = printed(audited(page(role("own", trust(root(ACCOUNT))))), 200)

    assert ["not checked", "1 role examined, 0 roles for outsiders"] == [line.split(":")[0] for line in text.splitlines()]


def test_several_accounts_are_named_in_the_table() -> None:
    audit = audited(page(role("a", trust(caller(DATADOG))), role("b", trust(caller(DATADOG)), account=UNKNOWN)))

    assert f"{UNKNOWN} b" in printed(audit, 120)


def test_many_roles_are_counted() -> None:
    roles = [role(f"r{number:03}", trust(caller(DATADOG))) for number in range(150)]
    text = printed(audited(page(*roles)))

    assert 60 == len(re.findall(r"^│ r\d\d\d ", text, re.MULTILINE))
    assert "90 more roles" in text


def test_expired_grant_is_in_every_report() -> None:
    item = role("old", trust(caller(DATADOG), {"DateLessThan": {"aws:CurrentTime": "2026-06-30"}}))
    audit = audited(page(item))
    (body,) = json.loads(rendered("json", audit))["roles"]
    reader = Reader()
    reader.feed(rendered("html", audit))
    text = printed(audit)

    assert [] == body["outsiders"]
    assert [("expired", "2026-06-30T00:00:00+00:00", DATADOG)] == [
        (each["validity"], each["moment"], each["outsider"]["account_id"]) for each in body["inactive"]
    ]
    assert "expired" in reader.text
    assert "expired" in text
    assert "0 roles for outsiders" in text


def test_sarif_has_a_place_in_the_file_for_every_finding() -> None:
    run = json.loads(rendered("sarif"))["runs"][0]

    assert len(AUDIT.report.active) == len(run["results"])
    assert [rule.id for rule in audit_rules()] == [each["id"] for each in run["tool"]["driver"]["rules"]]
    assert {"account.json"} == {
        each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in run["results"]
    }


def test_findings_of_a_live_account_have_no_file() -> None:
    """SARIF needs a place for each result: the profile."""
    audit = audited(page(role("vendor", trust(caller(DATADOG)))))
    result = json.loads(rendered("sarif", audit))["runs"][0]["results"][0]

    assert {None} == {finding.file for finding in audit.report.active}
    assert "account.json" == result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]


def test_junit_has_a_suite_for_every_rule() -> None:
    root_element = Xml.fromstring(rendered("junit"))  # noqa: S314 - our own text

    assert len(audit_rules()) == len(root_element.findall("testsuite"))
    assert "32" == root_element.get("failures")


class Reader(HTMLParser):
    """Collects elements and text, and refuses what a page must not have."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_page_has_a_row_for_every_role() -> None:
    reader = Reader()
    reader.feed(rendered("html"))

    assert len(AUDIT.roles) == reader.tags.count("tbody")
    assert 1 == reader.tags.count("script")
    assert f"arn:aws:iam::{ACCOUNT}:role/passes-roles" in reader.text


@pytest.mark.parametrize("name", ["table", "json", "sarif", "junit", "html"])
def test_foreign_strings_control_no_output(name: str) -> None:
    audit = audited(hostile_account(HOSTILE))
    text = printed(audit) if name == "table" else rendered(name, audit)

    assert len(HOSTILE) == len(audit.roles)
    assert [] == leaks(text, lines=False)


def test_markup_in_names_is_text() -> None:
    name = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    reader = Reader()
    reader.feed(rendered("html", audited(page(role(name, trust(caller(DATADOG, f"role/{name}")))))))

    assert 1 == reader.tags.count("script")
    assert 0 == reader.tags.count("img")
