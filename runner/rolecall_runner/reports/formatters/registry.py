"""The registries of output formats: one each for verify runs, rows of queries and plays.

A format is a module of this folder. It registers its writers under its name:

    ROW_FORMATS.add("csv", RowFormat(lambda output: CsvRowWriter(output.text.write, output.spec.columns)))
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from rich.console import Console

from rolecall_generator.errors import SelectionError
from rolecall_runner.reports import formatters

if TYPE_CHECKING:
    from rolecall_runner.execution import RunRecord
    from rolecall_runner.plays import Event, Recap
    from rolecall_runner.query import QueryResult, QuerySpec
    from rolecall_runner.verify import RunInfo, Verdict

DEFAULT_FORMAT = "table"

Write = Callable[[str], object]
"""Writes a string, for example `sys.stdout.write`."""

Format = TypeVar("Format")


class FormatRegistry(Generic[Format]):
    """Formats of one kind of result, by name. The modules of `folder`, if given, are imported before a name is looked up."""

    def __init__(self, folder: ModuleType | None = None) -> None:
        self._folder = folder
        self._formats: dict[str, Format] = {}

    def add(self, name: str, offered: Format) -> None:
        """Register a format; a later one of the same name replaces it."""
        self._formats[name] = offered

    def names(self) -> tuple[str, ...]:
        """All names in alphabetical order, the default first."""
        if self._folder is not None:
            for module in pkgutil.iter_modules(self._folder.__path__, f"{self._folder.__name__}."):
                importlib.import_module(module.name)
        return tuple(sorted(self._formats, key=lambda name: (name != DEFAULT_FORMAT, name)))

    def find(self, name: str) -> Format:
        """The format of this name. Raises SelectionError."""
        if name not in self.names():
            raise SelectionError(
                f"unknown format {name!r}", where="--format", hint=f"available formats: {', '.join(self.names())}"
            )
        return self._formats[name]


@dataclass(frozen=True, slots=True)
class TextOutput:
    """Text output of a command: `write` for data, `console` for tables. `on_terminal`: `write` writes to a terminal."""

    write: Write
    console: Console
    on_terminal: bool = False


@dataclass(frozen=True, slots=True)
class VerdictOutput:
    """The input of a format of verdicts.

    `command` adds the options of this run to a command line that is shown as a hint. `graph` returns the access graph as
    SVG and the sentences that describe it.
    """

    text: TextOutput
    command: Callable[[str], str]
    graph: Callable[[], tuple[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class VerdictFormat:
    """`each` writes a verdict as soon as it is known, `report` the whole run when it has ended or was interrupted."""

    each: Callable[[VerdictOutput, Verdict], object] | None = None
    report: Callable[[VerdictOutput, RunInfo, Iterable[Verdict]], object] | None = None


class RowWriter(Protocol):
    """Writes the rows of a query as accounts answer."""

    def add(self, answer: QueryResult) -> None:
        """Write the rows of one account."""

    def close(self) -> None:
        """Write the remaining output. No other method is called afterwards."""


@dataclass(frozen=True, slots=True)
class RowOutput:
    """The input of a format of rows. `runs`: folder of the run `record`. `folder`: the option `--output`."""

    text: TextOutput
    spec: QuerySpec
    record: RunRecord
    runs: Path
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class RowFormat:
    """`make` returns the writer. `check` receives the option `--output` before a request is sent; it may raise."""

    make: Callable[[RowOutput], RowWriter]
    check: Callable[[Path | None], object] = lambda _folder: None


class PlayWriter(Protocol):
    """Writes a run of plays."""

    def add(self, event: Event) -> None:
        """Handle one event."""

    def close(self, recap: Recap) -> None:
        """Write the remaining output and the recap."""


@dataclass(frozen=True, slots=True)
class PlayOutput:
    """The output of a run of plays. `line` writes a line in a rich style ("" for none), unless --quiet is set."""

    write: Write
    line: Callable[[str, str], object]


VERDICT_FORMATS: FormatRegistry[VerdictFormat] = FormatRegistry(formatters)
ROW_FORMATS: FormatRegistry[RowFormat] = FormatRegistry(formatters)
PLAY_FORMATS: FormatRegistry[Callable[[PlayOutput], PlayWriter]] = FormatRegistry(formatters)
