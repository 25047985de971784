"""A command's man page, in roff's `man` macros, generated from its help."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tools.app_tree import Command, Parameter


@dataclass(frozen=True, slots=True)
class Edition:
    """Common parts of all pages: the version, its date (2026-11-24), and the exit codes with their meaning."""

    version: str
    date: str
    exit_codes: tuple[tuple[int, str], ...] = ()


def page_name(command: Command) -> str:
    """A page's name in the style of git: `gen-customer-add`."""
    return "-".join(command.words)


def man_page(command: Command, edition: Edition) -> str:
    """The page, ASCII only."""
    return "\n".join([*_lines(command, edition), ""])


def _lines(command: Command, edition: Edition) -> Iterator[str]:
    name = page_name(command)
    yield f'.TH "{_text(name.upper())}" 1 "{edition.date}" "rolecall {_text(edition.version)}" "rolecall"'
    yield ".SH NAME"
    yield f"{_text(name)} \\- {_text(_plain(command.paragraphs[0]).rstrip('.'))}"
    yield ".SH SYNOPSIS"
    yield f"\\fB{_text(command.name)}\\fR{_text(command.usage.removeprefix(command.name))}"
    yield ".SH DESCRIPTION"
    for number, paragraph in enumerate(command.paragraphs):
        if number:
            yield ".PP"
        yield _marked(paragraph)
    for title, entries in (
        ("ARGUMENTS", map(_parameter, command.arguments)),
        ("OPTIONS", map(_parameter, command.options)),
        (
            "COMMANDS",
            ((f"\\fB{_text(page_name(child))}\\fR(1)", _marked(child.paragraphs[0])) for child in command.children),
        ),
        (
            "EXAMPLES",
            ((f"\\fB{_text(line)}\\fR", _marked(remark) if remark else "\\&") for line, remark in command.examples),
        ),
        ("EXIT STATUS", ((f"\\fB{code}\\fR", _marked(meaning)) for code, meaning in edition.exit_codes)),
    ):
        yield from _entries(title, entries)
    yield ".SH SEE ALSO"
    yield _see_also(command)


def _entries(title: str, entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A section of terms with their descriptions; empty without descriptions."""
    for number, (term, explained) in enumerate(entries):
        if not number:
            yield f".SH {title}"
        yield from (".TP", term, explained)


def _parameter(parameter: Parameter) -> tuple[str, str]:
    default = f" Default: {parameter.default}." if parameter.default else ""
    return f"\\fB{_text(parameter.written)}\\fR", _marked(f"{parameter.meaning}{default}")


def _see_also(command: Command) -> str:
    above = [command.words[:length] for length in range(1, len(command.words))]
    others = [*("-".join(words) for words in above), *(page_name(child) for child in command.children)]
    others += [name for name in ("gen", "runner") if name not in others and name != page_name(command)]
    return ", ".join(f"\\fB{_text(name)}\\fR(1)" for name in others)


def _marked(text: str) -> str:
    """A paragraph; text in backticks is bold."""
    parts = re.split(r"`([^`]+)`", text)
    return _safe_start("".join(f"\\fB{_text(part)}\\fR" if number % 2 else _text(part) for number, part in enumerate(parts)))


def _plain(text: str) -> str:
    return text.replace("`", "")


def _text(text: str) -> str:
    """Text without roff requests or escapes, and with hyphens that can be copied."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("'", "\\(aq")
    return "".join(letter if letter.isascii() else f"\\[u{ord(letter):04X}]" for letter in escaped)


def _safe_start(line: str) -> str:
    return f"\\&{line}" if line.startswith((".", "'")) else line
