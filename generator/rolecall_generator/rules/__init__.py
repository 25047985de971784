"""Rules that check an Access. Each rule is a function with the `rule` decorator."""

from rolecall_generator.rules.rule import CheckContext, Report, all_rules, apply_suppressions, run_rules

__all__ = ["CheckContext", "Report", "all_rules", "apply_suppressions", "run_rules"]
