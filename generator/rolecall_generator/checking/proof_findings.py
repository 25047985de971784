"""Failed cells of the proof as findings: each with its counterexample, one sentence a person can act on."""

from __future__ import annotations

from collections.abc import Iterator

from rolecall_generator.checks.context import CheckContext
from rolecall_generator.checks.finding import PROOF_FAILED, PROOF_UNDECIDED, Finding
from rolecall_generator.checks.formats.proof_words import counterexample
from rolecall_generator.checks.proof import Proof
from rolecall_generator.iam.evaluator import Effect

_REFUSED_HINT = "run gen terraform: trust policy and the caller's own policies must both allow it"


def proof_findings(proof: Proof, context: CheckContext) -> Iterator[Finding]:
    """A finding for each failed cell: who, on which condition, and the statement that decided."""
    for cell in proof.failures:
        file, line = context.place(cell.request.resource) or (None, None)
        undecided = cell.decision.effect is Effect.REFUSED
        yield (PROOF_UNDECIDED if undecided else PROOF_FAILED).finding(
            cell.subject,
            f"{cell.case.value}: {counterexample(cell)}",
            file,
            line,
            hint=_REFUSED_HINT if cell.expected and not undecided else None,
        )
