"""Faults of policies: placeholders, resources and conditions that IAM rejects or that can never match, whatever exists.

Sources, November 2026: IAM User Guide, "IAM JSON policy elements" (Resource, Condition operators, Variables and tags) and
"IAM policy validation check reference" (INVALID_ARN_ACCOUNT, INVALID_ARN_REGION, INVALID_PARTITION, MISSING_ARN_FIELD,
ARN_ACCOUNT_NOT_ALLOWED, INVALID_CONDITION_KEY_FORMAT, INVALID_VARIABLE_FOR_OPERATOR, TYPE_MISMATCH and others), and the
error messages of IAM in public bug reports (`Partition "aws" is not valid for resource`, `Resource vendor must be fully
qualified and cannot contain regexes`, `IAM resource ... cannot contain region information`). A test runs it on every AWS
managed policy, where it may only report services and Regions that AWS no longer has.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rolecall_generator.iam import PARTITIONS, Arn, Condition
from rolecall_generator.iam.catalog import (
    ConditionKey,
    find_key,
    iam_data,
    is_federated,
    is_known_region,
    is_region_name,
    key_with_placeholder,
    nearest_key,
    nearest_region,
    partition_of_region,
    services,
)
from rolecall_generator.iam.matching import (
    ARN,
    OPERATORS,
    Operator,
    compile_condition,
    find_operator,
    parse_operator,
    wildcard,
)
from rolecall_generator.text import clip, nearest

# Placeholders
#
# AWS supports policy variables `${KEY}` with the name of a condition key, optionally with a default (`${KEY, 'default'}`),
# and `${*}`, `${?}` and `${$}` for the characters themselves ("IAM policy elements: Variables and tags"). It does not
# substitute anything else that looks like a variable.

_ESCAPES = frozenset("*?$")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_DEFAULT = re.compile(r"^([^,'\s]+)\s*(?:,\s*'([^']*)')?$")
_FILL = "write the value itself; AWS replaces only its own variables, as in ${aws:username}"

_TEMPLATES: tuple[re.Pattern[str], ...] = (
    re.compile(r"\$\([^()]*\)|\$\[[^\[\]]*\]"),
    re.compile(r"\$(?!(?:LATEST|DEFAULT)\b)[A-Z][A-Z0-9_]{2,}\b"),
    re.compile(r"\{\{.*?\}\}|\{%.*?%\}|<%.*?%>"),
    re.compile(r"(?<!&)#?\{[A-Za-z_][A-Za-z0-9_.:-]*\}"),
    re.compile(r"<[^<>]+>"),
    re.compile(r"%\([^()]*\)[sd]?|%[A-Za-z_][A-Za-z0-9_.-]{2,}%"),
    re.compile(r"@[A-Za-z_][A-Za-z0-9_]+@|\b__[A-Za-z][A-Za-z0-9_]*?__(?![A-Za-z0-9])|\[[A-Z][A-Z_ -]{2,}\]"),
)
"""Placeholders of template languages, shells, CI systems and documentation, in search order."""

_NOT_PLACEHOLDERS = re.compile(r"%[0-9A-Fa-f]{2}%|__(?:pycache__|init__|main__|HIVE_DEFAULT_PARTITION__)")

_SUGGESTIVE = re.compile(
    r"(?<![A-Za-z0-9])(?:your[-_]?(?:bucket|account|region|role|queue|topic|table|key|org|name|company|domain)[a-z0-9_-]*"
    r"|replace[-_]?(?:me|with|this)|change[-_]?me|insert[-_](?:here|your)|fill[-_]?me|todo|fixme|x{6,})(?![A-Za-z0-9])",
    re.IGNORECASE,
)

_EQUIVALENT_VARIABLES: Mapping[str, str] = {
    "aws::accountid": "aws:PrincipalAccount",
    "accountid": "aws:PrincipalAccount",
    "account_id": "aws:PrincipalAccount",
    "account": "aws:PrincipalAccount",
    "username": "aws:username",
    "user": "aws:username",
    "userid": "aws:userid",
    "user_id": "aws:userid",
}
"""AWS policy variables by the lower-case names of equivalent variables in other languages."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A placeholder: its text, a description of the fault, and a hint.

    `certain`: nothing substitutes it. Otherwise the key may be missing in the catalog, or the text is only suspicious.
    """

    text: str
    what: str
    hint: str
    certain: bool = True


@dataclass(frozen=True, slots=True)
class PolicyFault:
    """A fault of a resource or a condition, and a hint; that of a resource is a clause to follow it in a sentence.

    `value` is the value of a condition that has the fault. `refused`: IAM rejects the policy, or the resource never
    matches, or the condition has the same result for every request. Otherwise rolecall's data may be outdated, or it is
    probably a mistake. `suspicious`: only the name of a resource suggests it.
    """

    what: str
    hint: str
    value: str | None = None
    refused: bool = True
    suspicious: bool = False


def find_placeholder(text: str) -> Placeholder | None:
    """The first unsubstituted placeholder in a string of a policy; None if there is none."""
    if "$${" in text:
        return Placeholder("$${", "$${ is Terraform's escape of ${", "write ${: rolecall escapes it for Terraform")
    for match in _VARIABLE.finditer(text):
        if (found := _variable(match[0], match[1])) is not None:
            return found
    rest = _VARIABLE.sub("", text)
    if "${" in rest:
        return Placeholder("${", "${ has no closing brace", "write ${KEY}, as in ${aws:username}")
    for pattern in _TEMPLATES:
        for match in pattern.finditer(rest):
            if not _is_no_placeholder(match[0]):
                return Placeholder(match[0], f"{match[0]} is never replaced", _FILL)
    if suspect := _SUGGESTIVE.search(rest):
        return Placeholder(suspect[0], f"{suspect[0]} looks like a placeholder", "write the value itself", certain=False)
    return None


def has_variable(text: str) -> bool:
    """Whether the string has a policy variable other than the escapes ${*}, ${?} and ${$}."""
    return any(match[1] not in _ESCAPES for match in _VARIABLE.finditer(text))


def without_variables(text: str, filling: str) -> str:
    """The string with each `${...}` replaced by `filling`."""
    return _VARIABLE.sub(filling, text)


def _is_no_placeholder(text: str) -> bool:
    """Whether a match is not a placeholder: percent-encoding (`%C3%` in `%C3%A9`) or a special name of Python or Hive."""
    return _NOT_PLACEHOLDERS.fullmatch(text) is not None


def _variable(written: str, inside: str) -> Placeholder | None:
    if inside in _ESCAPES:
        return None
    parsed = _DEFAULT.match(inside)
    if parsed is None:
        what = f"{written} is not a policy variable" if inside.strip() else f"{written} names no key"
        return Placeholder(written, what, "write ${KEY}, or ${KEY, 'default'}, without spaces around KEY")
    name = parsed[1]
    known = find_key(name)
    if known is None:
        return None if is_federated(name) else _unknown_key(written, name)
    if known.is_multivalued:
        what = f"{written}: {known.name} is multivalued, which AWS does not support in variables"
        return Placeholder(written, what, "use a single-valued key, such as aws:PrincipalTag/KEY", certain=False)
    return None


def _unknown_key(written: str, name: str) -> Placeholder:
    if (form := key_with_placeholder(name)) is not None:
        start = form.name.partition("$")[0].partition("<")[0]
        return Placeholder(written, f"{written} is incomplete: the name after {start} is missing", f"write ${{{start}KEY}}")
    nearest = _EQUIVALENT_VARIABLES.get(name.lower()) or nearest_key(name)
    hint = f"write ${{{nearest}}}, or the value itself" if nearest else _FILL
    # A new service-specific key may be missing in the catalog; a name without a prefix is never a key.
    service_key = re.fullmatch(r"[a-z0-9-]+:[^:]+", name) is not None and not name.startswith("aws:")
    return Placeholder(written, f"{written} is never replaced: AWS has no such variable", hint, certain=not service_key)


# Resources

_PARTS = 6
_ANY = "*"
_WILD = re.compile(r"[*?]")
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_NAMED_OWNERS = frozenset({"aws", "aws-marketplace", "amazon", "aws-managed", "third-party", "cloudfront"})
"""Values of the account part in ARNs of resources owned by AWS, as in arn:aws:iam::aws:policy/NAME."""

_IAM_KINDS = (
    "user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/", "policy/", "sms-mfa/",
    "saml-provider/", "oidc-provider/", "report/", "access-report/", "assumed-role/", "delegation-request/",
    "role-template/", "root",
)  # fmt: skip
_S3_TYPED = re.compile(
    r"^(accesspoint|job|storage-lens|storage-lens-group|access-grants|async-request|outpost|object-lambda)([/:]|$)"
)
_BUCKET = re.compile(r"[a-z0-9.-]+")


def resource_fault(text: str, partition: str) -> PolicyFault | None:
    """The first fault of a resource in a policy of this partition; None if it has none."""
    return next(_faults(text, partition), None)


def account_of(text: str) -> str | None:
    """The account ID in a resource; None if there is none, or a wildcard or variable."""
    parts = without_variables(text, _ANY).split(":", _PARTS - 1)
    return parts[4] if len(parts) == _PARTS and parts[0] == "arn" and _ACCOUNT.fullmatch(parts[4]) else None


def _faults(text: str, partition: str) -> Iterator[PolicyFault]:
    if text == _ANY:
        return
    found = find_placeholder(text)
    if found is not None and found.certain:
        yield PolicyFault(f"has a placeholder: {found.what}", found.hint)
        return
    parts = without_variables(text, _ANY).split(":", _PARTS - 1)
    if parts[0] != "arn":
        yield PolicyFault("is neither an ARN nor *", _as_arn(text, partition))
        return
    if len(parts) < _PARTS:
        # IAM treats parts missing after a final * as *: arn:aws:sqs:* matches all queues.
        if len(parts) < 3 or not text.endswith(_ANY) or "" in parts:  # noqa: PLR2004 - arn, partition and service
            yield PolicyFault(
                f"has {len(parts)} of the {_PARTS} parts of an ARN",
                "write arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE, with nothing between colons where a service has none",
            )
            return
        parts = [*parts, *[_ANY] * (_PARTS - len(parts))]
    _, its_partition, service, region, account, resource = parts
    yield from _partition(its_partition, partition, text)
    yield from _service(service)
    yield from _region(service, region, partition, text)
    yield from _account(account, text)
    yield from _resource(service, region, account, resource, text)
    if found is not None:
        yield PolicyFault(found.what, found.hint, refused=False, suspicious=True)


def _as_arn(text: str, partition: str) -> str:
    if text.lower().startswith("arn:"):
        return f"write arn in lower case: arn{text[3:]}"
    if re.fullmatch(r"[a-z0-9][a-z0-9.-]{2,62}(/.*)?", text):
        return f"write an ARN; an S3 bucket's is arn:{partition}:s3:::{text}"
    return "write an ARN, or * for all"


def _partition(actual: str, expected: str, text: str) -> Iterator[PolicyFault]:
    if actual == expected or (_WILD.search(actual) and wildcard(actual)(expected)):
        return
    rest = text.split(":", 2)[2] if text.count(":") > 1 else ""
    what = f"is in partition {actual}" if actual in PARTITIONS else f'names "{actual}", which is not a partition of AWS'
    yield PolicyFault(f"{what}, and the role is in {expected}", f"write arn:{expected}:{rest}")


def _service(service: str) -> Iterator[PolicyFault]:
    if not service or _WILD.search(service):
        yield PolicyFault(
            "does not name a service", "write the service, as in arn:aws:s3:::BUCKET: IAM does not accept a wildcard there"
        )
    elif service != service.lower():
        yield PolicyFault(f"names the service {service} in capital letters", f"write {service.lower()}")
    elif service not in services() and service not in _resource_services():
        close = difflib.get_close_matches(service, services() | _resource_services(), n=1, cutoff=0.6)
        hint = f"write {close[0]}" if close else "write a service of the Service Authorization Reference"
        yield PolicyFault(f"names the service {service}, which AWS does not have", hint, refused=False)


@lru_cache(maxsize=1)
def _resource_services() -> frozenset[str]:
    """Values of the service part in AWS's ARN forms; a few differ from IAM's prefixes. Reads the data of all services."""
    resources: Any = iam_data().resources
    forms = (
        str(resources.get_resource_type_details(service, kind)["arn"])
        for service in sorted(services())
        for kind in resources.get_resource_types_for_service(service)
    )
    return frozenset(form.split(":")[2] for form in forms if form.count(":") >= _PARTS - 1)


def _region(service: str, region: str, partition: str, text: str) -> Iterator[PolicyFault]:
    if service == "iam":
        if region:
            yield PolicyFault("names a Region, and IAM has none", f"write nothing there: {_without(text, 3)}")
        return
    if not region or _WILD.search(region):
        return
    if not is_region_name(region):
        close = nearest_region(region, partition)
        yield PolicyFault(f'names "{region}", which is not a Region', f"write {close}" if close else "write a Region, or *")
    elif not is_known_region(region):
        close = nearest_region(region, partition)
        hint = f"write {close}" if close else "write a Region of AWS"
        yield PolicyFault(f"names the Region {region}, which AWS does not have", hint, refused=False)
    elif (home := partition_of_region(region)) is not None and home != partition:
        yield PolicyFault(f"names {region}, a Region of partition {home}", f"write a Region of partition {partition}, or *")


def _account(account: str, text: str) -> Iterator[PolicyFault]:
    if account and not _ACCOUNT.fullmatch(account) and account not in _NAMED_OWNERS and not _WILD.search(account):
        digits = account.isascii() and account.isdigit()
        what = f"names an account of {len(account)} digits" if digits else f'names "{account}", which is not an account ID'
        yield PolicyFault(what, f"write the account's 12 digits, or *: {_without(text, 4, _ANY)}")


def _resource(service: str, region: str, account: str, resource: str, text: str) -> Iterator[PolicyFault]:
    if not resource:
        yield PolicyFault("names no resource", f"write {text}* or the name of the resource", refused=False)
    elif service == "iam":
        kinds = ", ".join(kind.rstrip("/") for kind in _IAM_KINDS[:8])
        head = resource.partition("/")[0]
        if resource != _ANY and not _WILD.search(head) and not resource.startswith(_IAM_KINDS):
            yield PolicyFault(
                f"does not name the type of {clip(resource)}", f"start it with one of {kinds}, as in role/NAME"
            )
        elif not account:
            yield PolicyFault("names no account, which IAM resources require", f"write {_without(text, 4, _ANY)}")
    elif service == "s3" and not _S3_TYPED.match(resource) and not _WILD.match(resource):
        yield from _bucket(region, account, resource, text)


def _bucket(region: str, account: str, resource: str, text: str) -> Iterator[PolicyFault]:
    if (region and not _WILD.search(region)) or (account and not _WILD.search(account)):
        fixed = ":".join((*text.split(":", 5)[:3], "", "", text.split(":", 5)[5]))
        yield PolicyFault("names a Region or an account, which ARNs of buckets do not have", f"write {fixed}")
        return
    name = resource.partition("/")[0]
    if not _WILD.search(name) and not _BUCKET.fullmatch(name):
        what = f'names the bucket "{name}"' if name else "names no bucket"
        yield PolicyFault(
            f"{what}: buckets are named with lower-case letters, digits, dots and hyphens",
            "write the bucket's name",
            refused=not name,
            suspicious=bool(name),
        )


def _without(text: str, part: int, filling: str = "") -> str:
    """The ARN with one part replaced."""
    parts = text.split(":", _PARTS - 1)
    return ":".join((*parts[:part], filling, *parts[part + 1 :])) if len(parts) == _PARTS else text


# Conditions

_KEY = re.compile(r"^[^:\s]+:\S.*$")

_ACCOUNT_KEYS = frozenset({
    "aws:principalaccount", "aws:resourceaccount", "aws:sourceaccount", "aws:vpceaccount", "s3:resourceaccount",
    "kms:calleraccount",
})  # fmt: skip


def unknown_key_fault(key: str) -> PolicyFault | None:
    """The fault of a condition key unknown to AWS; None for known keys and keys of identity providers."""
    if find_key(key) is not None or is_federated(key) or not _KEY.match(key):
        return None
    if (form := key_with_placeholder(key)) is not None:
        start = re.split(r"[$<]|tag-key$", form.name)[0]
        return PolicyFault(f"{key} is incomplete: the name of a tag or part is missing", f"write {start}KEY", refused=False)
    close = nearest_key(key)
    hint = f"write {close}" if close else "write a condition key of the Service Authorization Reference"
    return PolicyFault(f"AWS has no condition key {key}", hint, refused=False)


def unknown_operator_fault(text: str) -> PolicyFault | None:
    """The fault of an operator unknown to IAM, with the closest one as hint; None for a known operator."""
    if find_operator(text) is not None:
        return None
    prefix, _, rest = text.rpartition(":")
    prefix = f"{prefix}:" if prefix in {"ForAllValues", "ForAnyValue"} else ""
    bare = rest if prefix else text
    suffix = "IfExists" if bare.endswith("IfExists") else ""
    bare = bare.removesuffix("IfExists")
    what = f"IAM has no condition operator {text}"
    if (known := OPERATORS.get(bare)) is not None and known.compare is None:
        return PolicyFault(what, f"write {bare}: it supports neither a set prefix nor IfExists")
    close = nearest(bare, OPERATORS)
    return PolicyFault(what, f"write {prefix}{close}{suffix}" if close else "write an operator of IAM, as in StringEquals")


def condition_faults(condition: Condition, partition: str) -> Iterator[PolicyFault]:
    """All faults of a condition except an unknown key (see `unknown_key`)."""
    if (unknown := unknown_operator_fault(condition.operator)) is not None:
        yield unknown
        return
    operator = parse_operator(condition.operator).operator
    if not _KEY.match(condition.key):
        close = nearest_key(condition.key)
        hint = f"write {close}" if close else "write PREFIX:NAME, as in aws:SourceIp"
        yield PolicyFault(f"{condition.key} is not a condition key: it has no prefix", hint)
        return
    if (found := find_placeholder(condition.key)) is not None and found.certain:
        yield PolicyFault(f"{condition.key} has a placeholder: {found.what}", found.hint)
    elif "${" in condition.key:
        yield PolicyFault(f"{condition.key} has a variable, which AWS supports only in values", "write the key")
    if not condition.values:
        yield PolicyFault(f"{condition.operator} on {condition.key} has no value", "add a value")
    key = find_key(condition.key)
    broken = False
    for value in condition.values:
        fault = _value_fault(condition, operator, value)
        broken = broken or (fault is not None and fault.refused)
        fault = fault or _meaning(condition.key, operator, value, key, partition)
        if fault is not None:
            yield fault
    if key is not None and not broken:
        yield from _fit(condition, operator, key)


def _value_fault(condition: Condition, operator: Operator, value: str) -> PolicyFault | None:
    found = find_placeholder(value)
    if found is not None and found.certain:
        return PolicyFault(f'{condition.key} "{value}" has a placeholder: {found.what}', found.hint, value)
    if has_variable(value) and not operator.takes_variables:
        what = f'{condition.key} "{value}": {condition.operator} does not support variables'
        return PolicyFault(what, "write the value, or use an operator for strings or ARNs", value)
    try:
        compile_condition(Condition(condition.operator, condition.key, (value,)), variables=True)
    except ValueError:
        what = f'{condition.key} "{value}" is not a valid value for {condition.operator}'
        return PolicyFault(what, operator.family.hint, value)
    if found is not None:
        return PolicyFault(f'{condition.key} "{value}": {found.what}', found.hint, value, refused=False)
    return None


def _meaning(name: str, operator: Operator, value: str, key: ConditionKey | None, partition: str) -> PolicyFault | None:
    """The fault of a value that the key never has in a request."""
    if not value or _WILD.search(value) or "${" in value or not operator.takes_variables:
        return None
    lower = name.lower()
    if lower == "aws:requestedregion":
        return _region_value(value, partition)
    if lower in _ACCOUNT_KEYS and not _ACCOUNT.fullmatch(value):
        return PolicyFault(f'{name} "{value}" is not an account ID', "write its 12 digits", value, refused=False)
    return _arn_value(value, key.name, partition) if key is not None and key.value_type == "ARN" else None


def _region_value(value: str, partition: str) -> PolicyFault | None:
    if not is_known_region(value):
        close = nearest_region(value, partition)
        hint = f"write {close}" if close else "write a Region of AWS"
        return PolicyFault(f'aws:RequestedRegion "{value}" is not a Region', hint, value, refused=False)
    if partition_of_region(value) not in {None, partition}:
        return PolicyFault(
            f'aws:RequestedRegion "{value}" is in another partition', f"write one of {partition}", value, refused=False
        )
    return None


def _arn_value(value: str, key: str, partition: str) -> PolicyFault | None:
    parsed = Arn.parse(value)
    if parsed is None:
        return PolicyFault(f'{key} "{value}" is not an ARN', ARN.hint, value, refused=False)
    if parsed.partition in PARTITIONS and parsed.partition != partition:
        what = f'{key} "{value}" is in partition {parsed.partition}, the role in {partition}'
        return PolicyFault(what, f"write arn:{partition}:{value.split(':', 2)[2]}", value, refused=False)
    return None


def _fit(condition: Condition, operator: Operator, key: ConditionKey) -> Iterator[PolicyFault]:
    fitting = operator.family.key_types
    if fitting is not None and key.value_type not in fitting:
        yield PolicyFault(
            f"{condition.operator} does not fit {key.name}, whose values are of type {key.value_type}",
            f"use an operator for {_operators_for(key.value_type)}",
            refused=False,
        )


def _operators_for(kind: str) -> str:
    return {
        "ARN": "ARNs, as ArnLike",
        "Bool": "true and false, as Bool",
        "Numeric": "numbers, as NumericLessThan",
        "Date": "dates, as DateLessThan",
        "IPAddress": "addresses, as IpAddress",
    }.get(kind, "strings, as StringEquals")
