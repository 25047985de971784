"""Discovers the rules of this package and runs them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache

from rolecall_generator import rules as package
from rolecall_generator.findings import Finding, kinds_in
from rolecall_generator.rules.rule import CheckContext, Rule

_MODULE_SUFFIX = "_rules"


@cache
def all_rules() -> tuple[Rule, ...]:
    """All rules of the `*_rules` modules in this package, sorted by ID."""
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name.endswith(_MODULE_SUFFIX))
    modules = (importlib.import_module(f"{package.__name__}.{name}") for name in names)
    found = (kind for module in modules for kind in kinds_in(vars(module)) if isinstance(kind, Rule))
    return tuple(sorted(found, key=lambda rule: rule.id))


def run_rules(context: CheckContext, rules: Iterable[Rule] | None = None) -> tuple[Finding, ...]:
    """Findings of `rules` (None: all rules) without duplicates, sorted by severity, subject, rule and location."""
    found = {finding for rule in (all_rules() if rules is None else rules) for finding in rule.check(context)}
    return tuple(sorted(found, key=_sort_key))


def _sort_key(finding: Finding) -> tuple[int, str, str, str, int, str]:
    place = (finding.file or "", finding.line or 0)
    return (-finding.severity, finding.subject, finding.rule, *place, finding.message)
