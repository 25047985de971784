"""Compares the parser's results for random expressions with Terraform's; exits with 1 on a difference.

Run as `python tests/tools/fuzz_expressions.py [--seeds FROM TO] [--size N] [--terraform PROGRAM]`.
"""

from __future__ import annotations

import argparse
import collections
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from expression_fuzz import batch, declarations, differences, judged, judged_declared, ours, ours_declared


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 50), metavar=("FROM", "TO"))
    parser.add_argument("--size", type=int, default=500, help="expressions per seed")
    parser.add_argument("--terraform", nargs="+", default=["terraform"], help="program that judges")
    parser.add_argument("--variables", action="store_true", help="types and defaults of variables instead of expressions")
    parser.add_argument("--reasons", action="store_true", help="show why values are unknown")
    options = parser.parse_args()
    states: collections.Counter[str] = collections.Counter()
    reasons: collections.Counter[str] = collections.Counter()
    wrong = 0
    for seed in range(*options.seeds):
        expressions: list[str]
        if options.variables:
            parts = declarations(seed, options.size)
            expressions = [" = ".join(part) for part in parts]
            found, truth = ours_declared(parts), judged_declared(parts, options.terraform)
        else:
            expressions = batch(seed, options.size)
            found, truth = ours(expressions), judged(expressions, options.terraform)
        states.update(outcome.state for outcome in found)
        reasons.update(outcome.text[:80] for outcome in found if outcome.state == "unknown")
        for expression, mine, theirs in differences(expressions, found, truth):
            wrong += 1
            sys.stdout.write(f"seed {seed}: {expression}\n  parser:    {mine}\n  Terraform: {theirs}\n")
            sys.stdout.flush()
    total = sum(states.values())
    shares = ", ".join(f"{state} {states[state] / total:.1%}" for state in ("known", "refused", "unknown"))
    sys.stdout.write(f"{total:,} expressions, {wrong} differences; {shares}\n")
    if options.reasons:
        for reason, count in reasons.most_common(60):
            sys.stdout.write(f"{count:7} {reason}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
