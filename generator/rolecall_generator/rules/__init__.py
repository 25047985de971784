"""Rules that check an Access. Each rule is a function with the `rule` decorator."""

from rolecall_generator.rules.registry import all_rules, run_rules
from rolecall_generator.rules.rule import CheckContext, Report, apply_suppressions

__all__ = ["CheckContext", "Report", "all_rules", "apply_suppressions", "run_rules"]
