"""What a condition compares a key with, as patterns; which conditions can be written so is said here and nowhere else."""

from __future__ import annotations

from collections.abc import Set
from enum import Enum
from functools import lru_cache

from rolecall_generator.iam.comparisons import UnsupportedError
from rolecall_generator.iam.conditions import TEXT_OPERATORS, arn_components, plain_operator
from rolecall_generator.iam.matching import ARN_COLONS, Context, Template
from rolecall_generator.iam.patterns import Pattern, Patterns, glob, glob_of_components, ignoring_case, literal
from rolecall_generator.iam.policy import Condition


class Shape(Enum):
    """Why a condition has no patterns."""

    NONE_NEEDED = "the condition does not tell values of its key apart"
    RELATION = "the condition compares two keys of the request with each other"
    OTHER_OPERATOR = "the operator compares numbers, dates, addresses or bytes"


def variables_of(condition: Condition) -> frozenset[str]:
    """The context keys (lower case) that the values refer to. Raises UnsupportedError for what is no variable."""
    if plain_operator(condition.operator) not in TEXT_OPERATORS:
        return frozenset()
    try:
        return frozenset(
            variable.key for value in condition.values if "${" in value for variable in Template(value).variables
        )
    except ValueError as error:
        raise UnsupportedError(str(error)) from error


def patterns_of(condition: Condition, said: Context, varying: Set[str], *, variables: bool) -> Patterns | Shape:
    """The patterns that the condition holds its key against, negated or not.

    `said` has the values of the variables; `varying` are the keys whose values are searched. `variables`: the document's
    version knows policy variables. Raises UnsupportedError where the operator or a value is not documented.
    """
    operator = plain_operator(condition.operator)
    if operator == "Null":
        return Shape.NONE_NEEDED
    if operator not in TEXT_OPERATORS:
        return Shape.OTHER_OPERATOR
    templates = variables and any("${" in value for value in condition.values)
    if not templates:
        return _plain_patterns(operator, condition.values)
    names = variables_of(condition)
    if names & varying:
        return Shape.RELATION
    if not names <= said.keys():
        return Shape.NONE_NEEDED
    filled = (_filled(operator, value, said) for value in condition.values)
    return frozenset(pattern for pattern in filled if pattern is not None)


@lru_cache(maxsize=4_096)
def _plain_patterns(operator: str, values: tuple[str, ...]) -> Patterns:
    """Kept, since ten thousand roles with one condition then share one set, whose hash is made once."""
    return frozenset(_plain(operator, value) for value in values)


def _plain(operator: str, value: str) -> Pattern:
    if operator == "StringEquals":
        return literal(value)
    if operator == "StringEqualsIgnoreCase":
        return ignoring_case(value)
    if operator == "StringLike":
        return glob(_tokens(value))
    return glob_of_components(map(_tokens, value.split(":", ARN_COLONS)))


def _tokens(value: str) -> list[str]:
    return [letter if letter in "*?" else "\0" + letter for letter in value]


def _filled(operator: str, value: str, said: Context) -> Pattern | None:
    """A value with variables; None where one has no value, which matches nothing."""
    if operator in {"ArnEquals", "ArnLike"}:
        parts = [Template(component).fill(said) for component in arn_components(value)]
        return (
            None if any(part is None for part in parts) else glob_of_components(part for part in parts if part is not None)
        )
    if operator == "StringLike":
        tokens = Template(value).fill(said)
        return None if tokens is None else glob(tokens)
    text = Template(value).literal(said)
    if text is None:
        return None
    return literal(text) if operator == "StringEquals" else ignoring_case(text)
