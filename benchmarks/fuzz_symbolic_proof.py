"""Random pairs of trust policies, with the answers of the symbolic proof compared to the evaluator's and to z3's.

Prints counts and every disagreement. Run as `fuzz_symbolic_proof.py SEED PAIRS evaluator|world|z3`; the tests do the same
with fewer pairs. `make benchmark` does not run it.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rolecall_generator.iam import Role
from rolecall_generator.proof.symbolic import InclusionState, SearchBudget
from rolecall_generator.proof.symbolic.question import TrustQuestion
from rolecall_generator.proof.symbolic.world import WORST_CASE

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from policy_pairs import ROLE, PolicyGenerator, seeded
from symbolic_checks import request_between, uncovered_values, wrong_points
from z3_encoding import is_included, is_refuted, is_supported

_POINTS, _VALUES, _REQUESTS = 25, 30, 60
_MILLISECONDS = 3_000


def by_evaluator(question: TrustQuestion, generator: PolicyGenerator, counts: Counter[str]) -> Iterator[str]:
    """Disagreements on points, values and sampled requests."""
    found = question.inclusion(0, 1)
    counts[found.state.value] += 1
    yield from wrong_points(question, generator.rng, _POINTS)
    yield from uncovered_values(question, generator.rng, _VALUES)
    if found.state is InclusionState.PROVEN and question.space.worlds == (WORST_CASE, WORST_CASE):
        counts["requests sampled"] += _REQUESTS
        between = request_between(question, generator, _REQUESTS)
        if between is not None:
            yield f"proven, but {between} is between them"


def by_z3(question: TrustQuestion, counts: Counter[str]) -> Iterator[str]:
    """Disagreements with z3 about the inclusion, or about the witness."""
    one, other = (side.trust for side in question.sides)
    found = question.inclusion(0, 1)
    if found.witness is not None:
        confirmed = is_refuted(one, other, _MILLISECONDS, found.witness)
    elif found.state is InclusionState.PROVEN:
        confirmed = is_included(one, other, _MILLISECONDS)
    else:
        included = is_included(one, other, _MILLISECONDS // 10)
        confirmed = None if included is None else not included
    counts[f"{found.state.value}, z3 {'gave up' if confirmed is None else 'agrees' if confirmed else 'DIFFERS'}"] += 1
    if confirmed is False:
        yield f"{found} {one.to_json()} {other.to_json()}"


def main() -> None:
    """Compare as many pairs as asked for."""
    seed, pairs, judge = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    rng = seeded(seed)
    counts: Counter[str] = Counter()
    start, done, wrong = time.perf_counter(), 0, 0
    while done < pairs:
        generator = PolicyGenerator(rng, variables=judge == "evaluator" and done % 2 == 0, odd_types=judge != "z3")
        trusts = generator.pair()
        if judge == "z3" and not is_supported(trusts):
            continue
        done += 1
        world = generator.world() if judge == "world" else WORST_CASE
        role = Role(ROLE, None, tags={"team": "ab"} if rng.random() < 0.5 else {})
        question = TrustQuestion(role, trusts, (world, rng.choice([world, WORST_CASE])), SearchBudget(seconds=None))
        for text in by_z3(question, counts) if judge == "z3" else by_evaluator(question, generator, counts):
            wrong += 1
            sys.stdout.write(f"{text}\n")
    sys.stdout.write(
        f"seed {seed}: {done} pairs in {time.perf_counter() - start:.0f} s, {wrong} disagreements, {dict(counts)}\n"
    )


if __name__ == "__main__":
    main()
