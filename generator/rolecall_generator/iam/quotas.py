"""AWS's limits that decide how access is laid out.

Source: "IAM and AWS STS quotas", AWS documentation, read November 2026; white space is not counted in policies.
Limits that AWS raises on request are settings of the manifest (`quotas:`) with these defaults.
"""

from __future__ import annotations

MANAGED_POLICY_CHARACTERS = 6_144
ROLE_INLINE_CHARACTERS = 10_240
USER_INLINE_CHARACTERS = 2_048
GROUP_INLINE_CHARACTERS = 5_120

ROLE_MANAGED_POLICIES = 10
ROLE_MANAGED_POLICIES_MAXIMUM = 25
USER_MANAGED_POLICIES = 10
GROUP_MANAGED_POLICIES = 10

TRUST_POLICY_CHARACTERS = 2_048
TRUST_POLICY_CHARACTERS_MAXIMUM = 8_192

ROLE_NAME_CHARACTERS = 64
USER_NAME_CHARACTERS = 64
GROUP_NAME_CHARACTERS = 128
POLICY_NAME_CHARACTERS = 128
PATH_CHARACTERS = 512
EXTERNAL_ID_CHARACTERS = 1_224
SWITCH_ROLE_LINK_CHARACTERS = 64
"""Path and name together, in the console's switch-role link."""

MINIMUM_MAX_SESSION_SECONDS = 3_600
MAXIMUM_MAX_SESSION_SECONDS = 43_200
CHAINED_SESSION_SECONDS = 3_600
"""Role chaining caps a session at one hour, whatever the role's own maximum."""

TAGS = 50
