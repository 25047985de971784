"""Man pages: one per command, with the complete help, and without warnings from man and mandoc."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tools.app_tree import PROGRAMS, Command, Parameter, program
from tools.build_reference import exit_codes, main, man_pages
from tools.man_page import Edition, man_page, page_name

from rolecall_generator.errors import ExitCode

EDITION = Edition("1.2.3", "2026-11-24", exit_codes())
COMMANDS = [command for name in PROGRAMS for command in program(name).walk()]
HOSTILE = Command(
    words=("gen", "hostile"),
    paragraphs=(".SH NOTHING `-x` \\fI", '\'tis "quoted" — déjà'),
    usage="gen hostile [OPTIONS] [WHAT]",
    arguments=(Parameter("WHAT", ".so /etc/passwd"),),
    options=(Parameter("--what <a|b>", "What's done.", "a\\b"),),
    examples=(("gen hostile 'a b' \\ \"c\"", ".br"),),
)


def read(text: str) -> str:
    """A page as `man` renders it, on one line; a warning is an error. Skips without man-db."""
    if (
        shutil.which("man") is None
        or b"man " not in subprocess.run(["man", "--version"], capture_output=True, check=False).stdout
    ):
        pytest.skip("there is no man-db here")
    command = ["man", "--warnings", "--encoding=UTF-8", "--local-file", "-"]
    done = subprocess.run(
        command, input=text, env={"MANWIDTH": "400", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "MANROFFOPT": "-c"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (0, "") == (done.returncode, done.stderr)
    return " ".join(re.sub(r".\x08", "", done.stdout).split())


def test_every_command_has_a_man_page(tmp_path: Path) -> None:
    """Pages are ASCII; the page of a removed command is deleted, and other files are kept."""
    (tmp_path / "gen-gone.1").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    main(tmp_path)

    assert {*(f"{page_name(command)}.1" for command in COMMANDS), "notes.txt"} == {path.name for path in tmp_path.iterdir()}
    assert all(path.read_bytes().isascii() for path in tmp_path.iterdir())


def test_man_pages_are_reproducible() -> None:
    """Pages depend on the version and its date, not on the current date or machine."""
    assert man_pages(EDITION) == man_pages(EDITION)
    assert all(
        text.startswith('.TH "') and ' 1 "2026-11-24" "rolecall 1.2.3" ' in text for text in man_pages(EDITION).values()
    )


@pytest.mark.parametrize("command", [COMMANDS[0], *(each for each in COMMANDS if each.options)][::6], ids=page_name)
def test_man_page_has_the_complete_help(command: Command) -> None:
    """The rendered page has summary, arguments, options, defaults and examples."""
    text = read(man_page(command, EDITION))
    parts = [*command.paragraphs, *(each.meaning for each in (*command.arguments, *command.options))]
    parts += [each.written for each in command.options] + [line for line, _ in command.examples]

    assert [] == [part for part in parts if " ".join(part.replace("`", "").split()) not in text]
    assert [] == [each.written for each in command.options if each.default and f"Default: {each.default}." not in text]


def test_man_page_lists_every_exit_code() -> None:
    """Each page has the whole table."""
    text = read(man_page(COMMANDS[0], EDITION)).partition("EXIT STATUS")[2]

    assert list(ExitCode) == [code for code, _ in exit_codes()]
    assert [] == [code for code, meaning in exit_codes() if f"{code} {meaning.replace('`', '')}" not in text]


def test_limits_are_written_as_ranges() -> None:
    """Typer's formulas (`1<=x<=256`) are written as readable ranges."""
    (forks,) = (
        each
        for command in COMMANDS
        if command.name == "runner verify"
        for each in command.options
        if "forks" in each.written
    )

    assert "Number of accounts processed concurrently, per process. (1 to 256)" == forks.meaning
    assert "16" == forks.default


def test_text_is_escaped_for_roff() -> None:
    """Dots, apostrophes, backslashes and quotes are printed literally in every position."""
    text = read(man_page(HOSTILE, EDITION))

    for part in (
        ".SH NOTHING -x \\fI",
        '\'tis "quoted" — déjà',
        ".so /etc/passwd",
        "Default: a\\b.",
        "'a b' \\ \"c\"",
        ".br",
    ):
        assert part in text


@pytest.mark.parametrize("command", [*COMMANDS, HOSTILE], ids=page_name)
def test_mandoc_reports_nothing(command: Command) -> None:
    """mandoc reports no warning at its strictest level."""
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not on PATH")
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning"],
        input=man_page(command, EDITION), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert "" == done.stdout + done.stderr
