"""Which actions RCPs restrict, and what the requests of an action state about Region and owner of their resource.

Source: `iam/data/organization_policies.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rolecall_generator.iam.data import read_table
from rolecall_generator.iam.matching import PolicyVariables

_TABLE: Mapping[str, Any] = read_table("organization_policies.json")
RCP_SERVICES: frozenset[str] = frozenset(_TABLE["rcp_services"])
"""Prefixes of the services whose actions RCPs restrict."""
_GLOBAL = frozenset(_TABLE["global_services"])
_UNRESTRICTED = frozenset(name.lower() for name in _TABLE["not_restricted_by_rcps"])
_WITHOUT_OWNER = PolicyVariables(name.lower() for name in _TABLE["without_resource_account"])


def is_restricted_by_rcps(action: str) -> bool:
    """Whether RCPs restrict requests of an action (SERVICE:NAME) that name a resource."""
    lower = action.lower()
    return lower.partition(":")[0] in RCP_SERVICES and lower not in _UNRESTRICTED


def has_owner_keys(action: str) -> bool:
    """Whether aws:ResourceAccount and the keys for the organization are in the requests of an action (SERVICE:NAME)."""
    return not _WITHOUT_OWNER.match(action.lower(), {})


def is_global(action: str) -> bool:
    """Whether the requests of an action (SERVICE:NAME) go to one Region, whatever the Regions in use."""
    return action.partition(":")[0].lower() in _GLOBAL
