"""z3 gives the same answers, from an encoding that shares nothing with the cells."""

from __future__ import annotations

from collections import Counter

import pytest

from policy_pairs import ROLE, PolicyGenerator, seeded
from rolecall_generator.iam import Role
from rolecall_generator.proof.symbolic import InclusionState, SearchBudget, compare
from z3_encoding import is_included, is_refuted, is_supported

_MILLISECONDS = 3_000


def _compare(seed: int, count: int) -> Counter[tuple[InclusionState, bool | None]]:
    """How often z3 confirms an answer; None: it gave up. A proof is no difference to z3, a witness is a request to it."""
    generator = PolicyGenerator(seeded(seed), variables=False, odd_types=False)
    answers: Counter[tuple[InclusionState, bool | None]] = Counter()
    while answers.total() < count:
        one, other = generator.pair()
        if not is_supported((one, other)):
            continue
        found = compare(Role(ROLE, None), one, other, budget=SearchBudget(seconds=None)).forward
        if found.witness is not None:
            confirmed = is_refuted(one, other, _MILLISECONDS, found.witness)
        elif found.state is InclusionState.PROVEN:
            confirmed = is_included(one, other, _MILLISECONDS)
        else:
            # An answer is not unknown where z3 proves the inclusion.
            included = is_included(one, other, _MILLISECONDS // 10)
            confirmed = None if included is None else not included
        assert confirmed is not False, (found, one.to_json(), other.to_json())
        answers[found.state, confirmed] += 1
    return answers


def test_z3_confirms_proofs_and_witnesses() -> None:
    answers = _compare(21, 25)

    assert answers[InclusionState.PROVEN, True] > 5
    assert answers[InclusionState.REFUTED, True] > 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [22, 23])
def test_z3_confirms_many_proofs_and_witnesses(seed: int) -> None:
    answers = _compare(seed, 500)

    assert answers[InclusionState.PROVEN, True] + answers[InclusionState.REFUTED, True] > 425
