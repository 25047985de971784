"""`gen bundle` for 10,000 customers compared with writing the same bytes to zip files.

    python benchmarks/bench_bundle.py [CUSTOMERS]

Prints results, asserts nothing. The bare loop writes the files of each bundle to a zip with the standard library, at the
same level, in one process; reading them is not counted. `gen bundle` is the whole command, including its start, and also
writes the folders. Peak memory is that of all its processes in total, for all customers and for a fifth of them.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import bench_terraform  # type: ignore[import-not-found]  # next to this file

from measuring import Measured, measured

LEVEL = 6


def bundle(folder: Path) -> Measured:
    """Run the command; exits the benchmark if it fails."""
    command = [str(Path(sys.executable).with_name("gen")), "bundle", "--quiet"]
    done = measured([*command, "--manifest", str(folder / "accounts.yaml"), "--out", str(folder / "out")])
    if done.code:
        raise SystemExit(done.errors)
    return done


def bare_zips(bundles: Path, target: Path) -> float:
    """Seconds to write each bundle's files to its own zip."""
    target.mkdir()
    seconds = 0.0
    for folder in sorted(path for path in bundles.iterdir() if path.is_dir()):
        files = {str(path.relative_to(bundles)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        started = time.perf_counter()
        with zipfile.ZipFile(target / f"{folder.name}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        seconds += time.perf_counter() - started
    return seconds


def measure(folder: Path, customers: int, *, bare: bool) -> tuple[Measured, float]:
    """The command and, if requested, the bare loop over its output."""
    folder.mkdir()
    bench_terraform.CUSTOMERS = customers
    bench_terraform.write_manifest(folder / "accounts.yaml", changed=False)
    done = bundle(folder)
    seconds = bare_zips(folder / "out" / "bundles", folder / "bare") if bare else 0.0
    again = bundle(folder)
    sys.stdout.write(
        f"{customers:,} customers: {done.seconds:.1f} s ({done.cpu:.1f} s CPU, {done.mib:.0f} MiB);"
        f" again, nothing to write: {again.seconds:.1f} s\n"
    )
    return done, seconds


def main() -> None:
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else bench_terraform.CUSTOMERS
    # Nothing is deleted before the end: after many deletions ext4 creates files ten times slower for some seconds.
    folder = Path(tempfile.mkdtemp(prefix="rolecall-bench-"))
    try:
        few, _ = measure(folder / "few", customers // 5, bare=False)
        all_of_them, seconds = measure(folder / "all", customers, bare=True)
    finally:
        shutil.rmtree(folder)
    sys.stdout.write(f"bare zip writing of the same bytes: {seconds:.1f} s\n")
    sys.stdout.write(f"gen bundle / bare: {all_of_them.seconds / seconds:.2f} (target at most 2.00)\n")
    sys.stdout.write(f"peak memory, all / a fifth of the customers: {all_of_them.mib / few.mib:.2f}\n")


if __name__ == "__main__":
    main()
