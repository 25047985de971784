"""A program's reference as a Markdown page: every command with its usage, arguments, options and examples."""

from __future__ import annotations

from collections.abc import Iterator

from tools.app_tree import Command, Parameter


def reference_page(program: Command) -> str:
    """The page for `gen` or `runner`."""
    return "\n".join(_lines(program))


def _lines(program: Command) -> Iterator[str]:
    yield f"# `{program.name}`"
    yield ""
    yield f"{program.paragraphs[0]} The same is said by `{program.name} --help` and `man {program.name}`."
    yield ""
    yield "| command | what it does |"
    yield "| --- | --- |"
    for command in program.walk():
        if command is not program:
            yield f"| [`{command.name}`](#{anchor(command)}) | {_cell(command.paragraphs[0])} |"
    yield ""
    yield from _table("option", program.options)
    for command in program.walk():
        if command is not program:
            yield from _section(command)


def anchor(command: Command) -> str:
    """The anchor of a command's section."""
    return "-".join(command.words)


def _section(command: Command) -> Iterator[str]:
    yield f"## `{command.name}` {{ #{anchor(command)} }}"
    yield ""
    for paragraph in command.paragraphs:
        yield from (paragraph, "")
    if command.children:
        return
    yield from ("```text", command.usage, "```", "")
    yield from _table("argument", command.arguments)
    yield from _table("option", command.options)
    if command.examples:
        width = max(len(line) for line, remark in command.examples if remark) if any(r for _, r in command.examples) else 0
        yield from (
            "```sh",
            *(f"{line:{width}}   # {remark}" if remark else line for line, remark in command.examples),
            "```",
        )
        yield ""


def _table(kind: str, parameters: tuple[Parameter, ...]) -> Iterator[str]:
    if not parameters:
        return
    defaults = any(each.default for each in parameters)
    yield f"| {kind} | meaning |" + (" default |" if defaults else "")
    yield "| --- | --- |" + (" --- |" if defaults else "")
    for each in parameters:
        row = f"| `{each.written}` | {_cell(each.meaning)} |"  # inside a code span a bar does not end the cell
        yield row + (f" {f'`{each.default}`' if each.default else ''} |" if defaults else "")
    yield ""


def _cell(text: str) -> str:
    """A string for a table cell."""
    return text.replace("|", "\\|")
