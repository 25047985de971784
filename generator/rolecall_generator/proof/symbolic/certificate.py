"""Certificates: claims about a role's trust policy that the programs in `templates/certificate` prove without this package.

The format is described in docs/reference/certificate.md. The programs trust nothing in a certificate: a fault in this module
can only make a program reject it.
"""

from __future__ import annotations

import runpy
from collections.abc import Iterable
from functools import cache
from typing import Any

from rolecall_generator.iam import PolicyDocument, Role, Statement
from rolecall_generator.package_digest import template_folder
from rolecall_generator.proof.symbolic.budget import OutOfBudgetError, SearchBudget
from rolecall_generator.proof.symbolic.question import InclusionState, TrustQuestion
from rolecall_generator.proof.symbolic.world import WORST_CASE, Trust, intent_document

FORMAT = "rolecall certificate 2"
_CLAIMS = {"nothing_else": (0, 1), "everything_intended": (1, 0)}
"""The policies (0: trust, 1: intent) of which the first one only allows what the second one allows, by claim."""
_PROGRAM = "certificate/verify_full_certificate.py"
_USUAL = {("StringEquals", "sts:externalid"), ("ArnEquals", "aws:principalarn"), ("Bool", "aws:multifactorauthpresent")}
_WILDCARDS = frozenset("*?$")


class NoCertificateError(Exception):
    """There is no certificate; the message is the reason."""


def make_certificate(role: Role, trusts: Iterable[Trust], *, budget: SearchBudget | None = None) -> dict[str, Any] | None:
    """As `certify`, with the intended trusts of the role; None if there is no certificate."""
    try:
        return certify(role, intent_document(trusts), budget=budget)
    except NoCertificateError:
        return None


def certify(role: Role, intent: PolicyDocument, *, budget: SearchBudget | None = None) -> dict[str, Any]:
    """The claim that the trust policy of the role only allows requests that the intent allows, with the facts it needs.

    If it is proven that the trust policy allows all of them, the certificate claims that, too. Raises NoCertificateError if
    the first claim is not proven, or if the program for all policies cannot prove it.
    """
    if role.trust is None:
        raise NoCertificateError("the trust policy of the role is not known")
    try:
        question = TrustQuestion(role, (role.trust, intent), (WORST_CASE, WORST_CASE), budget or SearchBudget())
        claims = {name: _claim(question, *sides) for name, sides in _CLAIMS.items()}
    except OutOfBudgetError as error:
        raise NoCertificateError("the proof exceeds the budget") from error
    if claims["nothing_else"] is None:
        raise NoCertificateError("it is not proven that the role can be assumed only as intended")
    certificate: dict[str, Any] = {
        "format": FORMAT,
        "role": role.arn,
        "tags": dict(sorted(role.tags.items())),
        "policies": {"trust": role.trust.to_json(), "intent": intent.to_json()},
        "claims": {name: claim for name, claim in claims.items() if claim is not None},
    }
    # Measured: the program takes 10 ms for an ordinary role, the proof 2 ms.
    usual = all(_is_usual(statement) for policy in (role.trust, intent) for statement in policy.statements)
    if usual and not any(claim["facts"] for claim in certificate["claims"].values()):
        return certificate
    if (reason := _rejection(certificate, "nothing_else")) is not None:
        raise NoCertificateError(reason)
    if claims["everything_intended"] is not None and _rejection(certificate, "everything_intended") is not None:
        del certificate["claims"]["everything_intended"]
    return certificate


def _claim(question: TrustQuestion, subset: int, superset: int) -> dict[str, Any] | None:
    """The facts that show that every request which one policy allows is allowed by the other; None if it is not proven."""
    inclusion = question.inclusion(subset, superset)
    return {"facts": list(inclusion.facts)} if inclusion.state is InclusionState.PROVEN else None


def _is_usual(statement: Statement) -> bool:
    """Whether a statement is of the kind that rolecall writes. The programs prove every true claim about such statements."""
    conditions = statement.conditions
    values = [value for condition in conditions for value in condition.values]
    spelled = {(condition.operator, condition.key.lower()) for condition in conditions}
    usual = statement.effect == "Allow" and spelled <= _USUAL and len(spelled) == len(conditions)
    names = [*values, *statement.actions, *(principal.identifier for principal in statement.principals)]
    return usual and bool(statement.actions) and not any(_WILDCARDS & set(name) for name in names)


@cache
def _program() -> dict[str, Any]:
    return runpy.run_path(str(template_folder() / _PROGRAM))


def _rejection(certificate: dict[str, Any], claim: str) -> str | None:
    """Why the program does not accept a claim of a certificate; None if it does."""
    program = _program()
    try:
        policies = {name: program["read_policy"](policy) for name, policy in certificate["policies"].items()}
        checker = program["Checker"](certificate["role"], certificate["tags"], policies)
        checker.prove({claim: certificate["claims"][claim]})
    except (ValueError, NotImplementedError) as error:
        return f"the program for certificates does not cover the policies: {error}"
    return None
