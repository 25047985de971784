"""Prints the cost of parsing modules compared with only python-hcl2, and that of the first module; asserts nothing.

Run as `python benchmarks/bench_parse.py [CUSTOMERS]` (default: 1,000 customers).
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import hcl2

from rolecall_generator.generate import generate
from rolecall_generator.terraform.parser.files import read_folder
from rolecall_generator.terraform.parser.lexer import scan
from rolecall_generator.terraform.parser.parse import parse_files
from rolecall_generator.terraform.parser.schema import ParseFindings
from rolecall_generator.workers import collection_paused

MANIFEST = """
version: 1
backend: {account_id: "111111111111", role: {name: backend_role, existing: true, path: /vendor/}}
permission_sets:
  s3-read:
    statements: [{sid: Read, actions: ["s3:GetObject", "s3:ListBucket"], resources: ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]}]
  ec2-read: {managed_policies: [AmazonEC2ReadOnlyAccess]}
customers:
"""
SAMPLE = 60
"""Number of modules parsed with only python-hcl2: all of them would take minutes, and each costs the same."""
FIRST = """
import sys
from pathlib import Path
from rolecall_generator.terraform.parser.parse import parse_module
assert not parse_module(Path(sys.argv[1]), account_id=None).findings
"""


def folders(customers: int, root: Path) -> list[Path]:
    """Generate modules of this many customers, two of three with managed policies."""
    rows = (
        f'  - {{name: c{n}, account_id: "{200_000_000_000 + n}", role: role1, external_id: "id-of-{n:012d}", '
        f"permissions: [{'s3-read' if n % 3 else 's3-read, ec2-read'}]}}\n"
        for n in range(customers)
    )
    (root / "accounts.yaml").write_text(MANIFEST + "".join(rows))
    generate(root / "accounts.yaml", root / "output")
    return sorted((root / "output" / "customers").iterdir())


def milliseconds(work: Callable[[], object], of: int) -> float:
    """Time of a call, divided by the number of items that it processed."""
    with collection_paused():
        start = time.perf_counter()
        work()
        return (time.perf_counter() - start) / of * 1000


def each(work: Callable[[str], object], texts: Iterable[str]) -> None:
    for text in texts:
        work(text)


def first(folder: Path) -> float:
    """Seconds of a process that parses one module, with an empty environment: no home folder and no user cache."""
    start = time.perf_counter()
    path = [entry for entry in sys.path if entry]
    script = f"import sys\nsys.path[:] = {path!r}\n{FIRST}"
    subprocess.run([sys.executable, "-c", script, str(folder)], env={}, check=True)
    return time.perf_counter() - start


def main() -> None:
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    with tempfile.TemporaryDirectory() as root:
        paths = folders(customers, Path(root))
        cold = statistics.median(first(paths[0]) for _ in range(5))
        modules: list[dict[str, bytes]] = []
        reading = milliseconds(lambda: modules.extend(read_folder(path, ParseFindings()) for path in paths), customers)
    texts = [[content.decode() for content in files.values()] for files in modules]
    distinct = list(dict.fromkeys(text for module in texts[:SAMPLE] for text in module))
    hcl2.loads("a = 1\n")  # its grammar is not part of the comparison
    alone = milliseconds(lambda: each(hcl2.loads, distinct), min(SAMPLE, customers))
    scanning = milliseconds(lambda: each(scan, (text for module in texts for text in module)), customers)
    whole = milliseconds(lambda: [parse_files(files, account_id=None) for files in modules], customers)
    print(f"first module of a process, start of Python included: {cold:.2f} s")  # noqa: T201
    print(f"python-hcl2 alone, distinct files: {alone:.2f} ms a module")  # noqa: T201
    print(f"parse to Access: {whole:.2f} ms a module, {whole / alone:.3f} of python-hcl2 alone")  # noqa: T201
    print(f"files from disk: {reading:.2f} ms a module; scanning all of them again: {scanning:.2f} ms")  # noqa: T201
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")  # noqa: T201


if __name__ == "__main__":
    main()
