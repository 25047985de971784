"""The values of a condition as patterns for automata, for those conditions that have any."""

from __future__ import annotations

from collections.abc import Set
from enum import Enum
from functools import lru_cache

from rolecall_generator.iam import Condition
from rolecall_generator.iam.matching.automata import Pattern, Patterns, glob, glob_of_components, ignoring_case, literal
from rolecall_generator.iam.matching.conditions import arn_components
from rolecall_generator.iam.matching.operators import TextMatch, UnsupportedError, find_operator
from rolecall_generator.iam.matching.wildcards import ARN_COLONS, Context, PolicyTemplate


class NoPatterns(Enum):
    """Why a condition has no patterns."""

    NONE_NEEDED = "the condition does not distinguish values of its key"
    RELATION = "the condition compares two keys of the request with each other"
    OTHER_OPERATOR = "the operator compares numbers, dates, addresses or bytes"


def variables_of(condition: Condition) -> frozenset[str]:
    """The context keys (lower case) of the policy variables in the values.

    Raises UnsupportedError for an invalid variable.
    """
    use = find_operator(condition.operator)
    if use is None or not use.operator.takes_variables:
        return frozenset()
    try:
        return frozenset(
            variable.key for value in condition.values if "${" in value for variable in PolicyTemplate(value).variables
        )
    except ValueError as error:
        raise UnsupportedError(str(error)) from error


def patterns_of(condition: Condition, stated: Context, varying: Set[str], *, variables: bool) -> Patterns | NoPatterns:
    """The patterns that the condition compares its key with, whether negated or not.

    `stated` has the values of policy variables; `varying` are the keys whose values are searched. `variables`: the
    document's version supports policy variables. Raises UnsupportedError for an undocumented operator or value.
    """
    use = find_operator(condition.operator)
    if use is not None and use.operator.compare is None:
        return NoPatterns.NONE_NEEDED
    match = use.operator.text if use is not None else None
    if match is None:
        return NoPatterns.OTHER_OPERATOR
    templates = variables and any("${" in value for value in condition.values)
    if not templates:
        return _plain_patterns(match, condition.values)
    names = variables_of(condition)
    if names & varying:
        return NoPatterns.RELATION
    if not names <= stated.keys():
        return NoPatterns.NONE_NEEDED
    filled = (_filled(match, value, stated) for value in condition.values)
    return frozenset(pattern for pattern in filled if pattern is not None)


def outlines_of(condition: Condition) -> tuple[Pattern, ...]:
    """For each value the pattern with `*` in place of every variable: all strings that the value can match.

    Raises UnsupportedError for an operator without patterns, or an invalid variable.
    """
    use = find_operator(condition.operator)
    if use is None or use.operator.text is None:
        raise UnsupportedError(f"{condition.operator} has no patterns")
    try:
        return tuple(_outline(use.operator.text, value) for value in condition.values)
    except ValueError as error:
        raise UnsupportedError(str(error)) from error


def _outline(match: TextMatch, value: str) -> Pattern:
    if match is TextMatch.ARN:
        return glob_of_components(PolicyTemplate(part).outline(wildcards=True) for part in arn_components(value))
    tokens = PolicyTemplate(value).outline(wildcards=match is TextMatch.WILDCARDS)
    if match is not TextMatch.IGNORE_CASE:
        return glob(tokens)
    parts = (ignoring_case(token[1:]) if token.startswith("\0") else glob(token) for token in tokens)
    return tuple(each for part in parts for each in part)


@lru_cache(maxsize=4_096)
def _plain_patterns(match: TextMatch, values: tuple[str, ...]) -> Patterns:
    """Cached, so that 10,000 roles with the same condition share one set, which is hashed once."""
    return frozenset(_plain(match, value) for value in values)


def _plain(match: TextMatch, value: str) -> Pattern:
    if match is TextMatch.EXACT:
        return literal(value)
    if match is TextMatch.IGNORE_CASE:
        return ignoring_case(value)
    if match is TextMatch.WILDCARDS:
        return glob(_tokens(value))
    return glob_of_components(map(_tokens, value.split(":", ARN_COLONS)))


def _tokens(value: str) -> list[str]:
    return [letter if letter in "*?" else "\0" + letter for letter in value]


def _filled(match: TextMatch, value: str, stated: Context) -> Pattern | None:
    """The pattern of a value with variables; None if a variable has no value, so that nothing matches."""
    if match is TextMatch.ARN:
        parts = [PolicyTemplate(component).fill(stated) for component in arn_components(value)]
        return (
            None if any(part is None for part in parts) else glob_of_components(part for part in parts if part is not None)
        )
    if match is TextMatch.WILDCARDS:
        tokens = PolicyTemplate(value).fill(stated)
        return None if tokens is None else glob(tokens)
    text = PolicyTemplate(value).literal(stated)
    if text is None:
        return None
    return literal(text) if match is TextMatch.EXACT else ignoring_case(text)
