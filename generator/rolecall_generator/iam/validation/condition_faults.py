"""Faults of conditions: what IAM rejects, what can never match, and operators that do not fit the type of their key.

Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and "IAM policy validation check reference"
(INVALID_CONDITION_KEY_FORMAT, INVALID_VARIABLE_FOR_OPERATOR, TYPE_MISMATCH and others), November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rolecall_generator.iam import PARTITIONS, Arn, Condition
from rolecall_generator.iam.catalog import (
    ConditionKey,
    find_key,
    is_federated,
    is_known_region,
    key_with_placeholder,
    nearest_key,
    nearest_region,
    partition_of_region,
)
from rolecall_generator.iam.matching import ARN, OPERATORS, Operator, compile_condition, find_operator, parse_operator
from rolecall_generator.iam.validation.placeholders import find_placeholder, has_variable
from rolecall_generator.text import nearest

_KEY = re.compile(r"^[^:\s]+:\S.*$")
_WILD = re.compile(r"[*?]")
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)

_ACCOUNT_KEYS = frozenset({
    "aws:principalaccount", "aws:resourceaccount", "aws:sourceaccount", "aws:vpceaccount", "s3:resourceaccount",
    "kms:calleraccount",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class ConditionFault:
    """A fault of a condition: description, hint, and `value`, the value with the fault if it is one of the values.

    `refused`: IAM rejects the policy, or the condition has the same result for every request. Otherwise IAM accepts the
    condition but it is probably a mistake. `doubtful`: rolecall's data may be incomplete.
    """

    what: str
    hint: str
    value: str | None = None
    refused: bool = True
    doubtful: bool = False


def unknown_key_fault(key: str) -> ConditionFault | None:
    """The fault of a condition key unknown to AWS; None for known keys and keys of identity providers."""
    if find_key(key) is not None or is_federated(key) or not _KEY.match(key):
        return None
    if (form := key_with_placeholder(key)) is not None:
        start = re.split(r"[$<]|tag-key$", form.name)[0]
        return ConditionFault(
            f"{key} is incomplete: the name of a tag or part is missing", f"write {start}KEY", refused=False
        )
    close = nearest_key(key)
    hint = f"write {close}" if close else "write a condition key of the Service Authorization Reference"
    return ConditionFault(f"AWS has no condition key {key}", hint, refused=False)


def unknown_operator_fault(text: str) -> ConditionFault | None:
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
        return ConditionFault(what, f"write {bare}: it supports neither a set prefix nor IfExists")
    close = nearest(bare, OPERATORS)
    return ConditionFault(
        what, f"write {prefix}{close}{suffix}" if close else "write an operator of IAM, as in StringEquals"
    )


def condition_faults(condition: Condition, partition: str) -> Iterator[ConditionFault]:
    """All faults of a condition except an unknown key (see `unknown_key`)."""
    if (unknown := unknown_operator_fault(condition.operator)) is not None:
        yield unknown
        return
    operator = parse_operator(condition.operator).operator
    if not _KEY.match(condition.key):
        close = nearest_key(condition.key)
        hint = f"write {close}" if close else "write PREFIX:NAME, as in aws:SourceIp"
        yield ConditionFault(f"{condition.key} is not a condition key: it has no prefix", hint)
        return
    if (found := find_placeholder(condition.key)) is not None and found.certain:
        yield ConditionFault(f"{condition.key} has a placeholder: {found.what}", found.hint)
    elif "${" in condition.key:
        yield ConditionFault(f"{condition.key} has a variable, which AWS supports only in values", "write the key")
    if not condition.values:
        yield ConditionFault(f"{condition.operator} on {condition.key} has no value", "add a value")
    key = find_key(condition.key)
    broken = False
    for value in condition.values:
        fault = _value(condition, operator, value)
        broken = broken or (fault is not None and fault.refused)
        fault = fault or _meaning(condition.key, operator, value, key, partition)
        if fault is not None:
            yield fault
    if key is not None and not broken:
        yield from _fit(condition, operator, key)


def _value(condition: Condition, operator: Operator, value: str) -> ConditionFault | None:
    found = find_placeholder(value)
    if found is not None and found.certain:
        return ConditionFault(f'{condition.key} "{value}" has a placeholder: {found.what}', found.hint, value)
    if has_variable(value) and not operator.takes_variables:
        what = f'{condition.key} "{value}": {condition.operator} does not support variables'
        return ConditionFault(what, "write the value, or use an operator for strings or ARNs", value)
    try:
        compile_condition(Condition(condition.operator, condition.key, (value,)), variables=True)
    except ValueError:
        what = f'{condition.key} "{value}" is not a valid value for {condition.operator}'
        return ConditionFault(what, operator.family.hint, value)
    if found is not None:
        return ConditionFault(f'{condition.key} "{value}": {found.what}', found.hint, value, refused=False, doubtful=True)
    return None


def _meaning(name: str, operator: Operator, value: str, key: ConditionKey | None, partition: str) -> ConditionFault | None:
    """The fault of a value that the key never has in a request."""
    if not value or _WILD.search(value) or "${" in value or not operator.takes_variables:
        return None
    lower = name.lower()
    if lower == "aws:requestedregion":
        return _region(value, partition)
    if lower in _ACCOUNT_KEYS and not _ACCOUNT.fullmatch(value):
        return ConditionFault(f'{name} "{value}" is not an account ID', "write its 12 digits", value, refused=False)
    return _arn(value, key.name, partition) if key is not None and key.value_type == "ARN" else None


def _region(value: str, partition: str) -> ConditionFault | None:
    if not is_known_region(value):
        close = nearest_region(value, partition)
        hint = f"write {close}" if close else "write a Region of AWS"
        return ConditionFault(f'aws:RequestedRegion "{value}" is not a Region', hint, value, refused=False)
    if partition_of_region(value) not in {None, partition}:
        return ConditionFault(
            f'aws:RequestedRegion "{value}" is in another partition', f"write one of {partition}", value, refused=False
        )
    return None


def _arn(value: str, key: str, partition: str) -> ConditionFault | None:
    parsed = Arn.parse(value)
    if parsed is None:
        return ConditionFault(f'{key} "{value}" is not an ARN', ARN.hint, value, refused=False)
    if parsed.partition in PARTITIONS and parsed.partition != partition:
        what = f'{key} "{value}" is in partition {parsed.partition}, the role in {partition}'
        return ConditionFault(what, f"write arn:{partition}:{value.split(':', 2)[2]}", value, refused=False)
    return None


def _fit(condition: Condition, operator: Operator, key: ConditionKey) -> Iterator[ConditionFault]:
    fitting = operator.family.key_types
    if fitting is not None and key.value_type not in fitting:
        yield ConditionFault(
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
