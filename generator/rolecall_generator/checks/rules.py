"""The table of all rules, and the one function that runs them."""

from __future__ import annotations

from collections.abc import Iterable

from rolecall_generator.checks.context import CheckContext
from rolecall_generator.checks.finding import Finding
from rolecall_generator.checks.managed_rules import MANAGED_RULES
from rolecall_generator.checks.permission_rules import PERMISSION_RULES
from rolecall_generator.checks.quota_rules import QUOTA_RULES
from rolecall_generator.checks.rule import Rule
from rolecall_generator.checks.session_rules import SESSION_RULES
from rolecall_generator.checks.trust_rules import TRUST_RULES

RULES: tuple[Rule, ...] = (*TRUST_RULES, *PERMISSION_RULES, *QUOTA_RULES, *SESSION_RULES, *MANAGED_RULES)
"""All rules, by id."""


def run_rules(context: CheckContext, rules: Iterable[Rule] = RULES) -> tuple[Finding, ...]:
    """Findings of all rules: the worst first, then by subject, rule and place; the same one is named once."""
    found = {finding for rule in rules for finding in rule.check(context)}
    return tuple(sorted(found, key=_order))


def _order(finding: Finding) -> tuple[int, str, str, str, int, str]:
    place = (finding.file or "", finding.line or 0)
    return (-finding.severity, finding.subject, finding.rule, *place, finding.message)
