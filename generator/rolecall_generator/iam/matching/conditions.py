"""The registry of IAM's condition operators, and conditions compiled to tests of a request context.

Manifest validation, evaluation, proof and descriptions derive from `OPERATORS`.
Quotations are from the IAM User Guide, November 2026: "IAM JSON policy elements: Condition operators" unless another page
is given.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from functools import lru_cache, partial
from typing import Any

from rolecall_generator.iam import Condition
from rolecall_generator.iam.matching.wildcards import (
    ARN_COLONS,
    Context,
    PolicyTemplate,
    arn_like,
    components_matcher,
    wildcard,
)

Compare = Callable[[str], bool]


class UnsupportedError(ValueError):
    """A condition that AWS does not document; the message is the reason."""


class TextMatch(Enum):
    """How an operator for strings or ARNs matches one value of the policy."""

    EXACT = "exact"
    IGNORE_CASE = "ignoring case"
    WILDCARDS = "with wildcards"
    ARN = "with wildcards, by ARN component"


@dataclass(frozen=True, slots=True)
class Family:
    """Operators that compare values of the same type. `hint` describes the format of a value.

    `key_types` are the types of condition keys (Service Authorization Reference) that the operators support; None: any.
    `parse` reads a value of a family whose values are ordered and returns None for an invalid one.
    """

    name: str
    hint: str = ""
    key_types: frozenset[str] | None = None
    parse: Callable[[str], Any] | None = None


@dataclass(frozen=True, slots=True)
class Operator:
    """A condition operator without set prefix and `IfExists`.

    `compare` returns, for the policy's values, a test of one request value; it raises UnsupportedError for an invalid value.
    It is None for Null, which tests whether the key is present. `negated`: the condition holds if `compare` does not. `text`
    is None for operators that do not compare strings or ARNs. `describe` returns a short description from the key's display
    name and the values; None: the display name followed by the operator.
    """

    name: str
    family: Family
    compare: Callable[[tuple[str, ...]], Compare] | None
    negated: bool = False
    text: TextMatch | None = None
    describe: Callable[[str, tuple[str, ...]], str] | None = None

    @property
    def takes_variables(self) -> bool:
        """Whether values can have policy variables.

        "You can use a policy variable for Condition values in any condition that involves the string operators or the ARN
        operators." "You can't use a policy variable with other operators, such as Numeric, Date, Boolean, Binary, IP
        Address, or Null operators." (IAM policy elements: Variables and tags). The page on operators contradicts this for
        Bool, where variables are therefore rejected.
        """
        return self.text is not None


@dataclass(frozen=True, slots=True)
class OperatorUse:
    """An operator as used in a policy: with set prefix (`ForAllValues`, `ForAnyValue`) and `IfExists`."""

    operator: Operator
    quantifier: str | None = None
    if_exists: bool = False

    @property
    def holds_when_absent(self) -> bool:
        """Whether the condition holds for a request without the key; not meaningful for Null, which depends on its value.

        "If the key that you specify in a policy condition is not present in the request context, the values do not match
        and the condition is false. If the policy condition requires that the key is not matched, such as StringNotLike or
        ArnNotLike, and the right key is not present, the condition is true." ...IfExists: "If the key is not present,
        evaluate the condition element as true." ForAllValues "also returns true if there are no context keys in the
        request." ForAnyValue: "For no matching context key or if the key does not exist, the condition returns false."
        (Single-valued vs. multivalued context keys)
        """
        if self.quantifier == "ForAllValues":
            return True
        return self.if_exists or (self.operator.negated and self.quantifier is None)


def find_operator(text: str, *, any_case: bool = False) -> OperatorUse | None:
    """The operator `text` of a policy; None if IAM does not document it. `any_case`: ignore case.

    "You can add IfExists to the end of any condition operator name except the Null condition—for example,
    StringLikeIfExists." Null has no documented set prefix either.
    """
    quantifier, name, if_exists = _split(text, any_case)
    operator = OPERATORS.get(name)
    if operator is None and any_case:
        operator = next((found for found in OPERATORS.values() if found.name.lower() == name.lower()), None)
    if operator is None or (operator.compare is None and (quantifier or if_exists)):
        return None
    return OperatorUse(operator, quantifier, if_exists)


def parse_operator(text: str) -> OperatorUse:
    """As `find_operator`, case-sensitive. Raises UnsupportedError for an undocumented operator."""
    use = find_operator(text)
    if use is None:
        raise UnsupportedError(f"unknown condition operator {text}")
    return use


_FORM = r"(?:(?:(ForAllValues)|(ForAnyValue)):)?([A-Za-z]+?)(IfExists)?"


@lru_cache(maxsize=1_024)
def _split(text: str, any_case: bool) -> tuple[str | None, str, bool]:
    """Set prefix, name and whether `IfExists` follows; the whole text as the name if it does not have that form."""
    parsed = re.fullmatch(_FORM, text, re.IGNORECASE if any_case else 0)
    if parsed is None:
        return None, text, False
    for_all, for_any, name, if_exists = parsed.groups()
    return "ForAllValues" if for_all else "ForAnyValue" if for_any else None, name, bool(if_exists)


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
    expected = frozenset(value.lower() for value in values)
    return lambda value: value.lower() in expected


def _bool(values: tuple[str, ...]) -> Compare:
    """Bool: a comparison with "true" or "false", ignoring case; other values are rejected."""
    if not {value.lower() for value in values} <= {"true", "false"}:
        raise UnsupportedError('Bool only supports the values "true" and "false"')
    return _ignoring_case(values)


_CIDR = re.compile(r"[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?")


def _ip(values: tuple[str, ...]) -> Compare:
    """IpAddress: "The value must be in the standard CIDR format". "If you specify an IP address without the associated
    routing prefix, IAM uses the default prefix value of /32." An IPv6 address without prefix matches only itself.
    """
    try:
        # Python also takes a netmask after the slash.
        if found := next((value for value in values if not _CIDR.fullmatch(value)), None):
            raise ValueError(f"{found!r} is not in CIDR format")
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
    the binary value in the policy." The request's value is base-64 too.
    """
    try:
        expected = frozenset(base64.b64decode(value, validate=True) for value in values)
    except ValueError as error:
        raise UnsupportedError(f"BinaryEquals needs base-64: {error}") from error

    def match(value: str) -> bool:
        try:
            return base64.b64decode(value, validate=True) in expected
        except ValueError:
            return False

    return match


def _ordered(order: str, read: Callable[[str], Any], values: tuple[str, ...]) -> Compare:
    """A comparison of numbers or dates; a request value that `read` cannot parse does not match."""
    expected = tuple(read(value) for value in values)
    if any(want is None for want in expected):
        raise UnsupportedError(f"{values[0]!r} is not a valid number or date for the operator")
    holds = _ORDER[order]

    def match(value: str) -> bool:
        have = read(value)
        return have is not None and any(holds(have, want) for want in expected)

    return match


_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


def _number(text: str) -> Decimal | None:
    """As documented: "comparing a key to an integer or decimal value" """  # fmt: skip
    # Decimal also takes underscores and digits of other scripts.
    return Decimal(text.strip()) if _NUMBER.fullmatch(text.strip()) else None


_MONTH = re.compile(r"[0-9]{4}(-[0-9]{2})?")
_EPOCH = re.compile(r"-?[0-9]{5,}(\.[0-9]+)?|[0-9]{1,3}")
_EIGHT_DIGITS = re.compile(r"[0-9]{8}")
_W3C = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?")


def _moment(text: str) -> float | None:
    """Seconds since 1970. "You must specify date/time values with one of the W3C implementations of the ISO 8601 date
    formats or in epoch (UNIX) time." Four digits are a year; a date without a zone is UTC. Eight digits are neither: a date
    in ISO 8601, and seconds since 1970.
    """  # fmt: skip
    if _EPOCH.fullmatch(text) and not _EIGHT_DIGITS.fullmatch(text):
        return float(text)
    if not _W3C.fullmatch(text):
        return None
    if _MONTH.fullmatch(text):
        text = f"{text}-01" if "-" in text else f"{text}-01-01"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


# DateEquals: "Matching a specific date"; DateLessThanEquals: "Matching at or before a specific date and time"; ...
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": lambda have, want: bool(have == want),
    "LessThan": lambda have, want: bool(have < want),
    "LessThanEquals": lambda have, want: bool(have <= want),
    "GreaterThan": lambda have, want: bool(have > want),
    "GreaterThanEquals": lambda have, want: bool(have >= want),
}


def _key_only(key: str, _values: tuple[str, ...]) -> str:
    return key


def _unless_true(key: str, values: tuple[str, ...]) -> str:
    return key if values == ("true",) else f"{key} = {', '.join(values)}"


def _like_values(key: str, values: tuple[str, ...]) -> str:
    return f"{key} like {', '.join(values)}" if any("*" in value for value in values) else key


# String operators apply to values of any type. Some keys of type String contain an ARN, an address range or a bool; Date
# and Numeric both accept seconds since 1970 (aws:EpochTime).
STRING = Family("String")
NUMERIC = Family("Numeric", "write a number, as in 10", frozenset({"Numeric", "Date"}), _number)
DATE = Family(
    "Date", "write a date as in 2027-01-31T00:00:00Z, or seconds since 1970", frozenset({"Date", "Numeric"}), _moment
)
BOOL = Family("Bool", 'write "true" or "false"', frozenset({"Bool", "String"}))
BINARY = Family("Binary", "write base-64", frozenset({"Binary", "String"}))
IP_ADDRESS = Family("IpAddress", "write an address range, as in 203.0.113.0/24", frozenset({"IPAddress", "String"}))
ARN = Family(
    "Arn",
    "write all six parts of an ARN, with * for any value: arn:aws:iam::222222222222:role/*",
    frozenset({"ARN", "String"}),
)
NULL = Family("Null", 'write "true" (the key is absent) or "false" (the key is present)')


def _ordered_operators(family: Family, read: Callable[[str], Any]) -> list[Operator]:
    compare = {order: partial(_ordered, order, read) for order in _ORDER}
    return [
        Operator(f"{family.name}Equals", family, compare["Equals"]),
        Operator(f"{family.name}NotEquals", family, compare["Equals"], negated=True),
        *(Operator(f"{family.name}{order}", family, compare[order]) for order in _ORDER if order != "Equals"),
    ]


OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for operator in (
        Operator("StringEquals", STRING, _equal, text=TextMatch.EXACT, describe=_key_only),
        Operator("StringNotEquals", STRING, _equal, negated=True, text=TextMatch.EXACT),
        Operator("StringEqualsIgnoreCase", STRING, _ignoring_case, text=TextMatch.IGNORE_CASE),
        Operator("StringNotEqualsIgnoreCase", STRING, _ignoring_case, negated=True, text=TextMatch.IGNORE_CASE),
        Operator("StringLike", STRING, _like, text=TextMatch.WILDCARDS, describe=_like_values),
        Operator("StringNotLike", STRING, _like, negated=True, text=TextMatch.WILDCARDS),
        *_ordered_operators(NUMERIC, _number),
        *_ordered_operators(DATE, _moment),
        Operator("Bool", BOOL, _bool, describe=_unless_true),
        Operator("BinaryEquals", BINARY, _binary),
        Operator("IpAddress", IP_ADDRESS, _ip, describe=_key_only),
        Operator("NotIpAddress", IP_ADDRESS, _ip, negated=True),
        Operator("ArnEquals", ARN, _arn, text=TextMatch.ARN, describe=_key_only),
        Operator("ArnLike", ARN, _arn, text=TextMatch.ARN, describe=_key_only),
        Operator("ArnNotEquals", ARN, _arn, negated=True, text=TextMatch.ARN),
        Operator("ArnNotLike", ARN, _arn, negated=True, text=TextMatch.ARN),
        Operator("Null", NULL, None),
    )
}
"""All condition operators of IAM, by name."""


class Truth(IntEnum):
    """Outcome of a test. UNDECIDED: AWS does not document the outcome."""

    FALSE = 0
    TRUE = 1
    UNDECIDED = 2


@dataclass(frozen=True, slots=True)
class Test:
    """A compiled condition on `key` (lower case). `variables` are the context keys of variables in its values."""

    key: str
    run: Callable[[Context], Truth]
    variables: tuple[str, ...] = ()


def compile_condition(condition: Condition, *, variables: bool) -> Test:
    """Compile one condition. `variables`: the document's version supports policy variables.

    Raises UnsupportedError for an undocumented operator or value.
    """
    use = parse_operator(condition.operator)
    key = condition.key.lower()
    if not condition.values:
        raise UnsupportedError(f"{condition.operator} on {condition.key} has no value")
    if use.operator.compare is None:
        return Test(key, _null(key, condition.values))
    templates = _templates(condition.values, use.operator.text) if variables and use.operator.text is not None else ()
    if templates:
        names = tuple(variable.key for template in templates for variable in template.variables)
        return Test(key, _run_filled(key, use, templates, names), names)
    return Test(key, _run(key, use, use.operator.compare(condition.values)))


def _templates(values: tuple[str, ...], match: TextMatch) -> tuple[PolicyTemplate, ...]:
    """The values as templates if any of them has a variable, otherwise empty."""
    if not any("${" in value for value in values):
        return ()
    try:
        templates = tuple(PolicyTemplate(value) for value in values)
        if match in {TextMatch.WILDCARDS, TextMatch.ARN}:
            for template in templates:
                template.check_defaults()
        return templates
    except ValueError as error:
        raise UnsupportedError(str(error)) from error


def _run(key: str, use: OperatorUse, compare: Compare) -> Callable[[Context], Truth]:
    """A test of the request's values with `compare`, which is true if any value of the policy matches."""
    negated, absent = use.operator.negated, Truth(use.holds_when_absent)
    # ForAllValues: "The condition returns true if every context key value in the request matches a context key value in
    # the policy. It also returns true if there are no context keys in the request." ForAnyValue: "For no matching context
    # key or if the key does not exist, the condition returns false." (Single-valued vs. multivalued context keys). An
    # empty string counts as no value: "or if the context key value resolves to a null dataset, such as an empty string"
    # (Multivalued context key examples).
    if use.quantifier == "ForAllValues":

        def every(context: Context) -> Truth:
            values = context.get(key, ())
            return Truth(all(compare(value) != negated for value in values if value != "" or len(values) > 1))

        return every
    if use.quantifier == "ForAnyValue":

        def some(context: Context) -> Truth:
            values = context.get(key, ())
            if not values:
                return absent
            return Truth(any(compare(value) != negated for value in values if value != "" or len(values) > 1))

        return some

    def single(context: Context) -> Truth:
        values = context.get(key, ())
        if not values:
            return absent
        if len(values) > 1:
            # "Multivalued context keys require a condition set operator." (Single-valued vs. multivalued context keys)
            # The outcome without one is not documented.
            return Truth.UNDECIDED
        # "If a single negated matching condition operator includes multiple values for a context key, those values are
        # evaluated using a logical NOR." (Conditions with multiple context keys or values)
        return Truth.TRUE if compare(values[0]) != negated else Truth.FALSE

    return single


def _run_filled(
    key: str, use: OperatorUse, templates: tuple[PolicyTemplate, ...], names: tuple[str, ...]
) -> Callable[[Context], Truth]:
    """As `_run`, for values with variables, which are filled for each request.

    A variable without a value matches nothing: "operators like StringEquals or StringLike do not match, and the policy
    statement does not take effect." "Inverted condition operators like StringNotEquals or StringNotLike do match against a
    null value" (IAM policy elements: Variables and tags, Policy variables with no value).
    """

    def run(context: Context) -> Truth:
        if use.if_exists and not context.get(key):
            return Truth.TRUE
        if any(len(context.get(name, ())) > 1 for name in names):
            # "You can't use a multivalued condition key as a variable." The outcome is not documented.
            return Truth.UNDECIDED
        compares = [c for template in templates if (c := _filled_compare(use.operator.text, template, context)) is not None]
        truth = _run(key, use, lambda value: any(c(value) for c in compares))(context)
        if truth is Truth.TRUE and not use.operator.negated and len(compares) < len(templates):
            # One value matches, another is null: true by "evaluated using a logical OR", false by "does not take effect".
            return Truth.UNDECIDED
        return truth

    return run


def _filled_compare(match: TextMatch | None, template: PolicyTemplate, context: Context) -> Compare | None:
    if match is TextMatch.WILDCARDS:
        return template.matcher(context)
    if match is TextMatch.ARN:
        return _filled_arn(template, context)
    text = template.literal(context)
    if text is None:
        return None
    if match is TextMatch.EXACT:
        return text.__eq__
    lower = text.lower()
    return lambda value: value.lower() == lower


def _filled_arn(template: PolicyTemplate, context: Context) -> Compare | None:
    """An ARN pattern with variables. The components are split first, so that a value cannot add one."""
    found = [PolicyTemplate(part).matcher(context) for part in arn_components(template.text)]
    matchers = [matcher for matcher in found if matcher is not None]
    return components_matcher(matchers) if len(matchers) == len(found) else None


def arn_components(text: str) -> list[str]:
    """The six components of an ARN pattern; colons inside `${...}` do not separate components."""
    parts, depth = [""], 0
    for index, character in enumerate(text):
        if character == "{" and index and text[index - 1] == "$":
            depth = 1
        elif character == "}":
            depth = 0
        if character == ":" and not depth and len(parts) <= ARN_COLONS:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _null(key: str, values: tuple[str, ...]) -> Callable[[Context], Truth]:
    """Null: "use either true (the key doesn't exist — it is null) or false (the key exists and its value is not null)"."""
    expected = {value.lower() for value in values}
    if not expected <= {"true", "false"}:
        raise UnsupportedError('Null only supports the values "true" and "false"')

    def run(context: Context) -> Truth:
        present = any(context.get(key, ()))
        return Truth(("false" if present else "true") in expected)

    return run
