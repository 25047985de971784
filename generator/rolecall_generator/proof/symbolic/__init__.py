"""Exact comparison of trust policies over all requests: who, in all of AWS, can assume a role, with which request.

`compare` decides whether two policies allow the same requests and gives a request as an example where they do not.
`difference` enumerates the difference as disjoint sets. `prove_roles` compares roles with their intents:

    for proof in prove_roles(access, {arn: [Trust(subject, arn, callers, external_id)]}):
        if proof.comparison.forward.state is InclusionState.REFUTED:
            print(proof.comparison.forward.witness.shell_command)

`RequestSets` tells whether several policies have a request in common.

What AWS does not document, and what exceeds the budget, is UNKNOWN with the reason.
"""

from rolecall_generator.proof.symbolic.action_space import ActionForms, ActionScope, ResourceOwner
from rolecall_generator.proof.symbolic.budget import OutOfBudgetError, SearchBudget
from rolecall_generator.proof.symbolic.certificate import make_certificate
from rolecall_generator.proof.symbolic.limits import LimitAnswer, LimitChange, LimitState, compare_limits, limit_permission
from rolecall_generator.proof.symbolic.question import (
    Inclusion,
    InclusionState,
    RegionComparison,
    RequestDifference,
    RequestSets,
    RoleProof,
    compare,
    difference,
    prove_roles,
)
from rolecall_generator.proof.symbolic.witness import RequestWitness
from rolecall_generator.proof.symbolic.wording import BoxConstraint
from rolecall_generator.proof.symbolic.world import OrganizationMembership, Trust, World

__all__ = [
    "ActionForms",
    "ActionScope",
    "BoxConstraint",
    "Inclusion",
    "InclusionState",
    "LimitAnswer",
    "LimitChange",
    "LimitState",
    "OrganizationMembership",
    "OutOfBudgetError",
    "RegionComparison",
    "RequestDifference",
    "RequestSets",
    "RequestWitness",
    "ResourceOwner",
    "RoleProof",
    "SearchBudget",
    "Trust",
    "World",
    "compare",
    "compare_limits",
    "difference",
    "limit_permission",
    "make_certificate",
    "prove_roles",
]
