"""No returned module below the limits takes `gen check` more than 10 s or 500 MiB, or ends it with a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from manifests import NOTES
from nasty_modules import QUICK, SLOW
from rolecall_generator.errors import ExitCode
from rolecall_generator.generate import generate

SECONDS = 10
MIB = 500
RUN = "import sys; from rolecall_generator.cli import app; app(prog_name='gen')"
# What reads and cannot change access: a local that nothing uses, tests under a mocked provider, a lock of HashiCorp's own.
HARMLESS = {
    "14,000 templates",
    "14,000 variables",
    "700 deep expressions",
    "900 test files",
    "JSON templates",
    "a chain of locals",
    "a lock of 120,000 hashes",
    "a path of 55,000",
    "a test file of 70,000 runs",
    "sums",
    "tokens at the limit",
}


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example accounts' manifest and modules."""
    folder = tmp_path_factory.mktemp("limits")
    shutil.copy(NOTES, folder / "accounts.yaml")
    generate(folder / "accounts.yaml", folder / "output")
    return folder


def measured(notes: Path, folder: Path) -> tuple[int, float, float]:
    """Exit code, seconds of processor time and peak MiB of a check of a returned folder."""

    command = [sys.executable, "-c", RUN, "check", "accounts.yaml", "--path", f"account1={folder}"]
    limited = ["sh", "-c", f'ulimit -t {2 * SECONDS} && exec "$@"', "sh", *command]
    with subprocess.Popen(limited, cwd=notes, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_hostile_module_is_checked_within_limits(name: str, notes: Path, tmp_path: Path) -> None:
    """The result is a finding, unless Terraform would ignore what was added."""
    shutil.copytree(notes / "output/customers/account1", tmp_path / "returned")
    for path, content in {**QUICK, **SLOW}[name]().items():
        (tmp_path / "returned" / path).parent.mkdir(exist_ok=True)
        (tmp_path / "returned" / path).write_text(content)
    code, seconds, mib = measured(notes, tmp_path / "returned")

    assert code in ({ExitCode.OK, ExitCode.FINDINGS} if name in HARMLESS else {ExitCode.FINDINGS, ExitCode.MODULE})
    assert seconds < SECONDS
    assert mib < MIB
