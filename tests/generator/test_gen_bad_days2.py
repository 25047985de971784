"""Further bad days of `gen`: empty options, names that are no text, folders no one may read, customers that were lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from typer.testing import CliRunner, Result

from manifests import NOTES, manifest_of
from rolecall_generator.cli.main import app
from rolecall_generator.errors import ModuleError, OutputError, SelectionError
from rolecall_generator.generate import generate
from rolecall_generator.terraform.parser.folder import read_folder
from rolecall_generator.terraform.parser.schema import ParseFindings


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the notes' manifest."""
    (tmp_path / "accounts.yaml").write_bytes(NOTES.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def gen(*arguments: str) -> Result:
    """Run `gen` in this process."""
    return CliRunner().invoke(app, arguments)


def write_manifest(folder: Path, count: int) -> Path:
    """A manifest of n customers."""
    path = folder / "accounts.yaml"
    body = manifest_of(count).model_dump(mode="json", exclude_unset=True)
    path.write_text(json.dumps(body), "utf-8")
    return path


@pytest.mark.parametrize("command", ["terraform", "check", "prove", "diff"])
def test_an_empty_output_folder_is_not_the_current_one(notes: Path, command: str) -> None:
    """A variable of a script that is empty neither writes into the current folder nor reads it."""
    done = gen(command, "--out", "")

    assert isinstance(done.exception, SelectionError)
    assert "--out: the folder name is empty" in str(done.exception)
    assert ["accounts.yaml"] == [path.name for path in notes.iterdir()]


@pytest.mark.usefixtures("notes")
@pytest.mark.parametrize("given", ["", "account1=", "="])
def test_an_empty_folder_that_was_sent_back_is_refused(given: str) -> None:
    """What names no folder never means the current one."""
    done = gen("check", "--path", given)

    assert isinstance(done.exception, SelectionError)
    assert ("--path", True) == (done.exception.where, "names no folder" in done.exception.what)


def test_nobody_who_sent_a_folder_is_the_fault_of_path(notes: Path) -> None:
    """A name before a folder that is nobody's is said of the option that it stands in."""
    done = gen("check", "--path", f"nobody={notes}")

    assert isinstance(done.exception, SelectionError)
    assert "--path: there is no customer or switch role named nobody" in str(done.exception)


def test_a_manifest_may_have_a_name_that_is_no_text(notes: Path) -> None:
    """A file name that is not UTF-8 has a mark in the headers and a code in the next steps; the modules are written."""
    strange = Path(os.fsdecode(b"\xff.yaml"))
    (notes / "accounts.yaml").rename(strange)

    # The entry point itself: it readies the streams for such names, the test runner's own streams refuse them.
    program = "from rolecall_generator.cli import app; app(prog_name='gen')"
    done = subprocess.run([sys.executable, "-c", program, "terraform", str(strange)], capture_output=True, check=False)

    assert (0, b"") == (done.returncode, done.stderr)
    assert b"gen bundle --manifest $'\\xff.yaml'\n" in done.stdout
    assert "\ufffd.yaml" in (notes / "output/customers/account1/main.tf").read_text("utf-8")


def test_a_folder_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    """The hint for a refused reading is a permission, not another folder."""
    refusal = PermissionError(13, "Permission denied", str(tmp_path))
    with mock.patch("os.scandir", side_effect=refusal), pytest.raises(ModuleError) as refused:
        read_folder(tmp_path, ParseFindings())

    assert f"{tmp_path}: reading the module is not permitted\n  hint: give yourself read permission" in str(refused.value)


def test_the_loss_of_every_customer_is_refused(tmp_path: Path) -> None:
    """An empty list, or a lost include, deletes nothing before it is said to be meant."""
    out = tmp_path / "output"
    generate(write_manifest(tmp_path, 3), out)
    before = sorted(out.rglob("*"))

    with pytest.raises(OutputError, match="none of the 3 customers of the last run is in the manifest"):
        generate(write_manifest(tmp_path, 0), out)

    assert before == sorted(out.rglob("*"))
    assert () == generate(tmp_path / "accounts.yaml", out, prune=False).report.removed
    generate(write_manifest(tmp_path, 3), out)
    assert 3 == len(generate(write_manifest(tmp_path, 0), out, prune_all=True).report.removed)


def test_customers_who_leave_are_an_ordinary_day(tmp_path: Path) -> None:
    """Where some customers stay, or the only one leaves, the modules of the others go without a question."""
    out = tmp_path / "output"
    removed = [len(generate(write_manifest(tmp_path, count), out).report.removed) for count in (3, 1, 0)]

    assert [0, 2, 1] == removed
