"""The proof's verdicts in words: what was asked, how often, and what came out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rolecall_generator.checks.formats.proof_words import counterexample
from rolecall_generator.checks.proof import Case, Cell, Proof
from rolecall_generator.handover.words import Phrase, Value, counted, listed, say
from rolecall_generator.iam.principals import identity_of

_ASKED = {
    Case.INTENDED: "The intended caller, with all that is asked of it",
    Case.NO_EXTERNAL_ID: "The intended caller without an external id",
    Case.OTHER_EXTERNAL_ID: "The intended caller with another external id",
    Case.NO_MFA: "Somebody of the trusted account with access keys, without MFA",
    Case.MFA_FALSE: "Somebody of the trusted account, signed in without MFA",
    Case.OTHER_PRINCIPAL: "Another principal of the caller's account",
    Case.OTHER_ACCOUNT: "A principal of the same name in another account",
    Case.STRANGER: "Anybody of an account that occurs nowhere",
    Case.OTHER_USER: "Another user",
    Case.OTHER: "Another principal that the trust policy could mean",
}

_SHOWN = 5
"""So many counterexamples are written out."""


@dataclass(frozen=True, slots=True)
class ProofRow:
    """All requests of one kind. `standing` is ok, failed, or delegated: the caller's account decides, as intended."""

    request: str
    asked: int
    outcome: Phrase
    standing: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the proof says. `standing` is good, bad, or none where nothing was to be proven."""

    standing: str
    said: str
    rows: tuple[ProofRow, ...] = ()
    failures: tuple[Phrase, ...] = ()


NOTE = (
    "Each request was decided by evaluating these policies as IAM does. Requests that must be refused assume the worst: the "
    "caller's own account allows everything, and the caller sends whatever helps."
)
"""How the proof was made, for the small print."""


def verdict_of(proof: Proof) -> Verdict:
    """The proof of one module in words."""
    if not proof.cells:
        return Verdict("none", "Nothing to prove: no role is made here that anybody could assume.")
    rows = tuple(_row(case, [cell for cell in proof.cells if cell.case is case]) for case in Case if _occurs(case, proof))
    asked, wrong, left = len(proof.cells), len(proof.failures), len(proof.delegated)
    if wrong:
        said = f"Not as intended: {wrong:,} of {counted(asked, 'request')} came out otherwise."
        return Verdict("bad", said, rows, _failures(proof.failures))
    others = f"; {left:,} {'is' if left == 1 else 'are'} left to the caller's account, as intended" if left else ""
    return Verdict("good", f"Proven: {asked - left:,} of {counted(asked, 'request')} decided as intended{others}.", rows)


def _occurs(case: Case, proof: Proof) -> bool:
    return any(cell.case is case for cell in proof.cells)


def _row(case: Case, cells: list[Cell]) -> ProofRow:
    failed = [cell for cell in cells if cell.failed]
    delegated = [cell for cell in cells if cell.delegated]
    if failed:
        outcome, standing = Phrase((f"{len(failed):,} not as intended",)), "failed"
    elif delegated:
        accounts = dict.fromkeys(identity_of(cell.request.principal.arn).account_id for cell in delegated)
        outcome, standing = say("left to account {}", listed(accounts)), "delegated"
    else:
        outcome, standing = Phrase(("let in" if cells[0].expected else "refused",)), "ok"
    return ProofRow(_ASKED[case], len(cells), outcome, standing)


def _failures(cells: Iterable[Cell]) -> tuple[Phrase, ...]:
    found = [Phrase((Value(counterexample(cell), prose=True),)) for cell in cells]
    left = len(found) - _SHOWN
    return (*found[:_SHOWN], *([Phrase((f"{counted(left, 'more request')} came out otherwise.",))] if left > 0 else []))
