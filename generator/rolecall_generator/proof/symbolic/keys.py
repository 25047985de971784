"""What AWS documents about the condition keys of an AssumeRole request: presence, number and form of values, who sets them.

The table is `iam/data/assume_role_keys.json`, where each entry has its source. A key that it does not list can be absent or
have any number of values of any form. A wrong entry can make a proof wrong; a missing entry only makes it less exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from rolecall_generator.iam import Arn, Condition
from rolecall_generator.iam.catalog import find_key, is_federated
from rolecall_generator.iam.data import read_table
from rolecall_generator.iam.matching import Pattern, outlines_of
from rolecall_generator.proof.symbolic.language import ALPHABETS, Shape

SESSION_NAME = "sts:rolesessionname"
EXTERNAL_ID = "sts:externalid"
TAG_KEYS = "aws:tagkeys"
TRANSITIVE_TAG_KEYS = "sts:transitivetagkeys"
SOURCE_IDENTITY = "sts:sourceidentity"
KEPT_SOURCE_IDENTITY = "aws:sourceidentity"
MFA_PRESENT = "aws:multifactorauthpresent"
CURRENT_TIME = "aws:currenttime"
EPOCH_TIME = "aws:epochtime"
DURATION = "sts:durationseconds"
MFA_AGE = "aws:multifactorauthage"
REQUEST_TAG = "aws:requesttag/"
PRINCIPAL_TAG = "aws:principaltag/"
RESOURCE_TAGS = ("aws:resourcetag/", "iam:resourcetag/")
RESOURCE_ACCOUNT = "aws:resourceaccount"
RESOURCE_ORGANIZATION_ID = "aws:resourceorgid"
RESOURCE_ORGANIZATION_PATHS = "aws:resourceorgpaths"
ORGANIZATION_ID = "aws:principalorgid"
ORGANIZATION_PATHS = "aws:principalorgpaths"

CALLER_KEYS = frozenset(
    {
        "aws:principalarn",
        "aws:principalaccount",
        "aws:username",
        "aws:principaltype",
        "aws:principalisawsservice",
    }
)
"""Keys (lower case) whose values follow from the caller (see `callers`)."""


class CallerKind(Enum):
    """Kinds of callers, as far as the presence of keys depends on them. A role is always a session of the role."""

    USER = "user"
    ROLE = "role"
    SERVICE = "service"
    PROVIDER = "provider"


class ValueType(Enum):
    """How the values of a key are compared. Values of a type other than STRING always have its form."""

    STRING = "string"
    BOOL = "bool"
    INTEGER = "integer"
    DATE = "date"
    IP = "ip"


class Setter(Enum):
    """Who decides the value of a key."""

    REQUEST = "request"
    CALLER = "caller"
    NETWORK = "network"
    TIME = "time"
    ROLE = "role"


_ALL_CALLERS = frozenset(CallerKind)
ANY_STRING = Shape()


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What AWS documents about a key.

    `many`: a request can have several values. `always`: callers whose requests always have the key; `callers`: those whose
    requests can have it. `smallest`, `largest`: bounds of an integer. `values`: all values of the key, if they are listed.
    """

    many: bool = True
    type: ValueType = ValueType.STRING
    shape: Shape = ANY_STRING
    always: frozenset[CallerKind] = frozenset()
    callers: frozenset[CallerKind] = _ALL_CALLERS
    setter: Setter = Setter.REQUEST
    documented: bool = True
    smallest: int = 0
    largest: int | None = None
    values: tuple[str, ...] = ()


UNDOCUMENTED = KeyFacts(documented=False)
"""A key that is not in the table."""


def may_exist(name: str) -> bool:
    """Whether a request to STS can have the key (lower case), as far as AWS documents it: keys of other services cannot."""
    if is_foreign(name):
        return False
    if key_facts(name).documented or is_federated(name):
        return True
    found = find_key(name)
    return found is not None and (found.is_global or name.startswith("sts:"))


def is_foreign(name: str) -> bool:
    """Whether the key (lower case) is one of another service than STS, and not of those that several services have.

    "Some individual services create their own condition keys that are available in the request context for other services.
    Cross-service condition keys are a type of global condition key" (AWS global condition context keys).
    """
    exact, prefixes, _ = _table()
    if name in exact or name.startswith(("aws:", "sts:", *prefixes)) or is_federated(name):
        return False
    found = find_key(name)
    return found is not None and not found.is_global


@lru_cache(maxsize=1_024)
def key_facts(name: str) -> KeyFacts:
    """The facts about a key, given in lower case."""
    exact, prefixes, oidc = _table()
    if (found := exact.get(name)) is not None:
        return found
    for prefix, facts in prefixes.items():
        if name.startswith(prefix) and len(name) > len(prefix):
            return facts
    provider, _, claim = name.rpartition(":")
    return oidc.get(claim, UNDOCUMENTED) if "." in provider.partition("/")[0] else UNDOCUMENTED


@lru_cache(maxsize=1)
def _table() -> tuple[Mapping[str, KeyFacts], Mapping[str, KeyFacts], Mapping[str, KeyFacts]]:
    """The facts by name, by prefix (tags), and by claim for keys of OIDC providers, whose prefix is the provider's host."""
    table = read_table("assume_role_keys.json")
    shapes = {name: _shape(entry) for name, entry in table["shapes"].items()}
    found = {name.lower(): _facts(entry, shapes) for name, entry in table["keys"].items()}
    return (
        {name: facts for name, facts in found.items() if name[-1] != "/" and name[0] != "*"},
        {name: facts for name, facts in found.items() if name[-1] == "/"},
        {name.removeprefix("*:"): facts for name, facts in found.items() if name[0] == "*"},
    )


@lru_cache(maxsize=1)
def _service_table() -> tuple[Mapping[str, KeyFacts], Mapping[str, frozenset[str]]]:
    """The facts about keys of single services (lower case), and the values that AWS accepts."""
    table = read_table("service_keys.json")["keys"]
    return (
        {name.lower(): KeyFacts(many=False, values=tuple(entry["values"])) for name, entry in table.items()},
        {name.lower(): frozenset(entry["accepted"]) for name, entry in table.items()},
    )


def service_key_facts(name: str) -> KeyFacts:
    """The facts about a key, given in lower case, in requests to any service."""
    return _service_table()[0].get(name) or key_facts(name)


def accepted_values(name: str) -> frozenset[str] | None:
    """The only values of a key (lower case) with which AWS accepts requests; None if that is not documented."""
    return _service_table()[1].get(name)


def _shape(entry: Mapping[str, Any]) -> Shape:
    pattern, certain = entry.get("pattern"), entry.get("certain", ())
    by_region = certain == "regions"
    return Shape(
        ALPHABETS[entry["characters"]],
        entry["shortest"],
        entry["longest"],
        pattern and _pattern(pattern),
        frozenset() if by_region else frozenset(map(_pattern, certain)),
        by_region,
    )


def _pattern(text: str) -> Pattern:
    operator = "ArnLike" if text.startswith("arn:") else "StringLike"
    return outlines_of(Condition(operator, "", (text,)))[0]


def _facts(entry: Mapping[str, Any], shapes: Mapping[str, Shape]) -> KeyFacts:
    return KeyFacts(
        many=entry.get("many", False),
        type=ValueType(entry.get("type", "string")),
        shape=shapes[entry["shape"]] if "shape" in entry else ANY_STRING,
        always=frozenset(map(CallerKind, entry.get("always", ()))),
        callers=frozenset(map(CallerKind, entry["callers"])) if "callers" in entry else _ALL_CALLERS,
        setter=Setter(entry.get("set_by", "request")),
        smallest=entry.get("smallest", 0),
        largest=entry.get("largest"),
    )


def is_role_key(name: str) -> bool:
    """Whether the role that is assumed decides the value of the key (lower case)."""
    return key_facts(name).setter is Setter.ROLE


def dimension_of(name: str) -> str:
    """The dimension that has the values of the key (lower case).

    The keys of the caller share one, and so do the two keys for source identities, which a session keeps ("the source
    identity in the request persists from the first assumed role session", Monitor and control actions taken with assumed
    roles), and the two spellings of resource tags.
    """
    if name in CALLER_KEYS:
        return CALLER
    if name == KEPT_SOURCE_IDENTITY:
        return SOURCE_IDENTITY
    if name.startswith(RESOURCE_TAGS[1]):
        return RESOURCE_TAGS[0] + name.removeprefix(RESOURCE_TAGS[1])
    return name


CALLER = "Caller"
ACTION = "Action"
RESOURCE = "Resource"
PROVIDED_CONTEXTS = "ProvidedContexts"
NOT_KEYS = frozenset({CALLER, ACTION, RESOURCE, PROVIDED_CONTEXTS})
"""Dimensions that are not condition keys: the caller, the action, the resource, and whether the request passes
ProvidedContexts.

They begin with a capital letter, and those of keys are in lower case, so that no policy can have a key of that name.
"""


def spelling_of(name: str) -> str:
    """The key as AWS spells it, or as it is if it is not listed."""
    return _spellings().get(name, name)


@lru_cache(maxsize=1)
def _spellings() -> Mapping[str, str]:
    return {name.lower(): name for name in read_table("assume_role_keys.json")["keys"]}


_SERVICE_SUFFIXES = tuple(
    f".{suffix}"
    for suffix in (
        "amazonaws.com",
        "amazonaws.com.cn",
        "amazonaws.eu",
        "c2s.ic.gov",
        "sc2s.sgov.gov",
        "cloud.adc-e.uk",
        "csp.hci.ic.gov",
    )
)
"""Domains of AWS services by partition (botocore 1.44.5, endpoints.json, November 2026)."""


def is_service(name: str) -> bool:
    """Whether an external caller is an AWS service, by its name: Amazon Cognito is an identity provider."""
    return name.endswith(_SERVICE_SUFFIXES) and not name.startswith(("arn:", "cognito-identity."))


def is_saml_provider(name: str) -> bool:
    """Whether an external caller is a SAML provider, by its name. The URL of an OIDC provider can have `:saml-provider/`."""
    parsed = Arn.parse(name)
    return parsed is not None and parsed.kind == "saml-provider"
