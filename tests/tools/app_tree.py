"""The help of both programs as data: one walk over the apps, for the reference pages and the man pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import typer

from rolecall_generator.cli.main import app as gen_app
from rolecall_runner.cli.main import app as runner_app

PROGRAMS = ("gen", "runner")
_APPS = {"gen": gen_app, "runner": runner_app}
_OF_THE_FRAME = ("--help", "--install-completion", "--show-completion")


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument or option: its syntax (`--format <table|json>`), its description, and its default, if any."""

    written: str
    meaning: str
    default: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its full name (`gen customer add`) and its help, with Markdown code spans (`code`).

    `paragraphs` begins with the summary; `examples` are command lines, each with a comment, which may be empty.
    """

    words: tuple[str, ...]
    paragraphs: tuple[str, ...]
    usage: str
    arguments: tuple[Parameter, ...]
    options: tuple[Parameter, ...]
    examples: tuple[tuple[str, str], ...]
    children: tuple[Command, ...] = ()

    @property
    def name(self) -> str:
        """The full name."""
        return " ".join(self.words)

    def walk(self) -> Iterator[Command]:
        """This command and all its subcommands."""
        yield self
        for child in self.children:
            yield from child.walk()


@cache
def loaded_commands(command: Any) -> dict[str, Any]:
    """Import the subcommands of a command, once per command: Typer builds a command from its function each time."""
    for name in getattr(command, "modules", {}):
        command.load(name)
    return getattr(command, "commands", {})


def program(name: str) -> Command:
    """A program's commands, in the order of its help."""
    return _command(typer.main.get_command(_APPS[name]), (name,), None)


def _command(command: Any, words: tuple[str, ...], parent: Any) -> Command:
    context = command.context_class(command, info_name=words[-1], parent=parent)
    shown = [each for each in command.params if not each.hidden and not set(each.opts) & set(_OF_THE_FRAME)]
    arguments = [each for each in shown if each.param_type_name == "argument"]
    options = [_option(each, context) for each in shown if each.param_type_name == "option"]
    children = loaded_commands(command)
    return Command(
        words,
        tuple(" ".join(part.split()) for part in (command.help or "").split("\n\n") if part.strip()),
        " ".join([" ".join(words), *_usage(arguments, bool(options), bool(children))]),
        tuple(Parameter(_called(each), each.help or "") for each in arguments),
        tuple(options),
        tuple(_examples(command.epilog or "")),
        tuple(_command(child, (*words, name), context) for name, child in children.items() if not child.hidden),
    )


def _usage(arguments: list[Any], has_options: bool, has_children: bool) -> Iterator[str]:
    if has_options:
        yield "[OPTIONS]"
    for argument in arguments:
        many = "..." if argument.nargs == -1 else ""
        yield f"{_called(argument)}{many}" if argument.required else f"[{_called(argument)}]{many}"
    if has_children:
        yield "COMMAND"


def _called(argument: Any) -> str:
    """An argument's name without brackets: some apps write brackets and dots themselves, Typer adds its own."""
    return re.sub(r"[\[\]]|\.\.\.", "", argument.metavar or argument.name.upper())


def _option(option: Any, context: Any) -> Parameter:
    written, meaning = option.get_help_record(context)
    extra = re.search(r"  \\?\[([^\[\]]+)\]$", meaning)
    if extra is None:
        return Parameter(written, meaning)
    default = re.search(r"default: ([^;]+)", extra[1])
    words = meaning[: extra.start()] + "".join(f" ({said})" for part in extra[1].split("; ") if (said := _limits(part)))
    return Parameter(written, words, default[1] if default else "")


def _limits(part: str) -> str:
    """Typer's `1<=x<=256` and `x>=1` as a readable range; an empty string for anything else."""
    if found := re.fullmatch(r"(\S+)<=x<=(\S+)", part):
        return f"{found[1]} to {found[2]}"
    found = re.fullmatch(r"x>=(\S+)", part)
    return f"at least {found[1]}" if found else ""


def _examples(epilog: str) -> Iterator[tuple[str, str]]:
    for line in epilog.splitlines():
        text = re.sub(r"^Examples?:\s*", "", line.strip())
        if text:
            command, _, remark = text.partition("   ")
            yield command.strip(), remark.strip()
