"""Certificates: proofs that the programs in `templates/certificate` check without this package.

The format is described in docs/reference/certificate.md. A certificate is a proof by its content: a fault in this module
can only make a program reject it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rolecall_generator.iam import PolicyDocument, Role
from rolecall_generator.proof.symbolic.boxes import (
    FALSE,
    TRUE,
    Formula,
    Leaf,
    Not,
    complement,
    conjunction,
    disjunction,
    members,
    restrict,
)
from rolecall_generator.proof.symbolic.budget import OutOfBudgetError, SearchBudget
from rolecall_generator.proof.symbolic.cells import KeyCell
from rolecall_generator.proof.symbolic.intent import Trust, intent_document
from rolecall_generator.proof.symbolic.keys import ACTION, CALLER, KEPT_SOURCE_IDENTITY, PROVIDED_CONTEXTS, SOURCE_IDENTITY
from rolecall_generator.proof.symbolic.question import InclusionState, TrustQuestion
from rolecall_generator.proof.symbolic.world import WORST_CASE

FORMAT = "rolecall certificate 1"
_CLAIMS = {"nothing_else": (0, 1), "everything_intended": (1, 0)}
"""The policies (0: trust, 1: intent) of which the first one only allows what the second one allows, by claim."""
_RELATIONS = "policy variables"
"""The fact about policy variables, which follows from the policies: certificates do not list it."""
_Step = list[Any] | None


class NoCertificateError(Exception):
    """There is no certificate; the message is the reason."""


def make_certificate(role: Role, trusts: Iterable[Trust], *, budget: SearchBudget | None = None) -> dict[str, Any] | None:
    """As `certify`, with the intended trusts of the role; None if there is no certificate."""
    try:
        return certify(role, intent_document(trusts), budget=budget)
    except NoCertificateError:
        return None


def certify(role: Role, intent: PolicyDocument, *, budget: SearchBudget | None = None) -> dict[str, Any]:
    """The proof that the trust policy of the role only allows requests that the intent allows.

    If it is proven that the trust policy allows all of them, the certificate claims that, too. Raises NoCertificateError if
    the first claim is not proven, or cannot be represented.
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
    return {
        "format": FORMAT,
        "role": role.arn,
        "tags": dict(sorted(role.tags.items())),
        "policies": {"trust": role.trust.to_json(), "intent": intent.to_json()},
        "dimensions": _dimensions(question),
        "claims": {name: claim for name, claim in claims.items() if claim is not None},
    }


def _claim(question: TrustQuestion, subset: int, superset: int) -> dict[str, Any] | None:
    """The steps that show that every request which one policy allows is allowed by the other; None if it is not proven."""
    inclusion = question.inclusion(subset, superset)
    if inclusion.state is not InclusionState.PROVEN:
        return None
    facts = [fact.impossible for fact in question.facts if fact.name in {_RELATIONS, *inclusion.facts}]
    surplus = conjunction(
        [question.sets[subset].maybe, complement(question.sets[superset].sure), complement(disjunction(facts))]
    )
    dimensions = question.space.dimensions
    if any(dimension.rest for dimension in dimensions):
        raise NoCertificateError("the policies distinguish too many values for a certificate")
    steps: list[_Step] = []
    _split(surplus, [dimension.full for dimension in dimensions], _names(question), steps)
    return {"facts": [name for name in inclusion.facts if name != _RELATIONS], "steps": steps}


def _split(formula: Formula, box: Sequence[int], names: Sequence[str], steps: list[_Step]) -> None:
    """Append the steps for a box: a split and the steps for both parts, or None if no request of the box is left."""
    rest = restrict(formula, box) if all(box) else FALSE
    if rest is FALSE:
        steps.append(None)
        return
    if rest is TRUE:
        raise NoCertificateError("a request is left")
    dimension, mask = _cut(rest)
    steps.append([names[dimension], list(members(box[dimension] & mask))])
    for part in (box[dimension] & mask, box[dimension] & ~mask):
        _split(rest, [*box[:dimension], part, *box[dimension + 1 :]], names, steps)


def _cut(formula: Formula) -> tuple[int, int]:
    """The dimension and mask to split along: the narrowest of the smallest leaf near the root."""
    while not isinstance(formula, Leaf):
        formula = formula.part if isinstance(formula, Not) else min(formula.parts, key=_size)
    return min(formula.masks.items(), key=lambda item: item[1].bit_count())


def _size(formula: Formula) -> int:
    formula = formula.part if isinstance(formula, Not) else formula
    return len(formula.masks) if isinstance(formula, Leaf) else _LARGE


_LARGE = 1_000


_NAMES = {CALLER: "caller", ACTION: "action", PROVIDED_CONTEXTS: "provided contexts"}


_KINDS = ("Arn", "Like", "IgnoreCase")
"""How operators match values, by a part of their names; all others are `Equals`."""


def _names(question: TrustQuestion) -> list[str]:
    """The names of the dimensions in a certificate."""
    names = dict(_NAMES)
    for relation in question.space.relations.values():
        operator = relation.use.operator.name
        kind = next((kind for kind in _KINDS if kind in operator), "Equals")
        for each in relation.related:
            names[each.dimension] = f"{kind} {json.dumps([relation.test.key, each.value])}"
    return [names.get(dimension.name, dimension.name) for dimension in question.space.dimensions]


def _dimensions(question: TrustQuestion) -> dict[str, list[list[str]]]:
    """The representatives by dimension."""
    found = {}
    for name, dimension in zip(_names(question), question.space.dimensions, strict=True):
        if dimension.name in question.space.related:
            found[name] = [["false"], ["true"]]
        elif dimension.name == PROVIDED_CONTEXTS:
            found[name] = [[], ["x"]]
        else:
            found[name] = [_representative(dimension.name, cell) for cell in dimension.cells]
    return found


def _representative(name: str, cell: KeyCell) -> list[str]:
    if name == CALLER:
        arns = (cell.caller.arn, cell.caller.role) if cell.caller is not None else ()
        return list(dict.fromkeys(arn for arn in arns if arn is not None))
    if name == ACTION:
        return [cell.action]
    if name == SOURCE_IDENTITY:
        return [*cell.context[SOURCE_IDENTITY], *cell.context[KEPT_SOURCE_IDENTITY]]
    return list(cell.context[name])
