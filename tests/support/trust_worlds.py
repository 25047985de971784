"""A customer's role that one backend role may assume, with any trust statements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from policy_text import document, statement
from rolecall_generator.iam import Access, Role
from rolecall_generator.proof import Inclusion, Proof, Trust, prove
from rolecall_generator.proof.symbolic import SearchBudget, compare
from rolecall_generator.proof.symbolic.world import intent_document

BACKEND = "111111111111"
CUSTOMER = "222222222222"
CALLER = f"arn:aws:iam::{BACKEND}:role/backend_role"
ROLE = f"arn:aws:iam::{CUSTOMER}:role/role1"
EXTERNAL_ID = "0f0c5a6e8d2b4c7f9a1e3b5d7f9a1c3e"
OTHERS_ID = "11111111111111111111111111111111"
OTHERS_ROLE = "arn:aws:iam::333333333333:role/role2"
WITH_ID = f"StringEquals sts:ExternalId {EXTERNAL_ID}"
TRUSTS = (Trust("account1", ROLE, (CALLER,), EXTERNAL_ID), Trust("account2", OTHERS_ROLE, (CALLER,), OTHERS_ID))


ORDINARY = statement(CALLER, WITH_ID)
"""The intended trust."""
INTENT = intent_document(TRUSTS[:1])


def surplus(statements: Iterable[Mapping[str, Any]]) -> Inclusion:
    """Whether a trust policy allows intended requests only, without a limit of time."""
    return compare(Role(ROLE, None), document(statements), INTENT, budget=SearchBudget(seconds=None)).forward


def world(statements: Iterable[Mapping[str, Any]], tags: Mapping[str, str] | None = None) -> Access:
    """The backend role, the customer's role with these statements as its trust policy, and another customer's role."""
    grant = document([{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}])
    return Access.of(
        Role(CALLER, None, {"assume": grant}, existing=True),
        Role(ROLE, document(statements), tags=tags or {}),
        Role(OTHERS_ROLE, document([statement(CALLER, f"StringEquals sts:ExternalId {OTHERS_ID}")])),
    )


def prove_role(statements: Iterable[Mapping[str, Any]], tags: Mapping[str, str] | None = None) -> Proof:
    """The proof of only the customer's role."""
    return prove(world(statements, tags), TRUSTS, roles={ROLE})
