"""The programs of the Python pages pass mypy in strict mode, as users run it: without this project's settings."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rolecall
from docs_page import Saved, read_page

DOCS = Path(__file__).parents[2] / "docs" / "how-to"
PROGRAMS = {
    step.name: step.text
    for page in ("python.md", "service.md")
    for step in read_page((DOCS / page).read_text("utf-8")).steps
    if isinstance(step, Saved)
}
WRONG = """\
import rolecall

verdict: int = rolecall.Fleet().verify("acme")
rolecall.build_bundle("accounts.yaml", 1)
rolecall.Customer(name="acme")
for row in rolecall.Fleet().query("ec2", "describe_vpcs"):
    row.no_such_attribute
rolecall.no_such_name
"""


def mypy(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(text, "utf-8")
    options = ("--strict", "--config-file=", f"--cache-dir={folder.parent / 'mypy-cache'}", "program.py")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MYPY", "PYTHON"))}
    return subprocess.run(
        [sys.executable, "-m", "mypy", *options], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_of_a_page_passes_mypy(name: str, tmp_path: Path) -> None:
    """The package's type hints are complete enough for strict mode."""
    done = mypy(tmp_path, PROGRAMS[name])

    assert 0 == done.returncode, done.stdout + done.stderr


def test_mypy_finds_wrong_uses(tmp_path: Path) -> None:
    """Each line of a wrong program has an error: the types are not `Any`."""
    done = mypy(tmp_path, WRONG)
    wrong = {line.split(":")[1] for line in done.stdout.splitlines() if ": error:" in line}

    assert {"3", "4", "5", "7", "8"} == wrong, done.stdout


def test_pages_use_only_the_interface() -> None:
    """Programs import no other module of the project, and use names of `rolecall.__all__`."""
    for name, text in PROGRAMS.items():
        imported = {alias.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for alias in node.names}
        used = {
            node.attr
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "rolecall"
        }
        assert "rolecall" in imported, name
        assert "rolecall_" not in text
        assert used
        assert used <= set(rolecall.__all__)
