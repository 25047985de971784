"""The policy evaluator: the decision of IAM on a request, its callers and their policies."""

from rolecall_generator.iam.evaluation.compiled import CompiledStatement, Compiler, Placed, Say, Side, scan
from rolecall_generator.iam.evaluation.evaluator import ASSUME_ROLE, FEDERATED_ASSUME, Decision, Effect, Evaluator, Request
from rolecall_generator.iam.evaluation.principals import Identity, PrincipalKind, identity_of
from rolecall_generator.iam.evaluation.request_context import BUILT_IN, Caller, Callers, IdentitySide, principal_context

__all__ = [
    "ASSUME_ROLE",
    "BUILT_IN",
    "FEDERATED_ASSUME",
    "Caller",
    "Callers",
    "CompiledStatement",
    "Compiler",
    "Decision",
    "Effect",
    "Evaluator",
    "Identity",
    "IdentitySide",
    "Placed",
    "PrincipalKind",
    "Request",
    "Say",
    "Side",
    "identity_of",
    "principal_context",
    "scan",
]
