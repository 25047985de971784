"""Build the files of a release: `make dist` writes the wheel and the sdist, `make sbom` also their bill of materials.

All build requirements are pinned in requirements.lock and installed already: building downloads nothing. The
bill of materials describes what requirements-runtime.lock and the wheel install together, so these are installed first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNTIME_LOCK = ROOT / "requirements-runtime.lock"
_SOURCE_DATE = "SOURCE_DATE_EPOCH"


def uv() -> str:
    """The uv installed next to this Python, else the one on PATH."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.is_file() else shutil.which("uv") or "uv"


def commit_date(root: Path) -> str | None:
    """Date of the checked-out commit, in seconds since 1970; None if git has none."""
    try:
        done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None


def build_packages(root: Path, out: Path, *options: str, environment: Mapping[str, str] = os.environ) -> None:
    """Build the sdist, and the wheel from it, into `out`; `options` are options of `uv build`, such as `--wheel`.

    Man pages in the folder `man` are included. Files are dated SOURCE_DATE_EPOCH, else the commit's date: the same commit
    gives identical files.
    """
    date = environment.get(_SOURCE_DATE) or commit_date(root)
    dated = {**environment, **({_SOURCE_DATE: date} if date else {})}
    command = [uv(), "build", "--quiet", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(out), *options]
    subprocess.run([*command, str(root)], env=dated, check=True)


def write_man_pages(root: Path) -> None:
    """Regenerate the pages in the folder `man` of a checkout, which the build includes."""
    subprocess.run([sys.executable, str(root / "tests" / "tools" / "build_reference.py"), "man"], cwd=root, check=True)


def install(wheel: Path, folder: Path, *, everything: bool = False) -> Path:
    """Install the wheel into a new environment at `folder`, in the locked versions; returns the environment's Python.

    `everything`: the whole runtime lock with hashes, then only the wheel; else the wheel with its dependencies.
    """
    python = folder / "bin" / "python"
    pip = [uv(), "pip", "install", "--quiet", "--python", str(python)]
    subprocess.run([uv(), "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    if everything:
        subprocess.run([*pip, "--require-hashes", "--requirements", str(RUNTIME_LOCK)], check=True)
        subprocess.run([*pip, "--no-deps", str(wheel)], check=True)
    else:
        subprocess.run([*pip, "--constraints", str(RUNTIME_LOCK), str(wheel)], check=True)
    return python


def write_bill_of_materials(wheel: Path, environment: Path, target: Path) -> None:
    """Write the CycloneDX 1.6 document (JSON, validated) of an environment in which the wheel is installed."""
    version = wheel.name.split("-")[1]
    project = (
        (ROOT / "pyproject.toml")
        .read_text("utf-8")
        .replace('dynamic = ["version",', f'version = "{version}"\ndynamic = [', 1)
    )
    with tempfile.TemporaryDirectory() as folder:
        described = Path(folder) / "pyproject.toml"  # the committed file takes the version from git
        described.write_text(project, encoding="utf-8")
        options = ["--pyproject", str(described), "--mc-type", "application", "--spec-version", "1.6"]
        options += ["--output-reproducible", "--output-format", "JSON", "--output-file", str(target)]
        program = Path(sys.executable).with_name("cyclonedx-py")
        subprocess.run([program, "environment", *options, str(environment)], check=True)


def main(job: str, out: Path) -> None:
    """`dist` rebuilds the packages; `sbom` describes the wheel in `out`."""
    if job == "dist":
        shutil.rmtree(out, ignore_errors=True)
        write_man_pages(ROOT)
        build_packages(ROOT, out)
        return
    wheel = next(out.glob("rolecall-*.whl"))
    with tempfile.TemporaryDirectory() as folder:
        install(wheel, Path(folder) / "venv", everything=True)
        write_bill_of_materials(
            wheel, Path(folder) / "venv", out / f"{wheel.name.removesuffix('-py3-none-any.whl')}.cdx.json"
        )


if __name__ == "__main__":
    main(sys.argv[1], ROOT / "dist")
