"""Comparisons of one request value with a policy's values, one for each family of condition operators.

Quotations are from the IAM User Guide, "IAM JSON policy elements: Condition operators", looked up in November 2026.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rolecall_generator.iam.matching import ARN_COLONS, arn_like, wildcard

Compare = Callable[[str], bool]


class UnsupportedError(ValueError):
    """The condition is not one that AWS documents; the text says why."""


# DateEquals: "Matching a specific date"; DateLessThanEquals: "Matching at or before a specific date and time"; ...
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": lambda have, want: bool(have == want),
    "LessThan": lambda have, want: bool(have < want),
    "LessThanEquals": lambda have, want: bool(have <= want),
    "GreaterThan": lambda have, want: bool(have > want),
    "GreaterThanEquals": lambda have, want: bool(have >= want),
}


def compare_values(operator: str, values: tuple[str, ...]) -> Compare:
    """True when any of the policy's values takes the request's value; UnsupportedError for what AWS does not document."""
    make = _FAMILIES.get(operator)
    if make is not None:
        return make(values)
    for family, read in (("Numeric", _number), ("Date", _moment)):
        order = operator.removeprefix(family)
        if order != operator and order in _ORDER:
            return _ordered(order, values, read)
    raise UnsupportedError(f"unknown condition operator {operator}")


def _equal(values: tuple[str, ...]) -> Compare:
    """StringEquals: "Exact matching, case sensitive"."""
    return frozenset(values).__contains__


def _like(values: tuple[str, ...]) -> Compare:
    """StringLike: "Case-sensitive matching. The values can include multi-character match wildcards (*) and
    single-character match wildcards (?) anywhere in the string."
    """
    return _any(tuple(wildcard(value) for value in values))


def _arn(values: tuple[str, ...]) -> Compare:
    """ARN operators: "The ArnEquals and ArnLike condition operators behave identically."; both need all six components."""
    if any(value.count(":") < ARN_COLONS for value in values):
        raise UnsupportedError("an ARN operator compares six components and a value has fewer")
    return _any(tuple(arn_like(value) for value in values))


def _any(matchers: tuple[Compare, ...]) -> Compare:
    return matchers[0] if len(matchers) == 1 else lambda value: any(matcher(value) for matcher in matchers)


def _ignoring_case(values: tuple[str, ...]) -> Compare:
    wanted = frozenset(value.lower() for value in values)
    return lambda value: value.lower() in wanted


def _bool(values: tuple[str, ...]) -> Compare:
    """Bool: a comparison with "true" or "false", in our words; other values are refused."""
    if not {value.lower() for value in values} <= {"true", "false"}:
        raise UnsupportedError('Bool compares with "true" or "false" alone')
    return _ignoring_case(values)


def _ip(values: tuple[str, ...]) -> Compare:
    """IpAddress: "The value must be in the standard CIDR format". "If you specify an IP address without the associated
    routing prefix, IAM uses the default prefix value of /32." A single IPv6 address is taken as itself, too.
    """
    try:
        networks = tuple(ipaddress.ip_network(value, strict=False) for value in values)
    except ValueError as error:
        raise UnsupportedError(f"not an address range: {error}") from error

    def match(value: str) -> bool:
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return False
        return any(address in network for network in networks)

    return match


def _binary(values: tuple[str, ...]) -> Compare:
    """BinaryEquals: "It compares the value of the specified key byte for byte against a base-64 encoded representation of
    the binary value in the policy." The request's value is held as base-64 text too.
    """
    try:
        wanted = frozenset(base64.b64decode(value, validate=True) for value in values)
    except ValueError as error:
        raise UnsupportedError(f"BinaryEquals needs base-64: {error}") from error

    def match(value: str) -> bool:
        try:
            return base64.b64decode(value, validate=True) in wanted
        except ValueError:
            return False

    return match


def _ordered(order: str, values: tuple[str, ...], read: Callable[[str], Any]) -> Compare:
    """A comparison of numbers or moments; a request value that is none does not match."""
    wanted = tuple(read(value) for value in values)
    if any(want is None for want in wanted):
        raise UnsupportedError(f"{values[0]!r} is neither a number nor a date that the operator takes")
    holds = _ORDER[order]

    def match(value: str) -> bool:
        have = read(value)
        return have is not None and any(holds(have, want) for want in wanted)

    return match


_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


def _number(text: str) -> Decimal | None:
    """As documented: "comparing a key to an integer or decimal value" """  # fmt: skip
    # Decimal also takes underscores and digits of other scripts.
    return Decimal(text.strip()) if _NUMBER.fullmatch(text.strip()) else None


_MONTH = re.compile(r"^\d{4}(-\d{2})?$")
_EPOCH = re.compile(r"^-?\d{5,}(\.\d+)?$|^\d{1,3}$")


def _moment(text: str) -> float | None:
    """Seconds since 1970. "You must specify date/time values with one of the W3C implementations of the ISO 8601 date
    formats or in epoch (UNIX) time." Four digits are a year; a date without a zone is UTC.
    """  # fmt: skip
    if _EPOCH.match(text) and not re.fullmatch(r"\d{8}", text):
        return float(text)
    if _MONTH.match(text):
        text = f"{text}-01" if "-" in text else f"{text}-01-01"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_FAMILIES: dict[str, Callable[[tuple[str, ...]], Compare]] = {
    "StringEquals": _equal,
    "StringEqualsIgnoreCase": _ignoring_case,
    "StringLike": _like,
    "ArnEquals": _arn,
    "ArnLike": _arn,
    "Bool": _bool,
    "IpAddress": _ip,
    "BinaryEquals": _binary,
}
