"""Failed cells of the proof as findings: each with its counterexample, one sentence a person can act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rolecall_generator.checks.context import CheckContext, short
from rolecall_generator.checks.finding import Finding, Severity
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
            counterexample(cell),
            _mend(cell, undecided=undecided),
            found[0] if found else None,
            found[1] if found else None,
        )


def counterexample(cell: Cell) -> str:
    """The request of a cell and how it was decided, in one sentence."""
    request, decision = cell.request, cell.decision
    role = short(request.resource)
    wanted = "" if request.action == "sts:AssumeRole" else f" by {request.action}"
    who = f"{cell.case.value}: {request.principal.arn}{_conditions(request.context)}"
    if decision.effect is Effect.REFUSED:
        return f"{who}: whether it may assume {role}{wanted} cannot be decided: {decision.reason}"
    sid = decision.statement.sid if decision.statement is not None else ""
    place = f" (statement {sid})" if sid else ""
    assumed = f", where {', '.join(decision.assumed)} is as the caller wishes" if decision.assumed else ""
    verb = "can assume" if decision.allowed else "cannot assume"
    return f"{who} {verb} {role}{wanted}: {decision.reason}{place}{assumed}"


def _conditions(context: Mapping[str, str | tuple[str, ...]]) -> str:
    """The keys that the request fixes, in words: `with sts:ExternalId x, without aws:MultiFactorAuthPresent`."""
    given = [f"{key} {value}" for key, value in context.items() if value != ()]
    absent = [key for key, value in context.items() if value == ()]
    parts = [f" with {', '.join(given)}"] * bool(given) + [f" without {', '.join(absent)}"] * bool(absent)
    return ",".join(parts)


def _mend(cell: Cell, *, undecided: bool) -> str:
    if undecided:
        return "write the trust policy so that it can be decided: plain principals, and operators that AWS documents"
    if cell.expected:
        return "run gen terraform: trust policy and the caller's own policies must both allow it"
    return "take away the statement that lets it in, or give it the condition that it lacks"
