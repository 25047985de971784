"""The tables of facts are complete, and the rules have their pages."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rolecall_generator import audit
from rolecall_generator.audit import audit_rules
from rolecall_generator.audit.model import AuditRule
from rolecall_generator.audit.tables import (
    deputy_services,
    escalation_paths,
    example_external_ids,
    sensitive_actions,
    shared_issuers,
    vendors,
)
from rolecall_generator.iam.catalog import find_action
from rolecall_generator.reports.formatters.ci import catalogue, to_sarif
from rolecall_generator.rules import Report

DOCS = Path(__file__).resolve().parents[3] / "docs"
DATA = Path(audit.__file__).parent / "data"


@pytest.mark.parametrize("path", sorted(DATA.glob("*.json")), ids=lambda path: path.stem)
def test_a_table_names_its_source_and_date(path: Path) -> None:
    table = json.loads(path.read_text("utf-8"))

    assert table["source"]
    assert re.fullmatch(r"20[0-9]{2}-[0-9]{2}", table["date"])


def test_vendors_have_accounts_names_and_dates() -> None:
    table = json.loads((DATA / "vendor_accounts.json").read_text("utf-8"))["vendors"]
    accounts = [account for vendor in table for account in vendor["accounts"]]

    assert len(accounts) == len(set(accounts)) == len(vendors())
    assert all(re.fullmatch(r"[0-9]{12}", account) for account in accounts)
    assert all(vendor["name"] and re.fullmatch(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", vendor["date"]) for vendor in table)
    assert all(vendor["sources"] for vendor in table)
    assert all(source.startswith(("https://", "http://")) for vendor in table for source in vendor["sources"])
    assert "Datadog" == vendors()["464622532012"].name
    assert vendors()["127311923021"].is_aws


def test_escalation_paths_have_existing_actions_and_none_contains_another() -> None:
    sets = [frozenset(path.actions) for path in escalation_paths()]

    assert [] == [action for actions in sets for action in actions if find_action(action) is None]
    assert [] == [(one, other) for one in sets for other in sets if one < other]
    assert all(bool(path.passed_to) is ("iam:PassRole" in path.actions) for path in escalation_paths())


def test_sensitive_actions_exist() -> None:
    assert [] == [action for action in sensitive_actions() if find_action(action) is None]


@pytest.mark.parametrize("issuer", sorted(shared_issuers()))
def test_subjects_of_an_issuer_name_the_tenant(issuer: str) -> None:
    shared = shared_issuers()[issuer]

    for subject in shared.subjects:
        found = shared.tenant.search(subject.replace("{name}", "stranger"))
        assert found is not None
        assert "stranger" in found[1]


def test_services_and_examples_are_in_lower_case() -> None:
    assert all(re.fullmatch(r"[a-z0-9.-]+\.amazonaws\.com", service) for service in deputy_services())
    assert all(text == text.lower() for text in example_external_ids())


RULES = audit_rules()


def test_ids_are_unique_sorted_and_not_those_of_gen_check() -> None:
    ids = [rule.id for rule in RULES]

    assert sorted(set(ids)) == ids
    assert not {kind.id for kind in catalogue()} & set(ids)


def test_every_rule_has_its_page_and_every_page_its_rule() -> None:
    assert {rule.id for rule in RULES} == {path.stem for path in (DOCS / "rules").glob("RA*.md")}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_page_has_all_its_parts(rule: AuditRule) -> None:
    text = (DOCS / rule.page).read_text(encoding="utf-8")
    sections = ("## Why", "## Bad", "## Good", "## Hint")

    assert text.startswith(f"# {rule.id}: {rule.title}\n\nSeverity: {rule.severity.name.lower()}.")
    assert list(sections) == [line for line in text.splitlines() if line in sections]
    assert "Source:" in text


def test_the_index_lists_the_rules() -> None:
    index = (DOCS / "rules" / "README.md").read_text(encoding="utf-8")
    rows = [f"| [{rule.id}]({rule.id}.md) | {rule.severity.name.lower()} | {rule.title} |" for rule in RULES]

    assert rows == [line for line in index.splitlines() if line.startswith("| [RA")]


SOURCE = '''
"""A rule that is not part of rolecall."""

from rolecall_generator.audit.model import Remark, audit_rule
from rolecall_generator.findings import Severity


@audit_rule("RA999", "Role for outsiders", Severity.NOTE, hint="look at it")
def any_role(context, audited):
    yield Remark("is for outsiders")
'''


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "other_findings.py").write_text(SOURCE)
    monkeypatch.setattr(audit, "__path__", [*audit.__path__, str(tmp_path)])
    audit_rules.cache_clear()
    yield
    audit_rules.cache_clear()
    sys.modules.pop("rolecall_generator.audit.other_findings", None)


@pytest.mark.usefixtures("added")
def test_rule_from_outside_is_found_and_described() -> None:
    assert "RA999" in {rule.id for rule in audit_rules()}
    assert "RA999" in to_sarif(Report(()), audit_rules())
