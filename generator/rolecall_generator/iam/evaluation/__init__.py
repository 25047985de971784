"""The policy evaluator: the decision of IAM on a request, its callers and their policies."""

from rolecall_generator.iam.evaluation.compiled import CompiledStatement, Compiler, Placed, Say, Side, scan
from rolecall_generator.iam.evaluation.condition_patterns import Shape, patterns_of, variables_of
from rolecall_generator.iam.evaluation.conditions import Truth, compile_condition
from rolecall_generator.iam.evaluation.evaluator import ASSUME_ROLE, FEDERATED_ASSUME, Decision, Effect, Evaluator, Request
from rolecall_generator.iam.evaluation.matching import may_match, name_matcher, wildcard
from rolecall_generator.iam.evaluation.operators import (
    ARN,
    OPERATORS,
    Operator,
    UnsupportedError,
    find_operator,
    parse_operator,
)
from rolecall_generator.iam.evaluation.patterns import Automaton, Patterns, literal
from rolecall_generator.iam.evaluation.principals import Identity, PrincipalKind, identity_of
from rolecall_generator.iam.evaluation.request_context import BUILT_IN, Caller, Callers, IdentitySide, principal_context

__all__ = [
    "ARN",
    "ASSUME_ROLE",
    "BUILT_IN",
    "FEDERATED_ASSUME",
    "OPERATORS",
    "Automaton",
    "Caller",
    "Callers",
    "CompiledStatement",
    "Compiler",
    "Decision",
    "Effect",
    "Evaluator",
    "Identity",
    "IdentitySide",
    "Operator",
    "Patterns",
    "Placed",
    "PrincipalKind",
    "Request",
    "Say",
    "Shape",
    "Side",
    "Truth",
    "UnsupportedError",
    "compile_condition",
    "find_operator",
    "identity_of",
    "literal",
    "may_match",
    "name_matcher",
    "parse_operator",
    "patterns_of",
    "principal_context",
    "scan",
    "variables_of",
    "wildcard",
]
