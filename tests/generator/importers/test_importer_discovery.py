"""An importer is one file: discovered in the folder of importers and available as a command without registration."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = '''
"""An importer that is not part of rolecall."""

from typing import Annotated

from rolecall_generator.importers.import_plan import ImportedAccount, Importer, ImportOption, Reading


def read(
    load,
    number: Annotated[str, ImportOption("An account ID.")],
    name: Annotated[str, ImportOption("The customer's name.", "--name", "NAME")] = "someone",
) -> Reading:
    """Import one account of the command line."""
    return Reading("words", (ImportedAccount(name, {"account_id": number}, load().customers[0].name),))


IMPORTER = Importer("words", read, "Example:  gen import words 333333333333")
'''
PROGRAM = """
from rolecall_generator import importers
importers.__path__.append({folder!r})
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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "words.py").write_text(SOURCE)
    (tmp_path / "accounts.yaml").write_text(MANIFEST)
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(folder=str(folder / "sources"))
    return subprocess.run([sys.executable, "-c", program, *words], cwd=folder, capture_output=True, text=True, check=False)


def test_added_importer_is_a_command(folder: Path) -> None:
    """Its arguments and options are parsed, and its accounts become customers."""
    done = run(folder, "import", "words", "333333333333", "--name", "globex", "--into", "accounts.yaml", "--yes")

    assert 0 == done.returncode, done.stderr
    added = (folder / "accounts.yaml").read_text().removeprefix(MANIFEST)
    assert "name: globex" in added
    assert '"333333333333"' in added


def test_help_of_added_importer(folder: Path) -> None:
    """It has the docstring and the options of the importer, and the options of all importers."""
    shown = run(folder, "import", "words", "--help").stdout

    assert all(text in shown for text in ("Import one account of the command line.", "--name", "--into", "--dry-run"))
