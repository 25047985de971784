"""A rule is one file: discovered in the folder of rules, run, and described in every report without registration."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rolecall_generator import rules as checks
from rolecall_generator.findings import FindingKind, Severity
from rolecall_generator.iam.model import Access, Role
from rolecall_generator.reports.formatters.ci import catalogue, to_junit, to_sarif
from rolecall_generator.rules.rule import CheckContext, Report, all_rules, run_rules

ROLE = "arn:aws:iam::222222222222:role/role1"
SOURCE = '''
"""A rule that is not part of rolecall."""

from rolecall_generator.rules.rule import Hit, Owner
from rolecall_generator.findings import Severity
from rolecall_generator.rules.rule import over_access, rule


@rule("RC999", "Role without a description", Severity.NOTE, over_access, hint="describe the role")
def missing_description(context):
    for role in context.access.roles.values():
        if not role.description:
            yield Owner(role.arn, "the description"), Hit("is empty")
        elif role.description == "TODO":
            yield Owner(role.arn, "the description"), Hit("is a placeholder", "say what it is for", Severity.WARNING)
'''


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Adds a file to the folder of rules."""
    (tmp_path / "description_rules.py").write_text(SOURCE)
    monkeypatch.setattr(checks, "__path__", [*checks.__path__, str(tmp_path)])
    all_rules.cache_clear()
    yield
    all_rules.cache_clear()
    sys.modules.pop("rolecall_generator.rules.description_rules", None)


@pytest.mark.usefixtures("added")
def test_added_rule_is_run() -> None:
    """The finding has severity and hint of the rule, or those of the match."""
    (empty,) = run_rules(CheckContext(Access.of(Role(ROLE, None)), {ROLE: "account1"}))
    assert ("RC999", Severity.NOTE, "account1", "describe the role") == (
        empty.rule, empty.severity, empty.subject, empty.hint
    )  # fmt: skip
    (placeholder,) = run_rules(CheckContext(Access.of(Role(ROLE, None, description="TODO"))))
    assert (Severity.WARNING, "say what it is for") == (placeholder.severity, placeholder.hint)


@pytest.mark.usefixtures("added")
def test_added_rule_is_described_in_reports() -> None:
    """The catalogue, the SARIF rules and the JUnit suites include it, with its page."""
    assert "rules/RC999.md" == {kind.id: kind.page for kind in catalogue()}["RC999"]
    driver = json.loads(to_sarif(Report(()), catalogue()))["runs"][0]["tool"]["driver"]
    (descriptor,) = [each for each in driver["rules"] if each["id"] == "RC999"]
    assert "Role without a description" == descriptor["shortDescription"]["text"]
    assert "RC999" in to_junit(Report(()), catalogue())


def test_parser_and_proof_findings_are_in_the_catalogue() -> None:
    """Each kind is declared once; the catalogue includes kinds that are not rules."""
    kinds = {kind.id: kind for kind in catalogue()}
    assert {"RC601", "RC602", "RC701", "RC702", "RC801", "RC802", "RC803", *(f"RC90{n}" for n in range(1, 10))} == (
        kinds.keys() - {rule.id for rule in all_rules()}
    )
    assert all(isinstance(kind, FindingKind) and kind.hint and kind.title for kind in kinds.values())
