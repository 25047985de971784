"""Bad days of `gen`: streams that are full, closed or deaf, locales without letters, files no one may read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from manifests import NOTES
from rolecall_generator.terminal import SafeTyper

PROGRAM = "from rolecall_generator.cli import app; app(prog_name='gen')"


def gen(
    *arguments: str, cwd: Path, stdout: int | None = None, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run `gen` as an ordinary process; its output goes to a descriptor where one is given."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120", "TERM": "dumb", **(environ or {})},
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        check=False,
    )


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder with the notes' manifest."""
    (tmp_path / "accounts.yaml").write_bytes(NOTES.read_bytes())
    return tmp_path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", [["schema"], ["terraform"], ["profiles"]], ids=" ".join)
def test_a_full_disk_behind_standard_output_is_said(notes: Path, command: list[str]) -> None:
    """Output that cannot be written ends with the code for output and names standard output, not a fault of rolecall's."""
    with Path("/dev/full").open("wb") as full:
        done = gen(*command, cwd=notes, stdout=full.fileno())

    assert 5 == done.returncode
    assert b"error: standard output: operating system error: No space left on device\n  hint: " in done.stderr


def test_a_reader_that_goes_away_is_no_finding(notes: Path) -> None:
    """A closed pipe ends the command as a shell expects it, silently, and never with the code for findings."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = gen("prove", "--planned", cwd=notes, stdout=write)
    finally:
        os.close(write)

    assert (141, b"") == (done.returncode, done.stderr)


def test_an_ascii_locale_gets_utf_8(notes: Path) -> None:
    """In cron's locale the marks of a proof come out as UTF-8 in place of an error."""
    done = gen("prove", "--planned", cwd=notes, environ={"PYTHONIOENCODING": "ascii"})

    assert (0, b"") == (done.returncode, done.stderr)
    assert "✓" in done.stdout.decode("utf-8")


def test_closed_streams_stop_nothing(notes: Path) -> None:
    """With standard output closed, modules are written all the same."""
    script = f'exec "{sys.executable}" -c "{PROGRAM}" terraform >&-'
    done = subprocess.run(["/bin/sh", "-c", script], cwd=notes, stderr=subprocess.PIPE, check=False)

    assert (0, b"") == (done.returncode, done.stderr)
    assert (notes / "output/customers/account1/main.tf").exists()


@pytest.mark.parametrize(
    ("option", "text"),
    [("--prefix", "a]"), ("--prefix", "a b"), ("--prefix", "a\n"), ("--source-profile", "me\nrole_arn = x")],
)
def test_profiles_cannot_be_broken_by_an_option(notes: Path, option: str, text: str) -> None:
    """What would end a profile's name or line in ~/.aws/config is refused, and nothing is printed."""
    done = gen("profiles", option, text, cwd=notes)

    assert (2, b"") == (done.returncode, done.stdout)
    assert f"error: {option}: ".encode() in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_manifest_that_may_not_be_read_has_its_mend(notes: Path) -> None:
    """A manifest without read permission is a manifest's problem, told with its hint as all others."""
    (notes / "accounts.yaml").chmod(0)
    done = gen("terraform", cwd=notes)

    assert 3 == done.returncode
    assert b"permission denied\n  hint: " in done.stderr


def test_ctrl_c_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """A Ctrl-C that no command caught ends with 130 and a word, not in silence."""
    app = SafeTyper()

    @app.command()
    def wait() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        app([])

    assert (130, "error: interrupted; completed work is kept\n") == (ended.value.code, capsys.readouterr().err)
