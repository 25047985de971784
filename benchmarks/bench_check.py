"""`gen check` for 10,000 customers compared with only python-hcl2 on the same distinct files, in as many processes.

Prints results, asserts nothing: the first check's ratio to the floor, the check after a change of one customer, a single
module from a cold start (also with read-only site-packages and no home folder), and peak memory of the largest process.
Each figure except the floor is a whole process with Python's start. Run as `bench_check.py [CUSTOMERS [FLOOR_SAMPLE]]`:
the floor is measured on every FLOOR_SAMPLE-th file (default 10) and scaled, since python-hcl2 needs minutes for all.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

PROCESSES = 2
RUN = "import sys; from rolecall_generator.cli import app; app(prog_name='gen')"


def say(text: str) -> None:
    """Print one line of the result."""
    sys.stdout.write(f"{text}\n")


def write_manifest(path: Path, customers: int) -> None:
    """Distinct customers in block style, as a vendor would write them."""
    lines = [
        "version: 1",
        'backend: {account_id: "111111111111", grant: fixed-role-name, roles: [{name: one}, {name: two}]}',
        "quotas: {role_managed_policies: 25}",
        "permission_sets:",
        "  s3-read:",
        "    statements:",
        "      - sid: ReadExampleBucket",
        "        actions: [s3:ListBucket, s3:GetObject]",
        '        resources: ["arn:aws:s3:::example-bucket", "arn:aws:s3:::example-bucket/*"]',
        "  ec2-read:",
        "    managed_policies: [AmazonEC2ReadOnlyAccess]",
        "defaults: {permissions: [s3-read, ec2-read], tags: {managed-by: rolecall}}",
        "customers:",
    ]
    for number in range(customers):
        lines += [
            f"  - name: customer{number:05}",
            f'    account_id: "{200_000_000_000 + number}"',
            f'    external_id: "{number:032x}"',
        ]
    path.write_text("\n".join(lines) + "\n")


def gen(*arguments: str, cwd: Path, environment: dict[str, str] | None = None) -> tuple[float, float]:
    """Seconds and peak MiB of a `gen` process (including child processes), which must succeed or have findings."""
    started = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", RUN, *arguments], cwd=cwd, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        raise SystemExit(f"gen {' '.join(arguments)} ended with {child.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def load_texts(texts: list[str]) -> None:
    """Parse many files with only python-hcl2."""
    import hcl2  # noqa: PLC0415 - each process pays for its own start, as gen's do

    for text in texts:
        hcl2.loads(text)


def floor(out: Path, sample: int) -> tuple[float, int]:
    """Seconds for all distinct files, scaled up from a sample, and the number of distinct files."""
    texts = sorted({path.read_text() for path in out.rglob("*.tf")})
    chosen = texts[::sample]
    chunks = [chosen[start::PROCESSES] for start in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(load_texts, [[texts[0]]] * PROCESSES))  # the grammar is loaded before the clock starts
        started = time.perf_counter()
        list(pool.map(load_texts, chunks))
        seconds = time.perf_counter() - started
    return seconds * len(texts) / len(chosen), len(texts)


def main() -> None:
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    sample = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    folder = Path(tempfile.mkdtemp(prefix="rolecall-bench-"))
    try:
        write_manifest(folder / "accounts.yaml", customers)
        gen("terraform", "--no-check", cwd=folder)
        bare, files = floor(folder / "output", sample)
        first, first_mib = gen("check", cwd=folder)
        same, _ = gen("check", cwd=folder)
        module = folder / "output" / "customers" / f"customer{customers // 2:05}" / "main.tf"
        module.write_text(module.read_text().replace("3600", "7200"))
        changed, changed_mib = gen("check", cwd=folder)
        single = single_module(folder)
    finally:
        shutil.rmtree(folder)
    say(
        f"floor: python-hcl2 alone, {files:,} distinct files, {PROCESSES} processes: {bare:.1f} s (every {sample}th, scaled)"
    )
    say(f"first check: {first:.1f} s, {first / bare:.2f} of the floor (target at most 1.20), {first_mib:.0f} MiB")
    say(f"nothing changed: {same:.2f} s; one changed: {changed:.2f} s (target at most 3), {changed_mib:.0f} MiB")
    for label, seconds in single.items():
        say(f"single module, cold start, {label}: {seconds:.2f} s (target under 0.50)")


def single_module(folder: Path) -> dict[str, float]:
    """The best of five checks of a one-customer manifest, each from a cold start and without a cache."""
    one = folder / "one"
    one.mkdir()
    write_manifest(one / "accounts.yaml", 1)
    gen("terraform", "--no-check", cwd=one)
    ordinary = dict(os.environ)
    bare = {"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    results: dict[str, float] = {}
    for label, environment in (("ordinary", ordinary), ("no home, nothing cached or written", bare)):
        times = []
        for _ in range(5):
            (one / "output" / ".rolecall.cache").unlink(missing_ok=True)
            times.append(gen("check", "--only", "customer00000", cwd=one, environment=environment)[0])
        results[label] = min(times)
    return results


if __name__ == "__main__":
    main()
    say(f"peak memory of the benchmark's children: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB")
