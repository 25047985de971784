"""All rules over access, found in this folder, and the function that runs them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache

from rolecall_generator import rules as package
from rolecall_generator.findings import Finding, kinds_in
from rolecall_generator.rules.rule import CheckContext, Rule

_FAMILY = "_rules"


@cache
def all_rules() -> tuple[Rule, ...]:
    """The rules that modules of this folder declare, by ID. A module of rules has a name that ends in `_rules`."""
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name.endswith(_FAMILY))
    families = (importlib.import_module(f"{package.__name__}.{name}") for name in names)
    found = (kind for family in families for kind in kinds_in(vars(family)) if isinstance(kind, Rule))
    return tuple(sorted(found, key=lambda rule: rule.id))


def run_rules(context: CheckContext, rules: Iterable[Rule] | None = None) -> tuple[Finding, ...]:
    """Findings of the rules, of all without `rules`: by severity, then subject, rule and place; each once."""
    found = {finding for rule in (all_rules() if rules is None else rules) for finding in rule.check(context)}
    return tuple(sorted(found, key=_order))


def _order(finding: Finding) -> tuple[int, str, str, str, int, str]:
    place = (finding.file or "", finding.line or 0)
    return (-finding.severity, finding.subject, finding.rule, *place, finding.message)
