"""The table of all rules, and the one function that runs them."""

from __future__ import annotations

from collections.abc import Iterable

from rolecall_generator.checks.condition_rules import CONDITION_RULES
from rolecall_generator.checks.context import CheckContext
from rolecall_generator.checks.finding import Finding, Severity
from rolecall_generator.checks.managed_rules import MANAGED_RULES
from rolecall_generator.checks.permission_rules import PERMISSION_RULES
from rolecall_generator.checks.quota_rules import QUOTA_RULES
from rolecall_generator.checks.resource_rules import RESOURCE_RULES
from rolecall_generator.checks.rule import Described, Rule, described
from rolecall_generator.checks.session_rules import SESSION_RULES
from rolecall_generator.checks.trust_rules import TRUST_RULES

RULES: tuple[Rule, ...] = (
    *TRUST_RULES,
    *PERMISSION_RULES,
    *CONDITION_RULES,
    *RESOURCE_RULES,
    *QUOTA_RULES,
    *SESSION_RULES,
    *MANAGED_RULES,
)
"""All rules over access, by id."""

_E, _W = Severity.ERROR, Severity.WARNING

CATALOGUE: tuple[Described, ...] = (
    *RULES,
    described("RC601", "Suppression that hides nothing", Severity.NOTE),
    described("RC602", "Region that AWS does not have", _E),
    described("RC701", "Proof failed", _E),
    described("RC702", "Proof cannot be decided", _E),
    described("RC801", "Written access differs from the manifest", _E),
    described("RC802", "Module is not written", _E),
    described("RC803", "Folder that belongs to nobody", _E),
    described("RC901", "Value that Terraform alone knows", _E),
    described("RC902", "Terraform that is not understood", _E),
    described("RC903", "File that cannot be read", _E),
    described("RC904", "Provider, module or program of somebody else", _E),
    described("RC905", "Declared twice", _E),
    described("RC906", "File that changes other files", _W),
    described("RC907", "Guard against the wrong account", _E),
    described("RC908", "Read differently by versions of Terraform", _W),
    described("RC909", "File that is not part of the module", _E),
)
"""Everything that `gen check` can report, by id."""


def run_rules(context: CheckContext, rules: Iterable[Rule] = RULES) -> tuple[Finding, ...]:
    """Findings of all rules: the worst first, then by subject, rule and place; the same one is named once."""
    found = {finding for rule in rules for finding in rule.check(context)}
    return tuple(sorted(found, key=_order))


def _order(finding: Finding) -> tuple[int, str, str, str, int, str]:
    place = (finding.file or "", finding.line or 0)
    return (-finding.severity, finding.subject, finding.rule, *place, finding.message)
