"""The policy evaluator: the decision of IAM on a request, its callers and their policies."""

from rolecall_generator.iam.evaluation.compiled import (
    CompiledStatement,
    Compiler,
    Identity,
    NamedDocument,
    PolicyOutcome,
    PolicyType,
    PrincipalKind,
    PrincipalReach,
    identity_of,
    scan_documents,
)
from rolecall_generator.iam.evaluation.evaluator import ASSUME_ROLE, FEDERATED_ASSUME, Decision, Effect, Evaluator, Request
from rolecall_generator.iam.evaluation.request_context import (
    AWS_MANAGED_DOCUMENTS,
    SET_SOURCE_IDENTITY,
    TAG_SESSION,
    Caller,
    CallerProfiles,
    IdentitySide,
    principal_context,
)

__all__ = [
    "ASSUME_ROLE",
    "AWS_MANAGED_DOCUMENTS",
    "FEDERATED_ASSUME",
    "SET_SOURCE_IDENTITY",
    "TAG_SESSION",
    "Caller",
    "CallerProfiles",
    "CompiledStatement",
    "Compiler",
    "Decision",
    "Effect",
    "Evaluator",
    "Identity",
    "IdentitySide",
    "NamedDocument",
    "PolicyOutcome",
    "PolicyType",
    "PrincipalKind",
    "PrincipalReach",
    "Request",
    "identity_of",
    "principal_context",
    "scan_documents",
]
