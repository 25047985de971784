"""`runner status` for 10,000 customers, and the cost of recording a verify run of them.

    python benchmarks/bench_status.py [CUSTOMERS]

Prints results, asserts nothing. The command, including its start, is compared with only loading the manifest in its own
process; recording all verdicts with reading them from the run's journal, which a report does as well.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from measuring import measured
from rolecall_generator.check.module_check import read_access
from rolecall_generator.generate import generate
from rolecall_runner.aws.failures import Status
from rolecall_runner.execution.interface import Result
from rolecall_runner.execution.journal import Journal, RunRecord, read_results
from rolecall_runner.inventory.inventory import Inventory, read_inventory
from rolecall_runner.status.update import read_output_digests, record_verdicts
from rolecall_runner.verify import access_by_role
from rolecall_runner.verify.verdict import Verdict
from rolecall_runner.verify_run import verdict_of
from verdict_worlds import ASSUME_STEPS

RUN = "20261124-120000-0a1b2c"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LOADING = (
    "import sys; from pathlib import Path; from rolecall_generator.manifest.loader import load_manifest; "
    "load_manifest(Path(sys.argv[1]))"
)


def write_manifest(path: Path, customers: int) -> None:
    """A manifest of this many customers; JSON is YAML."""
    body = {
        "version": 1,
        "backend": {"account_id": "111111111111", "grant": "fixed-role-name", "roles": [{"name": "one"}, {"name": "two"}]},
        "quotas": {"role_managed_policies": 25},
        "permission_sets": {"read": {"statements": [{"actions": ["s3:GetObject"], "resources": ["*"]}]}},
        "defaults": {"permissions": ["read"]},
        "customers": [
            {
                "name": f"customer{number:05}",
                "account_id": f"{200_000_000_000 + number}",
                "external_id": f"external-id-{number:08}",
            }
            for number in range(customers)
        ],
    }
    path.write_text(json.dumps(body, indent=1))


def journal_of(inventory: Inventory, runs: Path) -> None:
    """A run in which every account passed."""
    record = RunRecord(RUN, "verify", "accounts.yaml", inventory.fingerprint, "all", len(inventory.targets), NOW.isoformat())
    with Journal.start(runs, record) as journal:
        for target in inventory.targets:
            verdict = Verdict(target.name, str(target.kind), target.account_id, target.role_arn, ASSUME_STEPS)
            journal.add(Result(target.name, "verify", Status.OK, NOW, 1.0, data=verdict.to_json()))


def verdicts(inventory: Inventory, runs: Path) -> Iterator[Verdict]:
    """The run's verdicts from its journal, as read by `VerifyRun.verdicts`."""
    found = {result.key: result for result in read_results(runs, RUN)}
    for target in inventory.targets:
        yield verdict_of(found[str(target.kind), target.name], target)


def seconds_of_noting(folder: Path, inventory: Inventory) -> tuple[float, float]:
    """Seconds for only reading the journal, and for reading and recording it."""
    journal_of(inventory, folder / "runs")
    begin = time.perf_counter()
    count = sum(1 for _ in verdicts(inventory, folder / "runs"))
    reading = time.perf_counter() - begin
    begin = time.perf_counter()
    found = verdicts(inventory, folder / "runs")
    written_now = read_output_digests(folder / "out")
    planned = access_by_role(read_access(folder / "accounts.yaml", folder / "out", planned=True))
    context: Any = SimpleNamespace(intended=planned, output_access=planned, output_is_current=lambda _target: True)
    record_verdicts(
        folder / "out", inventory.targets, found, now=NOW, run=RUN, rehearsal=False, context=context, modules=written_now
    )
    if count != len(inventory.targets):
        raise SystemExit("the journal lost results")
    return reading, time.perf_counter() - begin


def main() -> None:
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    folder = Path(tempfile.mkdtemp(prefix="rolecall-bench-"))
    try:
        manifest = folder / "accounts.yaml"
        write_manifest(manifest, customers)
        generate(manifest, folder / "out")
        reading, noting = seconds_of_noting(folder, read_inventory(manifest, out=folder / "out"))
        sys.stdout.write(f"noting a roll call: {noting:.2f} s, {noting / reading:.1f} times reading its journal\n")
        bare = measured([sys.executable, "-c", LOADING, str(manifest)])
        command = [str(Path(sys.executable).with_name("runner")), "status", "--manifest", str(manifest)]
        shown = measured([*command, "--out", str(folder / "out")])
        page = measured([*command, "--out", str(folder / "out"), "--format", "html"])
        if shown.code or bare.code or page.code:
            raise SystemExit(shown.errors + bare.errors + page.errors)
        sys.stdout.write(
            f"runner status: {shown.seconds:.2f} s ({shown.mib:.0f} MiB), "
            f"{shown.seconds / bare.seconds:.1f} times loading the manifest alone\n{shown.output.splitlines()[0]}\n"
            f"runner status --format html: {page.seconds:.2f} s, {len(page.output.encode()) / 1000:.0f} KB\n"
        )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
