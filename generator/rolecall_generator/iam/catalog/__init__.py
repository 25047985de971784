"""Catalog of AWS's actions, condition keys, managed policies and Regions."""

from rolecall_generator.iam.catalog import actions
from rolecall_generator.iam.catalog.actions import (
    DEPRECATED,
    ESCALATION_ACTIONS,
    OVERLY_BROAD,
    SERVICE_PREFIXES,
    action_of,
    escalation_actions,
    expand,
    find_action,
    iam_data,
    managed_policy_name,
    services,
)
from rolecall_generator.iam.catalog.condition_keys import (
    ConditionKey,
    find_key,
    is_federated,
    key_with_placeholder,
    keys_of_action,
    nearest_key,
)
from rolecall_generator.iam.catalog.regions import (
    REGION_PATTERN,
    is_known_region,
    is_region_name,
    nearest_region,
    partition_of_region,
    regions_of,
)

__all__ = [
    "DEPRECATED",
    "ESCALATION_ACTIONS",
    "OVERLY_BROAD",
    "REGION_PATTERN",
    "SERVICE_PREFIXES",
    "ConditionKey",
    "action_of",
    "actions",
    "escalation_actions",
    "expand",
    "find_action",
    "find_key",
    "iam_data",
    "is_federated",
    "is_known_region",
    "is_region_name",
    "key_with_placeholder",
    "keys_of_action",
    "managed_policy_name",
    "nearest_key",
    "nearest_region",
    "partition_of_region",
    "regions_of",
    "services",
]
