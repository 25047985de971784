"""What both programs share on a terminal: output, error display, exit codes, progress. Logic never imports this.

Everything that is printed goes through here, and through the sanitizer of `text` on its way: `SafeConsole` for people,
`emit` for formats. A test sees that no other module prints (tests/test_printing.py).
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment, Segments
from rich.style import Style
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from rolecall_generator.errors import (
    ExitCode,
    InterruptedRunError,
    OutputError,
    RolecallError,
    SelectionError,
    missing_extra,
)
from rolecall_generator.text import json_text, lines_of, one_line

_READER_GONE = 128 + 13  # SIGPIPE, as shells count
_OF_FILES = frozenset(
    {errno.EACCES, errno.EDQUOT, errno.EEXIST, errno.EFBIG, errno.EIO, errno.EISDIR, errno.ELOOP, errno.EMFILE}
    | {errno.ENAMETOOLONG, errno.ENOENT, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS}
)


class SafeConsole(Console):
    """A console on which no text can do more than be read.

    A string or a `Text` is one line: line breaks in it become spaces. Several lines are several calls, or a `Group`.
    There is no markup: styles come as arguments or in a `Text`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, "emoji": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """A string as rich's text, sanitized; markup is not read, whoever asks for it."""
        return super().render_str(one_line(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of whatever is printed. What rich makes of strings in tables and bars passes here too."""
        if isinstance(renderable, Text):
            renderable = _one_line(renderable)
        for segment in super().render(renderable, options):
            text, style = segment.text, segment.style
            linked = style is not None and style.link is not None
            if segment.control or not (linked or _needs_cleaning(text)):
                yield segment
            else:  # a link is a place where a click leads, and that no one sees
                yield Segment(lines_of(text), style.update_link(None) if linked and style else style)

    def out(
        self,
        *objects: Any,
        sep: str = " ",
        end: str = "\n",
        style: str | Style | None = None,
        highlight: bool | None = None,
    ) -> None:
        """Lines that are laid out already, written fast; each part of a line that is not ours must be `one_line`."""
        del highlight
        self.print(Segments([Segment(lines_of(sep.join(map(str, objects))) + end)]), style=style, crop=False)


def _needs_cleaning(text: str) -> bool:
    return text != "\n" and not (text.isascii() and text.isprintable() and "::" not in text)


def _one_line(text: Text) -> Text:
    safe = one_line(text.plain)
    if safe == text.plain:
        return text
    copy = text.copy()
    copy.plain = safe
    return copy


def stdout() -> SafeConsole:
    """The console for results. Honours NO_COLOR; plain text through a pipe."""
    return SafeConsole(soft_wrap=not sys.stdout.isatty())


def stderr() -> SafeConsole:
    """The console for messages and progress."""
    return SafeConsole(stderr=True, soft_wrap=not sys.stderr.isatty())


def print_lines(console: Console, text: str, **options: Any) -> None:
    """Print a text of several lines, as a letter to be copied: unwrapped, from the left edge, sanitized line by line."""
    for line in lines_of(text).rstrip("\n").split("\n"):
        console.print(line, markup=False, highlight=False, soft_wrap=True, **options)


def emit(text: str, *, end: str = "\n") -> None:
    """Write a format (JSON, CSV, HTML, a log) to standard output, as it is into a file, sanitized on a terminal.

    The format itself must be safe to be read by machines: see `text.json_text` and `html_page`.
    """
    typer.echo((lines_of(text) if sys.stdout.isatty() else text) + end, nl=False)


def emit_json(value: Any, *, indent: int | None = 2) -> None:
    """Write a value as JSON, in ASCII and without control characters."""
    emit(json_text(value, indent=indent))


def agreed(question: str, *, on_stderr: bool = False) -> bool:
    """Ask a yes-or-no question on the terminal; no is the default. Raises typer.Abort on Ctrl-C."""
    return typer.confirm(one_line(question), default=False, err=on_stderr)


class _SafeGroup(TyperGroup):
    """Commands whose usage errors are sanitized: Typer prints them itself, and they quote the command line."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the command line."""
        with _sanitized_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for, whose command line is parsed here too."""
        with _sanitized_errors():
            return super().invoke(ctx)


@contextmanager
def _sanitized_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if (message := getattr(error, "format_message", None)) is not None:
            sanitized = one_line(message())
            error.format_message = lambda: sanitized  # type: ignore[attr-defined]
        raise


@dataclass(frozen=True, slots=True)
class CommandModule:
    """Where a command is, and the line that the program's help shows for it.

    Attributes:
        module: The module whose `app` (a `typer.Typer`) has the command, or is the command group itself.
        summary: First line of the command's help.
    """

    module: str
    summary: str


class LazyGroup(_SafeGroup):
    """Commands whose modules are imported when they run: help and completion of the program load none of them."""

    modules: ClassVar[Mapping[str, CommandModule]] = {}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {name: TyperCommand(name, help=each.summary) for name, each in self.modules.items()}

    def load(self, name: str) -> Any:
        """The command or command group of that name, with its parameters."""
        group = typer.main.get_group(import_module(self.modules[name].module).app)
        loaded = group.commands.get(name, group)
        loaded.name = name
        self.commands[name] = loaded
        return loaded

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the arguments name, and import its module."""
        if args and args[0] in self.modules:
            self.load(args[0])
        return super().resolve_command(ctx, args)


class SafeTyper(typer.Typer):
    """An application whose every failure ends in one clear message and an exit code of the table.

    Args:
        commands: The commands by name, in the order of the help.
        options: As for `typer.Typer`.
    """

    def __init__(self, commands: Mapping[str, CommandModule] | None = None, **options: Any) -> None:
        group = type("Commands", (LazyGroup,), {"modules": commands}) if commands else _SafeGroup
        super().__init__(**{"cls": group, **options})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; translate what it raises."""
        ready_streams()
        try:
            try:
                return super().__call__(*args, **kwargs)
            finally:
                _flush()
        except RolecallError as error:
            _fail(f"error: {error}", error.exit_code)
        except SystemExit as ended:
            # Typer ends with 1, which means findings here, when the reader of a pipe has gone (`| head -1`).
            if isinstance(ended.__context__, BrokenPipeError):
                sys.exit(_READER_GONE)
            # Typer says nothing of a Ctrl-C that no command has caught.
            if isinstance(getattr(ended.__context__, "__cause__", None), KeyboardInterrupt):
                _fail("error: interrupted; what was complete stays", ExitCode.INTERRUPTED)
            raise
        except BrokenPipeError:
            sys.exit(_READER_GONE)
        except Exception as error:
            if os.environ.get("ROLECALL_DEBUG"):
                raise
            if isinstance(error, ModuleNotFoundError) and (missing := missing_extra(error)) is not None:
                _fail(f"error: {missing}", missing.exit_code)
            if isinstance(error, OSError) and error.errno in _OF_FILES:
                _fail(f"error: {_refused(error)}", ExitCode.OUTPUT)
            hint = "please report it, with the output of the same command under ROLECALL_DEBUG=1"
            what = one_line(f"{type(error).__name__}: {error}")
            _fail(f"error: a fault in rolecall itself: {what}\n  hint: {hint}", ExitCode.INTERNAL)


def ready_streams() -> None:
    """Let no mark and no file name stop a command on its way out.

    Text for an ASCII locale (cron, small containers) and for pipes is UTF-8, as Python does it for the C locale (PEP 538).
    What another terminal cannot show is shown as a code. A stream that the caller closed swallows what is written.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - lives as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            plain = codecs.lookup(stream.encoding).name == "ascii" or not stream.isatty()
            stream.reconfigure(encoding="utf-8" if plain else None, errors="backslashreplace")


def _flush() -> None:
    """Write out what is still held, here and not at Python's end, where no one could say what went wrong."""
    try:
        sys.stdout.flush()
    except OSError:
        # What is held cannot go anywhere: Python would try again at its end, and end with 120.
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - lives as long as the process
        raise


def _refused(error: OSError) -> OutputError:
    where = "standard output" if error.filename is None else str(error.filename)
    hint = "see to space, permissions and limits there, then run again: what was complete stays"
    return OutputError(f"the system refused: {error.strerror}", where=where, hint=hint)


def _fail(message: str, code: ExitCode) -> NoReturn:
    print_error(message, style="red" if code is not ExitCode.INTERRUPTED else None)
    sys.exit(int(code))


def print_error(message: str, *, style: str | None = "red") -> None:
    """Print an error on standard error; its lines are those of `str(RolecallError)`, whose parts are one line each."""
    console = stderr()
    for line in message.split("\n"):
        console.print(line, style=style)


def folder_of(option: str) -> Callable[[str | Path], Path]:
    """A folder of an option's text, for Typer's `parser`.

    An empty text raises SelectionError: as a path it would be the current folder, and it comes from an unset variable.
    """

    def folder(text: str | Path) -> Path:
        if not str(text):
            raise SelectionError("an empty name is no folder", where=option, hint="name a folder; . is the current one")
        return Path(text)

    return folder


@contextmanager
def progress_bar(text: str, *, quiet: bool) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """Two callables, for the total and for the count done; a bar on a terminal, silence elsewhere.

    Ctrl-C inside becomes InterruptedRunError: Typer would end with exit code 1, which means findings here.
    """
    try:
        with _bar(text, quiet=quiet) as callables:
            yield callables
    except KeyboardInterrupt:
        raise InterruptedRunError("interrupted; what was complete stays") from None


@contextmanager
def _bar(text: str, *, quiet: bool) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    if quiet or not sys.stderr.isatty():
        yield (lambda _total: None), (lambda _done: None)
        return
    # Imported here: no bar, no cost.
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (TextColumn(text), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=stderr(), transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield (lambda total: bar.update(task, total=total)), (lambda done: bar.update(task, completed=done))
