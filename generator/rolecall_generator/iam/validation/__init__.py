"""Policy validation: placeholders, resources and conditions that IAM rejects or that can never match."""

from rolecall_generator.iam.validation.condition_faults import condition_faults, unknown_key_fault, unknown_operator_fault
from rolecall_generator.iam.validation.placeholders import find_placeholder
from rolecall_generator.iam.validation.resource_patterns import account_of, resource_fault

__all__ = [
    "account_of",
    "condition_faults",
    "find_placeholder",
    "resource_fault",
    "unknown_key_fault",
    "unknown_operator_fault",
]
