"""`gen audit` on a generated account, against reading its JSON only.

Prints, asserts nothing: for each format, the wall and CPU seconds of the whole process from its start to its end; the same
for reading the JSON with the standard library in a process of its own; and the ratio of the CPU seconds. A third of the
roles are for vendors, partners and pipelines, each with its own policies; the others are for services.
Run as `bench_audit.py [ROLES]`; 1,000 when left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from audit_accounts import generated_account

ROUNDS = 5
FORMATS = ("table", "html", "json", "sarif")
GEN = "import sys; from rolecall_generator.cli import app; app(prog_name='gen')"
FLOOR = "import json, pathlib, sys; json.loads(pathlib.Path(sys.argv[1]).read_bytes())"


def say(text: str) -> None:
    """A line of the result."""
    sys.stdout.write(f"{text}\n")


def seconds(code: str, *arguments: str) -> tuple[float, float]:
    """The shortest of several runs of a process: elapsed seconds and CPU seconds."""
    runs = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        child = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode not in (0, 1):
            raise SystemExit(f"{arguments} ended with {child.returncode}")
        runs.append((time.perf_counter() - started, usage.ru_utime + usage.ru_stime))
    return min(elapsed for elapsed, _ in runs), min(cpu for _, cpu in runs)


def main() -> None:
    """Measure and print."""
    roles = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "account.json"
        file.write_text(json.dumps(generated_account(roles), indent=2))
        size = file.stat().st_size / 1e6
        floor, floor_cpu = seconds(FLOOR, str(file))
        say(f"{roles:,} roles, {size:.1f} MB; reading the JSON only: {floor:.2f} s, CPU {floor_cpu:.2f} s")
        for name in FORMATS:
            wall, cpu = seconds(GEN, "audit", str(file), "--format", name)
            say(f"--format {name}: {wall:.2f} s, CPU {cpu:.2f} s, {cpu / floor_cpu:.1f} times; target 2 s for 1,000 roles")


if __name__ == "__main__":
    main()
