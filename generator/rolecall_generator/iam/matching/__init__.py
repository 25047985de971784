"""Matching in policies: wildcards, condition operators, compiled conditions, and patterns as automata."""

from rolecall_generator.iam.matching.automata import (
    Automaton,
    Pattern,
    Patterns,
    ignoring_case,
    literal,
    outlines_of,
    patterns_of,
)
from rolecall_generator.iam.matching.conditions import (
    ARN,
    OPERATORS,
    Operator,
    OperatorUse,
    Test,
    Truth,
    UnsupportedError,
    compile_condition,
    find_operator,
    parse_operator,
)
from rolecall_generator.iam.matching.wildcards import (
    Context,
    PolicyTemplate,
    PolicyVariables,
    may_match,
    wildcard,
)

__all__ = [
    "ARN",
    "OPERATORS",
    "Automaton",
    "Context",
    "Operator",
    "OperatorUse",
    "Pattern",
    "Patterns",
    "PolicyTemplate",
    "PolicyVariables",
    "Test",
    "Truth",
    "UnsupportedError",
    "compile_condition",
    "find_operator",
    "ignoring_case",
    "literal",
    "may_match",
    "outlines_of",
    "parse_operator",
    "patterns_of",
    "wildcard",
]
