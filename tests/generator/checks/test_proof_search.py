"""The proof against trust policies that were written to mislead it."""

from __future__ import annotations

import pytest

from rolecall_generator.iam.evaluator import Effect
from trust_cases import FAILED, HARMLESS, HOSTILE, UNKNOWN
from trust_worlds import prove_role


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_trust_is_never_proven(name: str) -> None:
    """A trust policy that lets in somebody who is not meant fails by a counterexample, or is undecided where none can be."""
    statements, verdict = HOSTILE[name]
    proof = prove_role(statements)
    found = {FAILED if cell.decision.effect is Effect.ALLOW else UNKNOWN for cell in proof.failures if not cell.expected}

    assert not proof.ok
    assert (FAILED in found) is (verdict == FAILED)
    assert found


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_trust_is_proven(name: str) -> None:
    """A trust policy that lets in the backend role with its external id and nobody else is proven in every cell."""
    assert [] == [
        (cell.case, cell.request.principal.arn, cell.decision.reason) for cell in prove_role(HARMLESS[name]).failures
    ]


def test_there_are_sixty_of_each() -> None:
    """The tables are as long as the project asks for."""
    assert min(len(HOSTILE), len(HARMLESS)) >= 60
