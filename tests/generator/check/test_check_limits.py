"""No returned module within the size limits makes `gen check` use more than 10 s of CPU or 500 MiB, or raise."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hostile_modules import QUICK, SLOW
from rolecall_generator.errors import ExitCode

# The limit is 10 s; a shared machine can take twice as long. benchmarks/bench_hostile_modules.py prints the seconds.
CPU_SECONDS = 20
MIB = 500
# VmHWM and not ru_maxrss: on Linux, a child process inherits its parent's peak (setmax_mm_hiwater_rss in fs/exec.c).
RUN = """
import atexit, re, sys
from pathlib import Path
from rolecall_generator.cli import app
peak = Path(sys.argv.pop())
atexit.register(lambda: peak.write_text(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]))
app(prog_name="gen")
"""
# Content that does not affect access: an unused local, tests with a mocked provider, a lock file with HashiCorp's provider.
HARMLESS = {
    "14,000 templates", "14,000 variables", "700 deep expressions", "900 test files", "JSON templates", "a chain of locals",
    "a lock of 120,000 hashes", "a path of 55,000", "a test file of 70,000 runs", "sums", "tokens at the limit",
}  # fmt: skip


def check_limited(folder: Path, returned: Path, peak: Path) -> tuple[int, float]:
    """Exit code and peak memory in MiB of a check of a returned folder."""
    command = [sys.executable, "-c", RUN, "check", "accounts.yaml", "--path", f"account1={returned}", str(peak)]
    limited = ["sh", "-c", f'ulimit -t {CPU_SECONDS} && exec "$@"', "sh", *command]
    code = subprocess.run(limited, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
    return code, int(peak.read_text()) / 1024 if peak.exists() else 0


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_hostile_module_is_checked_within_limits(name: str, generated_once: Path, tmp_path: Path) -> None:
    """The result is a finding, unless Terraform would ignore the added content."""
    shutil.copytree(generated_once / "output/customers/account1", tmp_path / "returned")
    for path, content in {**QUICK, **SLOW}[name]().items():
        (tmp_path / "returned" / path).parent.mkdir(exist_ok=True)
        (tmp_path / "returned" / path).write_text(content)
    code, mib = check_limited(generated_once, tmp_path / "returned", tmp_path / "peak")

    assert code in ({ExitCode.OK, ExitCode.FINDINGS} if name in HARMLESS else {ExitCode.FINDINGS, ExitCode.MODULE})
    assert 0 < mib < MIB
