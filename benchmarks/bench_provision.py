"""1,000 customers provisioned into the sandbox over HTTP, twice: time and memory per account; asserts nothing.

python benchmarks/bench_provision.py [CUSTOMERS]
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from manifests import manifest_of
from rolecall_generator.planning.planner import make_plan
from rolecall_runner.sandbox.provisioning.provision import AdminClient, provision, split_by_account
from rolecall_runner.sandbox.server.server import Sandbox

CUSTOMERS = 1_000


def peak_mib() -> float:
    """Peak resident memory of this process, which runs both sandbox and client."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(customers: int) -> None:
    """Provision a manifest's accounts twice."""
    accesses = split_by_account(make_plan(manifest_of(customers)).access())
    backend = next(iter(accesses))
    with Sandbox() as sandbox:
        operator = AdminClient(sandbox.url)
        provision({backend: accesses[backend]}, operator=operator)  # imports what every run imports once
        before = peak_mib()
        for name in ("first run", "second run"):
            started, cpu = time.perf_counter(), time.process_time()
            done = provision(accesses, operator=operator)
            seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
            sys.stdout.write(
                f"{name}: {len(done.accounts)} accounts, {done.changes} changes, {len(done.failed)} failed, {seconds:.1f} s "
                f"({cpu:.1f} s CPU), {seconds * 1000 / len(done.accounts):.1f} ms and "
                f"{(peak_mib() - before) * 1024 / len(done.accounts):.0f} KiB an account, peak {peak_mib():.0f} MiB\n"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CUSTOMERS)
