"""Tables of facts that the audit uses: vendors' accounts, identity providers, services, privilege escalation.

They are JSON files in the folder `data`, each with its sources and date.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


def _table(name: str) -> Any:
    return json.loads(files(__package__).joinpath("data").joinpath(name).read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Vendor:
    """The owner of a publicly documented account. `is_aws`: an account of an AWS service. `date`: of the entry."""

    name: str
    sources: tuple[str, ...]
    date: str
    is_aws: bool = False


@cache
def vendors() -> Mapping[str, Vendor]:
    """Vendors by account ID."""
    found: dict[str, Vendor] = {}
    for entry in _table("vendor_accounts.json")["vendors"]:
        vendor = Vendor(entry["name"], tuple(entry["sources"]), entry["date"], entry.get("aws", False))
        found.update(dict.fromkeys(entry["accounts"], vendor))
    return found


@dataclass(frozen=True, slots=True)
class SharedIssuer:
    """An OIDC issuer that issues tokens to everyone with an account there.

    `claim` identifies the tenant; `subjects` are values of it, with `{name}` for names that anyone can choose. The first
    group of `tenant` matches the tenant's name in a value. `other_claims` also identify the tenant. `custom`: if tenants can
    choose the parts of the claim, a pattern of values that contain a tenant; None if they cannot.
    """

    issuer: str
    name: str
    claim: str
    subjects: tuple[str, ...]
    tenant: re.Pattern[str]
    other_claims: tuple[str, ...] = ()
    custom: re.Pattern[str] | None = None

    def is_open(self, value: str) -> bool:
        """Whether a value that does not have the usual form can be that of any tenant."""
        return self.custom is not None and self.custom.search(value) is None


@cache
def shared_issuers() -> Mapping[str, SharedIssuer]:
    """Shared issuers by host and path."""
    return {
        entry["issuer"]: SharedIssuer(
            entry["issuer"],
            entry["name"],
            entry["claim"],
            tuple(entry["subjects"]),
            re.compile(entry["tenant"]),
            tuple(entry.get("other_claims", ())),
            re.compile(entry["custom"]) if "custom" in entry else None,
        )
        for entry in _table("identity_providers.json")["providers"]
    }


@cache
def deputy_services() -> Mapping[str, str]:
    """Names of services whose documentation shows conditions against the confused deputy problem, by service principal."""
    return {entry["service"]: entry["name"] for entry in _table("deputy_services.json")["services"]}


def deputy_service(principal: str) -> str | None:
    """The name of such a service by its principal in any partition; None for other services."""
    return deputy_services().get(re.sub(r"\.amazonaws\.(com\.cn|eu)$", ".amazonaws.com", principal))


@dataclass(frozen=True, slots=True)
class EscalationPath:
    """Actions (SERVICE:NAME) that together allow privilege escalation. `id` is that of pathfinding.cloud, or `other-NNN`.

    `passed_to`: the service that receives a role, as in the condition key iam:PassedToService; empty without iam:PassRole.
    """

    id: str
    actions: tuple[str, ...]
    effect: str
    passed_to: str = ""


@cache
def escalation_paths() -> tuple[EscalationPath, ...]:
    """All paths; none contains the actions of another."""
    return tuple(
        EscalationPath(entry["id"], tuple(entry["actions"]), entry["effect"], entry.get("passed_to", ""))
        for entry in _table("escalation_paths.json")["paths"]
    )


@cache
def sensitive_actions() -> Mapping[str, str]:
    """Actions that read stored data or secrets, each with what it reads."""
    actions: Mapping[str, str] = _table("sensitive_actions.json")["actions"]
    return actions


@cache
def example_external_ids() -> frozenset[str]:
    """External IDs of documentation and templates, in lower case."""
    return frozenset(text.lower() for text in _table("predictable_external_ids.json")["examples"])


@cache
def predictable_words() -> frozenset[str]:
    """Words that people use in external IDs, in lower case."""
    return frozenset(_table("predictable_external_ids.json")["words"])
