"""Man pages: one for every command, with all that its help says, and well-formed for those who judge them."""

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
    """A page as a reader sees it, on one line; what `man` warns of is an error. Skips without man-db."""
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


def test_every_command_has_its_page(tmp_path: Path) -> None:
    """A page each, in ASCII; one of a command that is no more goes, other files stay."""
    (tmp_path / "gen-gone.1").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    main(tmp_path)

    assert {*(f"{page_name(command)}.1" for command in COMMANDS), "notes.txt"} == {path.name for path in tmp_path.iterdir()}
    assert all(path.read_bytes().isascii() for path in tmp_path.iterdir())


def test_the_same_source_gives_the_same_pages() -> None:
    """Nothing of the day or of the machine is in them; the version and its date are."""
    assert man_pages(EDITION) == man_pages(EDITION)
    assert all(
        text.startswith('.TH "') and ' 1 "2026-11-24" "rolecall 1.2.3" ' in text for text in man_pages(EDITION).values()
    )


@pytest.mark.parametrize("command", [COMMANDS[0], *(each for each in COMMANDS if each.options)][::6], ids=page_name)
def test_a_page_says_all_that_the_help_says(command: Command) -> None:
    """Summary, arguments, options, defaults and examples stand on the page as people read it."""
    text = read(man_page(command, EDITION))
    parts = [*command.paragraphs, *(each.meaning for each in (*command.arguments, *command.options))]
    parts += [each.written for each in command.options] + [line for line, _ in command.examples]

    assert [] == [part for part in parts if " ".join(part.replace("`", "").split()) not in text]
    assert [] == [each.written for each in command.options if each.default and f"Default: {each.default}." not in text]


def test_every_exit_code_is_explained() -> None:
    """A page has the whole table, so that no one has to look elsewhere."""
    text = read(man_page(COMMANDS[0], EDITION)).partition("EXIT STATUS")[2]

    assert list(ExitCode) == [code for code, _ in exit_codes()]
    assert [] == [code for code, meaning in exit_codes() if f"{code} {meaning.replace('`', '')}" not in text]


def test_limits_are_said_in_words() -> None:
    """What Typer writes as a formula is a range that people read."""
    (forks,) = (
        each
        for command in COMMANDS
        if command.name == "runner verify"
        for each in command.options
        if "forks" in each.written
    )

    assert "Number of accounts processed concurrently, per process. (1 to 256)" == forks.meaning
    assert "16" == forks.default


def test_no_text_is_taken_for_a_request() -> None:
    """Dots, apostrophes, backslashes and quotes at any place come out as they were written."""
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
def test_mandoc_has_no_objection(command: Command) -> None:
    """The strictest judge of man pages warns of nothing."""
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not on PATH")
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning"],
        input=man_page(command, EDITION), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert "" == done.stdout + done.stderr
