"""Exact comparison of trust policies over all requests: who, in all of AWS, can assume a role, with which request.

`compare` decides whether two policies allow the same requests and gives a request as an example where they do not.
`difference` enumerates the difference as disjoint sets. `prove_roles` compares roles with their intents:

    for proof in prove_roles(access, {arn: [Trust(subject, arn, callers, external_id)]}):
        if proof.comparison.forward.state is InclusionState.REFUTED:
            print(proof.comparison.forward.witness.shell_command)

`RequestSets` tells whether several policies have a request in common.

What AWS does not document, and what exceeds the budget, is UNKNOWN with the reason.
"""

from rolecall_generator.proof.symbolic.budget import OutOfBudgetError, SearchBudget
from rolecall_generator.proof.symbolic.intent import Trust, intent_document, principal_of
from rolecall_generator.proof.symbolic.question import (
    Inclusion,
    InclusionState,
    RegionComparison,
    RequestDifference,
    RequestSets,
    RoleProof,
    TrustComparison,
    compare,
    difference,
    prove_roles,
)
from rolecall_generator.proof.symbolic.requests import RequestWitness, request_witness
from rolecall_generator.proof.symbolic.wording import BoxConstraint
from rolecall_generator.proof.symbolic.world import WORST_CASE, OrganizationMembership, PolicyLevel, World

__all__ = [
    "WORST_CASE",
    "BoxConstraint",
    "Inclusion",
    "InclusionState",
    "OrganizationMembership",
    "OutOfBudgetError",
    "PolicyLevel",
    "RegionComparison",
    "RequestDifference",
    "RequestSets",
    "RequestWitness",
    "RoleProof",
    "SearchBudget",
    "Trust",
    "TrustComparison",
    "World",
    "compare",
    "difference",
    "intent_document",
    "principal_of",
    "prove_roles",
    "request_witness",
]
