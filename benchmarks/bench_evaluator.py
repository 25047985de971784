"""Prints decisions per second of the evaluator and the time of a whole proof; asserts nothing.

Run as `python benchmarks/bench_evaluator.py [CUSTOMERS]` (default: 10,000 customers).
"""

from __future__ import annotations

import resource
import sys
import time

from rolecall_generator.iam.evaluation.evaluator import Evaluator, Request
from rolecall_generator.iam.evaluation.request_context import Caller
from rolecall_generator.iam.model import Access, ManagedPolicy, Role
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement
from rolecall_generator.proof import Trust, prove
from rolecall_generator.workers import collection_paused

BACKEND = "arn:aws:iam::111111111111:role/backend_role"
ARNS_A_POLICY = 114
POLICIES_A_ROLE = 10


def fleet(customers: int) -> tuple[Access, list[Trust]]:
    """Backend roles with full managed policies, and customers that each trust one of them with an external ID."""
    arns = [f"arn:aws:iam::{200_000_000_000 + number}:role/vendor/VendorAccess" for number in range(customers)]
    step = ARNS_A_POLICY * POLICIES_A_ROLE
    parts: list[Role | ManagedPolicy] = []
    trusts: list[Trust] = []
    for shard, start in enumerate(range(0, customers, step)):
        backend = f"{BACKEND}_{shard}"
        chunks = [arns[first : first + ARNS_A_POLICY] for first in range(start, min(start + step, customers), ARNS_A_POLICY)]
        policies = [
            ManagedPolicy(
                f"arn:aws:iam::111111111111:policy/assume-{shard}-{index}",
                PolicyDocument((Statement("Allow", ("sts:AssumeRole",), tuple(chunk)),)),
            )
            for index, chunk in enumerate(chunks)
        ]
        parts += [*policies, Role(backend, None, attached=frozenset(policy.arn for policy in policies), existing=True)]
        for arn in arns[start : start + step]:
            external_id = f"external-id-of-{arn[13:25]}"
            condition = Condition("StringEquals", "sts:ExternalId", (external_id,))
            statement = Statement("Allow", ("sts:AssumeRole",), (), (Principal("AWS", backend),), (condition,))
            parts.append(Role(arn, PolicyDocument((statement,))))
            trusts.append(Trust(arn, arn, (backend,), external_id))
    return Access.of(*parts), trusts


def main() -> None:
    # Like the commands: nothing here creates cycles, and searching for them in this many objects costs a third of the time.
    with collection_paused():
        measure(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)


def measure(customers: int) -> None:
    access, trusts = fleet(customers)
    evaluator = Evaluator(access)
    requests = [
        Request(
            Caller(trust.callers[0]),
            trust.role_arn,
            context={"sts:ExternalId": trust.external_id or "", "sts:RoleSessionName": "s"},
        )
        for trust in trusts
    ]
    for label in ("cold (documents compiled)", "warm"):
        start = time.perf_counter()
        allowed = sum(evaluator.may_assume(request).allowed for request in requests)
        seconds = time.perf_counter() - start
        print(f"{label}: {len(requests) / seconds:,.0f} decisions/s, {allowed} of {len(requests)} allowed")  # noqa: T201
    start = time.perf_counter()
    proof = prove(access, trusts)
    seconds = time.perf_counter() - start
    print(f"proof: {len(proof.cells)} cells of {customers} customers in {seconds:.2f} s, ok: {proof.ok}")  # noqa: T201
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")  # noqa: T201


if __name__ == "__main__":
    main()
