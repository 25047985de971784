"""Failed cells of the proof as findings: each with its counterexample, one sentence a person can act on."""

from __future__ import annotations

from collections.abc import Iterator

from rolecall_generator.checks.context import CheckContext
from rolecall_generator.checks.finding import Finding, Severity
from rolecall_generator.checks.formats.proof_words import counterexample
from rolecall_generator.checks.proof import Cell, Proof
from rolecall_generator.iam.evaluator import Effect

PROOF = "RC701"
UNDECIDED = "RC702"


def proof_findings(proof: Proof, context: CheckContext) -> Iterator[Finding]:
    """A finding for each failed cell: who, on which condition, and the statement that decided."""
    for cell in proof.failures:
        found = context.place(cell.request.resource)
        undecided = cell.decision.effect is Effect.REFUSED
        yield Finding(
            UNDECIDED if undecided else PROOF,
            Severity.ERROR,
            cell.subject,
            f"{cell.case.value}: {counterexample(cell)}",
            _mend(cell, undecided=undecided),
            found[0] if found else None,
            found[1] if found else None,
        )


def _mend(cell: Cell, *, undecided: bool) -> str:
    if undecided:
        return "write the trust policy so that it can be decided: plain principals, and operators that AWS documents"
    if cell.expected:
        return "run gen terraform: trust policy and the caller's own policies must both allow it"
    return "take away the statement that lets it in, or give it the condition that it lacks"
