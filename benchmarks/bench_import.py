"""`gen import csv` for 10,000 rows: the first import, the same again, and one that changes every entry.

    python benchmarks/bench_import.py [ROWS]

Prints results, asserts nothing. Each is the command in its own process, including its start, compared with loading the
resulting manifest in another process.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from measuring import measured

ROWS = 10_000
MANIFEST = """\
version: 1
backend: {account_id: "111111111111", grant: fixed-role-name, roles: [{name: one}, {name: two}]}
quotas: {role_managed_policies: 25}
permission_sets:
  read: {statements: [{actions: [s3:GetObject], resources: ["*"]}]}
defaults: {permissions: [read]}
customers: []
"""
LOADING = (
    "import sys; from pathlib import Path; from rolecall_generator.manifest.loader import load_manifest; "
    "load_manifest(Path(sys.argv[1]))"
)
PROGRAM = "from rolecall_generator.cli import app; app(prog_name='gen')"


def write_table(path: Path, rows: int, tier: str) -> None:
    """A table of this many accounts."""
    lines = (f"Customer {number},{200_000_000_000 + number},{tier}" for number in range(rows))
    path.write_text("\n".join(("Account Name,AWS Account,label:tier", *lines, "")), "utf-8")


def main() -> None:
    """Measure and print."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "accounts.yaml").write_text(MANIFEST, "utf-8")
        seconds = {}
        for what, tier in (("first import", "gold"), ("the same again", "gold"), ("every entry changed", "silver")):
            write_table(folder / "fleet.csv", rows, tier)
            options = ["--manifest", str(folder / "accounts.yaml"), "--out", str(folder / "output"), "--update", "--yes"]
            command = [sys.executable, "-c", PROGRAM, "import", "csv", str(folder / "fleet.csv"), *options]
            seconds[what] = measured(command).seconds
        loading = measured([sys.executable, "-c", LOADING, str(folder / "accounts.yaml")]).seconds
    sys.stdout.write(f"{rows:,} rows; loading the manifest alone {loading:.2f} s\n")
    for what, took in seconds.items():
        sys.stdout.write(f"{what}: {took:.2f} s, {took / loading:.1f} times loading the manifest\n")


if __name__ == "__main__":
    main()
