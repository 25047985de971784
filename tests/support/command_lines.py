"""Finds `gen` and `runner` command lines in documents, and reports invalid ones. Nothing is executed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer
from tools.app_tree import loaded_commands

from rolecall_generator.cli.main import app as gen_app
from rolecall_runner.cli.main import app as runner_app

PROGRAMS: dict[str, Any] = {"gen": typer.main.get_command(gen_app), "runner": typer.main.get_command(runner_app)}

_FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_NESTED = re.compile(r"\$\(([^()]+)\)")
_REMARK = re.compile(r"\S {3,}.*$")
_OPERATORS = frozenset("();<>|&")


def of_markdown(text: str) -> Iterator[list[str]]:
    """Command lines in fenced code, indented code and code spans; a section "Not supported" is left out."""
    text = re.sub(r"^## Not supported\n.*?(?=^## |\Z|^\S[^\n]*CONTRIBUTING)", "", text, flags=re.MULTILINE | re.DOTALL)
    for block in _FENCED.findall(text):
        yield from of_script(block)
    rest = _FENCED.sub("", text)
    yield from of_script("\n".join(line for line in rest.splitlines() if line.startswith("    ")))
    for line in rest.splitlines():
        if not line.startswith("    "):
            for span in _INLINE.findall(line):
                yield from of_script(span)


def of_script(text: str) -> Iterator[list[str]]:
    """Command lines of a shell script, line by line; comments after three spaces are ignored."""
    for line in text.replace("\\\n", " ").splitlines():
        plain = _REMARK.sub(lambda match: match.group()[0], line.strip().removeprefix("$ "))
        for nested in _NESTED.findall(plain):
            yield from of_script(nested)
        yield from _of_line(plain)


def of_epilogs() -> Iterator[list[str]]:
    """Command lines in the examples of help texts."""
    for program in PROGRAMS.values():
        for command in _tree(program):
            yield from of_script(re.sub(r"^Examples?:", "", command.epilog or "", flags=re.MULTILINE))


def _tree(command: Any) -> Iterator[Any]:
    yield command
    for child in getattr(command, "commands", {}).values():
        yield from _tree(child)


def _of_line(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        tokens = list(lexer)
    except ValueError:  # an apostrophe: prose, not a command
        return
    simple: list[str] = []
    for token in [*tokens, ";"]:
        if token and set(token) <= _OPERATORS:
            if simple and simple[0].removeprefix(".venv/bin/") in PROGRAMS:
                yield [simple[0].removeprefix(".venv/bin/"), *simple[1:]]
            simple = []
        else:
            simple.append(token)


def complaint(words: list[str]) -> str | None:
    """What is invalid in a command line; None if it is valid."""
    command, rest = PROGRAMS[words[0]], words[1:]
    places = _places(command)
    while rest and rest[0] != "--":
        word = rest.pop(0)
        if word.startswith("-") and word != "-":
            option, _, value = word.partition("=")
            known = _options(command)
            if option not in known:
                return f"no option {option} of {command.name}"
            if not known[option] and not value and rest:
                rest.pop(0)
        elif hasattr(command, "commands"):
            if word not in command.commands:
                return f"no command {word} of {command.name}"
            command = loaded_commands(command)[word]
            places = _places(command)
        elif places == 0:
            return f"{command.name} has no place for {word}"
        else:
            places -= 1
    return None


def _options(command: Any) -> dict[str, bool]:
    """Every spelling of an option, and whether it is a flag."""
    found = {"--help": True}
    for parameter in command.params:
        if parameter.param_type_name == "option":
            found |= dict.fromkeys([*parameter.opts, *parameter.secondary_opts], bool(parameter.is_flag))
    return found


def _places(command: Any) -> int:
    """The number of arguments that the command takes; negative for any number."""
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    return -1 if any(argument.nargs == -1 for argument in arguments) else len(arguments)
