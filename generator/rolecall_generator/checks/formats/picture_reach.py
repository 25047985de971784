"""From an access and its proof to the edges of the picture: who reaches which role, and whether that is meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rolecall_generator.checks.formats.picture_graph import Edge, Standing
from rolecall_generator.checks.formats.proof_words import condition_words, with_words
from rolecall_generator.checks.proof import Case, Cell, Proof
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.evaluator import Effect
from rolecall_generator.iam.policy import Statement

_SHORT = {Case.OTHER_EXTERNAL_ID: "with another's external id"}
"""Words that must be shorter beside an edge than in a sentence."""


@dataclass(slots=True)
class Reaches:
    """Edges between ARNs, one for each caller, role and standing; the subject of each role; an account of nobody."""

    edges: dict[tuple[str, str, Standing], Edge] = field(default_factory=dict)
    subjects: dict[str, str] = field(default_factory=dict)
    nobodys_account: str = ""

    def add(self, edge: Edge) -> None:
        """Join with an edge between the same two: the conditions of both stand at it."""
        key = edge.source, edge.target, edge.standing
        known = self.edges.get(key)
        if known is not None and known.conditions != edge.conditions:
            edge = Edge(*key[:2], tuple(dict.fromkeys((*known.conditions, *edge.conditions))), edge.standing)
        self.edges[key] = edge


def from_proof(proof: Proof) -> Reaches:
    """Every reach that was meant and every one that was found; refusals that were meant draw nothing."""
    found = Reaches()
    for cell in proof.cells:
        role = cell.request.resource
        found.subjects.setdefault(role, cell.subject)
        if cell.case is Case.STRANGER and not found.nobodys_account:
            found.nobodys_account = cell.request.principal.arn.split(":")[4]
        standing = _standing(cell)
        if standing is not None:
            conditions = _conditions(cell, standing)
            found.add(Edge(cell.request.principal.arn, role, conditions, standing))
    return found


def _standing(cell: Cell) -> Standing | None:
    if cell.delegated:
        return Standing.DELEGATED
    if cell.ok:
        return Standing.INTENDED if cell.expected else None
    if cell.decision.effect is Effect.REFUSED:
        return Standing.UNDECIDED
    return Standing.BROKEN if cell.expected else Standing.UNINTENDED


def _conditions(cell: Cell, standing: Standing) -> tuple[str, ...]:
    if standing is Standing.UNINTENDED and (words := _SHORT.get(cell.case) or with_words(cell.case)):
        return (words,)
    return condition_words(cell.decision.statement) if cell.decision.statement is not None else ()


def from_access(access: Access) -> Reaches:
    """Every reach that a trust policy names, with its conditions; denials and the callers' own policies are not weighed."""
    found = Reaches()
    for arn, role in access.roles.items():
        for statement in role.trust.statements if role.trust is not None else ():
            if statement.effect == "Allow":
                for caller in _callers(statement, arn):
                    found.add(Edge(caller, arn, condition_words(statement), Standing.TRUSTED))
    return found


def _callers(statement: Statement, role_arn: str) -> Iterator[str]:
    """Whom the statement names: by condition on `aws:PrincipalArn` where it has one, else by its principals."""
    named = [value for item in statement.conditions if item.key.lower() == "aws:principalarn" for value in item.values]
    if named:
        yield from named
        return
    partition = role_arn.split(":")[1]
    for principal in statement.principals:
        text = principal.identifier
        yield f"arn:{partition}:iam::{text}:root" if text.isdigit() else text
    if statement.not_principals:
        yield "*"
