"""`gen terraform` for 10,000 customers compared with a loop that renders the same templates and writes the same bytes.

Prints results, asserts nothing: the first run's ratio to the bare loop, the second run's (one customer changed) to the
first, and peak memory. Each run is a separate process; the time is that of the call, without starting Python.
"""

from __future__ import annotations

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rolecall_generator.generate import generate
from rolecall_generator.manifest.loader import load_manifest
from rolecall_generator.planning.planner import make_plan
from rolecall_generator.terraform.render import FILES, _environment, module_view

CUSTOMERS = 10_000
ROUNDS = 3


def write_manifest(path: Path, *, changed: bool) -> None:
    """A manifest in block style; the changed customer has another external ID."""
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
    for number in range(CUSTOMERS):
        external_id = f"external-id-{number:08}" + ("-new" if changed and number == CUSTOMERS // 2 else "")
        lines += [
            f"  - name: customer{number:05}",
            f'    account_id: "{200_000_000_000 + number}"',
            f"    external_id: {external_id}",
        ]
    path.write_text("\n".join(lines) + "\n")


def generate_once(folder: Path) -> None:

    started = time.perf_counter()
    done = generate(folder / "accounts.yaml", folder / "out")
    _report(time.perf_counter() - started, files=done.report.files_written)


def bare_loop(folder: Path) -> None:
    """Render the same templates with Jinja2 and write the same bytes; the data is prepared before the clock starts."""

    modules = [module.build() for module in make_plan(load_manifest(folder / "accounts.yaml").manifest).modules]
    views = [(module, module_view(module, "accounts.yaml")) for module in modules]
    started = time.perf_counter()
    templates = _environment()
    files = 0
    for module, view in views:
        target = folder / "bare" / module.path
        target.mkdir(parents=True)
        for name in FILES:
            path = name if name in {"main.tf", "versions.tf"} else f"{module.kind}/{name}"
            (target / name).write_text(templates.get_template(f"terraform/{path}.j2").render(view), encoding="utf-8")
            files += 1
    _report(time.perf_counter() - started, files=files)


def _report(seconds: float, *, files: int) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_mib": peak, "files": files}))


def measure(step: str, folder: Path) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, step, str(folder)], stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> None:
    rounds: list[dict[str, dict[str, float]]] = []
    for number in range(ROUNDS):
        folder = Path(tempfile.mkdtemp(prefix="rolecall-bench-"))
        try:
            write_manifest(folder / "accounts.yaml", changed=False)
            bare = measure("bare", folder)
            first = measure("generate", folder)
            same = measure("generate", folder)
            write_manifest(folder / "accounts.yaml", changed=True)
            second = measure("generate", folder)
        finally:
            shutil.rmtree(folder)
        rounds.append({"bare": bare, "first": first, "same": same, "second": second})
        text = ", ".join(
            f"{name} {run['seconds']:.2f} s ({run['files']:.0f} files, {run['peak_mib']:.0f} MiB)"
            for name, run in rounds[-1].items()
        )
        sys.stdout.write(f"round {number + 1}: {text}\n")
    middle = {name: statistics.median(item[name]["seconds"] for item in rounds) for name in rounds[0]}
    sys.stdout.write(f"first run / bare loop: {middle['first'] / middle['bare']:.2f} (target at most 1.50)\n")
    sys.stdout.write(f"one changed / first run: {middle['second'] / middle['first']:.3f} (target at most 0.100)\n")
    sys.stdout.write(f"peak memory of the first run: {max(item['first']['peak_mib'] for item in rounds):.0f} MiB\n")


if __name__ == "__main__":
    steps = {"bare": bare_loop, "generate": generate_once}
    if len(sys.argv) == 3:
        steps[sys.argv[1]](Path(sys.argv[2]))
    else:
        main()
