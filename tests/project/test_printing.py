"""All output goes through one console and its sanitizer."""

from __future__ import annotations

import ast
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich import box
from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hostile_text import FRIENDLY, HOSTILE, MARKUP, leaks
from rolecall_generator.errors import ManifestError, OutputError, Problem
from rolecall_generator.terminal import SafeConsole, emit, print_error, print_lines

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [*(ROOT / "generator").rglob("*.py"), *(ROOT / "runner").rglob("*.py")]
CONSOLE = ROOT / "generator" / "rolecall_generator" / "terminal.py"
ANY = st.text(st.characters(), max_size=60) | st.lists(st.sampled_from(HOSTILE), max_size=4).map("".join)


FORBIDDEN = {"print", "input", "Console", "rich.print", "typer.confirm", "typer.prompt", "typer.launch", "typer.edit"}
STREAMS = {"sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}
RICH = {"box", "cells", "console", "live", "measure", "padding", "progress", "segment", "spinner", "style", "table", "text"}
"""Permitted parts of rich. Panels, prompts and rules parse markup in their titles, bypassing the console."""


def printers(path: Path) -> Iterator[str]:
    """Calls in a module that write to a stream without the console, and consoles that it creates itself."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        found = ""
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            found = name if name in FORBIDDEN or name.startswith(("typer.echo", "typer.secho", "click.")) else ""
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in STREAMS:
            found = ast.unparse(node) if node.attr not in {"isatty", "fileno"} else ""
        if found and isinstance(node, ast.expr):
            yield f"{path.relative_to(ROOT)}:{node.lineno}: {found}"


def test_only_the_console_module_prints() -> None:
    """New code cannot bypass the sanitizer: there is no other way to write to the terminal."""
    assert [] == [found for path in SOURCES if path != CONSOLE for found in printers(path)]


def test_only_permitted_parts_of_rich_are_used() -> None:
    """None of them parses markup in its arguments, nor is markup enabled."""
    found = {
        each
        for path in SOURCES
        for each in re.findall(r"^ *(?:from|import) rich\.?(\w*)", path.read_text("utf-8"), re.MULTILINE)
    }
    asking = [path.name for path in SOURCES if re.search(r"\bmarkup=True|from_markup", path.read_text("utf-8"))]

    assert set() == found - RICH - {""}
    assert [] == asking


def console(*, terminal: bool, width: int = 30) -> tuple[SafeConsole, io.StringIO]:
    text = io.StringIO()
    return SafeConsole(file=text, force_terminal=terminal, width=width, soft_wrap=not terminal), text


def every_way(writer: SafeConsole, hostile: str) -> None:
    """Every way in which the printers pass strings to a console."""
    writer.print(hostile)
    writer.print(f"    {hostile}", style="red", markup=True, soft_wrap=True)
    writer.print(hostile, hostile, sep=" ", end="\n")
    writer.print(Text(hostile, style="bold"))
    writer.print(Text.assemble((hostile, "red"), hostile, ("", "dim")), no_wrap=True, overflow="ignore", crop=False)
    writer.print(Group(hostile, Text(hostile)))
    writer.print(Panel(hostile))
    writer.print(Text(hostile, style="link http://evil.example"))
    for frame in (None, box.SIMPLE_HEAD, box.HEAVY_HEAD):
        table = Table(title=hostile, box=frame, pad_edge=False, caption=hostile)
        table.add_column(hostile, overflow="fold")
        table.add_column(Text(hostile), overflow="fold", footer=hostile)
        table.add_row(hostile, Text(hostile))
        writer.print(table)
    writer.out(hostile, style="bold", highlight=False)
    print_lines(writer, hostile)


@pytest.mark.parametrize("terminal", [False, True])
@settings(deadline=None)
@given(hostile=ANY)
def test_every_way_of_printing_is_sanitized(hostile: str, *, terminal: bool) -> None:
    """String, text, cell, heading, title or block; wrapped on a terminal, unwrapped in a pipe."""
    writer, text = console(terminal=terminal)
    every_way(writer, hostile)

    assert [] == leaks(text.getvalue(), styles=terminal)


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_line_breaks_in_a_string_are_replaced(hostile: str) -> None:
    """A string from someone else cannot start a new line."""
    writer, text = console(terminal=False, width=500)
    writer.print(f"<{hostile}>")
    writer.print(Text(f"<{hostile}>"))
    lines = text.getvalue().split("\n")

    assert 3 == len(lines)
    assert [("<", ">"), ("<", ">")] == [(line[:1], line[-1:]) for line in lines[:2]]


@pytest.mark.parametrize("text", [*MARKUP, *FRIENDLY])
def test_markup_and_unicode_names_are_printed_literally(text: str) -> None:
    """Brackets are kept, `:bomb:` is not an emoji, and names in all scripts are readable."""
    writer, out = console(terminal=False, width=500)
    table = Table(text, box=None)
    table.add_row(text)
    writer.print(text)
    writer.print(table)

    assert 3 == out.getvalue().count(text)


def test_live_display_is_sanitized() -> None:
    """A display that is redrawn is rendered by the console as well."""
    writer, text = console(terminal=True, width=80)
    with Live(Text("\x1b]0;x\x07name\u202e"), console=writer, transient=True, auto_refresh=False) as live:
        live.refresh()

    assert "\x1b]" not in text.getvalue()
    assert "\u202e" not in text.getvalue()


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_each_part_of_an_error_is_sanitized(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Message, location and hint are one line each, whatever they contain."""
    error = OutputError(f"a {hostile}", where=hostile, hint=f"b {hostile}")
    problems = ManifestError([Problem(hostile, 1, 2, hostile, hostile)])
    print_error(f"error: {error}")
    print_error(f"error: {problems}")
    printed = capsys.readouterr().err

    assert [] == leaks(str(error)) + leaks(str(problems)) + leaks(printed)
    assert 2 + 3 == printed.count("\n")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [40, 80, 120])
def test_error_on_a_terminal_is_wrapped_and_indented(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line of the error is wrapped at the width, between words; a path that is longer is not broken."""
    path = "/" + "x" * 100
    error = OutputError("a word " * 30, where="here", hint="another word " * 30 + path)
    monkeypatch.setattr(sys, "stderr", screen := _Terminal())
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    print_error(f"error: {error}")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue()).splitlines()
    hint = next(number for number, line in enumerate(lines) if line.startswith("  hint: "))

    assert path in {line.strip() for line in lines}
    assert [] == [line for line in lines if len(line) > width and line.strip() != path]
    assert all(line.startswith("  ") for line in lines[1:hint])
    assert all(line.startswith("    ") for line in lines[hint + 1 :])


def test_error_in_a_pipe_is_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    """As all other output, so that a log can be searched."""
    print_error(f"error: {OutputError('a word ' * 30, hint='another word ' * 30)}")

    assert 2 == capsys.readouterr().err.count("\n")


@given(hostile=ANY)
def test_machine_format_on_a_terminal_is_sanitized(hostile: str) -> None:
    """Content of a format (CSV of an earlier version, a log) cannot control the terminal."""
    before = sys.stdout
    sys.stdout = screen = _Terminal()
    try:
        emit(hostile)
    finally:
        sys.stdout = before

    assert [] == leaks(screen.getvalue())
