"""Small trust policies for the symbolic proof: an ordinary statement, others next to it, and short comparisons."""

from __future__ import annotations

from typing import Any

from policy_text import Conditions, document, statement
from rolecall_generator.iam import PolicyDocument, Role
from rolecall_generator.proof.symbolic import (
    Inclusion,
    InclusionState,
    RequestWitness,
    SearchBudget,
    World,
    compare,
)
from rolecall_generator.proof.symbolic.world import WORST_CASE

ROLE = Role("arn:aws:iam::222222222222:role/role1", None)
BACKEND = "arn:aws:iam::111111111111:role/backend_role"
EXTERNAL_ID = "0f0c4f7c1e6b4a1d9a52b7c3d8e9f101"
WITH_ID = f"StringEquals sts:ExternalId {EXTERNAL_ID}"
NO_CALLERS = document([])


ORDINARY = statement(BACKEND, WITH_ID)
ORDINARY_TRUST = document([ORDINARY])


def trust_policy(principal: Any, conditions: Conditions = None, **more: Any) -> PolicyDocument:
    """The trust policy with one Allow."""
    return document([statement(principal, conditions, **more)])


def inclusion(
    one: PolicyDocument,
    other: PolicyDocument,
    role: Role = ROLE,
    *,
    world: World = WORST_CASE,
    other_world: World | None = None,
) -> Inclusion:
    """Whether `one` is included in `other`, without a limit of time."""
    budget = SearchBudget(seconds=None)
    return compare(role, one, other, world=world, other_world=other_world, budget=budget).forward


def surplus_of(*statements: dict[str, Any], role: Role = ROLE) -> Inclusion:
    """Whether the ordinary trust includes itself with other statements next to it."""
    return inclusion(document([ORDINARY, *statements]), ORDINARY_TRUST, role)


def witness_of(found: Inclusion) -> RequestWitness:
    """The witness of a refuted inclusion."""
    assert found.state is InclusionState.REFUTED, found
    assert found.witness is not None
    return found.witness


def is_proven(found: Inclusion) -> bool:
    return found.state is InclusionState.PROVEN
