"""What both programs share on a terminal: error display, exit codes, progress. Logic never imports this."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import typer
from rich.console import Console

from rolecall_generator.errors import ExitCode, InterruptedRunError, OutputError, RolecallError, SelectionError
from rolecall_generator.extras import missing_extra

_READER_GONE = 128 + 13  # SIGPIPE, as shells count
_OF_FILES = frozenset(
    {errno.EACCES, errno.EDQUOT, errno.EEXIST, errno.EFBIG, errno.EIO, errno.EISDIR, errno.ELOOP, errno.EMFILE}
    | {errno.ENAMETOOLONG, errno.ENOENT, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS}
)


def stdout() -> Console:
    """The console for results. Honours NO_COLOR; plain text through a pipe."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def stderr() -> Console:
    """The console for messages and progress."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


class SafeTyper(typer.Typer):
    """An application whose every failure ends in one clear message and an exit code of the table."""

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
            mend = "please report it, with the output of the same command under ROLECALL_DEBUG=1"
            _fail(f"error: a fault in rolecall itself: {type(error).__name__}: {error}\n  mend: {mend}", ExitCode.INTERNAL)


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
    """Write out what is still held, here and not at Python's end, where nobody could say what went wrong."""
    try:
        sys.stdout.flush()
    except OSError:
        # What is held cannot go anywhere: Python would try again at its end, and end with 120.
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - lives as long as the process
        raise


def _refused(error: OSError) -> OutputError:
    where = "standard output" if error.filename is None else str(error.filename)
    mend = "see to space, permissions and limits there, then run again: what was complete stays"
    return OutputError(f"the system refused: {error.strerror}", where=where, mend=mend)


def _fail(message: str, code: ExitCode) -> NoReturn:
    stderr().print(message, style="red" if code is not ExitCode.INTERRUPTED else None, markup=False)
    sys.exit(int(code))


def folder_of(option: str) -> Callable[[str | Path], Path]:
    """A folder of an option's text, for Typer's `parser`.

    An empty text raises SelectionError: as a path it would be the current folder, and it comes from an unset variable.
    """

    def folder(text: str | Path) -> Path:
        if not str(text):
            raise SelectionError("an empty name is no folder", where=option, mend="name a folder; . is the current one")
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
