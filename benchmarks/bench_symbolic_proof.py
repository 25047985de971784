"""The symbolic proof: one ordinary role, a fleet with and without its matrix, large and hostile trusts.

Prints CPU times, ratios and peak memory; asserts nothing. Run as `bench_symbolic_proof.py [CUSTOMERS]`, 10,000 by default.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from rolecall_generator.iam import Access, PolicyDocument, Role
from rolecall_generator.proof import prove
from rolecall_generator.proof.symbolic import Trust, compare, prove_roles
from rolecall_generator.proof.symbolic.question import TrustComparison
from rolecall_generator.proof.symbolic.world import intent_document

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from policy_pairs import PolicyGenerator
from policy_text import document

T = TypeVar("T")
ROLE = Role("arn:aws:iam::222222222222:role/role1", None)
BACKEND = "arn:aws:iam::111111111111:role/backend_role"
EXTERNAL_ID = "0f0c4f7c1e6b4a1d9a52b7c3d8e9f101"
INTENT = Trust("customer", ROLE.arn, (BACKEND,), EXTERNAL_ID)
_REPEATS = 300
_WORDS = ("alpha", "beta", "gamma", "delta", "ops", "prod", "stage", "eu", "us", "app", "web", "db")


def say(text: str) -> None:
    """A line of the result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def timed(function: Callable[[], T]) -> tuple[T, float]:
    """The result and the seconds of CPU time."""
    start = time.process_time()
    result = function()
    return result, time.process_time() - start


def trust(*statements: dict[str, Any]) -> PolicyDocument:
    return document([{"Effect": "Allow", "Action": "sts:AssumeRole", **statement} for statement in statements])


def states(comparison: TrustComparison) -> str:
    return f"{comparison.forward.state.value}/{comparison.backward.state.value}"


def one_role() -> None:
    intended = intent_document([INTENT])
    written = trust({"Principal": {"AWS": BACKEND}, "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}})
    rounds = []
    for _ in range(5):
        _, seconds = timed(lambda: [compare(ROLE, written, intended) for _ in range(_REPEATS)])
        rounds.append(1e3 * seconds / _REPEATS)
    say(f"one ordinary role, both directions: {min(rounds):.2f} ms (median of rounds {statistics.median(rounds):.2f} ms)")


def fleet(customers: int) -> None:
    roles, trusts, intents = [], [], {}
    for number in range(customers):
        arn, external_id = f"arn:aws:iam::{200_000_000_000 + number}:role/role1", f"0f0c4f7c1e6b4a1d{number}"
        condition = {"StringEquals": {"sts:ExternalId": external_id}}
        roles.append(Role(arn, trust({"Principal": {"AWS": BACKEND}, "Condition": condition})))
        trusts.append(Trust("customer", arn, (BACKEND,), external_id))
        intents[arn] = [Trust("customer", arn, (BACKEND,), external_id)]
    access = Access.of(*roles)
    proofs, symbolic = timed(lambda: list(prove_roles(access, intents)))
    equal = sum(proof.comparison.is_equal for proof in proofs)
    grant = document([{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::*:role/role1"}])
    known = Access.of(*roles, Role(BACKEND, None, inline={"assume": grant}))
    matrix, seconds = timed(lambda: prove(known, trusts))
    say(f"{customers} customers: {symbolic:.3f} s, {equal} equal roles; matrix {seconds:.3f} s, {len(matrix.cells)} cells")
    say(f"  ratio to the matrix: {symbolic / seconds:.3f}")


def name(rng: Random, number: int) -> str:
    return f"{rng.choice(_WORDS)}-{rng.choice(_WORDS)}-{number}"


def large_trusts() -> Iterator[tuple[str, PolicyDocument]]:
    """Trusts at or near the quota of 2,048 characters."""
    rng = Random(3)  # noqa: S311 - test data
    like, arn = "StringLike", "aws:PrincipalArn"
    prefixes = [f"arn:aws:iam::111111111111:role/{'abcdefghijklmnopqrstuvwxy'[i // 2]}{i}*" for i in range(44)]
    yield "44 prefix patterns", trust({"Principal": {"AWS": "111111111111"}, "Condition": {like: {arn: prefixes}}})
    infixes = [*(f"*{a}{b}*" for a in "abcdefg" for b in "hijklmn"), "*zz*"]
    yield "50 infix patterns", trust({"Principal": "*", "Condition": {like: {arn: infixes}}})
    mixed = [f"arn:aws:iam::*:role/{a}?{b}*" for a in "abcdefg" for b in "hijklmn"]
    yield "49 patterns with ? and *", trust({"Principal": "*", "Condition": {"ArnLike": {arn: mixed}}})
    suffixes = [f"*{name(rng, number)}" for number in range(50)]
    yield "50 negated suffix patterns", trust({"Principal": "*", "Condition": {"StringNotLike": {arn: suffixes}}})
    named = [f"arn:aws:iam::111111111111:role/{name(rng, number)}" for number in range(36)]
    yield "36 role principals", trust({"Principal": {"AWS": named}})
    accounts = (
        {"Principal": {"AWS": f"{111111111111 + i}"}, "Condition": {"StringEquals": {"sts:ExternalId": f"id-{i}-xyz"}}}
        for i in range(13)
    )
    yield "13 statements, an account and an ID each", trust(*accounts)
    overlapping = ({"Principal": "*", "Condition": {like: {arn: f"*{letter}*"}}} for letter in "abcdefghijklmn")
    yield "14 statements, overlapping infix patterns", trust(*overlapping)
    tags = {
        "ForAnyValue:StringLike": {"aws:TagKeys": ["a*", "*b"]},
        "ForAllValues:StringLike": {"aws:TagKeys": ["*x*", "?y", "z*", "a?*"]},
        "ForAnyValue:StringNotLike": {"aws:TagKeys": ["q*", "*r", "*s*"]},
    }
    more = (
        {
            "Action": "sts:TagSession",
            "Principal": "*",
            "Condition": {"ForAnyValue:StringLike": {"aws:TagKeys": [f"{c}*{c}"]}},
        }
        for c in "abcde"
    )
    yield "set operators on tag keys", trust({"Principal": "*", "Condition": tags}, *more)


def hostile_trusts() -> Iterator[tuple[str, PolicyDocument]]:
    """Trusts made to exhaust the search."""
    pattern = [f"*{letter}{'?' * 18}" for letter in "abcdefgh"]
    yield "exponential on the ARN", trust({"Principal": "*", "Condition": {"StringLike": {"aws:PrincipalArn": pattern}}})
    names = (f"*{letter}{'?' * 20}" for letter in "abcdefgh")
    each = ({"Principal": "*", "Condition": {"StringLike": {"sts:RoleSessionName": value}}} for value in names)
    yield "exponential on the session name", trust(*each)
    keys = {f"example.com:k{number}": pattern for number in range(24)}
    yield "exponential on 24 keys", trust({"Principal": "*", "Condition": {"StringLike": keys}})
    pigeons = (
        {
            "Effect": "Deny",
            "Principal": "*",
            "Condition": {"StringEquals": {f"example.com:k{a}": "x", f"example.com:k{b}": "y"}},
        }
        for a in range(24)
        for b in range(24)
        if a != b
    )
    yield "552 denials over 24 keys", trust({"Principal": "*"}, *pigeons)
    wide = (
        {"Principal": "*", "Condition": {"StringLike": {"example.com:k": f"*{a}*{b}*"}}}
        for a in "abcdefgh"
        for b in "ijklmnop"
    )
    yield "64 overlapping patterns with several values", trust(*wide)
    sessions = [f"arn:aws:sts::{111111111111 + i}:assumed-role/r{i}/s{i}" for i in range(40)]
    yield "40 sessions", trust({"Principal": {"AWS": sessions}})


def _measure(label: str, policy: PolicyDocument, results: Any) -> None:
    start, wall = time.process_time(), time.perf_counter()
    found = compare(ROLE, policy, intent_document([INTENT]))
    used, elapsed = time.process_time() - start, time.perf_counter() - wall
    mib = peak_memory()
    results.put(
        f"{label:45} {policy.size:6} characters {states(found):18} {1e3 * used:7.1f} ms CPU {elapsed:5.2f} s {mib:4.0f} MB"
    )


def peak_memory() -> float:
    """MiB of memory of this process at most since its program started; Linux only."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def in_process(label: str, policy: PolicyDocument) -> None:
    """Measure in a process of its own, for its peak memory."""
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    child = context.Process(target=_measure, args=(label, policy, results))
    child.start()
    say(results.get())
    child.join()


def random_trusts_at_the_quota(count: int = 40) -> None:
    generator = PolicyGenerator(Random(8))  # noqa: S311 - test data
    seconds: list[float] = []
    unknown = 0
    intended = intent_document([INTENT])
    while len(seconds) < count:
        statements = [generator.statement()]
        while document(statements).size < 1_900:
            statements.append(generator.statement())
        policy = document(statements)
        if policy.size > 2_048:
            continue
        found, used = timed(lambda policy=policy: compare(ROLE, policy, intended))  # type: ignore[misc]
        seconds.append(used)
        unknown += "unknown" in states(found)
    middle, most = 1e3 * statistics.median(seconds), 1e3 * max(seconds)
    say(f"{count} random trusts at the quota: median {middle:.1f} ms, most {most:.1f} ms, {unknown} with an unknown")


def main() -> None:
    """Print all figures."""
    one_role()
    fleet(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
    for label, policy in large_trusts():
        in_process(label, policy)
    random_trusts_at_the_quota()
    for label, policy in hostile_trusts():
        in_process(label, policy)


if __name__ == "__main__":
    main()
