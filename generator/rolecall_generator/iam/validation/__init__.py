"""Policy validation: placeholders, resources and conditions that IAM rejects or that can never match."""

from rolecall_generator.iam.validation.condition_faults import condition_faults, unknown_key, unknown_operator
from rolecall_generator.iam.validation.placeholders import unfilled
from rolecall_generator.iam.validation.resource_patterns import account_of, resource_fault

__all__ = ["account_of", "condition_faults", "resource_fault", "unfilled", "unknown_key", "unknown_operator"]
