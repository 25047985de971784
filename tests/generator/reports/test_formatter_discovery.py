"""An output format is one file: found in the folder of formatters and offered by the command without a list to edit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = '''
"""A format that is not part of rolecall."""

from rolecall_generator.reports.formatters.interface import Formatter

FORMATTER = Formatter(check=lambda report: f"{report.checked.modules} modules of {report.manifest}\\n")
'''
PROGRAM = """
from rolecall_generator.reports import formatters
formatters.__path__.append({folder!r})
from rolecall_generator.cli import app
app(prog_name="gen")
"""
MANIFEST = """\
version: 1
backend: {account_id: "111111111111"}
permission_sets: {ec2-read: {managed_policies: [AmazonEC2ReadOnlyAccess]}}
customers:
  - {name: acme, account_id: "222222222222", external_id: id-of-acme-1, permissions: [ec2-read]}
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "formats").mkdir(exist_ok=True)
    (folder / "formats" / "brief.py").write_text(SOURCE)
    (folder / "accounts.yaml").write_text(MANIFEST)
    program = PROGRAM.format(folder=str(folder / "formats"))
    return subprocess.run([sys.executable, "-c", program, *words], cwd=folder, capture_output=True, text=True, check=False)


def test_format_from_outside_is_offered_and_used(tmp_path: Path) -> None:
    """The option's choices include it, and the command prints what it renders."""
    assert "brief" in run(tmp_path, "check", "--help").stdout
    assert 0 == run(tmp_path, "terraform", "--quiet", "--no-check").returncode

    done = run(tmp_path, "check", "--format", "brief", "--fail-on", "error")

    assert (0, "2 modules of accounts.yaml\n") == (done.returncode, done.stdout), done.stderr


@pytest.mark.parametrize("name", ["brief", "unknown"])
def test_format_is_offered_only_by_its_commands(name: str, tmp_path: Path) -> None:
    """A format without a rendering of proofs, and an unknown one, are usage errors of `gen prove`."""
    assert 2 == run(tmp_path, "prove", "--format", name).returncode
