"""The steps that a documentation page shows, in order.

A page may have the following blocks, run in order in one shell, in a folder of their own:

- a block fenced as `console`: lines that begin with `$ ` are commands, the lines below are their output. A line `...`
  matches any lines, `...` inside a line any text. A command that fails is followed by `$ echo $?`.
- a block with a title, as in ```` ```yaml title="accounts.yaml" ````: a file to save, written before the following blocks.
- `<!-- starts with: examples/accounts.yaml as accounts.yaml -->`: a file of the repository that exists from the start.
- `<!-- not run: REASON -->` above a console block: it is not run; test_docs_commands.py still parses its commands.

Older pages indent sessions by four spaces instead of a fence; they are run in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

STARTS = re.compile(r"^<!-- starts with: (\S+) as (\S+) -->$", re.MULTILINE)
_SKIPPED = re.compile(r"^<!-- not run: (.+) -->$")
_FENCE = re.compile(r"^(```+)(\w*)(.*)$")
_TITLE = re.compile(r'title="([^"]+)"')
_INDENT = "    "


@dataclass(frozen=True, slots=True)
class Typed:
    """A command on a page and the output shown below it; `line` counts from 1."""

    command: str
    shown: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Saved:
    """A file that a page instructs readers to save."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """The steps of a page, in order, and the blocks that are not run, with reasons."""

    starts: tuple[tuple[str, str], ...]
    steps: tuple[Typed | Saved, ...]
    skipped: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Block:
    """A block of code: language, title, lines, number of the first line, and why it is not run."""

    language: str
    title: str | None
    line: int
    lines: tuple[str, ...]
    reason: str | None = None


def read_page(text: str) -> Page:
    """The steps of a page."""
    steps: list[Typed | Saved] = []
    skipped = []
    for block in _blocks(text):
        if block.title is not None and block.language != "console":
            steps.append(Saved(block.title, "\n".join([*block.lines, ""])))
        elif block.reason is not None:
            skipped.append((block.line, block.reason))
        elif block.language == "console":
            steps += _typed(block)
    return Page(tuple(STARTS.findall(text)), tuple(steps), tuple(skipped))


def _blocks(text: str) -> Iterator[_Block]:
    """Fenced blocks, and indented ones that begin with a command, which count as `console`."""
    lines = text.splitlines()
    place, reason = 0, None
    while place < len(lines):
        line = lines[place]
        if found := _FENCE.match(line):
            end = next((n for n in range(place + 1, len(lines)) if lines[n].rstrip() == found[1]), len(lines))
            title = _TITLE.search(found[3])
            yield _Block(found[2], title and title[1], place + 2, tuple(lines[place + 1 : end]), reason)
            place, reason = end, None
        elif line.startswith(f"{_INDENT}$ "):
            end = place
            while end < len(lines) and (lines[end].startswith(_INDENT) or not lines[end].strip()):
                end += 1
            yield _Block("console", None, place + 1, tuple(each.removeprefix(_INDENT) for each in lines[place:end]), reason)
            place, reason = end - 1, None
        elif line.strip():
            skipped = _SKIPPED.match(line)
            reason = skipped[1] if skipped else None
        place += 1


def _typed(block: _Block) -> list[Typed]:
    found: list[tuple[list[str], list[str], int]] = []
    for number, line in enumerate(block.lines, block.line):
        if line.startswith("$ "):
            found.append(([line[2:]], [], number))
        elif found and found[-1][0][-1].endswith("\\") and not found[-1][1]:
            found[-1][0].append(line)
        elif found:
            found[-1][1].append(line)
        else:
            raise ValueError(f"line {number}: a console block begins with a typed line")
    return [Typed("\n".join(command), tuple(_trimmed(shown)), number) for command, shown, number in found]


def _trimmed(lines: list[str]) -> list[str]:
    """Without empty lines at the end."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines
