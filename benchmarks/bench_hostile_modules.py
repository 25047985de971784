"""Prints CPU time and peak memory of `gen check` per hostile module, next to the unchanged module; asserts nothing.

The limits are 10 s and 500 MiB (tests/generator/check/test_check_limits.py).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rolecall_generator.generate import generate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from hostile_modules import QUICK, SLOW
from manifests import NOTES

RUN = "import sys; from rolecall_generator.cli import app; app(prog_name='gen')"


def check(folder: Path, returned: Path) -> tuple[float, float]:
    """CPU seconds and peak MiB of a check of a returned folder."""
    command = [sys.executable, "-c", RUN, "check", "accounts.yaml", "--path", f"account1={returned}"]
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copy(NOTES, folder / "accounts.yaml")
        generate(folder / "accounts.yaml", folder / "output")
        unchanged = folder / "output/customers/account1"
        check(folder, unchanged)  # the first process builds the parser's tables
        floor, _ = check(folder, unchanged)
        print(f"{'module':<40}{'CPU s':>8}{'ratio':>8}{'MiB':>8}\n{'unchanged':<40}{floor:>8.2f}{1:>8.1f}")  # noqa: T201
        for name, files in {**QUICK, **SLOW}.items():
            returned = folder / "returned"
            shutil.copytree(unchanged, returned)
            for path, content in files().items():
                (returned / path).parent.mkdir(exist_ok=True)
                (returned / path).write_text(content)
            seconds, mib = check(folder, returned)
            print(f"{name:<40}{seconds:>8.2f}{seconds / floor:>8.1f}{mib:>8.0f}", flush=True)  # noqa: T201
            shutil.rmtree(returned)


if __name__ == "__main__":
    main()
