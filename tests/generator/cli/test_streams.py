"""`gen` with full, closed and ASCII streams, file names that are not UTF-8, and Ctrl-C."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from command_rig import GEN, process
from rolecall_generator.terminal import SafeTyper


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", ["schema", "terraform", "profiles"])
def test_full_disk_for_standard_output_is_output_error(notes: Path, command: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = process(GEN, command, cwd=notes, stdout=full)

    assert 5 == done.returncode
    assert b"error: standard output: operating system error: No space left on device\n  hint: " in done.stderr


def test_closed_pipe_ends_the_command_silently(notes: Path) -> None:
    """The exit code is that of SIGPIPE in a shell, and never the one for findings."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        done = process(GEN, "prove", "--planned", cwd=notes, stdout=pipe)

    assert (141, b"") == (done.returncode, done.stderr)


def test_ascii_locale_prints_utf_8(notes: Path) -> None:
    done = process(GEN, "prove", "--planned", cwd=notes, environ={"PYTHONIOENCODING": "ascii"})

    assert (0, b"") == (done.returncode, done.stderr)
    assert "✓" in done.stdout.decode("utf-8")


def test_closed_standard_output_does_not_stop_command(notes: Path) -> None:
    script = f'exec "{sys.executable}" -c "{GEN}" terraform >&-'
    done = subprocess.run(["/bin/sh", "-c", script], cwd=notes, stderr=subprocess.PIPE, check=False)

    assert (0, b"") == (done.returncode, done.stderr)
    assert (notes / "output/customers/account1/main.tf").exists()


def test_manifest_name_can_be_undecodable(notes: Path) -> None:
    strange = os.fsdecode(b"\xff.yaml")
    (notes / "accounts.yaml").rename(notes / strange)
    done = process(GEN, "terraform", strange, cwd=notes)

    assert (0, b"") == (done.returncode, done.stderr)
    assert b"gen bundle --manifest $'\\xff.yaml'\n" in done.stdout
    assert "\ufffd.yaml" in (notes / "output/customers/account1/main.tf").read_text("utf-8")


def test_ctrl_c_is_error_with_exit_code_130(capsys: pytest.CaptureFixture[str]) -> None:
    """Also if no command catches the KeyboardInterrupt."""
    app = SafeTyper()

    @app.command()
    def wait() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        app([])

    assert (130, "error: interrupted; completed work is kept\n") == (ended.value.code, capsys.readouterr().err)


@pytest.mark.parametrize("columns", ["0", "1", "x", ""])
def test_unusable_width_loses_no_row(notes: Path, columns: str) -> None:
    """Some CI systems set COLUMNS to 0."""
    done = process(GEN, "prove", "--planned", cwd=notes, environ={"COLUMNS": columns})

    assert (0, True) == (done.returncode, b"account1" in done.stdout)
