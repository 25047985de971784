"""The terminal: consoles, errors and exit codes, prompts, progress, and Typer applications with lazily loaded commands.

All output passes through this module and the sanitizer in `text`. `SafeConsole` prints text, and `emit` machine-readable
formats. tests/project/test_printing.py checks that no other module prints.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.segment import Segment, Segments
from rich.style import Style
from rich.text import Text
from typer.core import TyperCommand, TyperGroup, TyperOption

from rolecall_generator.errors import (
    ExitCode,
    InterruptedRunError,
    NothingToDoError,
    OutputError,
    RolecallError,
    SelectionError,
    missing_extra,
)
from rolecall_generator.text import json_text, sanitize_line, sanitize_lines

_SIGPIPE_EXIT_CODE = 128 + 13  # as shells report SIGPIPE
_FILE_ERRORS = frozenset(
    {errno.EACCES, errno.EDQUOT, errno.EEXIST, errno.EFBIG, errno.EIO, errno.EISDIR, errno.ELOOP, errno.EMFILE}
    | {errno.ENAMETOOLONG, errno.ENOENT, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS}
)


class SafeConsole(Console):
    """A console that sanitizes all text.

    A string or a `Text` is printed as one line: line breaks become spaces. For several lines, use several calls or a
    `Group`. Markup is disabled: pass styles as arguments or in a `Text`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, "emoji": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Convert a string to a sanitized `Text` of rich, without markup."""
        return super().render_str(sanitize_line(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Sanitize the segments of a renderable, including those of tables and progress bars."""
        if isinstance(renderable, Text):
            renderable = _as_line(renderable)
        for segment in super().render(renderable, options):
            text, style = segment.text, segment.style
            linked = style is not None and style.link is not None
            if segment.control or not (linked or _needs_sanitizing(text)):
                yield segment
            else:  # remove link targets, which are not visible
                yield Segment(sanitize_lines(text), style.update_link(None) if linked and style else style)

    def out(
        self,
        *objects: Any,
        sep: str = " ",
        end: str = "\n",
        style: str | Style | None = None,
        highlight: bool | None = None,
    ) -> None:
        """Print lines without layout, which is fast. Line breaks are kept: sanitize untrusted parts with `sanitize_line`."""
        del highlight
        self.print(Segments([Segment(sanitize_lines(sep.join(map(str, objects))) + end)]), style=style, crop=False)


def _needs_sanitizing(text: str) -> bool:
    return text != "\n" and not (text.isascii() and text.isprintable() and "::" not in text)


def _as_line(text: Text) -> Text:
    sanitized = sanitize_line(text.plain)
    if sanitized == text.plain:
        return text
    copy = text.copy()
    copy.plain = sanitized
    return copy


def stdout() -> SafeConsole:
    """Create the console for results. It prints plain text to pipes and respects NO_COLOR."""
    return SafeConsole(soft_wrap=not sys.stdout.isatty())


def stderr() -> SafeConsole:
    """Create the console for messages and progress."""
    return SafeConsole(stderr=True, soft_wrap=not sys.stderr.isatty())


def print_lines(console: Console, text: str, **options: Any) -> None:
    """Print sanitized lines without wrapping, so that users can copy them."""
    for line in sanitize_lines(text).rstrip("\n").split("\n"):
        console.print(line, markup=False, highlight=False, soft_wrap=True, **options)


def print_indented(console: Console, text: str | Text, indent: int, *, style: str = "") -> None:
    """Print one line after this number of spaces. On a terminal, the lines into which it is wrapped are indented too."""
    line = Text(text, style) if isinstance(text, str) else text
    if console.soft_wrap:
        console.print(Text.assemble(" " * indent, line))
    else:
        console.print(Padding(line, (0, 0, 0, indent)))


def emit(text: str, *, end: str = "\n") -> None:
    """Write machine-readable output (JSON, CSV, HTML, a log) to standard output; on a terminal, it is sanitized.

    The caller is responsible for safe output in a file or pipe, see `text.json_text` and `html_page`.
    """
    typer.echo((sanitize_lines(text) if sys.stdout.isatty() else text) + end, nl=False)


def emit_json(value: Any, *, indent: int | None = 2) -> None:
    """Write a value as JSON, in ASCII and without control characters."""
    emit(json_text(value, indent=indent))


def confirm(question: str, *, on_stderr: bool = False) -> bool:
    """Prompt for confirmation; the default is no. Raises typer.Abort on Ctrl-C."""
    return typer.confirm(sanitize_line(question), default=False, err=on_stderr)


class _SafeGroup(TyperGroup):
    """A command group that sanitizes usage errors: Typer prints them, and they contain parts of the command line."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the command line."""
        with _sanitized_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Parse the command's arguments and run it."""
        with _sanitized_errors():
            return super().invoke(ctx)


@contextmanager
def _sanitized_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if (message := getattr(error, "format_message", None)) is not None:
            sanitized = sanitize_line(message())
            error.format_message = lambda: sanitized  # type: ignore[attr-defined]
        raise


@dataclass(frozen=True, slots=True)
class CommandModule:
    """The module of a command, and the summary in the help of the program.

    Attributes:
        module: The module whose `app` (a `typer.Typer`) contains the command or is the command group.
        summary: First line of the command's help.
    """

    module: str
    summary: str


class LazyGroup(_SafeGroup):
    """A command group that imports the module of a command when it runs. Help and completion import none of them."""

    modules: ClassVar[Mapping[str, CommandModule]] = {}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {name: TyperCommand(name, help=each.summary) for name, each in self.modules.items()}

    def load(self, name: str) -> Any:
        """Import the command or command group with this name."""
        group = typer.main.get_group(import_module(self.modules[name].module).app)
        loaded = group.commands.get(name, group)
        loaded.name = name
        _add_manifest_option(loaded)
        self.commands[name] = loaded
        return loaded

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command of the arguments, and import its module."""
        if args and args[0] in self.modules:
            self.load(args[0])
        return super().resolve_command(ctx, args)


_MANIFEST = "rolecall.manifest"


def _add_manifest_option(command: Any) -> None:
    """Let a command with the argument MANIFEST accept the option of the other commands too."""
    argument = next(
        (each for each in command.params if each.name == "manifest" and each.param_type_name == "argument"), None
    )
    if argument is None:
        return

    def keep(context: Any, _option: Any, value: Any) -> None:
        context.meta[_MANIFEST] = value

    def choose(context: Any, _argument: Any, value: Any) -> Any:
        if (found := context.meta.get(_MANIFEST)) is None:
            return value
        # As if the argument had been given, for commands that print the command that resumes them.
        context.set_parameter_source("manifest", context.get_parameter_source("manifest_option"))
        return found

    argument.callback = choose
    command.params.append(
        TyperOption(
            param_decls=["manifest_option", "--manifest", "-m"],
            type_descriptor=argument.type_descriptor,
            callback=keep,
            expose_value=False,
            is_eager=True,
            help="Manifest file, instead of the argument.",
        )
    )


_display_type = TyperOption.display_type_rich


def _display_type_of_values(option: TyperOption, *args: Any, **options: Any) -> Any:
    """The column with the type in help: empty for flags, where Typer would print <bool>."""
    return None if option.is_flag else _display_type(option, *args, **options)


TyperOption.display_type_rich = _display_type_of_values  # type: ignore[assignment]


class SafeTyper(typer.Typer):
    """An application that reports an error as one message, with an exit code of `ExitCode`.

    Args:
        commands: The commands by name, in the order of the help.
        options: As for `typer.Typer`.
    """

    def __init__(self, commands: Mapping[str, CommandModule] | None = None, **options: Any) -> None:
        group = type("Commands", (LazyGroup,), {"modules": commands}) if commands else _SafeGroup
        super().__init__(**{"cls": group, "context_settings": {"help_option_names": ["--help", "-h"]}, **options})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line and convert exceptions to messages and exit codes."""
        prepare_streams()
        try:
            try:
                return super().__call__(*args, **kwargs)
            finally:
                _flush()
        except RolecallError as error:
            _fail(str(error) if isinstance(error, NothingToDoError) else f"error: {error}", error.exit_code)
        except SystemExit as ended:
            # If a pipe is closed (`| head -1`), Typer exits with 1, the exit code for findings.
            if isinstance(ended.__context__, BrokenPipeError):
                sys.exit(_SIGPIPE_EXIT_CODE)
            # Typer prints no message on Ctrl-C.
            if isinstance(getattr(ended.__context__, "__cause__", None), KeyboardInterrupt):
                _fail("error: interrupted; completed work is kept", ExitCode.INTERRUPTED)
            raise
        except BrokenPipeError:
            sys.exit(_SIGPIPE_EXIT_CODE)
        except Exception as error:
            if os.environ.get("ROLECALL_DEBUG"):
                raise
            if isinstance(error, ModuleNotFoundError) and (missing := missing_extra(error)) is not None:
                _fail(f"error: {missing}", missing.exit_code)
            if isinstance(error, OSError) and error.errno in _FILE_ERRORS:
                _fail(f"error: {_os_error(error)}", ExitCode.OUTPUT)
            hint = "report it with the output of the same command with ROLECALL_DEBUG=1"
            what = sanitize_line(f"{type(error).__name__}: {error}")
            _fail(f"internal error: {what}\n  hint: {hint}", ExitCode.INTERNAL)


def prepare_streams() -> None:
    """Configure standard output and standard error so that no character causes an encoding error.

    Output to pipes and in an ASCII locale (cron, small containers) is UTF-8, as in PEP 538. On other terminals, characters
    that cannot be encoded are escaped. Closed streams are replaced by the null device. A COLUMNS of 0, as some CI systems
    set it, is removed: rich would print nothing.
    """
    if (columns := os.environ.get("COLUMNS", "")).isdigit() and int(columns) < _NARROWEST:
        del os.environ["COLUMNS"]
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - lives as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            plain = codecs.lookup(stream.encoding).name == "ascii" or not stream.isatty()
            stream.reconfigure(encoding="utf-8" if plain else None, errors="backslashreplace")


def _flush() -> None:
    """Flush standard output while errors can still be reported, before interpreter shutdown."""
    try:
        sys.stdout.flush()
    except OSError:
        # Otherwise, Python would flush again at shutdown, fail, and exit with 120.
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - lives as long as the process
        raise


def _os_error(error: OSError) -> OutputError:
    where = "standard output" if error.filename is None else str(error.filename)
    hint = "check free space, permissions and limits, then run the command again; completed work is kept"
    return OutputError(f"operating system error: {error.strerror}", where=where, hint=hint)


def _fail(message: str, code: ExitCode) -> NoReturn:
    print_error(message, style=None if code in {ExitCode.OK, ExitCode.INTERRUPTED} else "red")
    sys.exit(int(code))


def print_error(message: str, *, style: str | None = "red") -> None:
    """Print an error, such as `str(RolecallError)`, to standard error. It can have several lines.

    On a terminal, each line is wrapped between words, and its continuation is indented; names and paths stay whole.
    """
    console = stderr()
    for line in message.split("\n"):
        for part in [line] if console.soft_wrap else _wrapped(line, console.width):
            console.print(part, style=style, soft_wrap=True)


_NARROWEST = 20


def _wrapped(line: str, width: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line,
        max(width, _NARROWEST),
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    ) or [line]


def folder_parser(option: str) -> Callable[[str | Path], Path]:
    """Create a parser for an option with a folder, for Typer's `parser`.

    The parser raises SelectionError for an empty string, which is usually an unset variable and would otherwise mean the
    current folder.
    """

    def folder(text: str | Path) -> Path:
        if not str(text):
            raise SelectionError(
                "the folder name is empty", where=option, hint="give the path of a folder; . is the current one"
            )
        return Path(text)

    return folder


@contextmanager
def progress_bar(text: str, *, quiet: bool) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """Show a progress bar on a terminal. Yields two functions that set the total number and the number done.

    The bar appears when the total number is set.

    Raises InterruptedRunError on Ctrl-C, because Typer would exit with 1, the exit code for findings.
    """
    try:
        if quiet or not sys.stderr.isatty():
            yield (lambda _total: None), (lambda _done: None)
            return
        # Imported here because most runs do not show a progress bar.
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        columns = (TextColumn(text), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        bar = Progress(*columns, console=stderr(), transient=True)
        task = bar.add_task(text, total=None)

        def started(total: int) -> None:
            bar.start()
            bar.update(task, total=total)

        try:
            yield started, lambda done: bar.update(task, completed=done)
        finally:
            bar.stop()
    except KeyboardInterrupt:
        raise InterruptedRunError("interrupted; completed work is kept") from None
